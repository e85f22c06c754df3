//! Places that forge resets, and what is to be told of them: any collector tells, each thing once.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use parallax_core::report::Origin;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::rows::{RowError, RowName};
use super::verdicts::Settled;
use super::{Store, StoreError};

/// A place that forges resets, or did until a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    /// Another one each time that the place begins.
    pub episode: Uuid,
    /// From the claimed sender's side; `None`: beyond the outermost vantage.
    pub between: [Option<String>; 2],
    /// Resets of this episode.
    pub resets: u64,
    /// Cause and id of the first.
    pub cause: String,
    pub example: Uuid,
    pub began: Timestamp,
    /// Since when it counts as quiet; `None`: it injects.
    pub quiet: Option<Timestamp>,
    /// How often it was tried to tell it, this time included.
    pub attempts: u32,
}

#[derive(sqlx::FromRow)]
struct InjectionRow {
    episode: Uuid,
    between_a: String,
    between_b: String,
    resets: i64,
    cause: String,
    example: Uuid,
    began_us: i64,
    quiet_us: Option<i64>,
    attempts: i32,
}

impl TryFrom<InjectionRow> for Injection {
    type Error = RowError;

    fn try_from(row: InjectionRow) -> Result<Self, RowError> {
        let name = RowName {
            table: "injection",
            row: format!("episode {}", row.episode),
        };
        let time = |column, micros: i64| {
            Timestamp::from_microsecond(micros).map_err(|_| name.refuse(column, &micros))
        };
        let end = |end: String| Some(end).filter(|end| !end.is_empty());
        Ok(Self {
            episode: row.episode,
            between: [end(row.between_a), end(row.between_b)],
            resets: name.narrow("resets", row.resets)?,
            cause: row.cause,
            example: row.example,
            began: time("began_at", row.began_us)?,
            quiet: row
                .quiet_us
                .map(|micros| time("quiet_at", micros))
                .transpose()?,
            attempts: name.narrow("attempts", i64::from(row.attempts))?,
        })
    }
}

/// Notes where settled verdicts say that resets were forged.
pub(super) async fn note(tx: &mut PgConnection, settled: &[Settled]) -> Result<(), StoreError> {
    let forged = settled
        .iter()
        .filter(|one| one.origin == Origin::Middlebox.as_str() && one.recent > 0);
    let mut places: BTreeMap<[&str; 2], (i64, &Settled)> = BTreeMap::new();
    for one in forged {
        let ends = [&one.between_a, &one.between_b].map(|end| end.as_deref().unwrap_or_default());
        places.entry(ends).or_insert((0, one)).0 += one.recent;
    }
    if places.is_empty() {
        return Ok(());
    }
    let column = |end: usize| -> Vec<&str> { places.keys().map(|ends| ends[end]).collect() };
    let first = || places.values().map(|(_, first)| *first);
    sqlx::query(include_str!("../sql/note_injections.sql"))
        .bind(column(0))
        .bind(column(1))
        .bind(
            places
                .values()
                .map(|(resets, _)| *resets)
                .collect::<Vec<i64>>(),
        )
        .bind(
            first()
                .map(|first| first.cause.as_str())
                .collect::<Vec<&str>>(),
        )
        .bind(first().map(|first| first.example).collect::<Vec<Uuid>>())
        .execute(tx)
        .await
        .map_err(StoreError::database("note where resets were forged"))?;
    Ok(())
}

impl Store {
    /// Ends the episodes of places that have been quiet for so long.
    pub async fn end_injections(&self, quiet: Duration) -> Result<(), StoreError> {
        sqlx::query(include_str!("../sql/end_injections.sql"))
            .bind(quiet.as_secs_f64())
            .execute(&self.pool)
            .await
            .map_err(StoreError::database("end episodes of injection"))?;
        Ok(())
    }

    /// Forgets what was over so long ago.
    pub async fn forget_notices(&self, after: Duration) -> Result<(), StoreError> {
        sqlx::query(include_str!("../sql/forget_notices.sql"))
            .bind(after.as_secs_f64())
            .execute(&self.pool)
            .await
            .map_err(StoreError::database("forget what was told"))?;
        Ok(())
    }

    /// Enters what a sink was not told yet; returns how many notices were given up, as too old or too many.
    pub async fn enter_notices(
        &self,
        sink: &str,
        oldest: Duration,
        most: u32,
    ) -> Result<u64, StoreError> {
        let (given_up,): (i64,) = sqlx::query_as(include_str!("../sql/enter_notices.sql"))
            .bind(sink)
            .bind(oldest.as_secs_f64())
            .bind(i64::from(most))
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::database("enter what is to be told"))?;
        Ok(given_up.unsigned_abs())
    }

    /// Takes up to `most` notices of a sink that are due; no other collector tells them meanwhile.
    pub async fn take_notices(
        &self,
        sink: &str,
        lease: Duration,
        most: u32,
    ) -> Result<Vec<Injection>, StoreError> {
        let rows: Vec<InjectionRow> = sqlx::query_as(include_str!("../sql/take_notices.sql"))
            .bind(sink)
            .bind(lease.as_secs_f64())
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("take what is to be told"))?;
        read(rows)
    }

    /// A notice was told.
    pub async fn notice_told(&self, sink: &str, episode: Uuid) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE notice SET ended_at = now(), until = NULL WHERE sink = $1 AND episode = $2",
        )
        .bind(sink)
        .bind(episode)
        .execute(&self.pool)
        .await
        .map_err(StoreError::database("note what was told"))?;
        Ok(())
    }

    /// A notice was not told, and is tried again after a pause.
    pub async fn notice_failed(
        &self,
        sink: &str,
        episode: Uuid,
        pause: Duration,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE notice SET due_at = now() + make_interval(secs => $3), until = NULL \
             WHERE sink = $1 AND episode = $2",
        )
        .bind(sink)
        .bind(episode)
        .bind(pause.as_secs_f64())
        .execute(&self.pool)
        .await
        .map_err(StoreError::database("note what was not told"))?;
        Ok(())
    }

    /// Takes the turn to tell a sink everything, if it is time; how often that has failed since it last did not.
    pub async fn take_turn(&self, sink: &str, lease: Duration) -> Result<Option<u32>, StoreError> {
        let failed = || StoreError::database("take a turn to tell everything");
        sqlx::query("INSERT INTO sink (sink) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(sink)
            .execute(&self.pool)
            .await
            .map_err(failed())?;
        let taken: Option<(i32,)> = sqlx::query_as(include_str!("../sql/take_turn.sql"))
            .bind(sink)
            .bind(lease.as_secs_f64())
            .fetch_optional(&self.pool)
            .await
            .map_err(failed())?;
        Ok(taken.map(|(failures,)| failures.unsigned_abs()))
    }

    /// Places that inject, and those that became quiet within `ended`; at most `most`.
    pub async fn injections(
        &self,
        ended: Duration,
        most: u32,
    ) -> Result<Vec<Injection>, StoreError> {
        let rows: Vec<InjectionRow> = sqlx::query_as(include_str!("../sql/injections.sql"))
            .bind(ended.as_secs_f64())
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("read where resets are forged"))?;
        read(rows)
    }

    /// A turn is over: the next one is in `pause`, or sooner if all was told and something happens.
    pub async fn end_turn(
        &self,
        sink: &str,
        told: Told,
        pause: Duration,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE sink SET due_at = now() + make_interval(secs => $3), until = NULL, \
             told_at = CASE WHEN $2 THEN taken_at ELSE told_at END, \
             failures = CASE WHEN $2 THEN 0 ELSE failures + 1 END \
             WHERE sink = $1",
        )
        .bind(sink)
        .bind(told == Told::Yes)
        .bind(pause.as_secs_f64())
        .execute(&self.pool)
        .await
        .map_err(StoreError::database("end a turn to tell everything"))?;
        Ok(())
    }
}

/// Whether a sink took what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Yes,
    No,
}

fn read(rows: Vec<InjectionRow>) -> Result<Vec<Injection>, StoreError> {
    let read = rows.into_iter().map(Injection::try_from);
    Ok(read.collect::<Result<_, RowError>>()?)
}

//! Days: what was captured on one day lies in partitions of its own, so that it can be dropped.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use parallax_core::CaptureTime;
use parallax_core::time::SECOND;
use sqlx::postgres::PgConnection;

use super::shards::Reach;
use super::{Store, StoreError};

const DAY: i64 = 86_400 * SECOND;
/// How many days back, by the database's clock, a day is opened for late evidence; and ahead. Everything else is an old
/// file, or a clock that is far off, and shares one partition.
const BACK: i32 = 8;
const AHEAD: i32 = 1;
/// A case's evidence is looked for so many days before the moments asked for, and after: a connection may have been
/// idle for long.
const CASE_BACK: i32 = 8;
const CASE_AHEAD: i32 = 1;

/// The day of a time: days since the epoch, UTC.
pub(super) fn day_of(time: CaptureTime) -> i32 {
    time.nanos().div_euclid(DAY) as i32
}

/// Days of which partitions were asked for: whether they are there is known within the transaction only.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Arc<Mutex<BTreeSet<i32>>>);

impl Asked {
    /// Those that were not asked for before.
    fn new_of(&self, days: &BTreeSet<i32>) -> Vec<i32> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Clocks that tell ever other days don't make it grow.
        if asked.len() > 4096 {
            asked.clear();
        }
        days.iter()
            .copied()
            .filter(|day| asked.insert(*day))
            .collect()
    }

    pub(super) fn forget(&self) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clear();
    }
}

/// First and last day that a case's questions are about; what has no day of its own is always looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub first: i32,
    pub last: i32,
}

impl Span {
    /// Around moments; of none, everything.
    pub fn around(moments: impl Iterator<Item = i64>) -> Self {
        Self::between(moments, [CASE_BACK, CASE_AHEAD])
    }

    /// From the earliest of some moments to the latest; of none, everything.
    pub fn of(moments: impl Iterator<Item = i64>) -> Self {
        Self::between(moments, [0, 0])
    }

    fn between(moments: impl Iterator<Item = i64>, [back, ahead]: [i32; 2]) -> Self {
        let whole = moments.fold(None, |whole: Option<(i64, i64)>, moment| {
            let (from, until) = whole.unwrap_or((moment, moment));
            Some((from.min(moment), until.max(moment)))
        });
        let day = |moment| day_of(CaptureTime::from_nanos(moment));
        match whole {
            Some((from, until)) => Self {
                first: day(from) - back,
                last: day(until) + ahead,
            },
            None => Self {
                first: i32::MIN,
                last: i32::MAX,
            },
        }
    }
}

impl Store {
    /// Makes partitions of today and tomorrow, by the database's clock.
    pub async fn open_days_ahead(&self) -> Result<(), StoreError> {
        self.days.forget();
        sqlx::query(
            "SELECT open_day(ahead) \
             FROM generate_series(floor(extract(epoch FROM now()) / 86400)::integer, \
                 floor(extract(epoch FROM now()) / 86400)::integer + $1) AS ahead \
             WHERE NOT EXISTS (SELECT FROM day WHERE day.day = ahead)",
        )
        .bind(AHEAD)
        .execute(&self.pool)
        .await
        .map_err(StoreError::database("make partitions of a day"))?;
        Ok(())
    }

    /// Makes partitions of those days that may have some and were not asked for yet.
    pub(super) async fn open_days(&self, days: &BTreeSet<i32>) -> Result<(), StoreError> {
        let new = self.days.new_of(days);
        if new.is_empty() {
            return Ok(());
        }
        let opened = sqlx::query(
            "SELECT open_day(asked) FROM unnest($1::integer[]) AS asked \
             WHERE asked - floor(extract(epoch FROM now()) / 86400)::integer BETWEEN -$2 AND $3",
        )
        .bind(new)
        .bind(BACK)
        .bind(AHEAD)
        .execute(&self.pool)
        .await;
        if let Err(error) = opened {
            // They are stored as other days' then.
            self.days.forget();
            tracing::warn!("a day gets its partitions later: {error}");
        }
        Ok(())
    }

    /// Drops what was captured more than `keep` days ago; returns the days dropped. What has no day of its own goes when its
    /// run has ended so long ago, too.
    pub async fn drop_days(&self, keep: u16) -> Result<Vec<i32>, StoreError> {
        let old: Vec<(i32,)> = sqlx::query_as(
            "SELECT day FROM day WHERE day < floor(extract(epoch FROM now()) / 86400)::integer - $1 ORDER BY day",
        )
        .bind(i32::from(keep))
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::database("list days"))?;
        for (day,) in &old {
            sqlx::query("SELECT drop_day($1)")
                .bind(day)
                .execute(&self.pool)
                .await
                .map_err(StoreError::database("drop a day"))?;
        }
        self.days.forget();
        if self.reach == Reach::Shard {
            let failed = StoreError::database("drop what is old of other days");
            self.drop_other_days_of_shards(keep).await.map_err(failed)?;
            return Ok(old.into_iter().map(|(day,)| day).collect());
        }
        for statement in [
            include_str!("../sql/drop_other_digests.sql"),
            include_str!("../sql/drop_other_packed.sql"),
            include_str!("../sql/drop_other_payloads.sql"),
        ] {
            let failed = StoreError::database("drop what is old of other days");
            self.delete_old(statement, keep).await.map_err(failed)?;
        }
        Ok(old.into_iter().map(|(day,)| day).collect())
    }

    /// Shards know nothing of runs: they are told which are kept. Payloads and numbers have no run; those from before
    /// any that is kept go.
    async fn drop_other_days_of_shards(&self, keep: u16) -> Result<(), sqlx::Error> {
        let (runs, since, old): (Vec<i32>, Option<i64>, i64) =
            sqlx::query_as(include_str!("../sql/kept_runs.sql"))
                .bind(i32::from(keep))
                .fetch_one(&self.pool)
                .await?;
        for statement in [
            "DELETE FROM digest WHERE day = 0 AND time_ns < $1 AND run_id <> ALL ($2)",
            "DELETE FROM near WHERE day = 0 AND time_ns < $1 AND run_id <> ALL ($2)",
            "DELETE FROM packed WHERE day = 0 AND last_ns < $1 AND run_id <> ALL ($2)",
        ] {
            let deleting = sqlx::query(statement).bind(old).bind(&runs);
            deleting.execute(&self.pool).await?;
        }
        for statement in [
            "DELETE FROM payload WHERE day = 0 AND time_ns < $1",
            "DELETE FROM opening WHERE day = 0 AND time_ns < $1",
        ] {
            let before = since.map_or(old, |since| since.min(old));
            sqlx::query(statement)
                .bind(before)
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }

    async fn delete_old(&self, statement: &'static str, keep: u16) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        // Its indexes are read as bitmaps.
        sqlx::query("SET LOCAL enable_bitmapscan = on")
            .execute(&mut *tx)
            .await?;
        sqlx::query(statement)
            .bind(i32::from(keep))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

/// Those of the days that have partitions; they keep them until the transaction ends.
pub(super) async fn hold(
    tx: &mut PgConnection,
    days: &BTreeSet<i32>,
) -> Result<BTreeSet<i32>, StoreError> {
    let rows: Vec<(i32,)> = sqlx::query_as(include_str!("../sql/hold_days.sql"))
        .bind(days.iter().copied().collect::<Vec<i32>>())
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("hold days"))?;
    Ok(rows.into_iter().map(|(day,)| day).collect())
}

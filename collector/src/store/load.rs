//! Storing digests and coverage: one transaction for many runs, each digest once.

use std::collections::{BTreeMap, BTreeSet};

use parallax_core::{CaptureTime, Coverage, Digest, LossRecord};
use sqlx::postgres::PgConnection;

use self::runs::{write_coverage, write_runs, write_unread};
use self::sorted::Sorted;
use super::asides::{self, Asides};
use super::rows::RowName;
use super::runs::Registered;
use super::spans::Latest;
use super::{Store, StoreError, days, losses};

mod accept;
mod runs;
mod sorted;

pub use accept::{Accepted, Fresh, Gain, accept};

/// What one run hands over: digests without gaps, then beats whose digests are all handed over.
#[derive(Debug, Clone)]
pub struct Portion {
    pub run: Registered,
    /// The stream that it came on, which no other of the same process bears.
    pub stream: u64,
    /// Number of the first digest.
    pub first_number: u64,
    pub digests: Vec<Digest>,
    pub beats: Vec<Beat>,
    pub losses: Vec<LossRecord>,
    /// Digests from the end of `digests` up to this number were given up; 0: none.
    pub skipped_to: u64,
    pub asides: Asides,
    /// The agent said goodbye.
    pub finished: bool,
}

/// What a run watched, and what it could not read.
#[derive(Debug, Clone)]
pub struct Beat {
    /// How often the machine's clock had been stepped within the run.
    pub epoch: u32,
    pub span: Option<Coverage>,
    pub unread: Vec<(String, u64)>,
}

/// What became of a load.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What became of each portion, in their order.
    pub outcomes: Vec<Outcome>,
    /// Flows to judge, by hash.
    pub docketed: Vec<i64>,
    /// Digests written.
    pub rows: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, as is every digest of the run below this number.
    Committed(u64),
    /// Digests before these, or before an earlier portion of the stream, are missing: they were lost with an earlier
    /// transaction. Nothing of this portion was stored.
    Gap { committed: u64, first: u64 },
    /// No such run (the database was emptied).
    Unknown,
}

impl Store {
    /// Stores `portions` in one transaction. Digests below a run's watermark are known and dropped;
    /// several portions of one run count as one after the other.
    pub async fn load(&self, portions: &[&Portion]) -> Result<Loaded, StoreError> {
        self.open_days(&days_of(portions)).await?;
        let mut tx = self
            .pool
            .begin()
            .await
            .map_err(StoreError::database("begin to store digests"))?;
        let mut states = lock_runs(&mut tx, portions).await?;
        let Accepted {
            outcomes,
            fresh,
            taken,
        } = accept(&mut states, portions);
        let mut loaded = Loaded {
            outcomes,
            ..Loaded::default()
        };
        let digests: usize = fresh.iter().map(|fresh| fresh.digests.len()).sum();
        let sorted = Sorted::of(&fresh);
        if digests > 0 {
            let days = days::hold(&mut tx, &sorted.days).await?;
            sorted.copy_in(&mut tx, &days, self.reach).await?;
            loaded.rows = digests as u64;
        }
        write_coverage(&mut tx, &states).await?;
        write_unread(&mut tx, &states).await?;
        losses::write(&mut tx, &lost(&taken)).await?;
        write_runs(&mut tx, &states).await?;
        let recalled = asides::write(&mut tx, &taken).await?;
        // All at once and last: two transactions that take flows in two orders would wait for each other.
        if digests > 0 || !recalled.is_empty() {
            loaded.docketed = sorted.enter_in_docket(&mut tx, &recalled).await?;
        }
        tx.commit()
            .await
            .map_err(StoreError::database("commit digests"))?;
        Ok(loaded)
    }
}

/// The days of all digests that are handed over.
fn days_of(portions: &[&Portion]) -> BTreeSet<i32> {
    let mut days = BTreeSet::new();
    let mut latest = None;
    for digest in portions.iter().flat_map(|portion| &portion.digests) {
        let day = days::day_of(digest.time);
        if latest.replace(day) != Some(day) {
            days.insert(day);
        }
    }
    days
}

/// What is lost, with the run and the vantage.
fn lost<'a>(portions: &[&'a Portion]) -> Vec<(i32, i32, &'a LossRecord)> {
    let of = |portion: &&'a Portion| {
        let (run, losses) = (portion.run, &portion.losses);
        losses
            .iter()
            .map(move |loss| (run.id, run.vantage_id, loss))
    };
    portions.iter().flat_map(of).collect()
}

#[derive(sqlx::FromRow)]
struct RunRow {
    id: i32,
    vantage_id: i32,
    committed: i64,
    coverage_from_ns: Option<i64>,
    coverage_until_ns: Option<i64>,
    coverage_dropped: Option<i64>,
    coverage_epoch: Option<i64>,
}

async fn lock_runs(
    tx: &mut PgConnection,
    portions: &[&Portion],
) -> Result<BTreeMap<i32, Gain>, StoreError> {
    let ids: BTreeSet<i32> = portions.iter().map(|portion| portion.run.id).collect();
    let ids: Vec<i32> = ids.into_iter().collect();
    let rows: Vec<RunRow> = sqlx::query_as(include_str!("../sql/lock_runs.sql"))
        .bind(&ids)
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("lock runs"))?;
    rows.iter().map(|row| Ok((row.id, gain(row)?))).collect()
}

fn gain(row: &RunRow) -> Result<Gain, StoreError> {
    let name = RowName {
        table: "run",
        row: format!("id {}", row.id),
    };
    let latest = match (
        row.coverage_from_ns,
        row.coverage_until_ns,
        row.coverage_dropped,
    ) {
        (Some(from), Some(until), Some(dropped)) => Some(Latest {
            epoch: name.narrow("coverage_epoch", row.coverage_epoch.unwrap_or(0))?,
            from: CaptureTime::from_nanos(from),
            until: CaptureTime::from_nanos(until),
            dropped: name.narrow("coverage_dropped", dropped)?,
        }),
        _ => None,
    };
    let committed = name.narrow("committed", row.committed)?;
    Ok(Gain::found(row.vantage_id, committed, latest))
}

/// A counter in a signed column, held at its end; sums of such stay in range for centuries.
pub(super) fn held(count: u64) -> i64 {
    const MOST: u64 = 1 << 53;
    count.min(MOST).cast_signed()
}

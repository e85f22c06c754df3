//! Storing digests and coverage: one transaction for many runs, each digest once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parallax_core::evidence::numbers;
use parallax_core::{CaptureTime, Coverage, Digest, LossRecord};
use sqlx::postgres::PgConnection;

use super::asides::{self, Asides};
use super::copy::{COPY_DIGESTS, CopyBuffer, MESSAGE};
use super::rows::RowName;
use super::runs::Registered;
use super::spans::{self, Growth, Latest, Row};
use super::{Store, StoreError, losses};

/// What one run hands over: digests without gaps, then beats whose digests are all handed over.
#[derive(Debug, Clone)]
pub struct Portion {
    pub run: Registered,
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

/// What became of the runs of a load.
#[derive(Debug, Default)]
pub struct Loaded {
    /// By `run.id`.
    pub outcomes: BTreeMap<i32, Outcome>,
    /// Flows to judge, by hash.
    pub docketed: Vec<i64>,
    /// Rows written.
    pub rows: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every digest of the run below this number is stored.
    Committed(u64),
    /// Digests before these are missing: they were lost with an earlier transaction. Nothing of this
    /// run was stored.
    Gap { committed: u64, first: u64 },
    /// No such run (the database was emptied).
    Unknown,
}

/// One run's part of the transaction.
struct Gain {
    vantage_id: i32,
    committed: u64,
    latest: Option<Latest>,
    growth: Growth,
    finished: bool,
}

impl Store {
    /// Stores `portions` in one transaction. Digests below a run's watermark are known and dropped;
    /// several portions of one run count as one after the other.
    pub async fn load(&self, portions: &[&Portion]) -> Result<Loaded, StoreError> {
        let mut tx = self
            .pool
            .begin()
            .await
            .map_err(StoreError::database("begin to store digests"))?;
        let mut states = lock_runs(&mut tx, portions).await?;
        let mut loaded = Loaded::default();
        let accepted = accept(&mut states, portions, &mut loaded.outcomes);
        let digests = accepted.iter().map(|fresh| fresh.digests.len()).sum();
        if digests > 0 {
            copy_in(&mut tx, &accepted, digests).await?;
            loaded.rows = digests as u64;
            loaded.docketed = enter_in_docket(&mut tx, &accepted).await?;
        }
        states.retain(|id, _| matches!(loaded.outcomes.get(id), Some(Outcome::Committed(_))));
        write_coverage(&mut tx, &states).await?;
        write_unread(&mut tx, &states).await?;
        losses::write(&mut tx, &lost(&states, portions)).await?;
        write_runs(&mut tx, &states).await?;
        let recalled = asides::write(&mut tx, &go_on(&states, portions)).await?;
        if !recalled.is_empty() {
            let touched = enter(&mut tx, &[], &recalled, &BTreeSet::new()).await?;
            loaded.docketed.extend(touched);
        }
        tx.commit()
            .await
            .map_err(StoreError::database("commit digests"))?;
        Ok(loaded)
    }
}

/// The portions of runs that go on.
fn go_on<'a>(states: &BTreeMap<i32, Gain>, portions: &[&'a Portion]) -> Vec<&'a Portion> {
    let goes_on = |portion: &&&Portion| states.contains_key(&portion.run.id);
    portions.iter().filter(goes_on).copied().collect()
}

/// What the runs that go on have lost.
fn lost<'a>(
    states: &BTreeMap<i32, Gain>,
    portions: &[&'a Portion],
) -> Vec<(i32, i32, &'a LossRecord)> {
    let goes_on = portions
        .iter()
        .filter(|portion| states.contains_key(&portion.run.id));
    goes_on
        .flat_map(|portion| {
            let run = portion.run;
            let losses = portion.losses.iter();
            losses.map(move |loss| (run.id, run.vantage_id, loss))
        })
        .collect()
}

/// The digests of a portion that are not stored yet.
struct Fresh<'a> {
    run: Registered,
    first_number: u64,
    digests: &'a [Digest],
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
    Ok(Gain {
        vantage_id: row.vantage_id,
        committed: name.narrow("committed", row.committed)?,
        latest,
        growth: Growth::default(),
        finished: false,
    })
}

/// Sorts out what is new, and moves the watermarks.
fn accept<'a>(
    states: &mut BTreeMap<i32, Gain>,
    portions: &[&'a Portion],
    outcomes: &mut BTreeMap<i32, Outcome>,
) -> Vec<Fresh<'a>> {
    let mut accepted = Vec::with_capacity(portions.len());
    for portion in portions {
        let id = portion.run.id;
        let Some(state) = states.get_mut(&id) else {
            outcomes.insert(id, Outcome::Unknown);
            continue;
        };
        if portion.first_number > state.committed {
            outcomes.entry(id).or_insert(Outcome::Gap {
                committed: state.committed,
                first: portion.first_number,
            });
            continue;
        }
        let known = (state.committed - portion.first_number).min(portion.digests.len() as u64);
        let fresh = &portion.digests[known as usize..];
        if !fresh.is_empty() {
            accepted.push(Fresh {
                run: portion.run,
                first_number: state.committed,
                digests: fresh,
            });
        }
        state.committed = (state.committed + fresh.len() as u64).max(portion.skipped_to);
        let growth = spans::grow(&mut state.latest, &portion.beats);
        state.growth.append(growth);
        state.finished |= portion.finished;
        outcomes.insert(id, Outcome::Committed(state.committed));
    }
    accepted
}

async fn copy_in(
    tx: &mut PgConnection,
    accepted: &[Fresh<'_>],
    rows: usize,
) -> Result<(), StoreError> {
    let mut buffer = CopyBuffer::new(rows);
    for fresh in accepted {
        for (number, digest) in (fresh.first_number..).zip(fresh.digests) {
            buffer.push(fresh.run.vantage_id, fresh.run.id, number, digest);
        }
    }
    let failed = || StoreError::database("copy digests");
    let mut copy = tx.copy_in_raw(COPY_DIGESTS).await.map_err(failed())?;
    for message in buffer.finish().chunks(MESSAGE) {
        copy.send(message).await.map_err(failed())?;
    }
    copy.finish().await.map_err(failed())?;
    Ok(())
}

/// Flows with a RST among the new digests, and flows that have resets already, are to be judged.
async fn enter_in_docket(
    tx: &mut PgConnection,
    accepted: &[Fresh<'_>],
) -> Result<Vec<i64>, StoreError> {
    let mut flows: HashMap<i64, bool> = HashMap::new();
    let mut begun: BTreeSet<i64> = BTreeSet::new();
    for digest in accepted.iter().flat_map(|fresh| fresh.digests) {
        begun.extend(numbers(digest).map(i64::from));
        *flows
            .entry(digest.tuple.flow().hash().cast_signed())
            .or_default() |= digest.is_rst();
    }
    let (with, without): (Vec<_>, Vec<_>) = flows.into_iter().partition(|(_, reset)| *reset);
    let hashes = |flows: Vec<(i64, bool)>| -> BTreeSet<i64> {
        flows.into_iter().map(|(flow, _)| flow).collect()
    };
    let with: Vec<i64> = hashes(with).into_iter().collect();
    enter(tx, &with, &hashes(without), &begun).await
}

/// Enters flows with a RST, and those with resets that the others or these initial numbers matter to.
async fn enter(
    tx: &mut PgConnection,
    with: &[i64],
    without: &BTreeSet<i64>,
    begun: &BTreeSet<i64>,
) -> Result<Vec<i64>, StoreError> {
    let entered: Vec<(i64,)> = sqlx::query_as(include_str!("../sql/enter_in_docket.sql"))
        .bind(with)
        .bind(without.iter().copied().collect::<Vec<i64>>())
        .bind(begun.iter().copied().collect::<Vec<i64>>())
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("enter flows in the docket"))?;
    Ok(entered.into_iter().map(|(flow,)| flow).collect())
}

async fn write_coverage(
    tx: &mut PgConnection,
    states: &BTreeMap<i32, Gain>,
) -> Result<(), StoreError> {
    let extended = Columns::of(
        states
            .iter()
            .filter_map(|(id, state)| Some((*id, state.vantage_id, state.growth.extended?))),
    );
    if !extended.run.is_empty() {
        sqlx::query(include_str!("../sql/extend_coverage.sql"))
            .bind(extended.run)
            .bind(extended.from)
            .bind(extended.until)
            .bind(extended.received)
            .bind(extended.epoch)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("extend coverage"))?;
    }
    let added = Columns::of(states.iter().flat_map(|(id, state)| {
        let rows = state.growth.rows.iter();
        rows.map(move |row| (*id, state.vantage_id, *row))
    }));
    if !added.run.is_empty() {
        sqlx::query(include_str!("../sql/add_coverage.sql"))
            .bind(added.run)
            .bind(added.vantage)
            .bind(added.from)
            .bind(added.until)
            .bind(added.received)
            .bind(added.dropped)
            .bind(added.epoch)
            .execute(tx)
            .await
            .map_err(StoreError::database("add coverage"))?;
    }
    Ok(())
}

/// Spans in columns, as arrays to bind.
#[derive(Default)]
struct Columns {
    run: Vec<i32>,
    vantage: Vec<i32>,
    from: Vec<i64>,
    until: Vec<i64>,
    received: Vec<i64>,
    dropped: Vec<i64>,
    epoch: Vec<i64>,
}

impl Columns {
    fn of(spans: impl Iterator<Item = (i32, i32, Row)>) -> Self {
        let mut columns = Self::default();
        for (run, vantage, Row { epoch, span }) in spans {
            columns.run.push(run);
            columns.vantage.push(vantage);
            columns.from.push(span.from.nanos());
            columns.until.push(span.until.nanos());
            columns.received.push(held(span.received));
            columns.dropped.push(held(span.dropped));
            columns.epoch.push(i64::from(epoch));
        }
        columns
    }
}

/// A counter in a signed column, held at its end; sums of such stay in range for centuries.
pub(super) fn held(count: u64) -> i64 {
    const MOST: u64 = 1 << 53;
    count.min(MOST).cast_signed()
}

async fn write_unread(
    tx: &mut PgConnection,
    states: &BTreeMap<i32, Gain>,
) -> Result<(), StoreError> {
    let (mut runs, mut reasons, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (id, state) in states {
        for (reason, count) in &state.growth.unread {
            runs.push(*id);
            reasons.push(reason.clone());
            counts.push(held(*count));
        }
    }
    if runs.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../sql/count_unread.sql"))
        .bind(runs)
        .bind(reasons)
        .bind(counts)
        .execute(tx)
        .await
        .map_err(StoreError::database("count unread packets"))?;
    Ok(())
}

async fn write_runs(tx: &mut PgConnection, states: &BTreeMap<i32, Gain>) -> Result<(), StoreError> {
    let column = |value: fn(&Gain) -> i64| -> Vec<i64> { states.values().map(value).collect() };
    let latest = |value: fn(Latest) -> i64| -> Vec<Option<i64>> {
        states
            .values()
            .map(|state| state.latest.map(value))
            .collect()
    };
    let finished: Vec<bool> = states.values().map(|state| state.finished).collect();
    sqlx::query(include_str!("../sql/advance_runs.sql"))
        .bind(states.keys().copied().collect::<Vec<i32>>())
        .bind(column(|state| state.committed.cast_signed()))
        .bind(column(|state| held(state.growth.received)))
        .bind(column(|state| held(state.growth.dropped)))
        .bind(latest(|latest| latest.from.nanos()))
        .bind(latest(|latest| latest.until.nanos()))
        .bind(latest(|latest| held(latest.dropped)))
        .bind(finished)
        .bind(latest(|latest| i64::from(latest.epoch)))
        .execute(tx)
        .await
        .map_err(StoreError::database("advance runs"))?;
    Ok(())
}

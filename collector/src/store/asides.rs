//! What agents say beside digests, beats and losses, stored in the same transaction: what their memories
//! answered, what they ship from when on, and what it costs.

use std::collections::{BTreeMap, BTreeSet};

use parallax_core::{CaptureTime, Flow, Selection};
use sqlx::postgres::PgConnection;

use super::StoreError;
use super::load::{Portion, held};
use super::runs::{Registered, selection_columns};

/// A run's part of this.
#[derive(Debug, Clone, Default)]
pub struct Asides {
    pub answers: Vec<Answered>,
    pub changes: Vec<Change>,
    pub octets: Option<Octets>,
}

/// What a memory answered to a question: `RecallAnswer` of `ingest.proto`, checked.
#[derive(Debug, Clone)]
pub struct Answered {
    pub question: i64,
    /// Numbers of the digests that it brought: the first, and the one after the last.
    pub numbers: (i64, i64),
    /// What it speaks of, both ends included.
    pub span: Option<(CaptureTime, CaptureTime)>,
    pub complete: bool,
    pub capturing_since: CaptureTime,
    pub horizon: CaptureTime,
    pub dropped: u64,
    pub flows: Vec<Held>,
}

/// A flow in a memory.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub flow: Flow,
    pub count: u64,
    /// First and last of it.
    pub seen: Option<(CaptureTime, CaptureTime)>,
}

/// From a moment on other segments travel.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub from: CaptureTime,
    pub selection: Selection,
}

/// Octets since a run began.
#[derive(Debug, Clone, Copy)]
pub struct Octets {
    pub sent: u64,
    pub observed: u64,
}

/// Writes what runs that go on said; returns the flows that memories spoke of.
pub(super) async fn write(
    tx: &mut PgConnection,
    portions: &[&Portion],
) -> Result<BTreeSet<i64>, StoreError> {
    let all: Vec<(Registered, &Answered)> = portions
        .iter()
        .flat_map(|portion| {
            portion
                .asides
                .answers
                .iter()
                .map(|answer| (portion.run, answer))
        })
        .collect();
    let flows = write_answers(tx, &all).await?;
    write_batches(tx, &all).await?;
    for portion in portions {
        for change in &portion.asides.changes {
            write_change(tx, portion.run, change).await?;
        }
    }
    write_octets(tx, portions).await?;
    Ok(flows)
}

/// The rows of answers, in columns.
#[derive(Default)]
struct Rows {
    flow: Vec<i64>,
    run: Vec<i32>,
    question: Vec<i64>,
    vantage: Vec<i32>,
    from: Vec<Option<i64>>,
    until: Vec<Option<i64>>,
    complete: Vec<bool>,
    held: Vec<i64>,
    first: Vec<Option<i64>>,
    last: Vec<Option<i64>>,
    since: Vec<i64>,
    horizon: Vec<i64>,
    dropped: Vec<i64>,
}

impl Rows {
    fn push(&mut self, run: Registered, answer: &Answered, of: &Held) {
        self.flow.push(of.flow.hash().cast_signed());
        self.run.push(run.id);
        self.question.push(answer.question);
        self.vantage.push(run.vantage_id);
        self.from.push(answer.span.map(|(from, _)| from.nanos()));
        self.until.push(answer.span.map(|(_, until)| until.nanos()));
        self.complete.push(answer.complete);
        self.held.push(held(of.count));
        self.first.push(of.seen.map(|(first, _)| first.nanos()));
        self.last.push(of.seen.map(|(_, last)| last.nanos()));
        self.since.push(answer.capturing_since.nanos());
        self.horizon.push(answer.horizon.nanos());
        self.dropped.push(held(answer.dropped));
    }
}

async fn write_answers(
    tx: &mut PgConnection,
    all: &[(Registered, &Answered)],
) -> Result<BTreeSet<i64>, StoreError> {
    // One statement writes a row once: rounds of answers to one question by one run go one after another.
    let mut rounds: BTreeMap<usize, Rows> = BTreeMap::new();
    let mut met: BTreeMap<(i32, i64, i64), usize> = BTreeMap::new();
    for (run, answer) in all {
        for of in &answer.flows {
            let key = (run.id, answer.question, of.flow.hash().cast_signed());
            let round = met.entry(key).and_modify(|round| *round += 1).or_default();
            rounds.entry(*round).or_default().push(*run, answer, of);
        }
    }
    let flows = met.into_keys().map(|(_, _, flow)| flow).collect();
    for rows in rounds.into_values() {
        sqlx::query(include_str!("../sql/note_answers.sql"))
            .bind(rows.flow)
            .bind(rows.run)
            .bind(rows.question)
            .bind(rows.vantage)
            .bind(rows.from)
            .bind(rows.until)
            .bind(rows.complete)
            .bind(rows.held)
            .bind(rows.first)
            .bind(rows.last)
            .bind(rows.since)
            .bind(rows.horizon)
            .bind(rows.dropped)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("note what memories answered"))?;
    }
    Ok(flows)
}

async fn write_batches(
    tx: &mut PgConnection,
    all: &[(Registered, &Answered)],
) -> Result<(), StoreError> {
    let brought: Vec<(Registered, &Answered)> = all
        .iter()
        .filter(|(_, answer)| answer.numbers.0 < answer.numbers.1)
        .copied()
        .collect();
    if brought.is_empty() {
        return Ok(());
    }
    let column = |value: fn(&Answered) -> i64| -> Vec<i64> {
        brought.iter().map(|(_, answer)| value(answer)).collect()
    };
    let runs: Vec<i32> = brought.iter().map(|(run, _)| run.id).collect();
    sqlx::query(include_str!("../sql/note_batches.sql"))
        .bind(column(|answer| answer.question))
        .bind(runs)
        .bind(column(|answer| answer.numbers.0))
        .bind(column(|answer| answer.numbers.1))
        .execute(tx)
        .await
        .map_err(StoreError::database("note which digests came by recall"))?;
    Ok(())
}

async fn write_change(
    tx: &mut PgConnection,
    run: Registered,
    change: &Change,
) -> Result<(), StoreError> {
    let (selection, sample_one_in) = selection_columns(change.selection);
    sqlx::query(include_str!("../sql/change_selection.sql"))
        .bind(run.id)
        .bind(run.vantage_id)
        .bind(change.from.nanos())
        .bind(selection)
        .bind(sample_one_in)
        .execute(tx)
        .await
        .map_err(StoreError::database("note what travels"))?;
    Ok(())
}

async fn write_octets(tx: &mut PgConnection, portions: &[&Portion]) -> Result<(), StoreError> {
    let latest: BTreeMap<i32, Octets> = portions
        .iter()
        .filter_map(|portion| Some((portion.run.id, portion.asides.octets?)))
        .collect();
    if latest.is_empty() {
        return Ok(());
    }
    let column = |value: fn(&Octets) -> u64| -> Vec<i64> {
        latest.values().map(|octets| held(value(octets))).collect()
    };
    sqlx::query(
        "UPDATE run SET sent_octets = told.sent, observed_octets = told.observed \
         FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS told (id, sent, observed) WHERE run.id = told.id",
    )
    .bind(latest.keys().copied().collect::<Vec<i32>>())
    .bind(column(|octets| octets.sent))
    .bind(column(|octets| octets.observed))
    .execute(tx)
    .await
    .map_err(StoreError::database("note what was sent"))?;
    Ok(())
}

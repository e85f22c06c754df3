//! What a commit changes of runs, beside their digests: coverage, unread packets, watermarks.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;

use super::{Gain, held};
use crate::store::StoreError;
use crate::store::spans::{Latest, Row};

pub(super) async fn write_coverage(
    tx: &mut PgConnection,
    states: &BTreeMap<i32, Gain>,
) -> Result<(), StoreError> {
    let extended = Columns::of(
        states
            .iter()
            .filter_map(|(id, state)| Some((*id, state.vantage_id, state.growth.extended?))),
    );
    if !extended.run.is_empty() {
        sqlx::query(include_str!("../../sql/extend_coverage.sql"))
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
        sqlx::query(include_str!("../../sql/add_coverage.sql"))
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

pub(super) async fn write_unread(
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
    sqlx::query(include_str!("../../sql/count_unread.sql"))
        .bind(runs)
        .bind(reasons)
        .bind(counts)
        .execute(tx)
        .await
        .map_err(StoreError::database("count unread packets"))?;
    Ok(())
}

pub(super) async fn write_runs(
    tx: &mut PgConnection,
    states: &BTreeMap<i32, Gain>,
) -> Result<(), StoreError> {
    let column = |value: fn(&Gain) -> i64| -> Vec<i64> { states.values().map(value).collect() };
    let latest = |value: fn(Latest) -> i64| -> Vec<Option<i64>> {
        states
            .values()
            .map(|state| state.latest.map(value))
            .collect()
    };
    let finished: Vec<bool> = states.values().map(|state| state.finished).collect();
    sqlx::query(include_str!("../../sql/advance_runs.sql"))
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

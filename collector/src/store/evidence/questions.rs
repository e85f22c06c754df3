//! The questions to the database, each for many flows and vantages at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parallax_core::KnownId;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::{Ask, CoverageRow, Post, VantageRow};
use crate::store::StoreError;

pub(super) async fn docket(
    tx: &mut PgConnection,
    flows: &[i64],
) -> Result<BTreeMap<i64, i64>, StoreError> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT flow, evidence FROM docket WHERE flow = ANY ($1)")
            .bind(flows)
            .fetch_all(tx)
            .await
            .map_err(StoreError::database("read the docket"))?;
    Ok(rows.into_iter().collect())
}

pub(super) async fn vantages(tx: &mut PgConnection) -> Result<Vec<VantageRow>, StoreError> {
    sqlx::query_as("SELECT id, name, kind, addresses FROM vantage ORDER BY id")
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("read the vantages"))
}

/// The ids that resets of the asked flows and of their kin bear, by ask.
pub(super) async fn known_ids(
    tx: &mut PgConnection,
    asks: &[Ask],
    kin: &[BTreeSet<i64>],
) -> Result<Vec<Vec<KnownId>>, StoreError> {
    let related = |index: usize| kin[index].iter().copied().chain([asks[index].flow]);
    let all: BTreeSet<i64> = (0..asks.len()).flat_map(related).collect();
    let rows: Vec<(i64, i64, Uuid)> =
        sqlx::query_as("SELECT flow, identity, id FROM reset WHERE flow = ANY ($1)")
            .bind(all.into_iter().collect::<Vec<i64>>())
            .fetch_all(tx)
            .await
            .map_err(StoreError::database("read known resets"))?;
    let mut known: HashMap<i64, Vec<KnownId>> = HashMap::new();
    for (flow, identity, id) in rows {
        known.entry(flow).or_default().push(KnownId {
            flow: flow.cast_unsigned(),
            identity: identity.cast_unsigned(),
            id,
        });
    }
    Ok((0..asks.len())
        .map(|index| {
            let ids = related(index).filter_map(|flow| known.get(&flow));
            ids.flatten().copied().collect()
        })
        .collect())
}

pub(super) async fn coverage(
    tx: &mut PgConnection,
    posts: &[Post],
) -> Result<HashMap<usize, Vec<CoverageRow>>, StoreError> {
    let rows: Vec<CoverageRow> = sqlx::query_as(include_str!("../../sql/coverage.sql"))
        .bind(column(posts, |post| post.vantage_id))
        .bind(column(posts, |post| post.moment))
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("gather coverage"))?;
    Ok(by_question(rows, |row| row.asked))
}

pub(super) fn column<Row, T>(rows: &[Row], value: impl Fn(&Row) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// The number of a question among all, from its number in a part of them; both count from 1.
pub(super) fn whole_number(part: &[usize], asked: i64) -> i64 {
    let index = usize::try_from(asked - 1).ok();
    let whole = index.and_then(|index| part.get(index));
    whole.map_or(asked, |whole| *whole as i64 + 1)
}

/// Rows by the question that they answer; ordinality counts from 1.
pub(super) fn by_question<Row>(
    rows: Vec<Row>,
    asked: impl Fn(&Row) -> i64,
) -> HashMap<usize, Vec<Row>> {
    let mut by_question: HashMap<usize, Vec<Row>> = HashMap::new();
    for row in rows {
        by_question
            .entry(asked(&row) as usize - 1)
            .or_default()
            .push(row);
    }
    by_question
}

//! Losses in and out of the database.

use std::collections::{BTreeMap, HashMap};

use parallax_core::report::LossTotal;
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Strength};
use sqlx::postgres::PgConnection;

use super::rows::{RowError, RowName};
use super::{Store, StoreError};

/// How far around a moment losses are looked for.
const AROUND: i64 = 60 * SECOND;

/// Writes losses of runs (`run.id`, `vantage.id`); one that is known counts once.
pub(super) async fn write(
    tx: &mut PgConnection,
    losses: &[(i32, i32, &LossRecord)],
) -> Result<(), StoreError> {
    if losses.is_empty() {
        return Ok(());
    }
    let records = || losses.iter().map(|(_, _, loss)| *loss);
    let words = |word: fn(&LossRecord) -> &'static str| -> Vec<&'static str> {
        records().map(word).collect()
    };
    let column = |value: fn(&LossRecord) -> Option<i64>| -> Vec<Option<i64>> {
        records().map(value).collect()
    };
    sqlx::query(include_str!("../sql/add_losses.sql"))
        .bind(losses.iter().map(|(run, _, _)| *run).collect::<Vec<i32>>())
        .bind(
            losses
                .iter()
                .map(|(_, vantage, _)| *vantage)
                .collect::<Vec<i32>>(),
        )
        .bind(words(|loss| loss.cause.as_str()))
        .bind(words(|loss| loss.of.as_str()))
        .bind(column(|loss| Some(loss.from.nanos())))
        .bind(column(|loss| loss.until.map(CaptureTime::nanos)))
        .bind(words(|loss| loss.strength.as_str()))
        .bind(column(|loss| loss.count.map(super::load::held)))
        .bind(
            records()
                .map(|loss| loss.detail.clone())
                .collect::<Vec<Option<String>>>(),
        )
        .execute(tx)
        .await
        .map_err(StoreError::database("write losses"))?;
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
pub(super) struct LossRow {
    asked: i64,
    run_id: i32,
    cause: String,
    lost: String,
    strength: String,
    from_ns: i64,
    until_ns: Option<i64>,
    count: Option<i64>,
    detail: Option<String>,
}

/// Losses around each post's moment, by question.
pub(super) async fn around(
    tx: &mut PgConnection,
    vantages: Vec<i32>,
    moments: Vec<i64>,
) -> Result<HashMap<usize, Vec<LossRow>>, StoreError> {
    let rows: Vec<LossRow> = sqlx::query_as(include_str!("../sql/losses.sql"))
        .bind(vantages)
        .bind(moments)
        .bind(AROUND)
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("gather losses"))?;
    let mut by_question: HashMap<usize, Vec<LossRow>> = HashMap::new();
    for row in rows {
        let question = by_question.entry(row.asked as usize - 1).or_default();
        question.push(row);
    }
    Ok(by_question)
}

impl TryFrom<&LossRow> for LossRecord {
    type Error = RowError;

    fn try_from(row: &LossRow) -> Result<Self, RowError> {
        let name = RowName {
            table: "loss",
            row: format!("run {} from {}", row.run_id, row.from_ns),
        };
        Ok(Self {
            strength: strength(&name, &row.strength)?,
            cause: cause(&name, &row.cause)?,
            of: of(&name, &row.lost)?,
            from: CaptureTime::from_nanos(row.from_ns),
            until: row.until_ns.map(CaptureTime::from_nanos),
            count: name.narrow_option("count", row.count)?,
            detail: row.detail.clone(),
        })
    }
}

fn strength(name: &RowName, word: &str) -> Result<Strength, RowError> {
    let known = Strength::ALL
        .into_iter()
        .find(|strength| strength.as_str() == word);
    known.ok_or_else(|| name.refuse("strength", &word))
}

fn cause(name: &RowName, word: &str) -> Result<LossCause, RowError> {
    let known = LossCause::ALL
        .into_iter()
        .find(|cause| cause.as_str() == word);
    known.ok_or_else(|| name.refuse("cause", &word))
}

fn of(name: &RowName, word: &str) -> Result<LossOf, RowError> {
    let known = LossOf::ALL.into_iter().find(|of| of.as_str() == word);
    known.ok_or_else(|| name.refuse("lost", &word))
}

#[derive(sqlx::FromRow)]
struct TotalRow {
    vantage_id: i32,
    strength: String,
    cause: String,
    lost: String,
    times: i64,
    count: Option<i64>,
    first_ns: i64,
    last_ns: Option<i64>,
    detail: Option<String>,
}

impl Store {
    /// What every vantage lost, by `vantage.id`.
    pub(super) async fn loss_totals(&self) -> Result<BTreeMap<i32, Vec<LossTotal>>, StoreError> {
        let rows: Vec<TotalRow> = sqlx::query_as(include_str!("../sql/loss_totals.sql"))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("read losses"))?;
        let mut totals: BTreeMap<i32, Vec<LossTotal>> = BTreeMap::new();
        for row in rows {
            let of_vantage = totals.entry(row.vantage_id).or_default();
            of_vantage.push(total(row)?);
        }
        Ok(totals)
    }
}

fn total(row: TotalRow) -> Result<LossTotal, RowError> {
    let name = RowName {
        table: "loss",
        row: format!("vantage {}", row.vantage_id),
    };
    Ok(LossTotal {
        strength: strength(&name, &row.strength)?,
        cause: cause(&name, &row.cause)?,
        of: of(&name, &row.lost)?,
        times: name.narrow("times", row.times)?,
        count: name.narrow_option("count", row.count)?,
        first: CaptureTime::from_nanos(row.first_ns),
        last: row.last_ns.map(CaptureTime::from_nanos),
        detail: row.detail,
        text: String::new(),
    }
    .told())
}

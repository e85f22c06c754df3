//! What kernel witnesses say: storing it, and ([`gather`]) gathering it into evidence.

use std::collections::BTreeSet;

use parallax_core::reason::ResetReason;
use parallax_core::testimony::{Act, Oath, Prompt, Statement, TapPlace};
use parallax_proto::testimony::Told;
use sqlx::postgres::PgConnection;

use super::runs::Registered;
use super::{Store, StoreError};

pub(super) mod gather;

const SENT_IN_ANSWER: i16 = 1;
const SENT_UNASKED: i16 = 2;
const ACCEPTED: i16 = 3;

impl Store {
    /// Stores what a witness told, once, however often it is told; gives the flows that are to be judged.
    pub async fn testify(&self, run: Registered, told: &Told) -> Result<Vec<i64>, StoreError> {
        let mut tx = self
            .pool
            .begin()
            .await
            .map_err(StoreError::database("begin to store testimony"))?;
        add_statements(&mut tx, run, told).await?;
        extend_watches(&mut tx, run, told).await?;
        let flows: BTreeSet<i64> = told.statements.iter().map(flow).collect();
        let flows: Vec<i64> = flows.into_iter().collect();
        let mut touched: Vec<(i64,)> = Vec::new();
        if !flows.is_empty() {
            touched = sqlx::query_as(include_str!("../sql/enter_in_docket.sql"))
                .bind(Vec::<i64>::new())
                .bind(flows)
                .bind(Vec::<i64>::new())
                .fetch_all(&mut *tx)
                .await
                .map_err(StoreError::database("enter flows in the docket"))?;
        }
        tx.commit()
            .await
            .map_err(StoreError::database("commit testimony"))?;
        Ok(touched.into_iter().map(|(flow,)| flow).collect())
    }
}

fn flow(statement: &Statement) -> i64 {
    statement.tuple.flow().hash().cast_signed()
}

async fn add_statements(
    tx: &mut PgConnection,
    run: Registered,
    told: &Told,
) -> Result<(), StoreError> {
    let all = &told.statements;
    if all.is_empty() {
        return Ok(());
    }
    let numbers = (told.first_statement..).take(all.len());
    sqlx::query(include_str!("../sql/add_testimony.sql"))
        .bind(run.id)
        .bind(run.vantage_id)
        .bind(numbers.map(u64::cast_signed).collect::<Vec<i64>>())
        .bind(column(all, flow))
        .bind(column(all, |one| one.time.nanos()))
        .bind(column(all, |one| one.error))
        .bind(column(all, |one| one.tuple.src.addr))
        .bind(column(all, |one| one.tuple.dst.addr))
        .bind(column(all, |one| i32::from(one.tuple.src.port)))
        .bind(column(all, |one| i32::from(one.tuple.dst.port)))
        .bind(column(all, |one| act(one.act)))
        .bind(column(all, |one| word(one.act)))
        .execute(tx)
        .await
        .map_err(StoreError::database("add testimony"))?;
    Ok(())
}

async fn extend_watches(
    tx: &mut PgConnection,
    run: Registered,
    told: &Told,
) -> Result<(), StoreError> {
    let all = &told.watches;
    if all.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../sql/extend_witness_coverage.sql"))
        .bind(run.id)
        .bind(run.vantage_id)
        .bind(&told.kernel)
        .bind(column(all, |one| one.from.nanos()))
        .bind(column(all, |one| one.until.nanos()))
        .bind(column(all, |one| {
            i64::try_from(one.lost).unwrap_or(i64::MAX)
        }))
        .bind(column(all, |one| oath_word(one.oath)))
        .bind(column(all, |one| one.tap == TapPlace::OwnInterface))
        .execute(tx)
        .await
        .map_err(StoreError::database("extend witness coverage"))?;
    Ok(())
}

fn column<Row, T>(rows: &[Row], value: impl Fn(&Row) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

const fn act(act: Act) -> i16 {
    match act {
        Act::Sent {
            prompt: Prompt::Segment,
            ..
        } => SENT_IN_ANSWER,
        Act::Sent {
            prompt: Prompt::Itself,
            ..
        } => SENT_UNASKED,
        Act::Accepted => ACCEPTED,
    }
}

fn word(act: Act) -> Option<&'static str> {
    match act {
        Act::Sent { reason, .. } => reason.and_then(ResetReason::word),
        Act::Accepted => None,
    }
}

const fn oath_word(oath: Oath) -> &'static str {
    match oath {
        Oath::Nothing => "nothing",
        Oath::WithSocket => "with_socket",
        Oath::Everything => "everything",
    }
}

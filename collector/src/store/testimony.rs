//! What kernel witnesses say: storing it, and gathering it into evidence.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use parallax_core::reason::ResetReason;
use parallax_core::testimony::{Act, Oath, Prompt, Statement, TapPlace, Testimony, Watch};
use parallax_core::{CaptureTime, Endpoint, Flow, FourTuple};
use parallax_proto::testimony::Told;
use sqlx::postgres::PgConnection;

use super::rows::{RowError, RowName};
use super::runs::Registered;
use super::{Store, StoreError};

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

#[derive(Debug, sqlx::FromRow)]
struct StatementRow {
    asked: i64,
    run_id: i32,
    number: i64,
    time_ns: i64,
    error_ns: i64,
    src: IpAddr,
    dst: IpAddr,
    sport: i32,
    dport: i32,
    act: i16,
    reason: Option<String>,
}

impl TryFrom<&StatementRow> for Statement {
    type Error = RowError;

    fn try_from(row: &StatementRow) -> Result<Self, RowError> {
        let name = RowName {
            table: "testimony",
            row: format!("run {} number {}", row.run_id, row.number),
        };
        let reason = row.reason.as_deref().map(ResetReason::from_word);
        let sent = |prompt| Act::Sent { reason, prompt };
        let act = match row.act {
            SENT_IN_ANSWER => sent(Prompt::Segment),
            SENT_UNASKED => sent(Prompt::Itself),
            ACCEPTED => Act::Accepted,
            other => return Err(name.refuse("act", &other)),
        };
        Ok(Self {
            time: CaptureTime::from_nanos(row.time_ns),
            error: row.error_ns,
            tuple: FourTuple::new(
                Endpoint::new(row.src, name.narrow("sport", row.sport)?),
                Endpoint::new(row.dst, name.narrow("dport", row.dport)?),
            ),
            act,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct WatchRow {
    asked: i64,
    run_id: i32,
    from_ns: i64,
    until_ns: i64,
    lost: i64,
    oath: String,
    own_interface: bool,
}

impl TryFrom<&WatchRow> for Watch {
    type Error = RowError;

    fn try_from(row: &WatchRow) -> Result<Self, RowError> {
        let name = RowName {
            table: "witness_coverage",
            row: format!("run {} from {}", row.run_id, row.from_ns),
        };
        Ok(Self {
            from: CaptureTime::from_nanos(row.from_ns),
            until: CaptureTime::from_nanos(row.until_ns),
            lost: name.narrow("lost", row.lost)?,
            oath: match row.oath.as_str() {
                "nothing" => Oath::Nothing,
                "with_socket" => Oath::WithSocket,
                "everything" => Oath::Everything,
                other => return Err(name.refuse("oath", &other)),
            },
            tap: if row.own_interface {
                TapPlace::OwnInterface
            } else {
                TapPlace::Elsewhere
            },
        })
    }
}

/// A name of a flow, a vantage and a moment to ask its witness about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    /// Whom the answer is for; questions come in the order of this.
    pub post: usize,
    pub flow: Flow,
    pub vantage_id: i32,
    pub moment: i64,
}

/// The testimony for each post. What cannot be read is refused where the evidence is built.
pub(super) async fn gather(
    tx: &mut PgConnection,
    asked: &[Question],
) -> Result<HashMap<usize, Result<Testimony, RowError>>, StoreError> {
    let mut posts = asked.to_vec();
    posts.dedup_by_key(|one| one.post);
    let statements: Vec<StatementRow> = sqlx::query_as(include_str!("../sql/testimony.sql"))
        .bind(column(asked, |one| one.flow.hash().cast_signed()))
        .bind(column(asked, |one| one.vantage_id))
        .bind(column(asked, |one| one.moment))
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database("gather testimony"))?;
    let watches: Vec<WatchRow> = sqlx::query_as(include_str!("../sql/witness_coverage.sql"))
        .bind(column(&posts, |one| one.vantage_id))
        .bind(column(&posts, |one| one.moment))
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("gather witness coverage"))?;
    let mut all: HashMap<usize, Result<Testimony, RowError>> = HashMap::new();
    for row in &statements {
        let question = of(asked, row.asked);
        // Another 4-tuple of the same hash is another flow.
        let other = |read: &Statement| question.is_none_or(|one| one.flow != read.tuple.flow());
        let read = Statement::try_from(row);
        if !read.as_ref().is_ok_and(other) {
            put(&mut all, question, read, |testimony| {
                &mut testimony.statements
            });
        }
    }
    for row in &watches {
        let question = of(&posts, row.asked);
        put(&mut all, question, row.try_into(), |testimony| {
            &mut testimony.watches
        });
    }
    for testimony in all.values_mut().flatten() {
        testimony.statements.sort_by_key(|statement| statement.time);
    }
    Ok(all)
}

/// The question that a row answers; ordinality counts from 1.
fn of(asked: &[Question], ordinality: i64) -> Option<&Question> {
    asked.get(usize::try_from(ordinality).ok()?.checked_sub(1)?)
}

fn put<T>(
    all: &mut HashMap<usize, Result<Testimony, RowError>>,
    question: Option<&Question>,
    read: Result<T, RowError>,
    list: impl Fn(&mut Testimony) -> &mut Vec<T>,
) {
    let Some(question) = question else {
        return;
    };
    let entry = all
        .entry(question.post)
        .or_insert_with(|| Ok(Testimony::default()));
    match (read, entry.as_mut()) {
        (Ok(read), Ok(testimony)) => list(testimony).push(read),
        (Err(error), Ok(_)) => *entry = Err(error),
        (_, Err(_)) => {}
    }
}

//! Testimony for evidence: statements under every name that a flow bears at a vantage, and under the names of the
//! listening sockets at its ends, with the spans in which the witness listened.

use std::collections::HashMap;
use std::net::IpAddr;

use parallax_core::reason::ResetReason;
use parallax_core::testimony::{
    Act, Oath, Prompt, Statement, TapPlace, Testimony, Watch, listeners,
};
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Endpoint, Flow, FourTuple};
use sqlx::postgres::PgConnection;

use super::{ACCEPTED, SENT_IN_ANSWER, SENT_UNASKED, column};
use crate::store::StoreError;
use crate::store::rows::{RowError, RowName};

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
pub(in crate::store) struct Question {
    /// Whom the answer is for; questions come in the order of this.
    pub post: usize,
    pub flow: Flow,
    pub vantage_id: i32,
    pub moment: i64,
}

/// How far from the moment the statements of listening sockets are of use: they may be many.
const LISTENERS_WITHIN: i64 = 3600 * SECOND;
/// As far as anything is stored.
const EVER: i64 = 1 << 61;
/// As many as `sql/testimony.sql` gives on either side of the moment.
const STATEMENTS_MAX: usize = 2048;

/// One question to the table.
#[derive(Debug, Clone, Copy)]
struct Lookup {
    post: usize,
    flow: Flow,
    vantage_id: i32,
    moment: i64,
    /// How far from the moment, nanoseconds.
    reach: i64,
}

/// The testimony for each post that has a witness. What cannot be read is refused where the evidence is built.
pub(in crate::store) async fn gather(
    tx: &mut PgConnection,
    asked: &[Question],
) -> Result<HashMap<usize, Result<Testimony, RowError>>, StoreError> {
    let mut all = watches(tx, asked).await?;
    let lookups: Vec<Lookup> = asked
        .iter()
        .filter(|question| all.contains_key(&question.post))
        .flat_map(lookups)
        .collect();
    if lookups.is_empty() {
        return Ok(all);
    }
    let rows: Vec<StatementRow> = sqlx::query_as(include_str!("../../sql/testimony.sql"))
        .bind(column(&lookups, |one| one.flow.hash().cast_signed()))
        .bind(column(&lookups, |one| one.vantage_id))
        .bind(column(&lookups, |one| one.moment))
        .bind(column(&lookups, |one| one.reach))
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("gather testimony"))?;
    for answer in rows.chunk_by(|a, b| a.asked == b.asked) {
        if let Some(lookup) = of(&lookups, answer[0].asked)
            && let Some(entry) = all.get_mut(&lookup.post)
        {
            take(entry, lookup, answer);
        }
    }
    for lookup in &lookups {
        if let Some(Ok(testimony)) = all.get_mut(&lookup.post) {
            testimony.watches = within(&testimony.watches, lookup.moment, lookup.reach);
        }
    }
    for testimony in all.values_mut().flatten() {
        testimony.statements.sort_by_key(|said| said.time);
        testimony.statements.dedup();
    }
    Ok(all)
}

async fn watches(
    tx: &mut PgConnection,
    asked: &[Question],
) -> Result<HashMap<usize, Result<Testimony, RowError>>, StoreError> {
    let mut posts = asked.to_vec();
    posts.dedup_by_key(|one| one.post);
    let rows: Vec<WatchRow> = sqlx::query_as(include_str!("../../sql/witness_coverage.sql"))
        .bind(column(&posts, |one| one.vantage_id))
        .bind(column(&posts, |one| one.moment))
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("gather witness coverage"))?;
    let mut all: HashMap<usize, Result<Testimony, RowError>> = HashMap::new();
    for row in &rows {
        let Some(question) = of(&posts, row.asked) else {
            continue;
        };
        let entry = all
            .entry(question.post)
            .or_insert_with(|| Ok(Testimony::default()));
        match (Watch::try_from(row), entry.as_mut()) {
            (Ok(watch), Ok(testimony)) => testimony.watches.push(watch),
            (Err(error), Ok(_)) => *entry = Err(error),
            (_, Err(_)) => {}
        }
    }
    Ok(all)
}

/// The flow itself, and the listening sockets at its ends.
fn lookups(question: &Question) -> impl Iterator<Item = Lookup> + use<> {
    let Question {
        post,
        flow,
        vantage_id,
        moment,
    } = *question;
    let lookup = move |flow: Flow, reach: i64| Lookup {
        post,
        flow,
        vantage_id,
        moment,
        reach,
    };
    let ends = [flow.low(), flow.high()].into_iter().flat_map(listeners);
    let ends = ends.map(move |tuple| lookup(tuple.flow(), LISTENERS_WITHIN));
    ends.chain([lookup(flow, EVER)])
}

/// The question that a row answers; ordinality counts from 1.
fn of<T>(asked: &[T], ordinality: i64) -> Option<&T> {
    asked.get(usize::try_from(ordinality).ok()?.checked_sub(1)?)
}

/// Takes in what one lookup found. Silence counts only as far as all statements were loaded.
fn take(entry: &mut Result<Testimony, RowError>, lookup: &Lookup, answer: &[StatementRow]) {
    let Ok(testimony) = entry else {
        return;
    };
    for row in answer {
        match Statement::try_from(row) {
            // Another 4-tuple of the same hash is another flow.
            Ok(said) if said.tuple.flow() == lookup.flow => testimony.statements.push(said),
            Ok(_) => {}
            Err(error) => {
                *entry = Err(error);
                return;
            }
        }
    }
    let before = answer.iter().filter(|row| row.time_ns <= lookup.moment);
    let after = answer.len() - before.clone().count();
    let (first, last) = (answer[0].time_ns, answer[answer.len() - 1].time_ns);
    let mut reach = lookup.reach;
    if before.count() >= STATEMENTS_MAX {
        reach = reach.min(lookup.moment.saturating_sub(first));
    }
    if after >= STATEMENTS_MAX {
        reach = reach.min(last.saturating_sub(lookup.moment));
    }
    testimony.watches = within(&testimony.watches, lookup.moment, reach);
}

/// What lies within a distance of a moment.
fn within(watches: &[Watch], moment: i64, reach: i64) -> Vec<Watch> {
    let from = CaptureTime::from_nanos(moment.saturating_sub(reach));
    let until = CaptureTime::from_nanos(moment.saturating_add(reach));
    watches
        .iter()
        .filter(|watch| watch.until >= from && watch.from <= until)
        .map(|watch| Watch {
            from: watch.from.max(from),
            until: watch.until.min(until),
            ..*watch
        })
        .collect()
}

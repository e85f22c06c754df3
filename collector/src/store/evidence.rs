//! Gathering everything known about flows, in a constant number of questions for many of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use parallax_core::evidence::{Surroundings, numbers, surroundings};
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest, Flow, FlowEvidence, Vantage, VantageKind};

use sqlx::{Postgres, Transaction};

use super::rows::{RowError, RowName};
use super::testimony::gather::{self, Question};
use super::{Store, StoreError, losses};

mod first_look;
mod found;
mod join;
mod kin;
mod memory;
mod nearby;
mod neighbours;
mod questions;
mod relevant;
mod second_look;
mod segments;
mod shelf;
mod sightings;

use found::{Found, digests_of, selection};
use join::Joined;
pub use relevant::EVERYWHERE_MAX;
use relevant::Relevant;

/// The most segments of one flow that are gathered at one vantage: those nearest to the reset, more
/// before it than after it, and the first ones (`sql/segments.sql`).
pub const SEGMENTS_MAX: usize = 4096;
/// One more than is used of each part of `sql/segments.sql`: it tells that there are more.
const BEFORE_LIMIT: usize = 3073;
const AFTER_LIMIT: usize = 1025;

/// How far around a flow's segments a run counts as having watched it.
const AROUND: i64 = 60 * SECOND;

/// A flow to gather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// [`Flow::hash`] as the database carries it.
    pub flow: i64,
    /// The time of the reset in question; `None`: the newest.
    pub moment: Option<CaptureTime>,
}

/// Whether all that is stored of a flow was gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortionOfFlow {
    Whole,
    /// Only the segments nearest to the moment: see [`SEGMENTS_MAX`].
    Part,
}

/// One flow's evidence, and how it stood in the docket at that moment.
#[derive(Debug)]
pub struct Gathered {
    pub flow: i64,
    /// One entry; none: the flow has no reset; several: different 4-tuples of equal hash.
    pub evidence: Result<Vec<FlowEvidence>, RowError>,
    pub portion: PortionOfFlow,
    /// `docket.evidence`; `None`: not in the docket.
    pub docket: Option<i64>,
    pub kin: Kin,
    /// The vantages that have to do with it, by id; `None`: all there are.
    pub vantages: Option<BTreeSet<i32>>,
}

/// What a flow has to do with others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kin {
    /// Flows whose segments are among its evidence, by hash.
    pub flows: BTreeSet<i64>,
    /// The initial sequence numbers of its connections, under whatever names.
    pub numbers: BTreeSet<i64>,
}

#[derive(Debug, sqlx::FromRow)]
struct VantageRow {
    id: i32,
    name: String,
    kind: String,
    addresses: Vec<IpAddr>,
}

impl TryFrom<&VantageRow> for Vantage {
    type Error = RowError;

    fn try_from(row: &VantageRow) -> Result<Self, RowError> {
        let kind = match row.kind.as_str() {
            "hop" => VantageKind::Hop,
            "host" => VantageKind::Host {
                addresses: row.addresses.clone(),
            },
            other => {
                let name = RowName {
                    table: "vantage",
                    row: format!("id {}", row.id),
                };
                return Err(name.refuse("kind", &other));
            }
        };
        Ok(Self {
            name: row.name.clone(),
            kind,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct CoverageRow {
    asked: i64,
    run_id: i32,
    from_ns: i64,
    until_ns: i64,
    received: i64,
    dropped: i64,
    selection: String,
    sample_one_in: i64,
}

/// A flow at a vantage, and the moment around which it is gathered there.
#[derive(Debug, Clone, Copy)]
struct Post {
    /// Index into the asks.
    ask: usize,
    flow: Flow,
    vantage_id: i32,
    moment: i64,
}

impl Store {
    /// Gathers the evidence of each asked flow, as of one moment of the database. `path` names the
    /// configured path, client side first.
    pub async fn gather(&self, asks: &[Ask], path: &[String]) -> Result<Vec<Gathered>, StoreError> {
        self.gather_all(asks, None, path).await
    }

    /// Gathers the evidence of one flow around a moment, whether or not it has a reset.
    pub async fn gather_around(
        &self,
        flow: Flow,
        moment: CaptureTime,
        path: &[String],
    ) -> Result<Vec<Gathered>, StoreError> {
        let ask = Ask {
            flow: flow.hash().cast_signed(),
            moment: Some(moment),
        };
        self.gather_all(&[ask], Some(flow), path).await
    }

    /// All questions of one gathering see one moment of the database. It ends by being dropped: nothing is written, so
    /// nobody waits for its end.
    async fn begin_to_gather(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(StoreError::database("begin to gather evidence"))
    }

    /// `alone`: the flow of the only ask, gathered around its moment.
    async fn gather_all(
        &self,
        asks: &[Ask],
        alone: Option<Flow>,
        path: &[String],
    ) -> Result<Vec<Gathered>, StoreError> {
        let mut tx = self.begin_to_gather().await?;
        let hashes: Vec<i64> = asks.iter().map(|ask| ask.flow).collect();
        let docket = questions::docket(&mut tx, &hashes).await?;
        let joined = self.join_all(&mut tx, (asks, alone), path);
        let Joined {
            posts,
            relevant,
            days,
            segments,
            kin,
            coverage,
            vantages,
        } = joined.await?;
        let known = questions::known_ids(&mut tx, asks, &kin).await?;
        let vantage_ids = questions::column(&posts, |post| post.vantage_id);
        let moments = questions::column(&posts, |post| post.moment);
        let losses = losses::around(&mut tx, vantage_ids, moments).await?;
        let memory = memory::load(&mut tx, asks, &posts, &kin).await?;
        let clocks = memory::clocks(&mut tx, &posts).await?;
        let digests = digests_of(&posts, &segments, &memory);
        let around = around(&posts, &digests);
        let testimony = gather::gather(&mut tx, &questions_to_witnesses(&posts, &around)).await?;
        let nearby = nearby::load(&mut tx, &posts, around, (days, self.reach), |index| {
            selection(index, &posts[index], &segments, &coverage)
        });
        let mut found = Found {
            nearby: nearby.await?,
            segments,
            digests,
            coverage,
            losses,
            memory,
            clocks,
            testimony,
        };
        drop(tx);
        let mut gathered = ungathered(asks, kin, &relevant, &docket);
        // Posts come flow by flow, and within a flow in the order of the vantages.
        let mut start = 0;
        for chunk in posts.chunk_by(|a, b| a.ask == b.ask && a.flow == b.flow) {
            let ask = &mut gathered[chunk[0].ask];
            if found.is_part(start, chunk) {
                ask.portion = PortionOfFlow::Part;
            }
            let here: Vec<&VantageRow> = relevant.of(chunk[0].ask, &vantages).collect();
            let one = found.build(start, chunk, &here, path, &known[chunk[0].ask]);
            let names = (start..start + chunk.len()).flat_map(|post| found.nearby.names(post));
            let names: HashSet<Flow> = names.copied().collect();
            start += chunk.len();
            match (one, &mut ask.evidence) {
                (Ok(one), Ok(all)) => {
                    ask.kin.numbers.extend(numbers_of(&one, &names));
                    all.push(one);
                }
                (Err(error), whole) => *whole = Err(error),
                (Ok(_), Err(_)) => {}
            }
        }
        Ok(gathered)
    }
}

/// What is known of each ask before its evidence is built.
fn ungathered(
    asks: &[Ask],
    kin: Vec<BTreeSet<i64>>,
    relevant: &Relevant,
    docket: &BTreeMap<i64, i64>,
) -> Vec<Gathered> {
    let all = asks.iter().zip(kin).enumerate();
    all.map(|(index, (ask, flows))| Gathered {
        flow: ask.flow,
        vantages: relevant.ids(index),
        evidence: Ok(Vec::new()),
        portion: PortionOfFlow::Whole,
        docket: docket.get(&ask.flow).copied(),
        kin: Kin {
            flows,
            numbers: BTreeSet::new(),
        },
    })
    .collect()
}

/// The initial numbers of a flow's connections under all their names.
fn numbers_of(evidence: &FlowEvidence, names: &HashSet<Flow>) -> BTreeSet<i64> {
    let segments = evidence.vantages.iter().flat_map(|at| &at.segments);
    segments
        .filter(|digest| names.contains(&digest.tuple.flow()))
        .flat_map(numbers)
        .map(i64::from)
        .collect()
}

/// The surroundings at each post.
fn around(posts: &[Post], digests: &[Result<Vec<Digest>, RowError>]) -> Vec<Surroundings> {
    let mut all = Vec::with_capacity(posts.len());
    for chunk in posts.chunk_by(|a, b| a.ask == b.ask && a.flow == b.flow) {
        let start = all.len();
        // What cannot be read is refused where the evidence is built.
        let read: Vec<&[Digest]> = digests[start..start + chunk.len()]
            .iter()
            .map(|read| read.as_ref().map_or(&[][..], Vec::as_slice))
            .collect();
        all.extend(surroundings(&read, chunk[0].flow));
    }
    all
}

/// What to ask each post's witness: about every name that the flow bears there.
fn questions_to_witnesses(posts: &[Post], around: &[Surroundings]) -> Vec<Question> {
    let all = posts.iter().zip(around).enumerate();
    all.flat_map(|(index, (post, around))| {
        around.names.iter().map(move |flow| Question {
            post: index,
            flow: *flow,
            vantage_id: post.vantage_id,
            moment: around.moment.nanos(),
        })
    })
    .collect()
}

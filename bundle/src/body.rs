//! What a bundle tells: one connection at one side's vantages, all in pseudonyms.

use std::collections::HashSet;

use parallax_core::coverage::Coverage;
use parallax_core::digest::{Digest, TcpFlags};
use parallax_core::evidence::{self, FlowEvidence, Nearby, Selection, VantageEvidence};
use parallax_core::flow::{Endpoint, Flow};
use parallax_core::judge;
use parallax_core::report::{Cause, Origin, ResetReport};
use parallax_core::testimony::Testimony;
use parallax_core::time::SECOND;
use parallax_core::vantage::{Vantage, VantageKind};
use parallax_core::{CaptureTime, LossRecord};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::keying::Key;
use crate::{FORMAT, VERSION};

/// Segments of the connection at one vantage that a bundle holds at most.
pub const SEGMENTS_MAX: usize = 4096;
/// Vantages in a bundle at most.
pub const VANTAGES_MAX: usize = 64;
/// RSTs of other connections near the reset at one vantage at most.
const NEARBY_MAX: usize = evidence::RESETS_MAX;
/// Spans and losses of one vantage at most.
const SPANS_MAX: usize = 4096;
/// How far around the connection's segments a vantage's coverage and losses are told.
const AROUND: i64 = 60 * SECOND;
/// Octets of a name or word at most.
const WORD_MAX: usize = 1024;

const ABOUT: &str = "Evidence of one TCP reset, by Parallax: what one side's vantages recorded of its connection. \
Addresses, ports, payload hashes, link addresses, VLANs and tunnels are pseudonyms under a key that both sides share. \
Times are by each vantage's own clock. Compare with the other side's: parallax compare OURS THEIRS";

/// The signed part of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    pub format: String,
    pub version: u32,
    pub about: String,
    /// The program that made it, with its version.
    pub program: String,
    /// By which bundles of one key are known.
    pub key_check: String,
    /// `None`: this side was asked for the connection and saw no reset of it.
    pub reset: Option<Told>,
    /// What this side was asked for, where that was no reset of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// Vantages that recorded the connection, client side first as far as this side knows.
    pub vantages: Vec<Recorded>,
}

/// A connection, as the other side named it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    pub ends: [Endpoint; 2],
    /// About when its reset was.
    pub at: CaptureTime,
}

/// The reset in question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Its id at the collector that made the bundle, for talking about it.
    pub id: Uuid,
    pub time: CaptureTime,
    pub src: Endpoint,
    pub dst: Endpoint,
    pub seq: u32,
    pub ack: Option<u32>,
    pub flags: String,
    /// What this side's vantages say alone.
    pub origin: Origin,
    pub cause: Cause,
    pub confidence: f64,
}

/// The connection at one vantage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    pub name: String,
    /// Addresses of the endpoint that it runs on; empty: it only sees traffic pass.
    pub host: Vec<std::net::IpAddr>,
    /// Whether it ships every segment, or only those around resets.
    pub all_segments: bool,
    /// Spans of which every segment that it recorded is here.
    pub complete: Vec<(CaptureTime, CaptureTime)>,
    pub coverage: Vec<Coverage>,
    pub losses: Vec<LossRecord>,
    /// In the order of capture.
    pub segments: Vec<Digest>,
    /// RSTs of other connections around the reset: one of them may be this reset under another name.
    pub other_resets: Vec<Digest>,
    pub testimony: Testimony,
}

/// Why a bundle's content is refused.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("it is not of the form of a bundle ({0})")]
    Shape(#[from] serde_json::Error),
    #[error("it is of version {0}, this program reads {VERSION}")]
    Version(u32),
    #[error("it holds too much: {0}")]
    Bounds(&'static str),
}

impl Body {
    /// What `evidence` holds of one reset's connection; `None` when it holds no such reset.
    pub fn of(evidence: &FlowEvidence, id: Uuid, key: &Key, program: &str) -> Option<Self> {
        let reset = judge::explain(evidence, id)?.reset;
        let names = names(evidence, &reset);
        let place = |name: &str| {
            let at = reset.path.iter().position(|there| there == name);
            at.unwrap_or(usize::MAX)
        };
        let about = (Some(reset.seq), reset.time);
        let mut body = Self::empty(key, program);
        body.vantages = recorded(evidence, &names, about, key);
        body.vantages.sort_by_key(|vantage| place(&vantage.name));
        body.vantages.truncate(VANTAGES_MAX);
        body.reset = Some(Told::of(&reset, key));
        Some(body)
    }

    /// What `evidence` holds of its connection around a moment: of a reset of it that was seen here within a
    /// minute, else of the connection alone, whose reset was not seen here. `None` when nothing was recorded of it then.
    pub fn around(
        evidence: &FlowEvidence,
        at: CaptureTime,
        key: &Key,
        program: &str,
    ) -> Option<Self> {
        let away = |reset: &ResetReport| reset.time.since(at).saturating_abs();
        let judged = judge::judge_flow(evidence).into_iter();
        let near = judged
            .map(|judged| judged.report)
            .filter(|reset| away(reset) <= AROUND)
            .min_by_key(away);
        if let Some(reset) = near {
            return Self::of(evidence, reset.id, key, program);
        }
        let segments = evidence.vantages.iter().flat_map(|at| &at.segments);
        let names = evidence::names(segments, evidence.flow);
        let mut body = Self::empty(key, program);
        body.vantages = recorded(evidence, &names, (None, at), key);
        body.vantages.truncate(VANTAGES_MAX);
        body.connection = Some(Connection {
            ends: [evidence.flow.low(), evidence.flow.high()].map(|end| key.endpoint(end)),
            at,
        });
        (!body.vantages.is_empty()).then_some(body)
    }

    fn empty(key: &Key, program: &str) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            about: ABOUT.to_owned(),
            program: program.to_owned(),
            key_check: key.check(),
            reset: None,
            connection: None,
            vantages: Vec::new(),
        }
    }

    /// Reads a body that a signature vouches for; whoever signed it may still mean ill.
    pub fn read(octets: &[u8]) -> Result<Self, BodyError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_slice(octets)?;
        if head.version != VERSION {
            return Err(BodyError::Version(head.version));
        }
        let body: Self = serde_json::from_slice(octets)?;
        body.is_bounded()
            .map_or(Ok(body), |what| Err(BodyError::Bounds(what)))
    }

    fn is_bounded(&self) -> Option<&'static str> {
        let long = |words: &str| words.len() > WORD_MAX;
        let checks = [
            ("vantages", self.vantages.len() > VANTAGES_MAX),
            (
                "segments of a vantage",
                self.any(|at| at.segments.len() > SEGMENTS_MAX),
            ),
            (
                "resets of others",
                self.any(|at| at.other_resets.len() > NEARBY_MAX),
            ),
            (
                "spans",
                self.any(|at| at.complete.len().max(at.coverage.len()) > SPANS_MAX),
            ),
            ("losses", self.any(|at| at.losses.len() > SPANS_MAX)),
            ("addresses", self.any(|at| at.host.len() > SPANS_MAX)),
            (
                "statements",
                self.any(|at| {
                    at.testimony
                        .statements
                        .len()
                        .max(at.testimony.watches.len())
                        > SPANS_MAX
                }),
            ),
            (
                "octets of a name",
                self.any(|at| at.name.is_empty() || long(&at.name)),
            ),
            (
                "octets of a word",
                long(&self.program) || self.reset.as_ref().is_some_and(|told| long(&told.flags)),
            ),
        ];
        checks
            .into_iter()
            .find_map(|(what, beyond)| beyond.then_some(what))
    }

    fn any(&self, beyond: impl Fn(&Recorded) -> bool) -> bool {
        self.vantages.iter().any(beyond)
    }
}

impl Told {
    fn of(reset: &ResetReport, key: &Key) -> Self {
        Self {
            id: reset.id,
            time: reset.time,
            src: key.endpoint(Endpoint::new(reset.src, reset.sport)),
            dst: key.endpoint(Endpoint::new(reset.dst, reset.dport)),
            seq: reset.seq,
            ack: reset.ack,
            flags: reset.flags.clone(),
            origin: reset.origin,
            cause: reset.cause,
            confidence: reset.confidence,
        }
    }
}

/// The connection at each vantage that recorded some of it. `about`: the reset's number, and about when it was.
fn recorded(
    evidence: &FlowEvidence,
    names: &HashSet<Flow>,
    about: (Option<u32>, CaptureTime),
    key: &Key,
) -> Vec<Recorded> {
    let vantages = evidence.vantages.iter();
    vantages
        .filter_map(|at| Recorded::of(at, names, about, key))
        .collect()
}

/// What the connection is called at this side's vantages.
fn names(evidence: &FlowEvidence, reset: &ResetReport) -> HashSet<Flow> {
    let segments = evidence.vantages.iter().flat_map(|at| &at.segments);
    let mut names = evidence::names(segments, evidence.flow);
    names.extend(reset.names.iter().map(|name| {
        let end = |end: std::net::SocketAddr| Endpoint::new(end.ip(), end.port());
        Flow::between(end(name.client), end(name.server))
    }));
    names
}

impl Recorded {
    /// `None`: it recorded nothing of the connection.
    fn of(
        at: &VantageEvidence,
        names: &HashSet<Flow>,
        (seq, moment): (Option<u32>, CaptureTime),
        key: &Key,
    ) -> Option<Self> {
        let of_connection = |digest: &&Digest| names.contains(&digest.tuple.flow());
        let all: Vec<Digest> = at.segments.iter().filter(of_connection).copied().collect();
        // A vantage that did not see the reset must have watched when it was.
        let first = all.iter().map(|digest| digest.time).min()?.min(moment);
        let last = all.iter().map(|digest| digest.time).max()?.max(moment);
        let (from, until) = (first.plus(-AROUND), last.plus(AROUND));
        let whole = all.len() <= SEGMENTS_MAX;
        let segments = if whole {
            all
        } else {
            nearest(all, seq, moment)
        };
        let kept = || segments.iter().map(|digest| digest.time);
        // What was left out must not read as not recorded.
        let complete = match (whole, kept().min(), kept().max()) {
            (true, ..) => at.complete.clone(),
            _ => Vec::new(),
        };
        let near = |first: CaptureTime, last: Option<CaptureTime>| {
            first <= until && last.is_none_or(|last| from <= last)
        };
        let mut losses: Vec<LossRecord> = at
            .losses
            .iter()
            .filter(|loss| near(loss.from, loss.until))
            .cloned()
            .collect();
        for loss in &mut losses {
            // Words such as the capture's filter may name addresses.
            loss.detail = None;
        }
        let mut coverage: Vec<Coverage> = at.coverage.clone();
        coverage.retain(|span| near(span.from, Some(span.until)));
        let newest = |count: usize| count.saturating_sub(SPANS_MAX);
        losses.drain(..newest(losses.len()));
        coverage.drain(..newest(coverage.len()));
        let mut complete = complete;
        complete.retain(|(first, last)| near(*first, Some(*last)));
        complete.drain(..newest(complete.len()));
        let host = match &at.vantage.kind {
            VantageKind::Host { addresses } => {
                addresses.iter().map(|addr| key.addr(*addr)).collect()
            }
            VantageKind::Hop => Vec::new(),
        };
        Some(Self {
            name: at.vantage.name.clone(),
            host,
            all_segments: whole && at.selection == Selection::All,
            complete,
            coverage,
            losses,
            segments: segments.iter().map(|digest| key.digest(digest)).collect(),
            other_resets: at
                .nearby
                .resets()
                .iter()
                .map(|digest| key.digest(digest))
                .collect(),
            testimony: testimony(at, names, (from, until), key),
        })
    }

    /// The same for the judge; `name` is what it is called there.
    pub fn evidence(&self, name: String, moment: CaptureTime) -> VantageEvidence {
        let kind = match self.host.as_slice() {
            [] => VantageKind::Hop,
            addresses => VantageKind::Host {
                addresses: addresses.to_vec(),
            },
        };
        VantageEvidence {
            vantage: Vantage { name, kind },
            selection: if self.all_segments {
                Selection::All
            } else {
                Selection::Context
            },
            complete: self.complete.clone(),
            // Two sides' clocks were compared with different ones.
            clock: None,
            coverage: self.coverage.clone(),
            losses: self.losses.clone(),
            segments: self.segments.clone(),
            nearby: Nearby::new(moment, &[], &[], &self.other_resets),
            testimony: self.testimony.clone(),
        }
    }
}

/// Of a long connection what opens and ends it, and what is nearest to the reset with this number, or to its moment.
fn nearest(mut all: Vec<Digest>, seq: Option<u32>, moment: CaptureTime) -> Vec<Digest> {
    let reset = |digest: &&Digest| digest.is_rst() && Some(digest.seq.0) == seq;
    let moment = all.iter().find(reset).map_or(moment, |digest| digest.time);
    let mut places: Vec<usize> = (0..all.len()).collect();
    places.sort_by_key(|place| {
        let digest = &all[*place];
        let opens_or_ends = digest.is_rst() || digest.flags.has(TcpFlags::SYN) || digest.is_fin();
        (!opens_or_ends, digest.time.since(moment).saturating_abs())
    });
    places.truncate(SEGMENTS_MAX);
    places.sort_unstable();
    let kept: Vec<Digest> = places.into_iter().map(|place| all[place]).collect();
    all.clear();
    kept
}

/// What the kernel said of this connection only.
fn testimony(
    at: &VantageEvidence,
    names: &HashSet<Flow>,
    (from, until): (CaptureTime, CaptureTime),
    key: &Key,
) -> Testimony {
    let ends: HashSet<Endpoint> = names
        .iter()
        .flat_map(|flow| [flow.low(), flow.high()])
        .collect();
    let port = |end: Endpoint| ends.iter().any(|own| own.port == end.port);
    let spoken_of = |tuple: parallax_core::flow::FourTuple| {
        names.contains(&tuple.flow()) || tuple.dst.port == 0 && port(tuple.src)
    };
    let within = |time: CaptureTime| from <= time && time <= until;
    let statements = at.testimony.statements.iter();
    let watches = at.testimony.watches.iter();
    Testimony {
        statements: statements
            .filter(|said| within(said.time) && spoken_of(said.tuple))
            .map(|said| parallax_core::testimony::Statement {
                tuple: key.tuple(said.tuple),
                ..*said
            })
            .take(SPANS_MAX)
            .collect(),
        watches: watches
            .filter(|watch| watch.from <= until && from <= watch.until)
            .take(SPANS_MAX)
            .copied()
            .collect(),
    }
}

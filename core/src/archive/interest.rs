//! Which segments may be asked for: those of flows with a reset, of flows that may be the same connections
//! under other names, and others near to them.

use hashbrown::{HashMap, HashSet};
use std::net::IpAddr;

use crate::digest::Digest;
use crate::evidence::{NEIGHBOURS_WITHIN, numbers};
use crate::flow::{Endpoint, Flow};
use crate::time::CaptureTime;

/// Two addresses, the lower one first.
pub(super) type Pair = (IpAddr, IpAddr);

pub(super) fn pair(flow: Flow) -> Pair {
    let (a, b) = (flow.low().addr, flow.high().addr);
    (a.min(b), a.max(b))
}

/// The span of time that holds a moment.
fn span(time: CaptureTime) -> i64 {
    time.nanos().div_euclid(NEIGHBOURS_WITHIN)
}

/// What is of interest in a set of recordings.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// Flows with a reset.
    resets: HashSet<Flow>,
    /// Other flows whose segments are kept, by [`Flow::hash`].
    kin: HashSet<u64>,
    pairs: HashSet<Pair>,
    /// Spans of time ([`NEIGHBOURS_WITHIN`] each) in which a pair has a segment of a kept flow at some vantage.
    spans: HashSet<(Pair, i64)>,
    endpoints: HashSet<Endpoint>,
}

impl Interest {
    /// Takes a reset of a flow.
    pub(super) fn add_reset(&mut self, flow: Flow, time: CaptureTime) {
        let pair = pair(flow);
        self.spans.insert((pair, span(time)));
        if self.resets.insert(flow) {
            self.pairs.insert(pair);
            self.endpoints.extend([flow.low(), flow.high()]);
        }
    }

    /// Takes flows that may be others under another name.
    pub(super) fn add_kin(&mut self, hashes: impl IntoIterator<Item = u64>) {
        self.kin.extend(hashes);
    }

    /// Takes what a kept flow is called: its hosts' other traffic tells the path there.
    pub(super) fn add_name(&mut self, flow: Flow, time: CaptureTime) {
        let pair = pair(flow);
        self.spans.insert((pair, span(time)));
        if self.pairs.insert(pair) {
            self.endpoints.extend([flow.low(), flow.high()]);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.resets.is_empty()
    }

    /// The flows with resets in an order that does not depend on chance.
    pub(super) fn flows(&self) -> Vec<Flow> {
        let mut flows: Vec<Flow> = self.resets.iter().copied().collect();
        flows.sort_unstable();
        flows
    }

    pub(super) fn has_reset(&self, flow: Flow) -> bool {
        self.resets.contains(&flow)
    }

    pub(super) fn has_flow(&self, flow: Flow) -> bool {
        self.resets.contains(&flow) || (!self.kin.is_empty() && self.kin.contains(&flow.hash()))
    }

    /// Whether this segment may be near to a flow of interest: a handshake, or anything between two
    /// hosts around a reset.
    pub(super) fn is_nearby(&self, digest: &Digest, flow: Flow) -> bool {
        let (pair, now) = (pair(flow), span(digest.time));
        let around = || (now - 1..=now + 1).any(|span| self.spans.contains(&(pair, span)));
        self.is_handshake(digest, flow) || self.pairs.contains(&pair) && around()
    }

    fn is_handshake(&self, digest: &Digest, flow: Flow) -> bool {
        (digest.is_syn() || digest.is_syn_ack()) && self.pairs.contains(&pair(flow))
            || digest.is_syn_ack() && self.endpoints.contains(&digest.tuple.src)
    }
}

/// Every handshake's numbers: what recordings under different names share.
#[derive(Debug, Default)]
pub(super) struct Openings {
    seen: Vec<Opening>,
    sorted: usize,
}

/// An initial sequence number of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Opening {
    number: u32,
    /// [`Flow::hash`].
    flow: u64,
    /// Stand-ins for its endpoints.
    ends: [u32; 2],
}

fn stand_in(endpoint: Endpoint) -> u32 {
    Flow::between(endpoint, endpoint).hash() as u32
}

/// Duplicates are taken out when the list has grown by this much.
const GROWN: usize = 1 << 20;

impl Openings {
    pub(super) fn add(&mut self, digest: &Digest) {
        for number in numbers(digest) {
            let flow = digest.tuple.flow();
            self.seen.push(Opening {
                number,
                flow: flow.hash(),
                ends: [flow.low(), flow.high()].map(stand_in),
            });
        }
        if self.seen.len() > self.sorted * 2 + GROWN {
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        self.seen.sort_unstable();
        self.seen.dedup();
        self.sorted = self.seen.len();
    }

    /// Flows that share an initial number with one of `flows`, or with one that does. A scanner uses one
    /// number for many connections: of those only what shares an end too is taken.
    pub(super) fn kin(mut self, flows: &[Flow]) -> HashSet<u64> {
        self.tidy();
        let mut found: HashSet<u64> = flows.iter().map(|flow| flow.hash()).collect();
        for _ in 0..ROUNDS {
            let more: Vec<u64> = self
                .seen
                .chunk_by(|a, b| a.number == b.number)
                .filter(|same| same.len() > 1)
                .flat_map(|same| related(same, &found))
                .collect();
            let before = found.len();
            found.extend(more);
            if found.len() == before {
                break;
            }
        }
        for flow in flows {
            found.remove(&flow.hash());
        }
        found
    }
}

/// What one number says of the flows that share it.
fn related(same: &[Opening], found: &HashSet<u64>) -> Vec<u64> {
    let known: Vec<&Opening> = same
        .iter()
        .filter(|opening| found.contains(&opening.flow))
        .collect();
    if known.is_empty() {
        return Vec::new();
    }
    if same.len() <= SHARED_MAX {
        return same.iter().map(|opening| opening.flow).collect();
    }
    // Those that share the end which the whole scan has in common are no kin.
    let sharing = |end: u32| {
        let flows = same
            .iter()
            .filter(move |opening| opening.ends.contains(&end));
        flows.map(|opening| opening.flow)
    };
    let ends: HashSet<u32> = known.iter().flat_map(|opening| opening.ends).collect();
    ends.into_iter()
        .filter(|end| sharing(*end).count() <= SHARED_MAX)
        .flat_map(sharing)
        .collect()
}

/// More flows than this with one number are a scan.
pub(super) const SHARED_MAX: usize = 64;
/// Translators one behind the other, of which each keeps another number.
const ROUNDS: usize = 3;

/// Payloads of the flows of interest, and who else carries them.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    /// By hash: the earliest and latest time, and other flows.
    sought: HashMap<u64, Sought>,
}

#[derive(Debug)]
struct Sought {
    from: CaptureTime,
    until: CaptureTime,
    flows: HashSet<u64>,
}

/// Payloads shorter than this are too alike, and so are those that more flows carry.
const PAYLOAD_TELLS: u32 = 16;
pub const CARRIERS_MAX: usize = 16;
/// Clocks may differ by so much, and a proxy may hold a payload for a while; nanoseconds.
pub const APART: i64 = 20 * crate::time::SECOND;

impl Payloads {
    /// Takes a segment of a flow with a reset.
    pub(super) fn seek(&mut self, digest: &Digest) {
        let Some(hash) = telling(digest) else {
            return;
        };
        let time = digest.time;
        let sought = self.sought.entry(hash).or_insert_with(|| Sought {
            from: time,
            until: time,
            flows: HashSet::new(),
        });
        sought.from = sought.from.min(time);
        sought.until = sought.until.max(time);
    }

    /// Takes any segment.
    pub(super) fn add(&mut self, digest: &Digest, flow: Flow) {
        let Some(sought) = telling(digest).and_then(|hash| self.sought.get_mut(&hash)) else {
            return;
        };
        let near =
            sought.from.plus(-APART) <= digest.time && digest.time <= sought.until.plus(APART);
        if near && sought.flows.len() <= CARRIERS_MAX {
            sought.flows.insert(flow.hash());
        }
    }

    /// The flows that carry what few others do.
    pub(super) fn carriers(self) -> HashSet<u64> {
        self.sought
            .into_values()
            .filter(|sought| sought.flows.len() <= CARRIERS_MAX)
            .flat_map(|sought| sought.flows)
            .collect()
    }
}

pub(super) fn telling(digest: &Digest) -> Option<u64> {
    digest
        .payload_hash
        .filter(|_| digest.payload_len >= PAYLOAD_TELLS)
}

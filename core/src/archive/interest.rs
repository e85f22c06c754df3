//! Which segments may be asked for: those of flows with a reset, of flows that may be the same connections
//! under other names, and others near to them.

use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;

use crate::digest::Digest;
use crate::evidence::numbers;
use crate::flow::{Endpoint, Flow};
use crate::time::CaptureTime;

/// The two addresses of a flow, the lower one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair(IpAddr, IpAddr);

#[inline]
pub(super) fn pair(flow: Flow) -> Pair {
    Pair(flow.low().addr, flow.high().addr)
}

/// As one number where there is room for it: asked of every packet.
impl Hash for Pair {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match (self.0, self.1) {
            (IpAddr::V4(low), IpAddr::V4(high)) => {
                state.write_u64(u64::from(low.to_bits()) << 32 | u64::from(high.to_bits()));
            }
            (low, high) => (low, high).hash(state),
        }
    }
}

/// What is of interest in a set of recordings.
#[derive(Debug)]
pub(super) struct Interest {
    pub(super) hashing: DefaultHashBuilder,
    /// Flows with a reset.
    resets: HashSet<Flow>,
    /// Those and others whose segments are kept, by their hashes.
    flows: HashTable<u64>,
    /// What their hosts' other traffic is known by: stand-ins, so that now and then something is kept that is not
    /// asked for.
    pairs: HashSet<u32>,
    ends: HashSet<u32>,
}

impl Interest {
    pub(super) fn new(resets: HashSet<Flow>, hashing: DefaultHashBuilder) -> Self {
        let mut interest = Self {
            hashing,
            resets: HashSet::new(),
            flows: HashTable::new(),
            pairs: HashSet::new(),
            ends: HashSet::new(),
        };
        for flow in &resets {
            interest.add_flow(interest.hash(*flow));
            interest.pairs.insert(interest.pair(*flow));
            let ends = [flow.low(), flow.high()].map(|end| interest.end(end));
            interest.ends.extend(ends);
        }
        interest.resets = resets;
        interest
    }

    /// Takes a flow that may be another under another name.
    fn add_name(&mut self, opening: &Opening) {
        self.add_flow(opening.flow);
        self.pairs.insert(opening.pair);
        self.ends.extend(opening.ends);
    }

    /// Takes the hash of a flow that carries the same payload.
    pub(super) fn add_flow(&mut self, hash: u64) {
        let _ = self
            .flows
            .entry(hash, |known| *known == hash, |known| *known)
            .or_insert(hash);
    }

    fn hash(&self, flow: Flow) -> u64 {
        self.hashing.hash_one(flow)
    }

    #[inline]
    fn pair(&self, flow: Flow) -> u32 {
        self.hashing.hash_one(pair(flow)) as u32
    }

    fn end(&self, end: Endpoint) -> u32 {
        self.hashing.hash_one(end) as u32
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

    /// Whether the segments of a flow with this hash are kept.
    #[inline]
    pub(super) fn has_flow(&self, hash: u64) -> bool {
        self.flows.find(hash, |known| *known == hash).is_some()
    }

    /// Whether a flow goes between the hosts of one that is kept.
    #[inline]
    pub(super) fn has_pair(&self, flow: Flow) -> bool {
        self.pairs.contains(&self.pair(flow))
    }

    /// Whether a kept flow ends here.
    pub(super) fn has_end(&self, end: Endpoint) -> bool {
        self.ends.contains(&self.end(end))
    }
}

/// Every handshake's numbers: what recordings under different names share.
#[derive(Debug)]
pub(super) struct Openings {
    seen: Vec<Opening>,
    sorted: usize,
    hashing: DefaultHashBuilder,
}

/// An initial sequence number of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Opening {
    number: u32,
    /// Stand-in for its hosts.
    pair: u32,
    /// [`Interest::hash`].
    flow: u64,
    /// Stand-ins for its endpoints.
    ends: [u32; 2],
}

/// Duplicates are taken out when the list has grown by this much.
const GROWN: usize = 1 << 16;

impl Openings {
    pub(super) fn new(hashing: &DefaultHashBuilder) -> Self {
        Self {
            seen: Vec::new(),
            sorted: 0,
            hashing: hashing.clone(),
        }
    }

    pub(super) fn add(&mut self, digest: &Digest) {
        for number in numbers(digest) {
            let flow = digest.tuple.flow();
            self.seen.push(Opening {
                number,
                pair: self.hashing.hash_one(pair(flow)) as u32,
                flow: self.hashing.hash_one(flow),
                ends: [flow.low(), flow.high()].map(|end| self.hashing.hash_one(end) as u32),
            });
        }
        if self.seen.len() > self.sorted * 2 + GROWN {
            self.tidy();
        }
    }

    pub(super) fn hashing(&self) -> &DefaultHashBuilder {
        &self.hashing
    }

    /// Takes those of another vantage.
    pub(super) fn merge(&mut self, other: Self) {
        self.seen.extend(other.seen);
    }

    /// Takes out what is there twice.
    pub(super) fn tidy(&mut self) {
        self.seen.sort_unstable();
        self.seen.dedup();
        self.sorted = self.seen.len();
    }

    /// Adds flows that share an initial number with one of interest, or with one that does. A scanner uses one
    /// number for many connections: of those only what shares an end too is taken.
    pub(super) fn kin(mut self, interest: &mut Interest) {
        // Those of each vantage are in order.
        self.seen.sort();
        self.seen.dedup();
        for _ in 0..ROUNDS {
            let more: Vec<&Opening> = self
                .seen
                .chunk_by(|a, b| a.number == b.number)
                .filter(|same| same.len() > 1)
                .flat_map(|same| related(same, interest))
                .filter(|opening| !interest.has_flow(opening.flow))
                .collect();
            if more.is_empty() {
                break;
            }
            for opening in more {
                interest.add_name(opening);
            }
        }
    }
}

/// What one number says of the flows that share it.
fn related<'a>(same: &'a [Opening], interest: &Interest) -> Vec<&'a Opening> {
    let known: Vec<&Opening> = same
        .iter()
        .filter(|opening| interest.has_flow(opening.flow))
        .collect();
    if known.is_empty() {
        return Vec::new();
    }
    if same.len() <= SHARED_MAX {
        return same.iter().collect();
    }
    // Those that share the end which the whole scan has in common are no kin.
    let sharing = |end: u32| {
        same.iter()
            .filter(move |opening| opening.ends.contains(&end))
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

/// Payloads of the flows of interest, and when they were seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Payloads {
    /// By hash: the earliest and latest time.
    sought: HashMap<u64, (CaptureTime, CaptureTime)>,
}

/// Payloads shorter than this are too alike, and so are those that more flows carry.
pub(super) const PAYLOAD_TELLS: u32 = 16;
pub const CARRIERS_MAX: usize = 16;
/// Clocks may differ by so much, and a proxy may hold a payload for a while; nanoseconds.
pub const APART: i64 = 20 * crate::time::SECOND;

impl Payloads {
    pub(super) fn is_empty(&self) -> bool {
        self.sought.is_empty()
    }

    /// Takes a segment of a flow with a reset.
    pub(super) fn seek(&mut self, digest: &Digest) {
        if let Some(hash) = telling(digest) {
            self.widen(hash, digest.time, digest.time);
        }
    }

    /// Takes those of another vantage.
    pub(super) fn merge(&mut self, other: Self) {
        for (hash, (from, until)) in other.sought {
            self.widen(hash, from, until);
        }
    }

    fn widen(&mut self, hash: u64, from: CaptureTime, until: CaptureTime) {
        let known = self.sought.entry(hash).or_insert((from, until));
        known.0 = known.0.min(from);
        known.1 = known.1.max(until);
    }

    /// Whether a payload with this hash was seen around then.
    #[inline]
    pub(super) fn were_seen(&self, hash: u64, time: CaptureTime) -> bool {
        self.sought
            .get(&hash)
            .is_some_and(|(from, until)| from.plus(-APART) <= time && time <= until.plus(APART))
    }
}

/// Which other flows carry a payload of interest.
#[derive(Debug, Clone, Default)]
pub(super) struct Carriers {
    /// By payload hashes of flows; of more than [`CARRIERS_MAX`] only that they are more.
    by_payload: HashMap<u64, HashSet<u64>>,
}

impl Carriers {
    /// Takes those of another vantage.
    pub(super) fn merge(&mut self, other: Self) {
        for (payload, flows) in other.by_payload {
            for flow in flows {
                self.take(payload, flow);
            }
        }
    }

    /// Takes the hashes of a payload of interest and of a flow that carries it.
    pub(super) fn take(&mut self, payload: u64, flow: u64) {
        let flows = self.by_payload.entry(payload).or_default();
        if flows.len() <= CARRIERS_MAX {
            flows.insert(flow);
        }
    }

    /// The flows that carry what few others do.
    pub(super) fn flows(self) -> impl Iterator<Item = u64> {
        self.by_payload
            .into_values()
            .filter(|flows| flows.len() <= CARRIERS_MAX)
            .flatten()
    }
}

pub(super) fn telling(digest: &Digest) -> Option<u64> {
    digest
        .payload_hash
        .filter(|_| digest.payload_len >= PAYLOAD_TELLS)
}

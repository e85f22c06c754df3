//! Handshakes of other flows, found by address pair and by endpoint.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use parallax_core::evidence::NEARBY_MAX;
use parallax_core::{CaptureTime, Digest, Endpoint, Flow};

/// Which segments may be asked for: those of flows with a reset, and handshakes near to them.
#[derive(Debug, Default)]
pub struct Interest {
    flows: HashSet<Flow>,
    pairs: HashSet<Pair>,
    endpoints: HashSet<Endpoint>,
}

/// Two addresses, the lower one first.
type Pair = (IpAddr, IpAddr);

fn pair(flow: Flow) -> Pair {
    let (a, b) = (flow.low().addr, flow.high().addr);
    (a.min(b), a.max(b))
}

impl Interest {
    pub fn add(&mut self, flow: Flow) {
        if self.flows.insert(flow) {
            self.pairs.insert(pair(flow));
            self.endpoints.extend([flow.low(), flow.high()]);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// The flows in an order that does not depend on chance.
    pub fn flows(&self) -> Vec<Flow> {
        let mut flows: Vec<Flow> = self.flows.iter().copied().collect();
        flows.sort_unstable();
        flows
    }

    pub fn has_flow(&self, flow: Flow) -> bool {
        self.flows.contains(&flow)
    }

    /// Whether this is a handshake segment that may be near to a flow of interest.
    pub fn is_nearby(&self, digest: &Digest, flow: Flow) -> bool {
        (digest.is_syn() || digest.is_syn_ack()) && self.pairs.contains(&pair(flow))
            || digest.is_syn_ack() && self.endpoints.contains(&digest.tuple.src)
    }
}

/// One vantage's SYNs and SYN+ACKs, in order of time.
#[derive(Debug, Default)]
pub struct Handshakes {
    digests: Vec<Digest>,
    by_pair: HashMap<Pair, Vec<usize>>,
    /// SYN+ACKs by their sender.
    by_endpoint: HashMap<Endpoint, Vec<usize>>,
}

impl Handshakes {
    pub fn new(mut digests: Vec<Digest>) -> Self {
        digests.sort_by_key(|digest| digest.time);
        let mut all = Self::default();
        for (index, digest) in digests.iter().enumerate() {
            let pair = pair(digest.tuple.flow());
            all.by_pair.entry(pair).or_default().push(index);
            if digest.is_syn_ack() {
                let from = all.by_endpoint.entry(digest.tuple.src).or_default();
                from.push(index);
            }
        }
        all.digests = digests;
        all
    }

    /// The [`NEARBY_MAX`] handshake segments of other flows that are nearest in time to any of
    /// `times` (sorted), in order of time: between the flow's addresses, or SYN+ACKs of its
    /// endpoints.
    pub fn near(&self, flow: Flow, times: &[CaptureTime]) -> Vec<Digest> {
        let lists = [
            self.by_pair.get(&pair(flow)),
            self.by_endpoint.get(&flow.low()),
            self.by_endpoint.get(&flow.high()),
        ];
        let mut found = BTreeSet::new();
        for list in lists.into_iter().flatten() {
            for time in times {
                self.nearest(list, flow, *time, &mut found);
            }
        }
        let mut found: Vec<usize> = found.into_iter().collect();
        found.sort_by_key(|index| distance(self.digests[*index].time, times));
        found.truncate(NEARBY_MAX);
        found.sort_unstable();
        found.into_iter().map(|index| self.digests[index]).collect()
    }

    /// Adds the segments of `list` nearest to `time`, going outwards from it.
    fn nearest(&self, list: &[usize], flow: Flow, time: CaptureTime, found: &mut BTreeSet<usize>) {
        let other = |index: &usize| self.digests[*index].tuple.flow() != flow;
        let middle = list.partition_point(|index| self.digests[*index].time < time);
        let (before, after) = list.split_at(middle);
        found.extend(before.iter().rev().copied().filter(other).take(NEARBY_MAX));
        found.extend(after.iter().copied().filter(other).take(NEARBY_MAX));
    }
}

/// Nanoseconds to the nearest of `times`, which are sorted.
fn distance(time: CaptureTime, times: &[CaptureTime]) -> u64 {
    let next = times.partition_point(|other| *other < time);
    let around = [next.checked_sub(1), Some(next)];
    around
        .into_iter()
        .flatten()
        .filter_map(|index| times.get(index))
        .map(|other| time.since(*other).unsigned_abs())
        .min()
        .unwrap_or(u64::MAX)
}

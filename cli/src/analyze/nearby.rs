//! Segments of other flows, found by address pair and by endpoint.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use parallax_core::evidence::{NEARBY_MAX, NEIGHBOURS_WITHIN};
use parallax_core::{CaptureTime, Digest, Endpoint, Flow};

/// Which segments may be asked for: those of flows with a reset, and others near to them.
#[derive(Debug, Default)]
pub struct Interest {
    flows: HashSet<Flow>,
    pairs: HashSet<Pair>,
    /// Spans of time ([`NEIGHBOURS_WITHIN`] each) in which a pair has a reset at some vantage.
    spans: HashSet<(Pair, i64)>,
    endpoints: HashSet<Endpoint>,
}

/// Two addresses, the lower one first.
type Pair = (IpAddr, IpAddr);

fn pair(flow: Flow) -> Pair {
    let (a, b) = (flow.low().addr, flow.high().addr);
    (a.min(b), a.max(b))
}

impl Interest {
    /// Takes a reset of a flow.
    pub fn add(&mut self, flow: Flow, time: CaptureTime) {
        self.spans.insert((pair(flow), span(time)));
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

    /// Whether this segment may be near to a flow of interest: a handshake, or anything between two
    /// hosts around a reset.
    pub fn is_nearby(&self, digest: &Digest, flow: Flow) -> bool {
        let (pair, now) = (pair(flow), span(digest.time));
        let around = || (now - 1..=now + 1).any(|span| self.spans.contains(&(pair, span)));
        self.is_handshake(digest, flow) || self.pairs.contains(&pair) && around()
    }

    fn is_handshake(&self, digest: &Digest, flow: Flow) -> bool {
        (digest.is_syn() || digest.is_syn_ack()) && self.pairs.contains(&pair(flow))
            || digest.is_syn_ack() && self.endpoints.contains(&digest.tuple.src)
    }
}

/// The span of time that holds a moment.
fn span(time: CaptureTime) -> i64 {
    time.nanos().div_euclid(NEIGHBOURS_WITHIN)
}

/// One vantage's segments that may be near to a reset, in order of time.
#[derive(Debug, Default)]
pub struct Nearby {
    digests: Vec<Digest>,
    /// SYNs and SYN+ACKs.
    by_pair: HashMap<Pair, Vec<usize>>,
    /// All other segments.
    others: HashMap<Pair, Vec<usize>>,
    /// SYN+ACKs by their sender.
    by_endpoint: HashMap<Endpoint, Vec<usize>>,
}

impl Nearby {
    pub fn new(mut digests: Vec<Digest>) -> Self {
        digests.sort_by_key(|digest| digest.time);
        let mut all = Self::default();
        for (index, digest) in digests.iter().enumerate() {
            let pair = pair(digest.tuple.flow());
            let handshake = digest.is_syn() || digest.is_syn_ack();
            let list = if handshake {
                &mut all.by_pair
            } else {
                &mut all.others
            };
            list.entry(pair).or_default().push(index);
            if digest.is_syn_ack() {
                let from = all.by_endpoint.entry(digest.tuple.src).or_default();
                from.push(index);
            }
        }
        all.digests = digests;
        all
    }

    /// Handshake segments of other flows around a moment: between the flow's addresses, or SYN+ACKs of
    /// its endpoints. More than enough of them, see [`NEARBY_MAX`].
    pub fn handshakes(&self, flow: Flow, moment: CaptureTime) -> Vec<Digest> {
        let lists = [
            self.by_pair.get(&pair(flow)),
            self.by_endpoint.get(&flow.low()),
            self.by_endpoint.get(&flow.high()),
        ];
        let mut found = BTreeSet::new();
        for list in lists.into_iter().flatten() {
            self.nearest(list, flow, moment, &mut found);
        }
        found.into_iter().map(|index| self.digests[index]).collect()
    }

    /// What else is there of neighbouring flows around a moment.
    pub fn others(&self, flow: Flow, moment: CaptureTime, of: &HashSet<Flow>) -> Vec<Digest> {
        let all = self.others.get(&pair(flow)).map_or(&[][..], Vec::as_slice);
        let time = |index: &usize| self.digests[*index].time;
        let from = all.partition_point(|index| time(index) < moment.plus(-NEIGHBOURS_WITHIN));
        let until = all.partition_point(|index| time(index) <= moment.plus(NEIGHBOURS_WITHIN));
        all[from..until]
            .iter()
            .map(|index| self.digests[*index])
            .filter(|digest| of.contains(&digest.tuple.flow()))
            .collect()
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

#[cfg(test)]
mod tests {
    use parallax_core::digest::{IpFields, LinkFields, TcpFlags, TcpOptions};
    use parallax_core::{FourTuple, TcpSeq};

    use super::*;

    /// A segment from 192.0.2.7 to 198.51.100.2, or back.
    fn segment(nanos: i64, port: u16, flags: TcpFlags) -> Digest {
        let client = Endpoint::new("192.0.2.7".parse().unwrap(), port);
        let server = Endpoint::new("198.51.100.2".parse().unwrap(), 80);
        let there = FourTuple::new(client, server);
        let back = flags.has(TcpFlags::SYN) && flags.has(TcpFlags::ACK);
        Digest {
            time: CaptureTime::from_nanos(nanos),
            tuple: if back { there.reversed() } else { there },
            seq: TcpSeq(1),
            ack: TcpSeq(1),
            flags,
            window: 0,
            payload_len: 0,
            payload_hash: None,
            options: TcpOptions::default(),
            ip: IpFields::default(),
            link: LinkFields::default(),
        }
    }

    #[test]
    fn the_nearest_handshakes_of_other_flows_are_found() {
        let many = i64::try_from(NEARBY_MAX).unwrap() * 3;
        let other = |nanos| segment(nanos, 4001, TcpFlags::SYN);
        let own = |nanos| segment(nanos, 4000, TcpFlags::SYN);
        let nearby = Nearby::new((0..many).flat_map(|at| [own(at), other(at)]).collect());
        let middle = many / 2;
        let moment = CaptureTime::from_nanos(middle);
        let found = nearby.handshakes(own(0).tuple.flow(), moment);
        let found = parallax_core::Nearby::new(moment, found, Vec::new());
        let found = found.handshakes();
        assert_eq!(found.len(), NEARBY_MAX);
        assert!(found.iter().all(|digest| digest.tuple.src.port == 4001));
        assert!(found.is_sorted_by_key(|digest| digest.time));
        let reach = i64::try_from(NEARBY_MAX).unwrap() / 2;
        let near = |digest: &Digest| (digest.time.nanos() - middle).abs() <= reach;
        assert!(found.iter().all(near));
    }

    #[test]
    fn a_syn_ack_of_an_endpoint_is_near_to_flows_with_other_hosts() {
        let mut answer = segment(5, 4001, TcpFlags::SYN.with(TcpFlags::ACK));
        answer.tuple.dst.addr = "203.0.113.9".parse().unwrap();
        let flow = segment(0, 4000, TcpFlags::RST).tuple.flow();
        let mut interest = Interest::default();
        assert!(!interest.is_nearby(&answer, answer.tuple.flow()));
        interest.add(flow, CaptureTime::from_nanos(0));
        assert!(interest.is_nearby(&answer, answer.tuple.flow()));
        let found = Nearby::new(vec![answer]).handshakes(flow, CaptureTime::from_nanos(0));
        assert_eq!(found, [answer]);
    }
}

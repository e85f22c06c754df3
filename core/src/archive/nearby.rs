//! Segments of other flows, found by address pair and by endpoint.

use std::collections::{BTreeSet, BinaryHeap};

use hashbrown::{HashMap, HashSet};

use super::interest::{Pair, pair};
use crate::digest::Digest;
use crate::evidence::{NEARBY_MAX, NEIGHBOURS_MAX, NEIGHBOURS_WITHIN, RESETS_MAX};
use crate::flow::{Endpoint, Flow};
use crate::time::CaptureTime;

/// One vantage's segments that may be near to a reset, in order of time.
#[derive(Debug, Default)]
pub(super) struct Nearby {
    digests: Vec<Digest>,
    /// SYNs and SYN+ACKs.
    by_pair: HashMap<Pair, Vec<usize>>,
    /// All other segments, by flow, with their times: what is far away is not looked at.
    others: HashMap<Flow, Vec<(CaptureTime, usize)>>,
    /// SYN+ACKs by their sender.
    by_endpoint: HashMap<Endpoint, Vec<usize>>,
    resets: Vec<usize>,
}

impl Nearby {
    pub(super) fn new(mut digests: Vec<Digest>) -> Self {
        digests.sort_by_key(|digest| digest.time);
        let mut all = Self::default();
        for (index, digest) in digests.iter().enumerate() {
            let flow = digest.tuple.flow();
            if digest.is_rst() {
                all.resets.push(index);
            }
            if digest.is_syn() || digest.is_syn_ack() {
                all.by_pair.entry(pair(flow)).or_default().push(index);
            } else {
                let of_flow = all.others.entry(flow).or_default();
                of_flow.push((digest.time, index));
            }
            if digest.is_syn_ack() {
                let from = all.by_endpoint.entry(digest.tuple.src).or_default();
                from.push(index);
            }
        }
        all.digests = digests;
        all
    }

    /// Handshake segments of other flows around a moment: between the addresses of one of a flow's names, or
    /// SYN+ACKs of their endpoints. More than enough of them, see [`NEARBY_MAX`].
    pub(super) fn handshakes(&self, names: &[Flow], moment: CaptureTime) -> Vec<&Digest> {
        let mut found = BTreeSet::new();
        for name in names {
            let lists = [
                self.by_pair.get(&pair(*name)),
                self.by_endpoint.get(&name.low()),
                self.by_endpoint.get(&name.high()),
            ];
            for list in lists.into_iter().flatten() {
                self.nearest(list, names, moment, &mut found);
            }
        }
        found
            .into_iter()
            .map(|index| &self.digests[index])
            .collect()
    }

    /// RSTs of other flows around a moment: more than enough of them, see [`RESETS_MAX`].
    pub(super) fn resets(&self, names: &[Flow], moment: CaptureTime) -> Vec<&Digest> {
        let mut found = BTreeSet::new();
        self.nearest(&self.resets, names, moment, &mut found);
        found
            .into_iter()
            .map(|index| &self.digests[index])
            .collect()
    }

    /// What else is there of neighbouring flows around a moment: the [`NEIGHBOURS_MAX`] nearest.
    pub(super) fn others(
        &self,
        names: &[Flow],
        moment: CaptureTime,
        of: &HashSet<Flow>,
    ) -> Vec<&Digest> {
        let pairs: BTreeSet<Pair> = names.iter().map(|name| pair(*name)).collect();
        let neighbours = of
            .iter()
            .filter(|flow| pairs.contains(&pair(**flow)) && !names.contains(flow));
        let mut near = Nearest::default();
        for all in neighbours.filter_map(|flow| self.others.get(flow)) {
            let middle = all.partition_point(|(time, _)| *time <= moment);
            let (before, after) = all.split_at(middle);
            let mut take = |(time, index): &(CaptureTime, usize)| {
                near.takes(time.since(moment).saturating_abs(), *index)
            };
            let _ = before.iter().rev().all(&mut take);
            let _ = after.iter().all(&mut take);
        }
        let kept = near.indices().into_iter();
        kept.map(|index| &self.digests[index]).collect()
    }

    /// Adds the segments of `list` nearest to `time`, going outwards from it.
    fn nearest(
        &self,
        list: &[usize],
        names: &[Flow],
        time: CaptureTime,
        found: &mut BTreeSet<usize>,
    ) {
        let other = |index: &usize| !names.contains(&self.digests[*index].tuple.flow());
        let middle = list.partition_point(|index| self.digests[*index].time < time);
        let (before, after) = list.split_at(middle);
        found.extend(
            before
                .iter()
                .rev()
                .copied()
                .filter(other)
                .take(NEARBY_MAX.max(RESETS_MAX)),
        );
        found.extend(
            after
                .iter()
                .copied()
                .filter(other)
                .take(NEARBY_MAX.max(RESETS_MAX)),
        );
    }
}

/// The [`NEIGHBOURS_MAX`] nearest of what it is shown, none farther than [`NEIGHBOURS_WITHIN`].
#[derive(Default)]
struct Nearest(BinaryHeap<(i64, usize)>);

impl Nearest {
    /// Shows it one; `false`: none that is farther away would be kept.
    fn takes(&mut self, distance: i64, index: usize) -> bool {
        if distance > NEIGHBOURS_WITHIN {
            return false;
        }
        if self.0.len() < NEIGHBOURS_MAX {
            self.0.push((distance, index));
            return true;
        }
        let Some(mut farthest) = self.0.peek_mut() else {
            return false;
        };
        if (distance, index) < *farthest {
            *farthest = (distance, index);
        }
        distance <= farthest.0
    }

    /// Those that were kept, in their order.
    fn indices(self) -> Vec<usize> {
        let mut indices: Vec<usize> = self.0.into_iter().map(|(_, index)| index).collect();
        indices.sort_unstable();
        indices
    }
}

#[cfg(test)]
mod tests {
    use crate::archive::interest::Interest;
    use crate::digest::{IpFields, LinkFields, TcpFlags, TcpOptions};
    use crate::{FourTuple, TcpSeq};

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
            rst_reason: None,
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
        let found = nearby.handshakes(&[own(0).tuple.flow()], moment);
        let found = crate::Nearby::nearest(moment, found, Vec::new(), Vec::new());
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
        interest.add_reset(flow, CaptureTime::from_nanos(0));
        assert!(interest.is_nearby(&answer, answer.tuple.flow()));
        let nearby = Nearby::new(vec![answer]);
        let found = nearby.handshakes(&[flow], CaptureTime::from_nanos(0));
        assert_eq!(found, [&answer]);
    }

    proptest::proptest! {
        /// As all of them sorted would say.
        #[test]
        fn the_nearest_segments_of_neighbours_are_found(
            times in proptest::collection::vec((0..NEIGHBOURS_WITHIN * 3, 0..4_u16), 0..900),
            moment in 0..NEIGHBOURS_WITHIN * 3,
        ) {
            let segments = times.iter().map(|(nanos, port)| segment(*nanos / 1000 * 1000, 4000 + port, TcpFlags::ACK));
            let nearby = Nearby::new(segments.collect());
            let own = segment(0, 4000, TcpFlags::RST).tuple.flow();
            let of: HashSet<Flow> = (0..4).map(|port| segment(0, 4000 + port, TcpFlags::ACK).tuple.flow()).collect();
            let moment = CaptureTime::from_nanos(moment);
            let mut expected: Vec<(i64, usize)> = nearby.digests.iter().enumerate()
                .filter(|(_, digest)| digest.tuple.flow() != own)
                .map(|(index, digest)| (digest.time.since(moment).abs(), index))
                .filter(|(distance, _)| *distance <= NEIGHBOURS_WITHIN)
                .collect();
            expected.sort_unstable();
            expected.truncate(NEIGHBOURS_MAX);
            expected.sort_unstable_by_key(|(_, index)| *index);
            let expected: Vec<&Digest> = expected.into_iter().map(|(_, index)| &nearby.digests[index]).collect();
            proptest::prop_assert_eq!(nearby.others(&[own], moment, &of), expected);
        }
    }
}

//! Segments of other flows, found by address pair and by endpoint.

use hashbrown::HashMap;

use super::interest::{Pair, pair};
use super::packed::{Common, Packed};
use super::pile::Pile;
use crate::evidence::{NEARBY_MAX, NEIGHBOURS_MAX, RESETS_MAX};
use crate::flow::{Endpoint, Flow};
use crate::time::CaptureTime;

/// One vantage's segments that may be near to a reset, in order of time. They are told by their places.
#[derive(Debug)]
pub(super) struct Nearby {
    /// SYNs and SYN+ACKs.
    handshakes: Vec<Packed>,
    by_pair: HashMap<Pair, Vec<u32>>,
    /// SYN+ACKs by their sender.
    by_endpoint: HashMap<Endpoint, Vec<u32>>,
    others: Others,
    /// Places among the segments of flows with resets.
    resets: Vec<u32>,
}

impl Nearby {
    pub(super) fn new(mut handshakes: Vec<Packed>, common: &Common) -> Self {
        handshakes.sort_by_key(|packed| packed.time);
        let mut by_pair: HashMap<Pair, Vec<u32>> = HashMap::new();
        let mut by_endpoint: HashMap<Endpoint, Vec<u32>> = HashMap::new();
        for (place, packed) in (0..).zip(&handshakes) {
            let flow = common.flows.get(packed.flow());
            by_pair.entry(pair(flow)).or_default().push(place);
            let digest = common.unpack(packed);
            if digest.is_syn_ack() {
                by_endpoint.entry(digest.tuple.src).or_default().push(place);
            }
        }
        Self {
            handshakes,
            by_pair,
            by_endpoint,
            others: Others::default(),
            resets: Vec::new(),
        }
    }

    /// Takes the places of all resets, in order of time.
    pub(super) fn set_resets(&mut self, resets: Vec<u32>) {
        self.resets = resets;
    }

    /// Takes all other segments that are asked for, in any order; `flows` are known.
    pub(super) fn set_others(&mut self, others: Pile, flows: usize) {
        self.others = Others::of(others, flows);
    }

    /// The number of each handshake's flow, by place.
    pub(super) fn handshake_flows(&self) -> impl Iterator<Item = u32> {
        self.handshakes.iter().map(Packed::flow)
    }

    pub(super) fn handshake(&self, place: u32) -> &Packed {
        &self.handshakes[place as usize]
    }

    /// Handshake segments of other flows around a moment: between the addresses of one of a flow's names, or
    /// SYN+ACKs of their endpoints. More than enough of them, see [`NEARBY_MAX`]. `numbers` are those of the names.
    pub(super) fn handshakes(
        &self,
        names: &[Flow],
        numbers: &[u32],
        moment: CaptureTime,
    ) -> Vec<u32> {
        let mut found = Vec::new();
        for name in names {
            let lists = [
                self.by_pair.get(&pair(*name)),
                self.by_endpoint.get(&name.low()),
                self.by_endpoint.get(&name.high()),
            ];
            for list in lists.into_iter().flatten() {
                nearest(&self.handshakes, list, numbers, moment, &mut found);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The [`NEARBY_MAX`] of some handshakes that are nearest to a moment, of those as near the earlier ones.
    pub(super) fn nearest_handshakes(&self, mut places: Vec<u32>, moment: CaptureTime) -> Vec<u32> {
        if places.len() > NEARBY_MAX {
            let away = |place: u32| self.handshake(place).time.since(moment).saturating_abs();
            let mut near: Vec<(i64, u32)> =
                places.iter().map(|place| (away(*place), *place)).collect();
            near.select_nth_unstable(NEARBY_MAX);
            places.clear();
            places.extend(near[..NEARBY_MAX].iter().map(|(_, place)| *place));
            places.sort_unstable();
        }
        places
    }

    /// RSTs of other flows around a moment: more than enough of them, see [`RESETS_MAX`].
    pub(super) fn resets<'a>(
        &self,
        segments: &'a [Packed],
        names: &[u32],
        moment: CaptureTime,
    ) -> Vec<&'a Packed> {
        let mut places = Vec::new();
        nearest(segments, &self.resets, names, moment, &mut places);
        let found = places.into_iter().map(|place| &segments[place as usize]);
        found.collect()
    }

    /// What else is there of some flows around a moment: the [`NEIGHBOURS_MAX`] nearest, which are within `reach`.
    pub(super) fn others(&self, flows: &[u32], moment: CaptureTime, reach: i64) -> Vec<&Packed> {
        self.others.nearest(flows, moment, reach)
    }
}

/// Segments of neighbouring flows: each flow's together, in order of time.
#[derive(Debug, Default)]
struct Others {
    starts: Vec<u32>,
    all: Pile,
    /// Of each its place among those of all flows in order of time.
    ranks: Vec<u32>,
    /// When each [`STEP`]th of those was recorded.
    times: Vec<CaptureTime>,
}

const STEP: usize = 64;

impl Others {
    fn of(mut all: Pile, flows: usize) -> Self {
        let mut starts = vec![0_u32; flows + 1];
        for packed in all.iter() {
            starts[packed.flow() as usize + 1] += 1;
        }
        for flow in 0..flows {
            starts[flow + 1] += starts[flow];
        }
        let mut by_time: Vec<(CaptureTime, u32)> =
            all.iter().map(|packed| packed.time).zip(0..).collect();
        by_time.sort();
        let times = by_time.iter().step_by(STEP).map(|(time, _)| *time);
        let times = times.collect();
        let mut next = starts.clone();
        let mut from = vec![0; all.len()];
        let mut ranks = vec![0; all.len()];
        for (rank, (_, place)) in (0..).zip(by_time) {
            let at = &mut next[all.get(place as usize).flow() as usize];
            from[*at as usize] = place;
            ranks[*at as usize] = rank;
            *at += 1;
        }
        all.bring(&from);
        Self {
            starts,
            all,
            ranks,
            times,
        }
    }

    fn range(&self, flow: u32) -> std::ops::Range<usize> {
        let flow = flow as usize;
        let ends = self.starts.get(flow).zip(self.starts.get(flow + 1));
        ends.map_or(0..0, |(from, until)| *from as usize..*until as usize)
    }

    fn nearest(&self, flows: &[u32], moment: CaptureTime, reach: i64) -> Vec<&Packed> {
        let [from, until] = [-reach, reach].map(|away| moment.plus(away));
        // Ranks between which they are, and a few others.
        let earlier = self.times.partition_point(|time| *time < from);
        let first = (earlier.saturating_sub(1) * STEP) as u32;
        let last = (self.times.partition_point(|time| *time <= until) * STEP) as u32;
        let mut found: Vec<(i64, u32, usize)> = Vec::with_capacity(NEIGHBOURS_MAX * 2);
        for range in flows.iter().map(|flow| self.range(*flow)) {
            let ranks = &self.ranks[range.clone()];
            let begun = ranks.partition_point(|rank| *rank < first);
            let places = range.start + begun..range.end;
            for (rank, place) in ranks[begun..].iter().zip(places) {
                if *rank >= last {
                    break;
                }
                let time = self.all.get(place).time;
                if (from..=until).contains(&time) {
                    let away = time.since(moment).saturating_abs();
                    found.push((away, *rank, place));
                }
            }
        }
        if found.len() > NEIGHBOURS_MAX {
            found.select_nth_unstable(NEIGHBOURS_MAX - 1);
            found.truncate(NEIGHBOURS_MAX);
        }
        found.sort_unstable_by_key(|(_, rank, _)| *rank);
        let places = found.into_iter().map(|(_, _, place)| place);
        places.map(|place| self.all.get(place)).collect()
    }
}

/// Finds those of `list` that are nearest to a moment and of other flows, more than enough each way, in the order of
/// the list.
fn nearest(
    digests: &[Packed],
    list: &[u32],
    names: &[u32],
    moment: CaptureTime,
    found: &mut Vec<u32>,
) {
    let digest = |place: &u32| &digests[*place as usize];
    let middle = list.partition_point(|place| digest(place).time < moment);
    let (before, after) = list.split_at(middle);
    let other = |place: &u32| !names.contains(&digest(place).flow());
    let enough = NEARBY_MAX.max(RESETS_MAX);
    found.reserve(before.len().min(enough) + after.len().min(enough));
    let first = found.len();
    found.extend(before.iter().rev().copied().filter(other).take(enough));
    found[first..].reverse();
    found.extend(after.iter().copied().filter(other).take(enough));
}

#[cfg(test)]
mod tests {
    use hashbrown::DefaultHashBuilder;
    use proptest::prelude::*;

    use crate::digest::{Digest, TcpFlags};
    use crate::evidence::NEIGHBOURS_WITHIN;
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
            ..Digest::BLANK
        }
    }

    fn packed(common: &mut Common, digests: impl IntoIterator<Item = Digest>) -> Vec<Packed> {
        let packed = digests.into_iter().map(|digest| common.pack(&digest));
        packed.collect()
    }

    fn common() -> Common {
        Common::new(&DefaultHashBuilder::default())
    }

    #[test]
    fn the_nearest_handshakes_of_other_flows_are_found() {
        let many = i64::try_from(NEARBY_MAX).unwrap() * 3;
        let other = |nanos| segment(nanos, 4001, TcpFlags::SYN);
        let own = |nanos| segment(nanos, 4000, TcpFlags::SYN);
        let mut common = common();
        let all = packed(&mut common, (0..many).flat_map(|at| [own(at), other(at)]));
        let nearby = Nearby::new(all, &common);
        let middle = many / 2;
        let moment = CaptureTime::from_nanos(middle);
        let flow = own(0).tuple.flow();
        let number = common.flows.number(&flow, common.flows.hash(&flow));
        let found = nearby.handshakes(&[flow], &[number], moment);
        let found = crate::Nearby::chosen(
            moment,
            found
                .into_iter()
                .map(|place| nearby.handshake(place))
                .collect(),
            Vec::new(),
            Vec::new(),
            |packed| packed.time,
            |packed, digests| common.unpack_onto(packed, digests),
        );
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
        let mut common = common();
        let all = packed(&mut common, [answer]);
        let nearby = Nearby::new(all, &common);
        let found = nearby.handshakes(&[flow], &[], CaptureTime::from_nanos(0));
        assert_eq!(found, [0]);
        assert_eq!(common.unpack(nearby.handshake(0)), answer);
    }

    proptest! {
        /// As all of them sorted would say.
        #[test]
        fn the_nearest_segments_of_neighbours_are_found(
            times in prop::collection::vec((0..NEIGHBOURS_WITHIN * 3, 0..4_u16), 0..900),
            moment in 0..NEIGHBOURS_WITHIN * 3,
        ) {
            let segments = times.iter().map(|(nanos, port)| segment(*nanos / 1000 * 1000, 4000 + port, TcpFlags::ACK));
            let mut common = common();
            let own = segment(0, 4000, TcpFlags::RST).tuple.flow();
            let own = common.flows.number(&own, common.flows.hash(&own));
            let all = packed(&mut common, segments);
            let mut nearby = Nearby::new(Vec::new(), &common);
            let mut sorted = all.clone();
            sorted.sort_by_key(|packed| packed.time);
            nearby.set_others(all.into_iter().collect(), common.flows.len());
            let moment = CaptureTime::from_nanos(moment);
            let away = |place: u32| sorted[place as usize].time.since(moment).abs();
            let mut expected: Vec<u32> = (0..).zip(&sorted)
                .filter(|(place, packed)| packed.flow() != own && away(*place) <= NEIGHBOURS_WITHIN)
                .map(|(place, _)| place)
                .collect();
            expected.sort_unstable_by_key(|place| (away(*place), *place));
            expected.truncate(NEIGHBOURS_MAX);
            expected.sort_unstable();
            let expected: Vec<Digest> = expected.into_iter().map(|place| common.unpack(&sorted[place as usize])).collect();
            let flows: Vec<u32> = (0..common.flows.len() as u32).filter(|flow| *flow != own).collect();
            let found = nearby.others(&flows, moment, NEIGHBOURS_WITHIN);
            let found: Vec<Digest> = found.into_iter().map(|packed| common.unpack(packed)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

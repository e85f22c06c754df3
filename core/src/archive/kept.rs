//! What is kept of the vantages' digests, and what of it has to do with one flow.

use hashbrown::{HashMap, HashSet, HashTable};

use super::Recordings;
use super::interest::pair;
use super::kin::Kin;
use super::nearby::Nearby;
use super::packed::{Common, Packed};
use super::tally::Tally;
use crate::digest::{Digest, TcpFlags};
use crate::evidence::{self, Surroundings};
use crate::flow::Flow;
use crate::time::CaptureTime;

/// What is kept of all vantages.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) vantages: Vec<Kept>,
    kin: Kin,
    /// Flows with handshakes, by the numbers that they have for all vantages together.
    shaken: Vec<Shaken>,
    /// By vantage, and there by the place of the handshake: the number of its flow.
    shaken_at: Vec<Vec<u32>>,
}

/// A flow of which a handshake is kept.
#[derive(Debug)]
struct Shaken {
    flow: Flow,
    /// Its number at each vantage, where it has one.
    numbers: Vec<Option<u32>>,
}

/// What is kept of one vantage's digests.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) common: Common,
    /// Of flows of interest, in the order of capture.
    segments: Vec<Packed>,
    by_flow: ByFlow,
    /// By the flow's number: when something was last seen of it.
    last: Vec<Last>,
    nearby: Nearby,
    tally: Tally,
}

/// When a flow's last reset, and its last segment of any kind, were recorded.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    reset: Option<CaptureTime>,
    any: Option<CaptureTime>,
}

/// Places of digests in a list, by the numbers of their flows.
#[derive(Debug, Default)]
pub(super) struct ByFlow {
    /// By number: where its places begin; those of the next one follow.
    pub(super) starts: Vec<u32>,
    pub(super) places: Vec<u32>,
}

impl ByFlow {
    pub(super) fn of(digests: &[Packed], flows: usize) -> Self {
        let mut starts = vec![0_u32; flows + 1];
        for digest in digests {
            starts[digest.flow() as usize + 1] += 1;
        }
        for flow in 0..flows {
            starts[flow + 1] += starts[flow];
        }
        let mut next = starts.clone();
        let mut places = vec![0; digests.len()];
        for (place, digest) in (0..).zip(digests) {
            let at = &mut next[digest.flow() as usize];
            places[*at as usize] = place;
            *at += 1;
        }
        Self { starts, places }
    }

    /// The places of one flow's digests, in order.
    pub(super) fn get(&self, flow: u32) -> &[u32] {
        let flow = flow as usize;
        let ends = self.starts.get(flow).zip(self.starts.get(flow + 1));
        ends.map_or(&[], |(from, until)| {
            &self.places[*from as usize..*until as usize]
        })
    }
}

/// When segments of which flows are asked for at a vantage.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    /// Apart and in order of time; each flow's together. From and until, nanoseconds.
    all: Vec<(i64, i64)>,
    /// By the flow's hash, which stands for it: where its spans begin, and where they end.
    flows: HashTable<(u64, u32, u32)>,
}

impl PartialEq for Spans {
    fn eq(&self, other: &Self) -> bool {
        let found = |hash: u64| other.of(hash);
        let equal = |(hash, from, until): &(u64, u32, u32)| {
            found(*hash) == &self.all[*from as usize..*until as usize]
        };
        self.flows.len() == other.flows.len() && self.flows.iter().all(equal)
    }
}

/// What is asked for, before it is complete.
#[derive(Debug, Clone, Default)]
struct Asked {
    /// The flow's hash, from and until.
    all: Vec<(u64, i64, i64)>,
    joined: usize,
}

/// Flows that are looked around at a time.
const LOT: usize = 64;

/// Spans that touch are joined when there are so many more.
const GROWN: usize = 1 << 17;

impl Asked {
    fn add(&mut self, hash: u64, from: i64, until: i64) {
        self.all.push((hash, from, until));
        if self.all.len() > self.joined * 2 + GROWN {
            self.join();
        }
    }

    /// Takes what else is asked for.
    fn take(&mut self, more: Self) {
        self.all.extend(more.all);
        if self.all.len() > self.joined * 2 + GROWN {
            self.join();
        }
    }

    /// Joins those that touch.
    fn join(&mut self) {
        self.all.sort_unstable();
        self.all.dedup_by(|next, last| {
            let touch = next.0 == last.0 && next.1 <= last.2;
            if touch {
                last.2 = last.2.max(next.2);
            }
            touch
        });
        self.joined = self.all.len();
    }
}

impl From<Asked> for Spans {
    fn from(mut asked: Asked) -> Self {
        asked.join();
        let mut spans = Self::default();
        for of_flow in asked.all.chunk_by(|one, other| one.0 == other.0) {
            let from = spans.all.len() as u32;
            let only = of_flow.iter().map(|(_, from, until)| (*from, *until));
            spans.all.extend(only);
            let place = (of_flow[0].0, from, spans.all.len() as u32);
            spans.flows.insert_unique(place.0, place, |known| known.0);
        }
        spans
    }
}

impl Spans {
    #[inline]
    fn of(&self, hash: u64) -> &[(i64, i64)] {
        match self.flows.find(hash, |known| known.0 == hash) {
            Some((_, from, until)) => &self.all[*from as usize..*until as usize],
            None => &[],
        }
    }

    /// Whether a segment of a flow with this hash is asked for.
    #[inline]
    pub(super) fn hold(&self, hash: u64, time: CaptureTime) -> bool {
        let time = time.nanos();
        let spans = self.of(hash);
        let begun = spans.partition_point(|(from, _)| *from <= time);
        begun > 0 && time <= spans[begun - 1].1
    }
}

impl All {
    pub(super) fn of(vantages: Vec<Kept>) -> Self {
        let mut numbers: HashMap<Flow, u32> = HashMap::new();
        let mut shaken = Vec::new();
        let mut number = |flow: Flow| {
            *numbers.entry(flow).or_insert_with(|| {
                let numbers = vantages.iter().map(|at| at.number(flow)).collect();
                shaken.push(Shaken { flow, numbers });
                shaken.len() as u32 - 1
            })
        };
        let shaken_at = vantages
            .iter()
            .map(|at| at.shaken().map(&mut number).collect())
            .collect();
        Self {
            kin: Kin::of(&vantages),
            shaken,
            shaken_at,
            vantages,
        }
    }

    /// At each vantage the segments of a flow and its kin, in the order of capture, and what else was near to it.
    pub(super) fn around(&self, flow: Flow) -> Vec<(Vec<Digest>, evidence::Nearby)> {
        let kin = self.kin.around(flow);
        let around = self.surroundings(&kin, flow);
        let (near, neighbours) = self.handshakes(&around);
        let vantages = self.vantages.iter().zip(around).zip(near);
        vantages
            .enumerate()
            .map(|(vantage, ((at, around), handshakes))| {
                let numbers = self.numbers(vantage, &around, &neighbours);
                let segments = at.segments_of(&kin);
                (segments, at.nearby(&around, handshakes, &numbers))
            })
            .collect()
    }

    /// When segments of neighbours are asked for at each vantage for the sake of these flows.
    pub(super) fn spans(&self, flows: &[Flow], recordings: &impl Recordings) -> Vec<Spans> {
        let lots = flows.chunks(LOT).collect();
        let mut asked = vec![Asked::default(); self.vantages.len()];
        for of_lot in recordings.share(lots, |flows| self.asked(flows)) {
            for (asked, more) in asked.iter_mut().zip(of_lot) {
                asked.take(more);
            }
        }
        asked.into_iter().map(Spans::from).collect()
    }

    fn asked(&self, flows: &[Flow]) -> Vec<Asked> {
        let mut asked = vec![Asked::default(); self.vantages.len()];
        for flow in flows {
            let kin = self.kin.around(*flow);
            let around = self.surroundings(&kin, *flow);
            let (_, neighbours) = self.handshakes(&around);
            let vantages = self.vantages.iter().zip(&around).zip(&mut asked);
            for (vantage, ((at, around), asked)) in vantages.enumerate() {
                let numbers = self.numbers(vantage, around, &neighbours);
                let reach = at.tally.reach(numbers.iter().copied(), around.moment);
                let [from, until] = [-reach, reach].map(|away| around.moment.plus(away).nanos());
                let flows = &at.common.flows;
                for number in numbers {
                    asked.add(flows.hash(&flows.get(number)), from, until);
                }
            }
        }
        for asked in &mut asked {
            asked.join();
        }
        asked
    }

    /// The numbers at a vantage of those neighbours that go between the hosts of one of a flow's names and are
    /// none of these.
    fn numbers(&self, vantage: usize, around: &Surroundings, neighbours: &[u32]) -> Vec<u32> {
        let names = &around.names;
        let is_between = |flow: Flow| names.iter().any(|name| pair(*name) == pair(flow));
        neighbours
            .iter()
            .map(|number| &self.shaken[*number as usize])
            .filter(|shaken| is_between(shaken.flow) && !names.contains(&shaken.flow))
            .filter_map(|shaken| shaken.numbers[vantage])
            .collect()
    }

    /// As [`evidence::surroundings`] of the segments of a flow's kin.
    fn surroundings(&self, kin: &HashSet<Flow>, flow: Flow) -> Vec<Surroundings> {
        let mut names = self.kin.names(flow, kin);
        names.sort_unstable();
        let lasts: Vec<Vec<(Flow, Last)>> = self
            .vantages
            .iter()
            .map(|at| {
                let seen = names.iter().map(|name| (*name, at.last(*name)));
                seen.filter(|(_, last)| last.any.is_some()).collect()
            })
            .collect();
        let anywhere = lasts
            .iter()
            .flatten()
            .filter_map(|(_, last)| last.reset)
            .max();
        lasts
            .iter()
            .map(|here| {
                let reset = here.iter().filter_map(|(_, last)| last.reset).max();
                let any = here.iter().filter_map(|(_, last)| last.any).max();
                let mut names: Vec<Flow> = here.iter().map(|(name, _)| *name).collect();
                if names.is_empty() {
                    names.push(flow);
                }
                Surroundings {
                    names,
                    moment: reset.or(any).or(anywhere).unwrap_or_default(),
                }
            })
            .collect()
    }

    /// The handshakes near to a flow at each vantage, as places, and the numbers of all flows that they are of.
    fn handshakes(&self, around: &[Surroundings]) -> (Vec<Vec<u32>>, Vec<u32>) {
        let mut flows = Vec::new();
        let near = self
            .vantages
            .iter()
            .zip(around)
            .zip(&self.shaken_at)
            .map(|((at, around), shaken)| {
                let names = at.numbers(&around.names);
                let near = at.nearby.handshakes(&around.names, &names, around.moment);
                flows.extend(near.iter().map(|place| shaken[*place as usize]));
                near
            })
            .collect();
        flows.sort_unstable();
        flows.dedup();
        (near, flows)
    }
}

impl Kept {
    pub(super) fn new(
        common: Common,
        parts: Vec<Vec<Packed>>,
        handshakes: Vec<Packed>,
        mut tally: Tally,
    ) -> Self {
        tally.put_in_order();
        let mut kept = Self {
            nearby: Nearby::new(handshakes, &common),
            common,
            segments: Vec::new(),
            by_flow: ByFlow::default(),
            last: Vec::new(),
            tally,
        };
        kept.set_segments(parts);
        kept
    }

    /// Forgets the segments of flows of interest, so that they can be read again.
    pub(super) fn forget_segments(&mut self) {
        self.segments = Vec::new();
    }

    /// Takes the segments of flows of interest; each part is in the order of the file.
    pub(super) fn set_segments(&mut self, parts: Vec<Vec<Packed>>) {
        self.segments = evidence::in_order_by(parts, |packed| packed.time);
        self.by_flow = ByFlow::of(&self.segments, self.common.flows.len());
        self.last = vec![Last::default(); self.common.flows.len()];
        let mut resets = Vec::new();
        for (place, packed) in (0..).zip(&self.segments) {
            let last = &mut self.last[packed.flow() as usize];
            last.any = last.any.max(Some(packed.time));
            if self.common.flags(packed).has(TcpFlags::RST) {
                last.reset = last.reset.max(Some(packed.time));
                resets.push(place);
            }
        }
        resets.sort_by_key(|place: &u32| self.segments[*place as usize].time);
        self.nearby.set_resets(resets);
    }

    /// Takes the segments of neighbouring flows, in the order of the files.
    pub(super) fn set_others(&mut self, others: Vec<Packed>) {
        self.nearby.set_others(others, self.common.flows.len());
    }

    /// All kept segments of flows of interest, whole.
    pub(super) fn segments(&self) -> impl Iterator<Item = Digest> {
        self.segments
            .iter()
            .map(|packed| self.common.unpack(packed))
    }

    fn number(&self, flow: Flow) -> Option<u32> {
        let flows = &self.common.flows;
        flows.find(&flow, flows.hash(&flow))
    }

    fn numbers(&self, flows: &[Flow]) -> Vec<u32> {
        let numbers = flows.iter().filter_map(|flow| self.number(*flow));
        numbers.collect()
    }

    fn last(&self, flow: Flow) -> Last {
        let number = self.number(flow);
        let last = number.and_then(|number| self.last.get(number as usize));
        last.copied().unwrap_or_default()
    }

    /// The digests of some flows, in the order of capture.
    fn segments_of(&self, flows: &HashSet<Flow>) -> Vec<Digest> {
        let mut places: Vec<u32> = flows
            .iter()
            .filter_map(|flow| self.number(*flow))
            .flat_map(|number| self.by_flow.get(number))
            .copied()
            .collect();
        places.sort_unstable();
        places
            .into_iter()
            .map(|place| self.common.unpack(&self.segments[place as usize]))
            .collect()
    }

    /// The flow of each kept handshake.
    fn shaken(&self) -> impl Iterator<Item = Flow> {
        let flows = self.nearby.handshake_flows();
        flows.map(|number| self.common.flows.get(number))
    }

    /// What was near to a flow: these handshakes, the nearest segments of `neighbours`, and resets.
    fn nearby(
        &self,
        around: &Surroundings,
        handshakes: Vec<u32>,
        neighbours: &[u32],
    ) -> evidence::Nearby {
        let moment = around.moment;
        let names = self.numbers(&around.names);
        let reach = self.tally.reach(neighbours.iter().copied(), moment);
        let others = self.nearby.others(neighbours, moment, reach);
        let resets = self.nearby.resets(&self.segments, &names, moment);
        let handshakes = handshakes
            .into_iter()
            .map(|place| self.nearby.handshake(place));
        evidence::Nearby::chosen(
            moment,
            handshakes.collect(),
            others,
            resets,
            |packed| packed.time,
            |packed| self.common.unpack(packed),
        )
    }
}

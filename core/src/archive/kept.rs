//! What is kept of the vantages' digests, and what of it has to do with one flow.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use hashbrown::{HashMap, HashSet};

use super::Recordings;
use super::kin::Kin;
use super::nearby::Nearby;
use super::packed::{Common, Packed};
use super::pile::Pile;
use super::shaken::Shaken;
use super::spans::{Asked, Spans};
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
    shaken: Shaken,
    /// What was found around flows that were [looked around](Self::look_around), at each vantage: their evidence asks for
    /// it again.
    found: HashMap<Flow, Vec<Found>>,
    /// Of those past [`FOUND_MAX`], how far the nearest segments of neighbours reach at each vantage.
    reach: HashMap<Flow, Vec<i64>>,
}

/// What there is around a flow at one vantage.
#[derive(Debug)]
struct Found {
    /// Places of the nearest handshakes, in order.
    handshakes: Box<[u32]>,
    /// The numbers of neighbours: at least of those that have a segment within `reach`.
    neighbours: Box<[u32]>,
    /// How far the nearest segments of neighbours reach.
    reach: i64,
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
struct ByFlow {
    /// By number: where its places begin; those of the next one follow.
    starts: Vec<u32>,
    places: Vec<u32>,
}

impl ByFlow {
    fn of(digests: &[Packed], flows: usize) -> Self {
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
    fn get(&self, flow: u32) -> &[u32] {
        let flow = flow as usize;
        let ends = self.starts.get(flow).zip(self.starts.get(flow + 1));
        ends.map_or(&[], |(from, until)| {
            &self.places[*from as usize..*until as usize]
        })
    }
}

/// What was found around some flows.
struct Look {
    /// By vantage.
    asked: Vec<Asked>,
    found: Vec<(Flow, Vec<Found>)>,
    reach: Vec<(Flow, Vec<i64>)>,
}

impl Look {
    /// Places and numbers that it holds.
    fn size(&self) -> usize {
        let found = self.found.iter().flat_map(|(_, found)| found);
        found
            .map(|found| found.handshakes.len() + found.neighbours.len())
            .sum()
    }

    /// Keeps of what was found how far it reaches.
    fn forget(&mut self) {
        let reach = |found: Vec<Found>| found.iter().map(|found| found.reach).collect();
        let found = self.found.drain(..);
        self.reach
            .extend(found.map(|(flow, found)| (flow, reach(found))));
    }
}

/// Flows that are looked around at a time; few in tests, so that a few flows are more than one lot.
const LOT: usize = if cfg!(test) { 3 } else { 64 };

/// Places and numbers that are kept at most of what was found, 4 MiB: of many vantages it may be a lot for each flow, and
/// what is past it is found anew.
const FOUND_MAX: usize = if cfg!(test) { 40 } else { 1 << 20 };

impl All {
    pub(super) fn of(vantages: Vec<Kept>) -> Self {
        Self {
            kin: Kin::of(&vantages),
            shaken: Shaken::of(&vantages),
            vantages,
            found: HashMap::new(),
            reach: HashMap::new(),
        }
    }

    /// At each vantage the segments of a flow and its kin, in the order of capture, and what else was near to it.
    pub(super) fn around(&self, flow: Flow) -> Vec<(Vec<Digest>, evidence::Nearby)> {
        let kin = self.kin.around(flow);
        let around = self.surroundings(&kin, flow);
        let anew;
        let found = if let Some(found) = self.found.get(&flow) {
            found
        } else {
            let reach = self.reach.get(&flow).map(Vec::as_slice);
            anew = self.find(&around, reach);
            &anew
        };
        let vantages = self.vantages.iter().zip(&around).zip(found);
        vantages
            .map(|((at, around), found)| (at.segments_of(&kin), at.nearby(around, found)))
            .collect()
    }

    /// What there is around a flow at each vantage; `reach`, where it is known.
    fn find(&self, around: &[Surroundings], reach: Option<&[i64]>) -> Vec<Found> {
        let (near, flows) = self.handshakes(around);
        let vantages = self.vantages.iter().zip(around).zip(near).enumerate();
        let found = vantages.map(|(vantage, ((at, around), handshakes))| {
            let moment = around.moment;
            let numbers = self.shaken.between(&around.names, &flows, vantage);
            let (reach, neighbours) = match reach {
                Some(reach) => (reach[vantage], numbers),
                None => at.tally.near(&numbers, moment),
            };
            Found {
                handshakes: at.nearby.nearest_handshakes(handshakes, moment).into(),
                neighbours: neighbours.into(),
                reach,
            }
        });
        found.collect()
    }

    /// Flows by the times of their resets: what is near to one is near to the next one too, and still in the
    /// processor's cache.
    pub(super) fn by_time(&self, flows: &[Flow]) -> Vec<Flow> {
        let reset = |flow: &Flow| {
            let times = self.vantages.iter().filter_map(|at| at.last(*flow).reset);
            times.min()
        };
        let mut flows = flows.to_vec();
        flows.sort_by_cached_key(|flow| (reset(flow), *flow));
        flows
    }

    /// Tells when segments of neighbours are asked for at each vantage for the sake of these flows.
    pub(super) fn look_around(
        &mut self,
        flows: &[Flow],
        recordings: &impl Recordings,
    ) -> Vec<Spans> {
        let flows = self.by_time(flows);
        let room = AtomicUsize::new(FOUND_MAX);
        let lots = flows.chunks(LOT).collect();
        let looked = recordings.share(lots, |flows| {
            let mut look = self.look(flows);
            let left = |room: usize| room.checked_sub(look.size());
            if room.fetch_update(Relaxed, Relaxed, left).is_err() {
                look.forget();
            }
            look
        });
        let mut asked = vec![Asked::default(); self.vantages.len()];
        self.found.clear();
        self.reach.clear();
        for look in looked {
            for (asked, more) in asked.iter_mut().zip(look.asked) {
                asked.take(more);
            }
            self.found.extend(look.found);
            self.reach.extend(look.reach);
        }
        asked.into_iter().map(Spans::from).collect()
    }

    fn look(&self, flows: &[Flow]) -> Look {
        let mut look = Look {
            asked: vec![Asked::default(); self.vantages.len()],
            found: Vec::with_capacity(flows.len()),
            reach: Vec::new(),
        };
        for flow in flows {
            let kin = self.kin.around(*flow);
            let around = self.surroundings(&kin, *flow);
            let found = self.find(&around, None);
            let vantages = self.vantages.iter().zip(&around).zip(&mut look.asked);
            for (((at, around), asked), found) in vantages.zip(&found) {
                let ends = [-found.reach, found.reach];
                let [from, until] = ends.map(|away| around.moment.plus(away).nanos());
                let flows = &at.common.flows;
                for number in &found.neighbours {
                    asked.add(flows.hash(&flows.get(*number)), from, until);
                }
            }
            look.found.push((*flow, found));
        }
        for asked in &mut look.asked {
            asked.join();
        }
        look
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
            .zip(self.shaken.at())
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
    pub(super) fn set_others(&mut self, others: Pile) {
        self.nearby.set_others(others, self.common.flows.len());
    }

    /// All kept segments of flows of interest.
    pub(super) fn segments(&self) -> &[Packed] {
        &self.segments
    }

    pub(super) fn number(&self, flow: Flow) -> Option<u32> {
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
        let mut digests = Vec::with_capacity(places.len());
        for place in places {
            let packed = &self.segments[place as usize];
            self.common.unpack_onto(packed, &mut digests);
        }
        digests
    }

    /// The flow of each kept handshake.
    pub(super) fn shaken(&self) -> impl Iterator<Item = Flow> {
        let flows = self.nearby.handshake_flows();
        flows.map(|number| self.common.flows.get(number))
    }

    /// What was near to a flow, of what was found around it, and resets.
    fn nearby(&self, around: &Surroundings, found: &Found) -> evidence::Nearby {
        let moment = around.moment;
        let names = self.numbers(&around.names);
        let others = self.nearby.others(&found.neighbours, moment, found.reach);
        let resets = self.nearby.resets(&self.segments, &names, moment);
        let handshakes = found.handshakes.iter();
        let handshakes = handshakes.map(|place| self.nearby.handshake(*place));
        evidence::Nearby::chosen(
            moment,
            handshakes.collect(),
            others,
            resets,
            |packed| packed.time,
            |packed, digests| self.common.unpack_onto(packed, digests),
        )
    }
}

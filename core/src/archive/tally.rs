//! How many segments of which flows were recorded when: enough to tell how far the nearest of them reach, long
//! before it is known whose neighbours they are.

use crate::evidence::{NEIGHBOURS_MAX, NEIGHBOURS_WITHIN};
use crate::time::CaptureTime;

/// Segments by flow and slot of time. It grows with flows and time, not with segments.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// By the flow's number, the slot of its last segment: apart, since each segment asks for it.
    last: Vec<Slot>,
    /// By the flow's number, the others; once they are in order of time, all.
    flows: Vec<Vec<Slot>>,
}

/// The nanosecond with which it begins; in place of the lowest bits, which are 0 there, how many segments it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Slot(i64);

/// The bits of a time that tell where in its slot it is: slots are some 34 ms long.
const WITHIN: i64 = (1 << 25) - 1;

impl Slot {
    fn begin(self) -> i64 {
        self.0 & !WITHIN
    }

    fn end(self) -> i64 {
        self.0 | WITHIN
    }

    /// No more than can be told.
    fn count(self) -> i64 {
        self.0 & WITHIN
    }

    /// Its nanosecond farthest from a moment.
    fn farthest(self, moment: CaptureTime) -> i64 {
        let ends = [self.begin(), self.end()];
        let [one, other] =
            ends.map(|end| CaptureTime::from_nanos(end).since(moment).saturating_abs());
        one.max(other)
    }
}

impl Tally {
    #[inline]
    pub(super) fn add(&mut self, flow: u32, time: CaptureTime) {
        let begin = time.nanos() & !WITHIN;
        match self.last.get_mut(flow as usize) {
            Some(last) if last.begin() == begin => {
                if last.count() < WITHIN {
                    last.0 += 1;
                }
            }
            _ => self.begin(flow as usize, begin),
        }
    }

    /// Begins a flow's next slot.
    #[inline(never)]
    fn begin(&mut self, flow: usize, begin: i64) {
        if self.last.len() <= flow {
            self.last.resize(flow + 1, Slot::default());
        }
        self.keep_last(flow);
        self.last[flow] = Slot(begin + 1);
    }

    /// Puts a flow's last slot to its others.
    fn keep_last(&mut self, flow: usize) {
        let last = std::mem::take(&mut self.last[flow]);
        if last.count() > 0 {
            self.slots(flow).push(last);
        }
    }

    fn slots(&mut self, flow: usize) -> &mut Vec<Slot> {
        if self.flows.len() <= flow {
            self.flows.resize_with(flow + 1, Vec::new);
        }
        &mut self.flows[flow]
    }

    /// Takes another one's, by what its flows' numbers are here.
    pub(super) fn absorb(&mut self, mut other: Self, numbers: &[u32]) {
        other.put_in_order();
        for (slots, number) in other.flows.into_iter().zip(numbers) {
            self.slots(*number as usize).extend(slots);
        }
    }

    /// A capture may mix its sources, or its clock be set.
    pub(super) fn put_in_order(&mut self) {
        for flow in 0..self.last.len() {
            self.keep_last(flow);
        }
        self.last = Vec::new();
        for slots in &mut self.flows {
            slots.sort_unstable();
            slots.shrink_to_fit();
        }
    }

    /// A distance from a moment, nanoseconds, within which the [`NEIGHBOURS_MAX`] nearest segments of some flows are:
    /// all that are of use, if they are fewer; and which of the flows may have a segment within it.
    pub(super) fn near(&self, flows: &[u32], moment: CaptureTime) -> (i64, Vec<u32>) {
        let Look { reach, slots } = self.look(flows, moment);
        // Of one that was never counted nothing is known.
        let unknown = |flow: &u32| self.of(*flow).is_empty();
        let mut near: Vec<u32> = flows.iter().copied().filter(unknown).collect();
        let within = slots.iter().filter(|slot| slot.nearest() <= reach);
        near.extend(within.map(|slot| slot.flow));
        near.dedup();
        (reach, near)
    }

    fn look(&self, flows: &[u32], moment: CaptureTime) -> Look {
        let mut within = FIRST_TRY;
        loop {
            let slots = self.around(flows, moment, within);
            let reach = reach(&slots, within);
            if reach.is_some() || within >= NEIGHBOURS_WITHIN {
                let reach = reach.unwrap_or(NEIGHBOURS_WITHIN);
                return Look { reach, slots };
            }
            within = (within * 4).min(NEIGHBOURS_WITHIN);
        }
    }

    /// The slots of some flows that hold anything within a distance from a moment.
    fn around(&self, flows: &[u32], moment: CaptureTime, within: i64) -> Vec<Near> {
        let [from, until] = [-within, within].map(|away| moment.plus(away).nanos());
        let mut near = Vec::with_capacity(flows.len() * 2);
        for flow in flows {
            let slots = self.of(*flow);
            let first = slots.partition_point(|slot| slot.end() < from);
            let around = slots[first..].iter();
            near.extend(
                around
                    .take_while(|slot| slot.begin() <= until)
                    .map(|slot| Near {
                        flow: *flow,
                        count: slot.count(),
                        farthest: slot.farthest(moment),
                    }),
            );
        }
        near
    }

    /// A flow's slots.
    fn of(&self, flow: u32) -> &[Slot] {
        self.flows.get(flow as usize).map_or(&[], Vec::as_slice)
    }
}

/// What was found around a moment.
struct Look {
    reach: i64,
    slots: Vec<Near>,
}

/// A slot as it is seen from a moment.
struct Near {
    flow: u32,
    count: i64,
    farthest: i64,
}

impl Near {
    /// Nothing in it is nearer than this.
    fn nearest(&self) -> i64 {
        self.farthest.saturating_sub(WITHIN)
    }
}

/// Within which distance enough segments are, if it is no more than so much.
fn reach(slots: &[Near], within: i64) -> Option<i64> {
    // Segments by how far away their slots reach, in steps as long as a slot.
    let mut by_step = [0; STEPS];
    let whole = || slots.iter().filter(|slot| slot.farthest <= within);
    for slot in whole() {
        by_step[step(slot.farthest)] += slot.count;
    }
    let enough = NEIGHBOURS_MAX as i64;
    let mut total = 0;
    let last = by_step.iter().position(|count| {
        total += count;
        total >= enough
    })?;
    total -= by_step[last];
    let mut last: Vec<(i64, i64)> = whole()
        .filter(|slot| step(slot.farthest) == last)
        .map(|slot| (slot.farthest, slot.count))
        .collect();
    last.sort_unstable();
    let enough = last.iter().find(|(_, count)| {
        total += count;
        total >= enough
    });
    enough.map(|(farthest, _)| *farthest)
}

/// More steps of a slot's length than are asked for.
const STEPS: usize = (NEIGHBOURS_WITHIN / (WITHIN + 1)) as usize + 2;

fn step(distance: i64) -> usize {
    ((distance / (WITHIN + 1)) as usize).min(STEPS - 1)
}

/// How near is looked first, nanoseconds: between busy hosts enough is there.
const FIRST_TRY: i64 = NEIGHBOURS_WITHIN / 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_nearest_segments_are_within_reach(
            segments in prop::collection::vec((0..4_u32, -NEIGHBOURS_WITHIN * 2..NEIGHBOURS_WITHIN * 2), 0..900),
            dense in prop::collection::vec((0..4_u32, 0..200_000_000_i64), 0..900),
            moment in -NEIGHBOURS_WITHIN..NEIGHBOURS_WITHIN,
            asked in prop::collection::btree_set(0..5_u32, 0..5),
        ) {
            let mut tally = Tally::default();
            let all = || segments.iter().chain(&dense);
            for (flow, time) in all() {
                tally.add(*flow, CaptureTime::from_nanos(*time));
            }
            tally.put_in_order();
            let asked: Vec<u32> = asked.into_iter().collect();
            let (reach, near) = tally.near(&asked, CaptureTime::from_nanos(moment));
            let mut distances: Vec<i64> = all()
                .filter(|(flow, _)| asked.contains(flow))
                .map(|(_, time)| (time - moment).abs())
                .filter(|distance| *distance <= NEIGHBOURS_WITHIN)
                .collect();
            distances.sort_unstable();
            distances.truncate(NEIGHBOURS_MAX);
            prop_assert!(distances.last().is_none_or(|farthest| *farthest <= reach));
            prop_assert!(reach <= NEIGHBOURS_WITHIN);
            let mut within = all()
                .filter(|(flow, time)| asked.contains(flow) && (time - moment).abs() <= reach)
                .map(|(flow, _)| flow);
            prop_assert!(within.all(|flow| near.contains(flow)));
            prop_assert!(near.iter().all(|flow| asked.contains(flow)));
            let enough = distances.len() == NEIGHBOURS_MAX;
            let most = distances.last().map_or(0, |farthest| farthest + 2 * WITHIN);
            prop_assert!(!enough || reach <= most);
        }
    }

    #[test]
    fn times_at_the_ends_of_the_range_are_no_harm() {
        let mut tally = Tally::default();
        for time in [i64::MIN, i64::MAX, 0] {
            tally.add(0, CaptureTime::from_nanos(time));
        }
        tally.put_in_order();
        for moment in [i64::MIN, i64::MAX, 0] {
            let (reach, _) = tally.near(&[0], CaptureTime::from_nanos(moment));
            assert_eq!(reach, NEIGHBOURS_WITHIN);
        }
    }
}

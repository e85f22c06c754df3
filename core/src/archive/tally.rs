//! How many segments of which flows were recorded when: enough to tell how far the nearest of them reach, long
//! before it is known whose neighbours they are.

use crate::evidence::{NEIGHBOURS_MAX, NEIGHBOURS_WITHIN};
use crate::time::CaptureTime;

/// Segments by flow and slot of time. It grows with flows and time, not with segments.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// By the flow's number, slots in order of time.
    flows: Vec<Vec<Slot>>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Its beginning in units of [`LONG`].
    number: i64,
    count: u32,
}

/// How long a slot is, nanoseconds, as a power of two: some 17 ms.
const LONG: u32 = 24;

impl Tally {
    #[inline]
    pub(super) fn add(&mut self, flow: u32, time: CaptureTime) {
        let flow = flow as usize;
        if self.flows.len() <= flow {
            self.flows.resize_with(flow + 1, Vec::new);
        }
        let number = time.nanos() >> LONG;
        match self.flows[flow].last_mut() {
            Some(last) if last.number == number => last.count = last.count.saturating_add(1),
            _ => self.flows[flow].push(Slot { number, count: 1 }),
        }
    }

    /// A capture may mix its sources, or its clock be set.
    pub(super) fn put_in_order(&mut self) {
        for slots in &mut self.flows {
            slots.sort_by_key(|slot| slot.number);
            slots.shrink_to_fit();
        }
    }

    /// A distance from a moment, nanoseconds, within which the [`NEIGHBOURS_MAX`] nearest segments of some flows are:
    /// all that are of use, if they are fewer.
    pub(super) fn reach(&self, flows: impl Iterator<Item = u32>, moment: CaptureTime) -> i64 {
        let mut reach = Reach::default();
        let middle = moment.nanos() >> LONG;
        for slots in flows.filter_map(|flow| self.flows.get(flow as usize)) {
            let (before, after) =
                slots.split_at(slots.partition_point(|slot| slot.number <= middle));
            let mut takes = |slot: &Slot| reach.takes(slot, moment);
            let _ = before.iter().rev().all(&mut takes);
            let _ = after.iter().all(&mut takes);
        }
        reach.distance()
    }
}

impl Slot {
    /// How far from a moment its nearest and its farthest nanosecond are.
    fn distances(&self, moment: CaptureTime) -> (i64, i64) {
        let from = self.number << LONG;
        let ends =
            [from, from + ((1 << LONG) - 1)].map(|end| CaptureTime::from_nanos(end).since(moment));
        let [first, last] = ends.map(i64::saturating_abs);
        let holds = ends[0] <= 0 && ends[1] >= 0;
        (if holds { 0 } else { first.min(last) }, first.max(last))
    }
}

/// The nearest slots that hold enough together.
struct Reach {
    /// How far away the end of each is, and how many it holds; now and then those too many are taken out.
    slots: Vec<(i64, u32)>,
    total: u64,
    /// What begins farther away is of no use.
    farthest: i64,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            total: 0,
            farthest: NEIGHBOURS_WITHIN,
        }
    }
}

impl Reach {
    /// Shows it one; `false`: none that is farther away is of use.
    fn takes(&mut self, slot: &Slot, moment: CaptureTime) -> bool {
        let (nearest, farthest) = slot.distances(moment);
        if nearest > self.farthest {
            return false;
        }
        self.slots.push((farthest, slot.count));
        self.total += u64::from(slot.count);
        if self.total >= 4 * NEIGHBOURS_MAX as u64 {
            self.cut();
        }
        true
    }

    fn cut(&mut self) {
        self.slots.sort_unstable();
        let mut total = 0;
        let enough = self.slots.iter().position(|(_, count)| {
            total += u64::from(*count);
            total >= NEIGHBOURS_MAX as u64
        });
        if let Some(last) = enough {
            self.farthest = self.farthest.min(self.slots[last].0);
            self.slots.truncate(last + 1);
        }
        self.total = total;
    }

    fn distance(mut self) -> i64 {
        self.cut();
        self.farthest
    }
}

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
            let reach = tally.reach(asked.iter().copied(), CaptureTime::from_nanos(moment));
            let mut distances: Vec<i64> = all()
                .filter(|(flow, _)| asked.contains(flow))
                .map(|(_, time)| (time - moment).abs())
                .filter(|distance| *distance <= NEIGHBOURS_WITHIN)
                .collect();
            distances.sort_unstable();
            distances.truncate(NEIGHBOURS_MAX);
            prop_assert!(distances.last().is_none_or(|farthest| *farthest <= reach));
            prop_assert!(reach <= NEIGHBOURS_WITHIN);
            let enough = distances.len() == NEIGHBOURS_MAX;
            let most = distances.last().map_or(0, |farthest| farthest + (2 << LONG));
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
            let reach = tally.reach([0].into_iter(), CaptureTime::from_nanos(moment));
            assert_eq!(reach, NEIGHBOURS_WITHIN);
        }
    }
}

//! Clocks of vantages against each other, told by packets that both recorded.
//!
//! A packet is never recorded earlier further on: each one that goes from `a` to `b` bounds the offset of
//! b's clock from above, each that comes back from below. Offsets are found anew all along the recording, so
//! that clocks may drift and may be set while it lasts.

use crate::evidence::ExchangedClock;
use crate::report::Side;
use crate::time::{MILLISECOND, SECOND};

/// One packet at two vantages `a` and `b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) sender: Side,
    pub(crate) reset: bool,
    /// Its place in the order of capture, at `a` and at `b`.
    pub(crate) orders: [i64; 2],
    /// Nanoseconds since the Unix epoch by the clocks of `a` and `b`.
    pub(crate) times: [i64; 2],
}

impl Sample {
    pub(crate) fn turned(self) -> Self {
        let ([a, b], [then, later]) = (self.orders, self.times);
        Self {
            orders: [b, a],
            times: [later, then],
            ..self
        }
    }

    /// Time at `b` minus time at `a`: delay plus clock offset.
    pub(crate) fn later(&self) -> i64 {
        self.times[1].saturating_sub(self.times[0])
    }
}

/// A moment at which the offset is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knot {
    order: i64,
    own: i64,
    reference: i64,
    /// Own clock minus reference clock.
    offset: Offset,
}

/// Moments in the order of capture.
#[derive(Debug, Clone)]
pub(crate) struct Knots {
    all: Vec<Knot>,
    /// When each was on the reference clock: apart, since a search reads little else.
    references: Vec<i64>,
    /// Whether they rise, as they do unless a clock was set back or is badly known.
    rises: bool,
}

/// A vantage's clock against the path's reference clock.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    /// No packet tells.
    #[default]
    Unknown,
    /// It is the reference.
    Reference,
    Against(Knots),
    /// Nothing but an exchange of stamps tells.
    Exchanged([Knot; 1]),
}

/// An offset that is known within an error, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Offset {
    pub(crate) nanos: i64,
    pub(crate) error: i64,
    /// How much longer than the shortest time packets took on their way.
    pub(crate) jitter: i64,
}

/// Crystals differ by less than this: 200 ppm each.
const DRIFT_PER_MILLION: i64 = 400;
/// A delay that one direction alone may hide.
const ONE_WAY_ERROR: i64 = 100 * MILLISECOND;
/// Packets of each direction that are looked at around a moment.
const AROUND: usize = 8;
/// More knots than this add nothing.
const KNOTS_MAX: usize = 512;

impl Clock {
    /// A clock from the packets that it has in common with one that is known. `samples` are in order of
    /// capture here, their `a` is the known vantage, whose clock tells the reference.
    pub(crate) fn against(known: &Self, samples: &[Sample]) -> Self {
        let mut ways: [Vec<Bound>; 2] = [Vec::new(), Vec::new()];
        let mut all = Vec::with_capacity(samples.len());
        let mut known = known.walk();
        for sample in samples {
            let reference = known.at(sample.orders[0], sample.times[0]);
            let bound = Bound {
                order: sample.orders[1],
                own: sample.times[1],
                reference: sample.times[0].saturating_sub(reference.nanos),
                error: reference.error,
            };
            ways[sample.sender as usize].push(bound);
            all.push(bound);
        }
        if !all.is_sorted_by(|one, next| one.place() < next.place()) {
            for way in &mut ways {
                way.sort_unstable_by_key(Bound::place);
            }
            all = ways.iter().flatten().copied().collect();
            all.sort_unstable_by_key(Bound::place);
        }
        let step = all.len().div_ceil(KNOTS_MAX).max(1);
        // Where each knot stands among those of either way: knots are in the same order.
        let mut places = [0, 0];
        let knots: Vec<Knot> = all
            .iter()
            .step_by(step)
            .map(|bound| {
                for (place, way) in places.iter_mut().zip(&ways) {
                    while way
                        .get(*place)
                        .is_some_and(|other| other.place() < bound.place())
                    {
                        *place += 1;
                    }
                }
                let offset = estimate(&ways, places, bound);
                Knot {
                    order: bound.order,
                    own: bound.own,
                    reference: bound.own.saturating_sub(offset.nanos),
                    offset,
                }
            })
            .collect();
        if knots.is_empty() {
            Self::Unknown
        } else {
            let references: Vec<i64> = knots.iter().map(|knot| knot.reference).collect();
            let rises = references.is_sorted();
            let all = knots;
            Self::Against(Knots {
                all,
                references,
                rises,
            })
        }
    }

    /// A clock that only exchanges of stamps tell of: its own and the reference's with a third.
    pub(crate) fn exchanged(own: ExchangedClock, reference: ExchangedClock) -> Self {
        let offset = own.offset.saturating_sub(reference.offset);
        Self::Exchanged([Knot {
            order: 0,
            own: own.at.nanos(),
            reference: own.at.nanos().saturating_sub(offset),
            offset: Offset {
                nanos: offset,
                error: own.error.saturating_add(reference.error).max(0),
                jitter: 0,
            },
        }])
    }

    /// Packets err to one side: a delay makes them late, never early.
    pub(crate) fn is_told_by_packets(&self) -> bool {
        matches!(self, Self::Reference | Self::Against(_))
    }

    pub(crate) fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown)
    }

    fn knots(&self) -> &[Knot] {
        match self {
            Self::Against(knots) => &knots.all,
            Self::Exchanged(knots) => knots,
            Self::Unknown | Self::Reference => &[],
        }
    }

    /// The offset for a segment recorded here, by its place in the order of capture and its time.
    pub(crate) fn at(&self, order: i64, own: i64) -> Offset {
        let place = self
            .knots()
            .partition_point(|knot| (knot.order, knot.own) <= (order, own));
        self.between(place, own, |knot| knot.own)
    }

    /// The same of one segment after the other.
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk {
            clock: self,
            place: usize::MAX,
        }
    }

    /// The offset at a moment of the reference clock.
    pub(crate) fn at_reference(&self, at: i64) -> Offset {
        let place = match self {
            Self::Against(knots) => knots.references.partition_point(|known| *known <= at),
            _ => self.knots().partition_point(|knot| knot.reference <= at),
        };
        self.between(place, at, |knot| knot.reference)
    }

    /// The offset between the knots before and at `place`.
    fn between(&self, place: usize, time: i64, of: impl Fn(&Knot) -> i64) -> Offset {
        let knots = self.knots();
        let before = place.checked_sub(1).and_then(|place| knots.get(place));
        let after = knots.get(place);
        let (near, far) = match (before, after) {
            (Some(one), Some(other)) => {
                let nearer = away(of(one), time) <= away(of(other), time);
                if nearer {
                    (one, Some(other))
                } else {
                    (other, Some(one))
                }
            }
            (Some(one), None) | (None, Some(one)) => (one, None),
            (None, None) => return Offset::default(),
        };
        let gap = away(of(near), time);
        let drift = gap / 1_000_000 * DRIFT_PER_MILLION;
        let nanos = far.map_or(near.offset.nanos, |far| {
            interpolated(&near.offset, &far.offset, gap, away(of(near), of(far)))
        });
        Offset {
            nanos,
            error: near.offset.error.saturating_add(drift),
            jitter: near.offset.jitter,
        }
    }
}

/// The offsets of segments that come one after the other: the next one is mostly near to the last one.
pub(crate) struct Walk<'a> {
    clock: &'a Clock,
    /// Where the last one stood among the knots; beyond them before the first one.
    place: usize,
}

impl Walk<'_> {
    /// As [`Clock::at`].
    pub(crate) fn at(&mut self, order: i64, own: i64) -> Offset {
        let is_before = |knot: &Knot| (knot.order, knot.own) <= (order, own);
        self.place = near(self.clock.knots(), self.place, is_before);
        self.clock.between(self.place, own, |knot| knot.own)
    }

    /// As [`Clock::at_reference`].
    pub(crate) fn at_reference(&mut self, at: i64) -> Offset {
        match self.clock {
            Clock::Against(knots) if knots.rises => {
                self.place = near(&knots.references, self.place, |known| *known <= at);
                self.clock.between(self.place, at, |knot| knot.reference)
            }
            clock => clock.at_reference(at),
        }
    }
}

/// [`partition_point`](slice::partition_point), which is looked for near to a place first.
fn near<T>(all: &[T], place: usize, is_before: impl Fn(&T) -> bool) -> usize {
    const STEPS: usize = 8;
    let mut place = place;
    let steps = if place <= all.len() { STEPS } else { 0 };
    for _ in 0..steps {
        if all.get(place).is_some_and(&is_before) {
            place += 1;
        } else if place > 0 && !is_before(&all[place - 1]) {
            place -= 1;
        } else {
            return place;
        }
    }
    all.partition_point(is_before)
}

fn away(one: i64, other: i64) -> i64 {
    one.saturating_sub(other).saturating_abs()
}

/// Between two knots the offset goes over from one to the other, unless the clock was set.
fn interpolated(near: &Offset, far: &Offset, gap: i64, whole: i64) -> i64 {
    let change = far.nanos.saturating_sub(near.nanos);
    let by_drift = (whole / 1_000_000 * DRIFT_PER_MILLION)
        .saturating_add(near.error)
        .saturating_add(far.error);
    if whole <= 0 || change.saturating_abs() > by_drift {
        return near.nanos;
    }
    // Only the absurd does not fit.
    let share = match change.checked_mul(gap) {
        Some(product) => product / whole,
        None => (i128::from(change) * i128::from(gap) / i128::from(whole)) as i64,
    };
    near.nanos.saturating_add(share)
}

/// What one packet says of the offset.
#[derive(Debug, Clone, Copy)]
struct Bound {
    order: i64,
    own: i64,
    reference: i64,
    error: i64,
}

impl Bound {
    /// In the order of capture.
    fn place(&self) -> (i64, i64) {
        (self.order, self.own)
    }

    fn later(&self) -> i64 {
        self.own.saturating_sub(self.reference)
    }
}

/// The offset around a packet, by those of both directions nearest to it; `places`: where it stands among them.
fn estimate(ways: &[Vec<Bound>; 2], places: [usize; 2], around: &Bound) -> Offset {
    let error = around.error;
    let mut count = AROUND;
    loop {
        let [there, back] = [0, 1].map(|way| nearest(&ways[way], places[way], around, count));
        let offset = match (there.is_empty(), back.is_empty()) {
            (false, false) => two_way(there, back),
            (false, true) => Ok(one_way(there)),
            _ => Ok(one_way(back)),
        };
        match offset {
            // The clock was set among them: only the nearest can be on one side of that.
            Err(_) if count > 1 => count /= 2,
            Ok(offset) | Err(offset) => return offset.plus(error),
        }
    }
}

impl Offset {
    fn plus(self, error: i64) -> Self {
        Self {
            error: self.error.saturating_add(error),
            ..self
        }
    }
}

/// The `count` bounds nearest to a packet in the order of capture, in which it stands at `place`.
fn nearest<'a>(bounds: &'a [Bound], place: usize, around: &Bound, count: usize) -> &'a [Bound] {
    let distance = |bound: &Bound| {
        (
            away(bound.own, around.own),
            (bound.order - around.order).abs(),
        )
    };
    let (mut from, mut until) = (place, place);
    let distance_before = |from: usize| from.checked_sub(1).map(|last| distance(&bounds[last]));
    let distance_after = |until: usize| bounds.get(until).map(distance);
    let (mut before, mut after) = (distance_before(from), distance_after(until));
    while until - from < count {
        let goes_back = match (before, after) {
            (Some(before), Some(after)) => before <= after,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => break,
        };
        if goes_back {
            from -= 1;
            before = distance_before(from);
        } else {
            until += 1;
            after = distance_after(until);
        }
    }
    &bounds[from..until]
}

/// What noise of time stamps may make two bounds cross.
const NOISE: i64 = MILLISECOND / 2;

/// Between the bounds of both directions. An error where they contradict each other by more than noise and
/// drift: then the clock was set among these packets.
fn two_way(there: &[Bound], back: &[Bound]) -> Result<Offset, Offset> {
    let [on_there, on_back] = [there, back].map(Extent::of);
    // Which of them is the way towards this vantage shows by itself.
    let goes_there = if on_there.least >= on_back.most {
        true
    } else if on_there.most < on_back.least {
        false
    } else {
        middle(there) >= middle(back)
    };
    let (upper, lower) = if goes_there {
        (on_there.least, on_back.most)
    } else {
        (on_back.least, on_there.most)
    };
    let first = on_there.first.min(on_back.first);
    let span = on_there.last.max(on_back.last).saturating_sub(first);
    let slack = NOISE + (span / 1_000_000).saturating_mul(DRIFT_PER_MILLION);
    let offset = Offset {
        nanos: i64::midpoint(upper, lower),
        error: upper.saturating_sub(lower).saturating_abs() / 2,
        jitter: on_there.spread().max(on_back.spread()),
    };
    if lower.saturating_sub(upper) > slack {
        Err(offset)
    } else {
        Ok(offset)
    }
}

/// The middle one of what a few bounds, no more than [`AROUND`], say.
fn middle(bounds: &[Bound]) -> i64 {
    let mut later = [0; AROUND];
    for (place, bound) in later.iter_mut().zip(bounds) {
        *place = bound.later();
    }
    let later = &mut later[..bounds.len().min(AROUND)];
    later.sort_unstable();
    later.get(later.len() / 2).copied().unwrap_or(0)
}

fn one_way(bounds: &[Bound]) -> Offset {
    let nanos = middle(bounds);
    let jitter = Extent::of(bounds).spread();
    Offset {
        nanos,
        error: ONE_WAY_ERROR.saturating_add(jitter),
        jitter,
    }
}

/// How far what some bounds say reaches, and they themselves.
#[derive(Clone, Copy)]
struct Extent {
    /// What the lowest and the highest bound say.
    least: i64,
    most: i64,
    /// When they were recorded here.
    first: i64,
    last: i64,
}

impl Extent {
    fn of(bounds: &[Bound]) -> Self {
        let none = Self {
            least: i64::MAX,
            most: i64::MIN,
            first: i64::MAX,
            last: i64::MIN,
        };
        bounds.iter().fold(none, |extent, bound| {
            let later = bound.later();
            Self {
                least: extent.least.min(later),
                most: extent.most.max(later),
                first: extent.first.min(bound.own),
                last: extent.last.max(bound.own),
            }
        })
    }

    /// Longest less shortest time on the way.
    fn spread(self) -> i64 {
        if self.least > self.most {
            // There are no bounds.
            return 0;
        }
        away(self.least, self.most).min(10 * SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet each 10 ms, back and forth, 2 ms on the way; the clock shows what `clock` makes of the time.
    fn samples(count: i64, clock: impl Fn(i64) -> i64) -> Vec<Sample> {
        (0..count)
            .map(|number| {
                let at = number * 10 * MILLISECOND + SECOND;
                let there = number % 2 == 0;
                let delay = 2 * MILLISECOND;
                let (here, other) = if there {
                    (at, at + delay)
                } else {
                    (at + delay, at)
                };
                Sample {
                    sender: if there { Side::Client } else { Side::Server },
                    reset: false,
                    orders: [number, number],
                    times: [here, clock(other)],
                }
            })
            .collect()
    }

    fn error_of(count: i64, clock: impl Fn(i64) -> i64 + Copy) -> i64 {
        let samples = samples(count, clock);
        let found = Clock::against(&Clock::Reference, &samples);
        samples
            .iter()
            .map(|sample| {
                let truth = if sample.sender == Side::Client {
                    sample.times[0] + 2 * MILLISECOND
                } else {
                    sample.times[0] - 2 * MILLISECOND
                };
                let offset = found.at(sample.orders[1], sample.times[1]);
                away(sample.times[1] - offset.nanos, truth)
            })
            .max()
            .unwrap()
    }

    #[test]
    fn a_walk_finds_what_a_search_finds() {
        let drifts = Clock::against(&Clock::Reference, &samples(700, |at| at + at / 5000));
        let set_back = |at| if at < 2 * SECOND { at } else { at - SECOND };
        let set_back = Clock::against(&Clock::Reference, &samples(700, set_back));
        for clock in [drifts, set_back, Clock::Reference, Clock::Unknown] {
            let (mut walk, mut back) = (clock.walk(), clock.walk());
            for step in 0..900_i64 {
                // Mostly onwards, now and then far away.
                let order = if step % 50 == 0 {
                    800 - step
                } else {
                    step - 20
                };
                let own = order * 10 * MILLISECOND + SECOND + step % 7;
                assert_eq!(walk.at(order, own), clock.at(order, own));
                assert_eq!(back.at_reference(own), clock.at_reference(own));
            }
        }
    }

    #[test]
    fn a_constant_offset_is_found() {
        assert!(error_of(40, |at| at + 5 * SECOND) < MILLISECOND / 10);
        assert!(error_of(40, |at| at - 5 * SECOND) < MILLISECOND / 10);
    }

    #[test]
    fn a_drifting_clock_is_followed() {
        assert!(error_of(4000, |at| at + at / 5000) < MILLISECOND);
    }

    #[test]
    fn a_clock_that_is_set_is_known_on_both_sides() {
        for step in [3 * SECOND, -3 * SECOND] {
            let clock = move |at| if at < 2 * SECOND { at } else { at + step };
            let samples = samples(400, clock);
            let found = Clock::against(&Clock::Reference, &samples);
            let off = samples.iter().filter(|sample| {
                let offset = found.at(sample.orders[1], sample.times[1]);
                away(sample.times[1] - offset.nanos, sample.times[0]) > 3 * MILLISECOND
            });
            assert!(off.count() <= 2, "{step}");
        }
    }

    #[test]
    fn the_error_bounds_what_is_told() {
        let samples = samples(40, |at| at + SECOND);
        let found = Clock::against(&Clock::Reference, &samples);
        let offset = found.at_reference(SECOND + 200 * MILLISECOND);
        assert!(away(offset.nanos, SECOND) <= offset.error, "{offset:?}");
        assert!(offset.error <= 3 * MILLISECOND, "{offset:?}");
        let later = found.at_reference(100 * SECOND);
        assert!(later.error >= 30 * MILLISECOND, "{later:?}");
    }
}

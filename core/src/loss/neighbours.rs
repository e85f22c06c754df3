//! The same told by other connections between the two hosts.

use super::Passed;
use super::passing::Passing;
use super::ranges::{Ranges, joined, span};
use crate::report::Side;
use crate::scene::{Neighbour, Scene};
use crate::seq::TcpSeq;

/// One vantage's record of other flows between the two hosts, in one direction.
struct Neighbours<'s, 'a> {
    /// By the neighbours' way; none: no octets.
    lanes: Vec<Lane>,
    /// What was recorded of each way, one behind the other.
    spans: Vec<(i64, i64)>,
    /// By the neighbours' numbers, whether any of them bears these.
    numbers: Vec<bool>,
    /// Flows of which it recorded anything, in either direction.
    flows: Vec<bool>,
    all: Vec<&'s Neighbour<'a>>,
}

/// Where the [`Ranges`] of one way lie.
#[derive(Clone, Copy, Default)]
struct Lane {
    anchor: TcpSeq,
    from: usize,
    until: usize,
}

impl<'s, 'a> Neighbours<'s, 'a> {
    fn of(scene: &'s Scene<'a>, vantage: usize, sender: Side) -> Self {
        let mut flows = vec![false; scene.counts.flows];
        let mut numbers = vec![false; scene.counts.numbers];
        let mut all = Vec::with_capacity(scene.neighbours[vantage].len());
        let mut lanes = vec![Lane::default(); scene.counts.flows * 2];
        for neighbour in &scene.neighbours[vantage] {
            flows[neighbour.flow()] = true;
            if neighbour.sender == sender && !neighbour.digest.is_rst() {
                numbers[neighbour.numbers] = true;
                lanes[neighbour.way].until += 1;
                all.push(neighbour);
            }
        }
        let mut begun = 0;
        for lane in &mut lanes {
            let count = std::mem::replace(&mut lane.until, begun);
            lane.from = begun;
            begun += count;
        }
        let mut spans = vec![(0, 0); all.len()];
        for neighbour in &all {
            let lane = &mut lanes[neighbour.way];
            if lane.from == lane.until {
                lane.anchor = neighbour.digest.seq;
            }
            spans[lane.until] = span(neighbour.digest, lane.anchor);
            lane.until += 1;
        }
        for lane in &mut lanes {
            lane.until = lane.from + joined(&mut spans[lane.from..lane.until]).len();
        }
        Self {
            lanes,
            spans,
            numbers,
            flows,
            all,
        }
    }

    fn ranges(&self, way: usize) -> Option<Ranges<'_>> {
        let Lane {
            anchor,
            from,
            until,
        } = self.lanes[way];
        let sorted = &self.spans[from..until];
        (from < until).then_some(Ranges { anchor, sorted })
    }

    /// Whether this vantage records this direction, and such flows under the numbers that the segment bears:
    /// packets may take another way, and boxes rewrite numbers.
    fn can_tell(&self, neighbour: &Neighbour<'_>) -> bool {
        self.flows[neighbour.flow()]
            && match self.ranges(neighbour.way) {
                Some(ranges) => ranges.is_near(neighbour.digest),
                None => !self.all.is_empty(),
            }
    }

    fn encloses(&self, neighbour: &Neighbour<'_>) -> bool {
        let ranges = self.ranges(neighbour.way);
        ranges.is_some_and(|ranges| ranges.encloses(neighbour.digest))
    }

    fn holds(&self, neighbour: &Neighbour<'_>) -> bool {
        if neighbour.digest.seq_len() == 0 {
            return self.numbers[neighbour.numbers];
        }
        let ranges = self.ranges(neighbour.way);
        ranges.is_some_and(|ranges| ranges.holds(neighbour.digest))
    }
}

/// Segments of other flows between the two hosts, seen further on, or seen before and acknowledged, but not here.
pub(super) fn count_neighbours(
    scene: &Scene<'_>,
    travel: &[usize],
    sender: Side,
    passed: &mut [Passed],
) {
    let records: Vec<Neighbours<'_, '_>> = travel
        .iter()
        .map(|&vantage| Neighbours::of(scene, vantage, sender))
        .collect();
    let acked = highest_acks(scene, travel, sender.other());
    let was_acked = |neighbour: &Neighbour<'_>| {
        neighbour.digest.seq_len() > 0
            && acked[neighbour.way].is_some_and(|ack| !ack.before(neighbour.digest.seq_end()))
    };
    for (place, &vantage) in travel.iter().enumerate() {
        let here = &records[place];
        let evidence = &scene.evidence.vantages[vantage];
        let unbroken = evidence.coverage.len() == 1;
        let mut counted = vec![false; scene.counts.packets];
        for (other_place, (&other, record)) in travel.iter().zip(&records).enumerate() {
            if other_place == place || is_renumbered(scene, vantage, other) {
                continue;
            }
            let mut crossing = scene.path.crossing(vantage, other);
            for neighbour in record.all.iter().copied() {
                let digest = neighbour.digest;
                let must_pass = other_place > place || was_acked(neighbour);
                if !must_pass
                    || !here.can_tell(neighbour)
                    || !evidence.selection.ships(digest)
                    || counted[neighbour.packet]
                {
                    continue;
                }
                let passing = Passing::over(scene, vantage, &mut crossing, neighbour.at);
                let comparable = passing.would_be_held(digest)
                    && ((unbroken && here.encloses(neighbour)) || passing.is_watched());
                if comparable {
                    counted[neighbour.packet] = true;
                    passed[vantage].add(here.holds(neighbour), neighbour.at);
                }
            }
        }
    }
}

/// The highest numbers that a side acknowledged in other flows between the two hosts, by the way of what it
/// acknowledged.
fn highest_acks(scene: &Scene<'_>, travel: &[usize], receiver: Side) -> Vec<Option<TcpSeq>> {
    let mut highest: Vec<Option<TcpSeq>> = vec![None; scene.counts.flows * 2];
    for neighbour in travel
        .iter()
        .flat_map(|&vantage| &scene.neighbours[vantage])
    {
        let digest = neighbour.digest;
        let Some(ack) = digest
            .acked()
            .filter(|_| neighbour.sender == receiver && !digest.is_rst())
        else {
            continue;
        };
        let high = highest[neighbour.back()].get_or_insert(ack);
        if ack.after(*high) {
            *high = ack;
        }
    }
    highest
}

/// Whether the connection's numbers change between two vantages: those of its neighbours do too, by others.
fn is_renumbered(scene: &Scene<'_>, one: usize, other: usize) -> bool {
    let shift = |life: usize, vantage: usize| {
        let names = &scene.joined_life(life).names;
        let name = names.iter().find(|name| name.vantage == vantage)?;
        Some(name.shift)
    };
    (0..scene.lives()).any(|life| {
        let both = shift(life, one).zip(shift(life, other));
        both.is_some_and(|(one, other)| one != other)
    })
}

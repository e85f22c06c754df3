//! How many packets a vantage missed that must have passed it, told by the other vantages and by
//! TCP itself: what was seen further on, or was acknowledged, came past.

use hashbrown::HashSet;

use crate::digest::{Digest, TcpFlags};
use crate::evidence::Selection;
use crate::path::Crossing;
use crate::report::Side;
use crate::scene::{Neighbour, Scene, Seen};
use crate::seq::TcpSeq;
use crate::time::{CaptureTime, MILLISECOND};

/// Segments that must have passed a vantage: how many were recorded there, and how many were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Total {
    pub(crate) recorded: u32,
    pub(crate) missed: u32,
}

/// What must have passed a vantage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passed {
    total: Total,
    /// When what was not recorded passed, on the corrected clock.
    missed_at: Vec<i64>,
    /// Other connections between the two hosts: recorded here too, and not.
    neighbours: Total,
}

/// Whether a capture says itself what it lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Losses {
    /// A live agent reads the kernel's counters.
    Counted,
    /// A capture file may have lost anything.
    Uncounted,
}

/// More packets than this tell no more.
const MOST: u32 = 4096;

impl Losses {
    /// Shares of packets that captures miss, and how common such captures are: most miss none, those that do
    /// miss up to a fifth.
    const fn expected(self) -> [(f64, f64); 5] {
        match self {
            // Counters know nothing of what a mirror port lost before.
            Self::Counted => [
                (0.0002, 0.9),
                (0.02, 0.04),
                (0.06, 0.02),
                (0.12, 0.02),
                (0.2, 0.02),
            ],
            Self::Uncounted => [
                (0.0005, 0.62),
                (0.02, 0.14),
                (0.06, 0.08),
                (0.12, 0.08),
                (0.18, 0.08),
            ],
        }
    }

    /// Only live agents ship context alone.
    pub(crate) fn of(selection: Selection) -> Self {
        match selection {
            Selection::Context | Selection::Sampled(_) => Self::Counted,
            Selection::All => Self::Uncounted,
        }
    }
}

/// Captures lose packets in bursts: one that is missing this near to a moment puts it in doubt.
const BURST: i64 = 60 * MILLISECOND;
/// How likely a packet near to a missed one was missed too.
const MISSED_TOO: f64 = 0.5;

impl Passed {
    pub(crate) fn total(&self) -> Total {
        self.total
    }

    fn add(&mut self, recorded: bool, at: i64) {
        if recorded {
            self.total.recorded += 1;
        } else {
            self.total.missed += 1;
            self.missed_at.push(at);
        }
    }

    /// Probability that the vantage failed to record a packet that passed it at a moment: what is expected of
    /// such captures, after what is known of this one.
    pub(crate) fn miss_rate(&self, losses: Losses, at: i64) -> f64 {
        let mut weight = 0.0;
        let mut weighted = 0.0;
        for (rate, share) in losses.expected() {
            let likely = share
                * (1.0 - rate).powi(self.total.recorded.min(MOST) as i32)
                * rate.powi(self.total.missed.min(MOST) as i32);
            weight += likely;
            weighted += likely * rate;
        }
        // So much was missed that no expectation holds.
        let rate = if weight > 0.0 { weighted / weight } else { 1.0 };
        let near = |missed: &i64| at.saturating_sub(*missed).saturating_abs() <= BURST;
        if self.missed_at.iter().any(near) {
            rate.max(MISSED_TOO)
        } else {
            rate
        }
    }

    /// Probability that a connection between the two hosts goes another way than past this vantage, of which
    /// nothing but others like it were recorded here: routers may share flows out (ECMP, RFC 2992).
    pub(crate) fn goes_elsewhere(&self) -> f64 {
        const SHARED_OUT: f64 = 0.1;
        let Total { recorded, missed } = self.neighbours;
        if missed > 0 {
            return (f64::from(missed) + 0.5) / (f64::from(missed) + f64::from(recorded) + 1.0);
        }
        let by_chance = SHARED_OUT * 0.5_f64.powi(recorded.min(MOST) as i32);
        0.5 * by_chance / (1.0 - SHARED_OUT + by_chance)
    }

    /// More missed than a sound capture explains: above one in fifty.
    pub(crate) fn is_lossy(&self) -> bool {
        let Total { recorded, missed } = self.total;
        missed > 0 && u64::from(missed) * 50 > u64::from(missed + recorded)
    }
}

/// Octets of sequence space that one vantage recorded of one sender in one life, as sorted ranges of
/// distances from an anchor.
#[derive(Clone, Copy)]
struct Ranges<'r> {
    anchor: TcpSeq,
    sorted: &'r [(i64, i64)],
}

impl<'r> Ranges<'r> {
    /// `spans` is where they are to lie.
    fn of<'a>(
        segments: impl Iterator<Item = &'a Digest>,
        spans: &'r mut Vec<(i64, i64)>,
    ) -> Option<Self> {
        let mut segments = segments.peekable();
        let anchor = segments.peek()?.seq;
        spans.extend(segments.map(|digest| span(digest, anchor)));
        let sorted = joined(spans);
        Some(Self { anchor, sorted })
    }

    /// Within what a window or a gap in the record explains.
    fn is_near(&self, digest: &Digest) -> bool {
        const WITHIN: i64 = 1 << 24;
        let (start, _) = span(digest, self.anchor);
        let first = self.sorted.first().map_or(0, |range| range.0);
        let last = self.sorted.last().map_or(0, |range| range.1);
        (first - WITHIN..=last + WITHIN).contains(&start)
    }

    /// Whether it recorded octets before these and after these, whatever the clocks say.
    fn encloses(&self, digest: &Digest) -> bool {
        let (start, end) = span(digest, self.anchor);
        let first = self.sorted.first().is_some_and(|range| range.0 < start);
        let last = self.sorted.last().is_some_and(|range| range.1 > end);
        digest.seq_len() > 0 && first && last
    }

    fn holds(&self, digest: &Digest) -> bool {
        let (start, end) = span(digest, self.anchor);
        let after = self.sorted.partition_point(|range| range.0 <= start);
        after > 0 && self.sorted[after - 1].1 >= end
    }
}

/// Spans in order, those that touch joined.
fn joined(spans: &mut [(i64, i64)]) -> &[(i64, i64)] {
    spans.sort_unstable();
    let mut count = 0;
    for place in 0..spans.len() {
        let next = spans[place];
        match spans[..count].last_mut() {
            Some(last) if next.0 <= last.1 => last.1 = last.1.max(next.1),
            _ => {
                spans[count] = next;
                count += 1;
            }
        }
    }
    &spans[..count]
}

fn span(digest: &Digest, anchor: TcpSeq) -> (i64, i64) {
    let start = i64::from(digest.seq.since(anchor));
    (start, start + i64::from(digest.seq_len()))
}

/// What tells a segment from the others that one side sent; of a pure acknowledgement it is enough where offload has
/// merged or split its neighbours.
fn numbers(digest: &Digest) -> u64 {
    u64::from(digest.seq.0) << 32 | u64::from(digest.ack.0)
}

/// Counts for every vantage what must have passed it in both directions of the flow.
pub(crate) fn count(scene: &Scene<'_>) -> Vec<Passed> {
    let mut passed = vec![Passed::default(); scene.evidence.vantages.len()];
    for sender in [Side::Client, Side::Server] {
        let travel = scene.travel(sender);
        for life in 0..scene.lives() {
            count_way(scene, &travel, sender, life, &mut passed);
        }
        count_neighbours(scene, &travel, sender, &mut passed);
    }
    count_ways(scene, &mut passed);
    passed
}

/// Counts for every vantage the other connections between the two hosts that were answered, and so went all
/// the way, by whether it recorded any of them.
fn count_ways(scene: &Scene<'_>, passed: &mut [Passed]) {
    let mut answers: Vec<Option<(usize, &Neighbour<'_>)>> = vec![None; scene.counts.flows];
    let mut recorded = vec![vec![false; scene.counts.flows]; passed.len()];
    for (vantage, neighbours) in scene.neighbours.iter().enumerate() {
        for neighbour in neighbours {
            recorded[vantage][neighbour.flow()] = true;
            if neighbour.digest.is_syn_ack() {
                answers[neighbour.flow()].get_or_insert((vantage, neighbour));
            }
        }
    }
    for &vantage in &scene.path.order {
        for (flow, answer) in answers.iter().enumerate() {
            let Some((answered_at, answer)) = *answer else {
                continue;
            };
            let passing = || Passing::of(scene, vantage, answered_at, answer.at);
            if recorded[vantage][flow] {
                passed[vantage].neighbours.recorded += 1;
            } else if scene.ends.at(vantage) == scene.ends.at(answered_at)
                && passing().would_be_held(answer.digest)
                && passing().is_watched()
            {
                passed[vantage].neighbours.missed += 1;
            }
        }
    }
}

fn count_way(
    scene: &Scene<'_>,
    travel: &[usize],
    sender: Side,
    life: usize,
    passed: &mut [Passed],
) {
    let acked = highest_ack(scene, sender.other(), life);
    for (place, &vantage) in travel.iter().enumerate() {
        let own = || {
            scene
                .life(vantage, life)
                .filter(|segment| segment.sender == sender && !segment.digest.is_rst())
        };
        let mut spans = Vec::with_capacity(scene.seen[vantage].len());
        let Some(ranges) = Ranges::of(own().map(|segment| segment.digest), &mut spans) else {
            continue;
        };
        let unbroken = scene.evidence.vantages[vantage].coverage.len() == 1;
        let mut acks: HashSet<u64> = HashSet::with_capacity(scene.seen[vantage].len());
        acks.extend(own().map(|segment| numbers(segment.digest)));
        let mut counted: HashSet<(u64, u32)> = HashSet::with_capacity(scene.seen[vantage].len());
        for (other_place, &other) in travel.iter().enumerate() {
            if other == vantage {
                continue;
            }
            let mut crossing = scene.path.crossing(vantage, other);
            let must_pass = |segment: &&Seen<'_>| {
                let digest = segment.digest;
                segment.sender == sender
                    && !digest.is_rst()
                    && (other_place > place
                        || (digest.seq_len() > 0
                            && acked.is_some_and(|ack| !ack.before(digest.seq_end()))))
                    && ((unbroken && ranges.encloses(digest))
                        || Passing::over(scene, vantage, &mut crossing, segment.at).is_watched())
                    && ships(scene, vantage, other, segment)
            };
            for segment in scene.life(other, life).filter(must_pass) {
                let digest = segment.digest;
                if !counted.insert((numbers(digest), digest.seq_len())) {
                    continue;
                }
                let recorded = if digest.seq_len() > 0 {
                    ranges.holds(digest)
                } else {
                    acks.contains(&numbers(digest))
                };
                passed[vantage].add(recorded, segment.at);
            }
        }
    }
}

/// The highest number that the receiver acknowledged, by anything but a RST.
fn highest_ack(scene: &Scene<'_>, receiver: Side, life: usize) -> Option<TcpSeq> {
    scene
        .path
        .order
        .iter()
        .flat_map(|&vantage| scene.life(vantage, life))
        .filter(|segment| segment.sender == receiver && !segment.digest.is_rst())
        .filter_map(|segment| segment.digest.acked())
        .reduce(|high, ack| if ack.after(high) { ack } else { high })
}

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
fn count_neighbours(scene: &Scene<'_>, travel: &[usize], sender: Side, passed: &mut [Passed]) {
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

/// When what one vantage saw passed another, by that one's own clock.
struct Passing<'s, 'a> {
    scene: &'s Scene<'a>,
    vantage: usize,
    time: CaptureTime,
    /// It is off by no more than this, nanoseconds.
    error: i64,
}

/// At a span's edge a packet may have been outside, by the error of the clock offset and this much.
const EDGE: i64 = 20_000;

impl<'s, 'a> Passing<'s, 'a> {
    /// `at` is on the corrected clock.
    fn of(scene: &'s Scene<'a>, vantage: usize, seen_at: usize, at: i64) -> Self {
        let mut crossing = scene.path.crossing(vantage, seen_at);
        Self::over(scene, vantage, &mut crossing, at)
    }

    /// The same of one packet after the other; `crossing` leads to the vantage.
    fn over(scene: &'s Scene<'a>, vantage: usize, crossing: &mut Crossing<'_>, at: i64) -> Self {
        let (time, error) = crossing.own_time(at);
        Self {
            scene,
            vantage,
            time,
            error: error.saturating_add(EDGE),
        }
    }

    /// Whether such a segment of a neighbouring flow is among those that were loaded.
    fn would_be_held(&self, digest: &Digest) -> bool {
        let evidence = &self.scene.evidence.vantages[self.vantage];
        let handshake = digest.flags.has(TcpFlags::SYN);
        (handshake || evidence.selection == Selection::All)
            && evidence.nearby.would_hold(digest, self.time, self.error)
    }

    /// Whether the vantage's coverage surely holds the moment.
    fn is_watched(&self) -> bool {
        let (from, until) = (
            self.time.plus(self.error.saturating_neg()),
            self.time.plus(self.error),
        );
        self.scene.watched[self.vantage].holds(from, until)
    }
}

/// Whether the vantage would have shipped this segment of the flow, had it seen it at that moment of the
/// corrected clock.
fn ships(scene: &Scene<'_>, vantage: usize, seen_at: usize, segment: &Seen<'_>) -> bool {
    let evidence = &scene.evidence.vantages[vantage];
    if evidence.selection.ships(segment.digest) {
        return true;
    }
    let passing = Passing::of(scene, vantage, seen_at, segment.at);
    evidence.ships(segment.digest, passing.time, passing.error)
}

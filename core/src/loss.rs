//! How many packets a vantage missed that must have passed it, told by the other vantages and by
//! TCP itself: what was seen further on, or was acknowledged, came past.

mod neighbours;
mod passing;
mod ranges;

use hashbrown::HashSet;

use self::neighbours::count_neighbours;
use self::passing::{Passing, ships};
use self::ranges::Ranges;
use crate::digest::Digest;
use crate::evidence::Selection;
use crate::report::Side;
use crate::scene::{Neighbour, Scene, Seen};
use crate::seq::TcpSeq;
use crate::time::MILLISECOND;

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

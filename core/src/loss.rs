//! How many packets a vantage missed that must have passed it, told by the other vantages and by
//! TCP itself: what was seen further on, or was acknowledged, came past.

use std::collections::{HashMap, HashSet};

use crate::digest::{Digest, TcpFlags};
use crate::evidence::Selection;
use crate::flow::{Flow, FourTuple};
use crate::report::Side;
use crate::scene::{Scene, Seen};
use crate::seq::TcpSeq;

/// Segments that must have passed a vantage: recorded there, and not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Passed {
    pub(crate) recorded: u32,
    pub(crate) missed: u32,
}

/// Whether a capture says itself what it lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Losses {
    /// A live agent reads the kernel's counters.
    Counted,
    /// A capture file may have lost anything.
    Uncounted,
}

impl Losses {
    /// Only live agents ship context alone.
    pub(crate) fn of(selection: Selection) -> Self {
        match selection {
            Selection::Context | Selection::Sampled(_) => Self::Counted,
            Selection::All => Self::Uncounted,
        }
    }
}

impl Passed {
    fn add(&mut self, recorded: bool) {
        if recorded {
            self.recorded += 1;
        } else {
            self.missed += 1;
        }
    }

    /// Probability that the vantage fails to record a packet that passes it: the mean of a Beta
    /// distribution. Its prior is worth ten packets: of a capture that counts its losses, nearly none
    /// of them missed; of one that does not, half a packet.
    pub(crate) fn miss_rate(self, losses: Losses) -> f64 {
        let prior = match losses {
            Losses::Counted => 0.01,
            Losses::Uncounted => 0.5,
        };
        let total = f64::from(self.recorded) + f64::from(self.missed);
        (f64::from(self.missed) + prior) / (total + 10.0)
    }

    /// More missed than a sound capture explains: above one in fifty.
    pub(crate) fn is_lossy(self) -> bool {
        self.missed > 0 && u64::from(self.missed) * 50 > u64::from(self.missed + self.recorded)
    }
}

/// Octets of sequence space that one vantage recorded of one sender in one life, as sorted ranges of
/// distances from an anchor.
struct Ranges {
    anchor: TcpSeq,
    sorted: Vec<(i64, i64)>,
}

impl Ranges {
    fn of<'a>(segments: impl Iterator<Item = &'a Digest>) -> Option<Self> {
        let mut segments = segments.peekable();
        let anchor = segments.peek()?.seq;
        let mut sorted: Vec<(i64, i64)> = segments.map(|digest| span(digest, anchor)).collect();
        sorted.sort_unstable();
        sorted.dedup_by(|next, last| {
            let joins = next.0 <= last.1;
            if joins {
                last.1 = last.1.max(next.1);
            }
            joins
        });
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

    fn holds(&self, digest: &Digest) -> bool {
        let (start, end) = span(digest, self.anchor);
        let after = self.sorted.partition_point(|range| range.0 <= start);
        after > 0 && self.sorted[after - 1].1 >= end
    }
}

fn span(digest: &Digest, anchor: TcpSeq) -> (i64, i64) {
    let start = i64::from(digest.seq.since(anchor));
    (start, start + i64::from(digest.seq_len()))
}

/// A pure acknowledgement, recognised where offload has merged or split its neighbours.
type AckKey = (FourTuple, u32, u32);

fn ack_key(digest: &Digest) -> AckKey {
    (digest.tuple, digest.seq.0, digest.ack.0)
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
    passed
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
        let Some(ranges) = Ranges::of(own().map(|segment| segment.digest)) else {
            continue;
        };
        let acks: HashSet<AckKey> = own().map(|segment| ack_key(segment.digest)).collect();
        let mut counted: HashSet<(u32, u32, u32)> = HashSet::new();
        for (other_place, &other) in travel.iter().enumerate() {
            if other == vantage {
                continue;
            }
            let must_pass = |segment: &&Seen<'_>| {
                let digest = segment.digest;
                segment.sender == sender
                    && !digest.is_rst()
                    && watched(scene, vantage, segment.at)
                    && ships(scene, vantage, digest, segment.at)
                    && (other_place > place
                        || (digest.seq_len() > 0
                            && acked.is_some_and(|ack| !ack.before(digest.seq_end()))))
            };
            for segment in scene.life(other, life).filter(must_pass) {
                let digest = segment.digest;
                if !counted.insert((digest.seq.0, digest.seq_len(), digest.ack.0)) {
                    continue;
                }
                let recorded = if digest.seq_len() > 0 {
                    ranges.holds(digest)
                } else {
                    acks.contains(&ack_key(digest))
                };
                passed[vantage].add(recorded);
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
struct Neighbours<'a> {
    of: HashMap<FourTuple, (Ranges, HashSet<AckKey>)>,
    /// Flows of which it recorded anything, in either direction.
    flows: HashSet<Flow>,
    all: Vec<&'a Digest>,
}

impl<'a> Neighbours<'a> {
    fn of(scene: &'a Scene<'_>, vantage: usize, sender: Side) -> Self {
        let mut flows = HashSet::new();
        let mut all = Vec::new();
        for (digest, from) in scene.ends.neighbours(scene.evidence, vantage) {
            flows.insert(digest.tuple.flow());
            if from == sender && !digest.is_rst() {
                all.push(digest);
            }
        }
        let mut by_tuple: HashMap<FourTuple, Vec<&Digest>> = HashMap::new();
        for digest in &all {
            by_tuple.entry(digest.tuple).or_default().push(digest);
        }
        let of = by_tuple
            .into_iter()
            .filter_map(|(tuple, digests)| {
                let acks = digests.iter().map(|digest| ack_key(digest)).collect();
                Some((tuple, (Ranges::of(digests.into_iter())?, acks)))
            })
            .collect();
        Self { of, flows, all }
    }

    /// Whether this vantage records this direction, and such flows under the numbers that the segment bears:
    /// packets may take another way, and boxes rewrite numbers.
    fn can_tell(&self, digest: &Digest) -> bool {
        self.flows.contains(&digest.tuple.flow())
            && match self.of.get(&digest.tuple) {
                Some((ranges, _)) => ranges.is_near(digest),
                None => !self.of.is_empty(),
            }
    }

    fn holds(&self, digest: &Digest) -> bool {
        self.of.get(&digest.tuple).is_some_and(|(ranges, acks)| {
            if digest.seq_len() > 0 {
                ranges.holds(digest)
            } else {
                acks.contains(&ack_key(digest))
            }
        })
    }
}

/// Segments of other flows between the two hosts, seen further on but not here.
fn count_neighbours(scene: &Scene<'_>, travel: &[usize], sender: Side, passed: &mut [Passed]) {
    let records: Vec<Neighbours<'_>> = travel
        .iter()
        .map(|&vantage| Neighbours::of(scene, vantage, sender))
        .collect();
    for (place, &vantage) in travel.iter().enumerate() {
        let here = &records[place];
        let mut counted = HashSet::new();
        for (&further, record) in travel.iter().zip(&records).skip(place + 1) {
            for digest in &record.all {
                let at = scene.moment(further, digest);
                let comparable = here.can_tell(digest)
                    && would_hold(scene, vantage, digest, at)
                    && watched(scene, vantage, at)
                    && scene.evidence.vantages[vantage].selection.ships(digest);
                if comparable && counted.insert((ack_key(digest), digest.seq_len())) {
                    passed[vantage].add(here.holds(digest));
                }
            }
        }
    }
}

/// Whether a neighbouring flow's segment that passed a vantage at a moment of the corrected clock is among
/// those that were loaded.
fn would_hold(scene: &Scene<'_>, vantage: usize, digest: &Digest, at: i64) -> bool {
    let evidence = &scene.evidence.vantages[vantage];
    let (own, error) = scene.path.own_time(vantage, at);
    let handshake = digest.flags.has(TcpFlags::SYN);
    (handshake || evidence.selection == Selection::All)
        && evidence
            .nearby
            .would_hold(digest, own, error.saturating_add(EDGE))
}

/// Whether the vantage would have shipped this segment of the flow, had it seen it at that moment of the
/// corrected clock.
fn ships(scene: &Scene<'_>, vantage: usize, digest: &Digest, at: i64) -> bool {
    let (own, error) = scene.path.own_time(vantage, at);
    scene.evidence.vantages[vantage].ships(digest, own, error.saturating_add(EDGE))
}

/// At a span's edge a packet may have been outside, by the error of the clock offset and this much.
const EDGE: i64 = 20_000;

/// Whether a vantage's coverage surely holds a moment of the corrected clock.
fn watched(scene: &Scene<'_>, vantage: usize, at: i64) -> bool {
    let (time, error) = scene.path.own_time(vantage, at);
    let edge = error.saturating_add(EDGE);
    scene.evidence.vantages[vantage]
        .coverage
        .iter()
        .any(|span| span.from.plus(edge) <= time && time <= span.until.plus(-edge))
}

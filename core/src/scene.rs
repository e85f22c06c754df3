//! One flow with all its vantages on one clock, cut into lives.

use std::hash::Hash;

use hashbrown::HashMap;

use crate::clock::Offset;
use crate::coverage::Watched;
use crate::digest::Digest;
use crate::ends::Ends;
use crate::evidence::FlowEvidence;
use crate::flow::{Flow, Way};
use crate::join::{Joined, Life, Name};
use crate::matching::Recorded;
use crate::path::{self, Path};
use crate::report::Side;
use crate::seq::TcpSeq;

/// A segment at a vantage, on the corrected clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// In the flow's own name and sequence space.
    pub(crate) digest: &'a Digest,
    /// As the vantage recorded it.
    pub(crate) carried: &'a Digest,
    /// Nanoseconds since the epoch by the clock of the path's first vantage.
    pub(crate) at: i64,
    pub(crate) sender: Side,
    /// Which life of the 4-tuple it belongs to, in order of time.
    pub(crate) life: usize,
}

/// A segment of another connection that a vantage saw pass between the two hosts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neighbour<'a> {
    pub(crate) digest: &'a Digest,
    pub(crate) sender: Side,
    /// When it passed, on the corrected clock.
    pub(crate) at: i64,
    /// The number of its flow among the neighbours, twice; one more where it goes from high to low.
    pub(crate) way: usize,
    /// The number of its sequence and acknowledgement numbers among those of all ways.
    pub(crate) numbers: usize,
    /// The number of these with its length: the same for each sighting of one packet.
    pub(crate) packet: usize,
}

impl Neighbour<'_> {
    pub(crate) fn flow(&self) -> usize {
        self.way / 2
    }

    /// The way of what answers it.
    pub(crate) fn back(&self) -> usize {
        self.way ^ 1
    }
}

/// How many different things neighbours have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NeighbourCounts {
    pub(crate) flows: usize,
    pub(crate) numbers: usize,
    pub(crate) packets: usize,
}

/// One flow's evidence, ordered in space (path) and time (lives).
pub(crate) struct Scene<'a> {
    pub(crate) evidence: &'a FlowEvidence,
    pub(crate) joined: &'a Joined<'a>,
    pub(crate) ends: Ends,
    pub(crate) path: Path,
    /// The flow's segments at each vantage of the evidence, in order of time.
    pub(crate) seen: Vec<Vec<Seen<'a>>>,
    /// Other connections' segments between the two hosts at each vantage of the evidence.
    pub(crate) neighbours: Vec<Vec<Neighbour<'a>>>,
    pub(crate) counts: NeighbourCounts,
    /// What each vantage watched.
    pub(crate) watched: Vec<Watched>,
    /// The joined lives in order of time.
    lives: Vec<usize>,
    /// The number of the SYN that began each life, in the flow's own sequence space.
    initial: Vec<Option<TcpSeq>>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(joined: &'a Joined<'a>) -> Self {
        let ends = Ends::of(joined);
        let nearby = path::nearby(joined, &ends);
        let path = path::find(joined, &ends, &nearby);
        let mut seen: Vec<Vec<Seen<'a>>> = joined
            .at
            .iter()
            .zip(&path.clocks)
            .map(|(segments, clock)| {
                let mut clock = clock.walk();
                let seen = segments.iter().zip(0_i64..).map(|(segment, place)| Seen {
                    digest: &segment.digest,
                    carried: segment.carried,
                    at: corrected(
                        segment.carried,
                        clock.at(place * 2, segment.carried.time.nanos()),
                    ),
                    sender: ends.sender(&segment.digest),
                    life: segment.life,
                });
                seen.collect()
            })
            .collect();
        let lives = in_order(joined.lives.len(), &seen);
        let mut number = vec![0; lives.len()];
        for (place, life) in lives.iter().enumerate() {
            number[*life] = place;
        }
        for segments in &mut seen {
            for segment in segments.iter_mut() {
                segment.life = number[segment.life];
            }
            segments.sort_by_key(|segment| segment.at);
        }
        let initial = (0..lives.len()).map(|life| initial(&seen, life)).collect();
        let (neighbours, counts) = neighbours(&nearby, &path);
        Self {
            evidence: joined.evidence,
            joined,
            ends,
            path,
            seen,
            neighbours,
            counts,
            watched: joined
                .evidence
                .vantages
                .iter()
                .map(|at| Watched::of(&at.coverage))
                .collect(),
            lives,
            initial,
        }
    }

    /// How many lives the flow had.
    pub(crate) fn lives(&self) -> usize {
        self.lives.len()
    }

    /// What is known of a life's names.
    pub(crate) fn joined_life(&self, life: usize) -> &Life {
        &self.joined.lives[self.lives[life]]
    }

    /// A life's number here, from its number in the join.
    pub(crate) fn life_of(&self, joined: usize) -> Option<usize> {
        self.lives.iter().position(|life| *life == joined)
    }

    /// The name under which a vantage recorded a segment.
    pub(crate) fn name_of(&self, vantage: usize, seen: &Seen<'_>) -> Option<&Name> {
        self.joined_life(seen.life).names.iter().find(|name| {
            name.vantage == vantage && name.low_to_high.flow() == seen.carried.tuple.flow()
        })
    }

    /// The number of the SYN that began a life, where it was seen.
    pub(crate) fn initial_number(&self, life: usize) -> Option<TcpSeq> {
        self.initial.get(life).copied().flatten()
    }

    pub(crate) fn name(&self, vantage: usize) -> &str {
        &self.evidence.vantages[vantage].vantage.name
    }

    /// The vantages in the order in which a packet from `sender` passes them.
    pub(crate) fn travel(&self, sender: Side) -> Vec<usize> {
        let mut order = self.path.order.clone();
        if sender == Side::Server {
            order.reverse();
        }
        order
    }

    pub(crate) fn host_side(&self, vantage: usize) -> Option<Side> {
        self.ends.host_side(vantage)
    }

    /// When a segment of another flow passed a vantage, on the corrected clock.
    pub(crate) fn moment(&self, vantage: usize, digest: &Digest) -> i64 {
        let own = &self.joined.at[vantage];
        let before = own.partition_point(|own| own.carried.time <= digest.time);
        let order = before as i64 * 2 - 1;
        let clock = &self.path.clocks[vantage];
        corrected(digest, clock.at(order, digest.time.nanos()))
    }

    /// The median TTL of a sender's packets at a vantage, RSTs left out.
    pub(crate) fn usual_ttl(&self, vantage: usize, life: usize, sender: Side) -> Option<u8> {
        let mut ttls: Vec<u8> = self
            .life(vantage, life)
            .filter(|seen| seen.sender == sender && !seen.digest.is_rst())
            .map(|seen| seen.digest.ip.ttl)
            .collect();
        ttls.sort_unstable();
        ttls.get(ttls.len() / 2).copied()
    }

    /// A vantage's segments of one life.
    pub(crate) fn life(
        &self,
        vantage: usize,
        life: usize,
    ) -> impl Iterator<Item = &Seen<'a>> + Clone {
        self.seen[vantage]
            .iter()
            .filter(move |segment| segment.life == life)
    }
}

/// The neighbours at each vantage.
fn neighbours<'a>(
    nearby: &[Vec<Recorded<'a>>],
    path: &Path,
) -> (Vec<Vec<Neighbour<'a>>>, NeighbourCounts) {
    let expected = nearby.iter().map(Vec::len).max().unwrap_or(0);
    let mut flows: HashMap<Flow, usize> = HashMap::with_capacity(expected / 2);
    let mut packets = Packets::expecting(expected * 2);
    let at = nearby.iter().zip(&path.clocks).map(|(nearby, clock)| {
        let mut clock = clock.walk();
        let neighbour = |recorded: &Recorded<'a>| {
            let digest = recorded.digest;
            let offset = clock.at(recorded.order, digest.time.nanos());
            let way = number(&mut flows, digest.tuple.flow()) * 2
                + usize::from(digest.tuple.way() == Way::HighToLow);
            let (numbers, packet) = packets.number(way, digest);
            Neighbour {
                digest,
                sender: recorded.sender,
                at: corrected(digest, offset),
                way,
                numbers,
                packet,
            }
        };
        nearby.iter().map(neighbour).collect()
    });
    let at = at.collect();
    let counts = NeighbourCounts {
        flows: flows.len(),
        numbers: packets.numbers.len(),
        packets: packets.count,
    };
    (at, counts)
}

/// What neighbours sent, in numbers that are given as it comes.
struct Packets {
    /// By way, sequence and acknowledgement number.
    numbers: HashMap<(usize, u64), First>,
    /// Packets that have the numbers of another one, but not its length.
    others: HashMap<(usize, u32), usize>,
    count: usize,
}

/// The first packet that has some numbers.
struct First {
    numbers: usize,
    len: u32,
    packet: usize,
}

impl Packets {
    fn expecting(packets: usize) -> Self {
        Self {
            numbers: HashMap::with_capacity(packets),
            others: HashMap::new(),
            count: 0,
        }
    }

    /// The number of a segment's numbers, and that of its packet.
    fn number(&mut self, way: usize, digest: &Digest) -> (usize, usize) {
        let of_stream = u64::from(digest.seq.0) << 32 | u64::from(digest.ack.0);
        let (next, len) = (self.numbers.len(), digest.seq_len());
        let first = self.numbers.entry((way, of_stream)).or_insert(First {
            numbers: next,
            len,
            packet: self.count,
        });
        let packet = if first.len == len {
            first.packet
        } else {
            let other = self.others.entry((first.numbers, len));
            *other.or_insert(self.count)
        };
        self.count = self.count.max(packet + 1);
        (first.numbers, packet)
    }
}

/// The number of a thing among others, which are numbered as they come.
fn number<Thing: Eq + Hash>(known: &mut HashMap<Thing, usize>, thing: Thing) -> usize {
    let next = known.len();
    *known.entry(thing).or_insert(next)
}

/// Lives in the order in which they began.
fn in_order(count: usize, seen: &[Vec<Seen<'_>>]) -> Vec<usize> {
    let mut began = vec![i64::MAX; count];
    for segment in seen.iter().flatten() {
        let at = &mut began[segment.life];
        *at = segment.at.min(*at);
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|life| (began[*life], *life));
    order
}

fn initial(seen: &[Vec<Seen<'_>>], life: usize) -> Option<TcpSeq> {
    let of_life = || seen.iter().flatten().filter(|segment| segment.life == life);
    let syn = of_life().find(|segment| segment.digest.is_syn());
    syn.map(|segment| segment.digest.seq).or_else(|| {
        let syn_ack = of_life().find(|segment| segment.digest.is_syn_ack())?;
        Some(TcpSeq(syn_ack.digest.ack.0.wrapping_sub(1)))
    })
}

/// A segment's time on the path's clock. What is absurdly far off is held at ±73 years from 1970, so
/// that differences never overflow, whatever an agent says.
fn corrected(digest: &Digest, offset: Offset) -> i64 {
    const FAR: i64 = 1 << 61;
    digest
        .time
        .nanos()
        .saturating_sub(offset.nanos)
        .clamp(-FAR, FAR)
}

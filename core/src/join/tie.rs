//! What ties two strands together: that they are one connection, maybe under other addresses and with
//! other sequence numbers.

use hashbrown::{HashMap, HashSet};

use super::strand::Strand;
use crate::digest::{Digest, TcpFlags};
use crate::evidence::FlowEvidence;
use crate::flow::{Endpoint, Way};
use crate::seq::TcpSeq;

/// How one strand's numbers and directions become another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// The addresses sort the other way round, so that a way is the other's opposite.
    pub(super) flip: bool,
    /// What the other adds to the sequence numbers, by the way of *this* strand.
    pub(super) shift: [u32; 2],
}

impl Turn {
    pub(super) const NONE: Self = Self {
        flip: false,
        shift: [0, 0],
    };

    pub(super) const fn way(self, way: Way) -> Way {
        if self.flip { way.opposite() } else { way }
    }

    /// This turn, then `next`.
    pub(super) fn then(self, next: Self) -> Self {
        let add =
            |way: Way| self.shift[way as usize].wrapping_add(next.shift[self.way(way) as usize]);
        Self {
            flip: self.flip != next.flip,
            shift: [add(Way::LowToHigh), add(Way::HighToLow)],
        }
    }

    pub(super) fn undone(self) -> Self {
        let back = |way: Way| 0_u32.wrapping_sub(self.shift[self.way(way) as usize]);
        Self {
            flip: self.flip,
            shift: [back(Way::LowToHigh), back(Way::HighToLow)],
        }
    }
}

/// Two strands that are one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tie {
    pub(super) turn: Turn,
    /// About how many bits of chance it would take.
    pub(super) bits: u32,
    pub(super) by: TiedBy,
}

impl Tie {
    /// Whether no two connections can be so alike: then both names are one connection's, even at one vantage.
    pub(super) fn is_one(&self) -> bool {
        match self.by {
            TiedBy::BothInitialNumbers => true,
            // The SYN itself, by its number, timestamp, IP ID and one end.
            TiedBy::Handshake => self.bits >= 84,
            TiedBy::Payload => self.bits >= CERTAIN,
            TiedBy::Resets => false,
        }
    }
}

/// What told that two strands are one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TiedBy {
    /// The initial sequence numbers of both sides.
    BothInitialNumbers,
    /// One initial sequence number, with what else the handshake keeps.
    Handshake,
    /// Payload, and timestamps, seen in mid-stream.
    Payload,
    /// Only the resets themselves.
    Resets,
}

/// Less than this may be chance.
pub(super) const ENOUGH: u32 = 44;
/// Both initial numbers: two connections that share them are one.
pub(super) const CERTAIN: u32 = 64;

/// A strand with its segments.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) strand: &'a Strand,
    pub(super) segments: &'a [Digest],
}

impl<'a> View<'a> {
    pub(super) fn of(evidence: &'a FlowEvidence, strand: &'a Strand) -> Self {
        Self {
            strand,
            segments: &evidence.vantages[strand.vantage].segments,
        }
    }

    fn digests(self) -> impl Iterator<Item = &'a Digest> {
        let Self { strand, segments } = self;
        strand.segments.iter().map(move |index| &segments[*index])
    }

    /// What tells its packets apart, as far as nothing on the way changes it.
    pub(super) fn packets(self) -> HashSet<(u32, u32, u16, u32, u16, Option<u16>)> {
        self.digests()
            .filter(|digest| digest.seq.0 != 0)
            .map(|digest| {
                (
                    digest.seq.0,
                    digest.ack.0,
                    digest.flags.0,
                    digest.payload_len,
                    digest.window,
                    digest.ip.id,
                )
            })
            .collect()
    }

    fn syn(self) -> Option<&'a Digest> {
        self.strand.syn.map(|index| &self.segments[index])
    }

    /// Client and server, where the opening tells.
    fn ends(self) -> Option<[Endpoint; 2]> {
        let tuple = self.strand.flow.tuple(self.strand.opener?);
        Some([tuple.src, tuple.dst])
    }
}

/// Ties two strands, or finds nothing that would.
pub(super) fn tie(a: View<'_>, b: View<'_>) -> Option<Tie> {
    let same_name = a.strand.flow == b.strand.flow;
    match (a.strand.initial(), b.strand.initial()) {
        (Some(ours), Some(theirs)) => by_handshake(a, b, ours, theirs),
        _ => by_packets(a, b, same_name).or_else(|| by_resets(a, b)),
    }
}

/// Resets that are all that passed of a connection, or nearly: by their numbers and an end left alone.
fn by_resets(a: View<'_>, b: View<'_>) -> Option<Tie> {
    let told = |digest: &&Digest| digest.is_rst() && digest.seq.0 != 0;
    let numbers = |digest: &Digest| (digest.seq, digest.acked(), digest.flags, digest.window);
    let ours: HashMap<_, &Digest> = a
        .digests()
        .filter(told)
        .map(|digest| (numbers(digest), digest))
        .collect();
    let shared: HashMap<_, (&Digest, &Digest)> = b
        .digests()
        .filter(told)
        .filter_map(|theirs| {
            let one = *ours.get(&numbers(theirs))?;
            Some((theirs.seq, (one, theirs)))
        })
        .collect();
    let (one, other) = shared.values().next()?;
    let end = |one: Endpoint, other: Endpoint| {
        8 * u32::from(one.addr == other.addr) + 8 * u32::from(one == other)
    };
    let (ours, theirs) = (one.tuple, other.tuple);
    let kept = end(ours.src, theirs.src) + end(ours.dst, theirs.dst);
    let bits = 32 + 16 * (shared.len().min(3) as u32 - 1) + kept;
    (bits >= ENOUGH).then_some(Tie {
        turn: Turn {
            flip: ours.way() != theirs.way(),
            shift: [0, 0],
        },
        bits,
        by: TiedBy::Resets,
    })
}

/// What an initial number of one side tells when it is known at both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    Equal,
    Differs(u32),
    Unknown,
}

impl Number {
    fn of(ours: Option<TcpSeq>, theirs: Option<TcpSeq>) -> Self {
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours == theirs => Self::Equal,
            (Some(ours), Some(theirs)) => Self::Differs(theirs.0.wrapping_sub(ours.0)),
            _ => Self::Unknown,
        }
    }

    fn shift(self) -> u32 {
        match self {
            Self::Differs(shift) => shift,
            Self::Equal | Self::Unknown => 0,
        }
    }
}

fn by_handshake(
    a: View<'_>,
    b: View<'_>,
    ours: [Option<TcpSeq>; 2],
    theirs: [Option<TcpSeq>; 2],
) -> Option<Tie> {
    let opener = a.strand.opener?;
    let flip = Some(opener) != b.strand.opener;
    let same_name = a.strand.flow == b.strand.flow;
    if same_name && flip {
        return None;
    }
    let numbers = [0, 1].map(|side| Number::of(ours[side], theirs[side]));
    let mut shift = [0; 2];
    shift[opener as usize] = numbers[0].shift();
    shift[opener.opposite() as usize] = numbers[1].shift();
    let turn = Turn { flip, shift };
    if numbers == [Number::Equal; 2] {
        return Some(Tie {
            turn,
            bits: CERTAIN + kept(a, b),
            by: TiedBy::BothInitialNumbers,
        });
    }
    let equal = numbers.contains(&Number::Equal);
    let differs = numbers
        .iter()
        .any(|number| matches!(number, Number::Differs(_)));
    if !differs {
        let bits = 32 * u32::from(equal) + kept(a, b);
        return (equal && bits >= ENOUGH).then_some(Tie {
            turn,
            bits,
            by: TiedBy::Handshake,
        });
    }
    // Other numbers are another connection, unless a box rewrites them and leaves the rest alone.
    if numbers[0] != Number::Equal {
        let opening = opening_kept(a, b);
        let bits = if same_name { 36 + opening } else { kept(a, b) };
        if opening > 0 && bits >= ENOUGH {
            return Some(Tie {
                turn,
                bits,
                by: TiedBy::Handshake,
            });
        }
    }
    let found = by_packets(a, b, same_name)?;
    let agrees = |way: Way| {
        let side = usize::from(way != opener);
        numbers[side] == Number::Unknown
            || found.turn.shift[way as usize] == turn.shift[way as usize]
    };
    let all = agrees(Way::LowToHigh) && agrees(Way::HighToLow) && found.turn.flip == flip;
    all.then_some(Tie {
        by: TiedBy::Payload,
        ..found
    })
}

/// Bits of what translation often leaves alone: one end's address and port, and the SYN's timestamp and
/// IP ID.
fn kept(a: View<'_>, b: View<'_>) -> u32 {
    let (Some(ours), Some(theirs)) = (a.ends(), b.ends()) else {
        return 0;
    };
    let end = |side: usize, addr: u32, port: u32| {
        if ours[side].addr == theirs[side].addr {
            addr + port * u32::from(ours[side].port == theirs[side].port)
        } else {
            0
        }
    };
    end(0, 12, 4) + end(1, 8, 8) + opening_kept(a, b)
}

/// Bits of what a SYN keeps whatever its numbers and addresses become.
fn opening_kept(a: View<'_>, b: View<'_>) -> u32 {
    let (Some(ours), Some(theirs)) = (a.syn(), b.syn()) else {
        return 0;
    };
    let stamp = |digest: &Digest| digest.options.timestamps.map(|stamps| stamps.value);
    let stamps = match (stamp(ours), stamp(theirs)) {
        (Some(a), Some(b)) if a == b && a != 0 => 28,
        (Some(a), Some(b)) if a != b => return 0,
        _ => 0,
    };
    let id = |digest: &Digest| digest.ip.id.filter(|id| *id != 0);
    let ids = match (id(ours), id(theirs)) {
        (Some(a), Some(b)) if a == b => 12,
        _ => 0,
    };
    stamps + ids
}

/// What of a segment no translator touches, nor offload: where a payload begins it is the same for a
/// merged segment and for its first part.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
struct Content {
    payload: Option<u64>,
    stamps: Option<(u32, u32)>,
    kind: u16,
    /// Only where nothing better tells segments apart.
    window: Option<u16>,
    ip_id: Option<u16>,
}

/// Shorter payloads (probes, single keys) are too alike.
const PAYLOAD_TELLS: u32 = 8;

impl Content {
    fn of(digest: &Digest) -> Option<Self> {
        let payload = digest
            .payload_hash
            .filter(|_| digest.payload_len >= PAYLOAD_TELLS);
        let stamps = digest
            .options
            .timestamps
            .map(|stamps| (stamps.value, stamps.echo));
        let plain = payload.is_none() && stamps.is_none();
        let ip_id = digest.ip.id.filter(|id| plain && *id != 0);
        let kinds = TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0;
        (!plain || ip_id.is_some()).then_some(Self {
            payload,
            stamps,
            kind: digest.flags.0 & kinds,
            window: payload.is_none().then_some(digest.window),
            ip_id,
        })
    }
}

/// The segments of a strand that occur once in it, by content.
fn unique<'a>(view: View<'a>) -> HashMap<Content, Option<&'a Digest>> {
    let mut found: HashMap<Content, Option<&'a Digest>> = HashMap::new();
    for digest in view.digests() {
        if let Some(content) = Content::of(digest) {
            found
                .entry(content)
                .and_modify(|known| {
                    // Sent again, or recorded twice: the same number is no contradiction.
                    if known.is_some_and(|known| known.seq != digest.seq) {
                        *known = None;
                    }
                })
                .or_insert(Some(digest));
        }
    }
    found
}

/// One segment at both: which way it went at `a`, whether `b` has it the other way, and by how much its
/// numbers differ.
#[derive(Clone, Copy)]
struct Pair {
    way: Way,
    flip: bool,
    shift: u32,
    ack_shift: Option<u32>,
    payload: bool,
    /// What a proxy does not copy with the payload, and a translator leaves alone.
    kept: Kept,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    IpId,
    Timestamps,
    Nothing,
}

fn by_packets(a: View<'_>, b: View<'_>, same_name: bool) -> Option<Tie> {
    let (ours, theirs) = (unique(a), unique(b));
    let pairs: Vec<Pair> = ours
        .iter()
        .filter_map(|(content, one)| {
            let (one, other) = ((*one)?, (*theirs.get(content)?)?);
            let way = one.tuple.way();
            let both_ack = one.acked().zip(other.acked());
            Some(Pair {
                way,
                flip: other.tuple.way() != way,
                shift: other.seq.0.wrapping_sub(one.seq.0),
                ack_shift: both_ack.map(|(one, other)| other.0.wrapping_sub(one.0)),
                payload: content.payload.is_some(),
                kept: if one.ip.id.is_some_and(|id| id != 0) && one.ip.id == other.ip.id {
                    Kept::IpId
                } else if content.stamps.is_some() {
                    Kept::Timestamps
                } else {
                    Kept::Nothing
                },
            })
        })
        .collect();
    let flip = !same_name && pairs.iter().filter(|pair| pair.flip).count() * 2 > pairs.len();
    let pairs: Vec<Pair> = pairs.into_iter().filter(|pair| pair.flip == flip).collect();
    let shift = [Way::LowToHigh, Way::HighToLow].map(|way| usual_shift(&pairs, way).unwrap_or(0));
    let turn = Turn { flip, shift };
    let rewritten = turn.shift != [0, 0];
    let bits = pairs
        .iter()
        .filter(|pair| pair.agrees(turn) && (same_name || !rewritten || pair.kept != Kept::Nothing))
        .map(|pair| pair.bits(rewritten))
        .sum::<u32>()
        .min(160);
    // A program may say the same twice: one segment teaches no shift.
    let alike = same_name && (bits >= 24 || (bits > 0 && !rewritten));
    let total = bits + 40 * u32::from(alike);
    (total >= ENOUGH).then_some(Tie {
        turn,
        bits: total,
        by: TiedBy::Payload,
    })
}

impl Pair {
    fn agrees(&self, turn: Turn) -> bool {
        let acks = turn.shift[self.way.opposite() as usize];
        self.shift == turn.shift[self.way as usize] && self.ack_shift.is_none_or(|ack| ack == acks)
    }

    /// Numbers left as they were are 32 bits each; a shift has to be learned from one segment and is
    /// confirmed by the next.
    fn bits(&self, rewritten: bool) -> u32 {
        let numbers = match (rewritten, self.payload) {
            (false, true) => 40,
            (false, false) => 24,
            (true, true) => 12,
            (true, false) => 6,
        };
        numbers + 8 * u32::from(self.kept == Kept::IpId)
    }
}

/// The shift that most segments of a way have, by their own numbers or by what acknowledges them.
fn usual_shift(pairs: &[Pair], way: Way) -> Option<u32> {
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for pair in pairs {
        let shift = if pair.way == way {
            Some(pair.shift)
        } else {
            pair.ack_shift
        };
        if let Some(shift) = shift {
            *counts.entry(shift).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .max_by_key(|(shift, count)| (*count, *shift == 0, *shift))
        .map(|(shift, _)| shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turns() -> impl Strategy<Value = Turn> {
        (any::<bool>(), any::<[u32; 2]>()).prop_map(|(flip, shift)| Turn { flip, shift })
    }

    proptest! {
        #[test]
        fn a_turn_and_its_reverse_change_nothing(turn in turns()) {
            prop_assert_eq!(turn.then(turn.undone()), Turn::NONE);
            prop_assert_eq!(turn.undone().then(turn), Turn::NONE);
        }

        #[test]
        fn turns_add_up_in_any_grouping(a in turns(), b in turns(), c in turns()) {
            prop_assert_eq!(a.then(b).then(c), a.then(b.then(c)));
        }
    }
}

//! What the readings take of the segments that they come by.

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

use super::interest::{Carriers, Interest, Openings, PAYLOAD_TELLS, Payloads};
use super::packed::{Common, Moves};
use super::pile::Pile;
use super::spans::Spans;
use super::tally::Tally;
use super::{Glimpse, Take};
use crate::digest::{Digest, TcpFlags};
use crate::flow::{Flow, FourTuple};

/// Looks for resets, and for what connections begin with.
pub(super) struct Opener {
    pub(super) resets: HashSet<Flow>,
    pub(super) openings: Openings,
}

impl Opener {
    pub(super) fn new(hashing: &DefaultHashBuilder) -> Self {
        Self {
            resets: HashSet::new(),
            openings: Openings::new(hashing),
        }
    }

    #[inline(never)]
    fn add(&mut self, digest: &Digest) {
        if digest.is_rst() {
            self.resets.insert(digest.tuple.flow());
        }
        self.openings.add(digest);
    }
}

impl Take for Opener {
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    fn take(&mut self, _part: usize, segment: &impl Glimpse) {
        let flags = segment.head().flags;
        if flags.has(TcpFlags::SYN) || flags.has(TcpFlags::RST) {
            self.add(&segment.digest());
        }
    }

    fn beside(&self) -> Self {
        Self::new(self.openings.hashing())
    }

    fn join(&mut self, later: Self) {
        self.resets.extend(later.resets);
        self.openings.merge(later.openings);
    }
}

/// Keeps the segments of the flows of interest.
pub(super) struct Segments<'a> {
    interest: &'a Interest,
    pub(super) common: Common,
    pub(super) parts: Vec<Pile>,
}

impl<'a> Segments<'a> {
    pub(super) fn of(interest: &'a Interest, common: Common) -> Self {
        Self {
            interest,
            common,
            parts: Vec::new(),
        }
    }

    fn add(&mut self, part: usize, digest: &Digest) {
        let packed = self.common.pack(digest);
        self.part(part).push(packed);
    }

    fn part(&mut self, part: usize) -> &mut Pile {
        if self.parts.len() <= part {
            self.parts.resize_with(part + 1, Pile::default);
        }
        &mut self.parts[part]
    }

    /// Takes those of another one; returns what became of its numbers.
    fn absorb(&mut self, later: Self) -> Moves {
        let moves = self.common.absorb(later.common);
        for (part, segments) in later.parts.into_iter().enumerate() {
            self.part(part).absorb(segments, &moves);
        }
        moves
    }
}

impl Take for Segments<'_> {
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    fn take(&mut self, part: usize, segment: &impl Glimpse) {
        let hash = segment.head().tuple.flow_hash(&self.interest.hashing);
        if self.interest.has_flow(hash) {
            self.add(part, &segment.digest());
        }
    }

    fn beside(&self) -> Self {
        Self::of(self.interest, Common::new(&self.interest.hashing))
    }

    fn join(&mut self, later: Self) {
        self.absorb(later);
    }
}

/// Keeps those, their payloads and the handshakes of their hosts' other connections, and counts what else these
/// have.
pub(super) struct Collector<'a> {
    pub(super) segments: Segments<'a>,
    pub(super) payloads: Payloads,
    pub(super) handshakes: Pile,
    pub(super) tally: Tally,
    /// Flows that have to do with those of interest, as far as they were met.
    known: HashTable<Known>,
    /// Hashes of flows that have not, each at one place for all that it would share it with: the last one met.
    strangers: Vec<u64>,
}

/// A flow that has to do with those of interest.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Stands for it.
    hash: u64,
    number: u32,
    bearing: Bearing,
}

/// What a flow has to do with those of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bearing {
    /// It goes between the same hosts.
    Near,
    /// It is one of them, but has no reset of its own.
    Kin,
    Reset,
}

const STRANGERS: u64 = 1 << 12;

impl<'a> Collector<'a> {
    pub(super) fn new(interest: &'a Interest) -> Self {
        Self {
            segments: Segments::of(interest, Common::new(&interest.hashing)),
            payloads: Payloads::default(),
            handshakes: Pile::default(),
            tally: Tally::default(),
            known: HashTable::new(),
            // What no hash at that place is.
            strangers: (0..STRANGERS).map(|place| !place).collect(),
        }
    }

    /// What a flow has to do with those of interest.
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    fn known(&mut self, tuple: &FourTuple, hash: u64) -> Option<Known> {
        let known = self.known.find(hash, |known| known.hash == hash);
        if known.is_some() {
            return known.copied();
        }
        if self.strangers[(hash % STRANGERS) as usize] == hash {
            return None;
        }
        self.meet(tuple.flow(), hash)
    }

    /// The same of a flow that may be new.
    #[inline(never)]
    fn meet(&mut self, flow: Flow, hash: u64) -> Option<Known> {
        let interest = self.segments.interest;
        let bearing = if interest.has_reset(flow) {
            Bearing::Reset
        } else if interest.has_flow(hash) {
            Bearing::Kin
        } else if interest.has_pair(flow) {
            Bearing::Near
        } else {
            self.strangers[(hash % STRANGERS) as usize] = hash;
            return None;
        };
        let known = Known {
            hash,
            number: self.segments.common.flows.number(&flow, hash),
            bearing,
        };
        self.known.insert_unique(hash, known, |known| known.hash);
        Some(known)
    }

    /// Keeps a segment of a flow of interest.
    #[inline(never)]
    fn keep(&mut self, part: usize, digest: &Digest, bearing: Bearing) {
        if bearing == Bearing::Reset {
            self.payloads.seek(digest);
        }
        self.segments.add(part, digest);
    }

    #[inline(never)]
    fn keep_handshake(&mut self, digest: &Digest) {
        let packed = self.segments.common.pack(digest);
        self.handshakes.push(packed);
    }
}

impl Take for Collector<'_> {
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    fn take(&mut self, part: usize, segment: &impl Glimpse) {
        let interest = self.segments.interest;
        let head = segment.head();
        let hash = head.tuple.flow_hash(&interest.hashing);
        let known = self.known(&head.tuple, hash);
        if let Some(known) = known
            && known.bearing != Bearing::Near
        {
            self.keep(part, &segment.digest(), known.bearing);
        }
        if opens(head.flags) {
            let answers = head.flags.has(TcpFlags::ACK) && interest.has_end(head.tuple.src);
            if known.is_some() || answers {
                self.keep_handshake(&segment.digest());
            }
        } else if let Some(known) = known {
            self.tally.add(known.number, head.time);
        }
    }

    fn beside(&self) -> Self {
        Self::new(self.segments.interest)
    }

    fn join(&mut self, later: Self) {
        let moves = self.segments.absorb(later.segments);
        self.payloads.merge(later.payloads);
        self.handshakes.absorb(later.handshakes, &moves);
        self.tally.absorb(later.tally, &moves.flows);
    }
}

/// A SYN or a SYN+ACK.
fn opens(flags: TcpFlags) -> bool {
    flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::RST)
}

/// Keeps the segments of neighbours that are asked for, and notes who else carries a payload of interest.
pub(super) struct Picker<'a> {
    interest: &'a Interest,
    payloads: &'a Payloads,
    spans: &'a Spans,
    pub(super) common: Common,
    pub(super) others: Pile,
    pub(super) carriers: Carriers,
}

impl<'a> Picker<'a> {
    pub(super) fn new(
        interest: &'a Interest,
        payloads: &'a Payloads,
        spans: &'a Spans,
        common: Common,
    ) -> Self {
        Self {
            interest,
            payloads,
            spans,
            common,
            others: Pile::default(),
            carriers: Carriers::default(),
        }
    }

    #[inline(never)]
    fn keep(&mut self, digest: &Digest) {
        let packed = self.common.pack(digest);
        self.others.push(packed);
    }
}

impl Take for Picker<'_> {
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    fn take(&mut self, _part: usize, segment: &impl Glimpse) {
        let head = segment.head();
        let hash = head.tuple.flow_hash(&self.interest.hashing);
        if self.spans.hold(hash, head.time) && !opens(head.flags) {
            self.keep(&segment.digest());
        }
        if head.payload_len >= PAYLOAD_TELLS
            && let Some(payload) = segment.payload_hash()
            && self.payloads.were_seen(payload, head.time)
            && !self.interest.has_flow(hash)
        {
            self.carriers.take(payload, hash);
        }
    }

    fn seeks(&self) -> bool {
        !self.spans.is_empty() || !self.payloads.is_empty()
    }

    fn beside(&self) -> Self {
        let common = Common::new(&self.interest.hashing);
        Self::new(self.interest, self.payloads, self.spans, common)
    }

    fn join(&mut self, later: Self) {
        let moves = self.common.absorb(later.common);
        self.others.absorb(later.others, &moves);
        self.carriers.merge(later.carriers);
    }
}

//! Reading recordings as often as it takes to find what matters in them.

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

use super::interest::{Carriers, Interest, Openings, PAYLOAD_TELLS, Payloads};
use super::kept::{All, Kept, Spans};
use super::packed::{Common, Moves, Packed};
use super::tally::Tally;
use super::{Glimpse, Purpose, Recordings, Take};
use crate::digest::{Digest, TcpFlags};
use crate::flow::{Flow, FourTuple};

/// Digests of interest, before it is known who recorded them.
#[derive(Debug)]
pub struct Gathered {
    pub(super) kept: All,
    pub(super) flows: Vec<Flow>,
}

impl Gathered {
    /// Reads recordings as often as it takes to find what matters in them.
    ///
    /// # Errors
    /// What reading them says.
    pub fn read<R: Recordings>(recordings: &mut R) -> Result<Self, R::Error> {
        let vantages = recordings.vantages();
        let mut interest = resets(recordings)?;
        let flows = interest.flows();
        if flows.is_empty() {
            let kept = All::default();
            return Ok(Self { kept, flows });
        }
        let mut collectors: Vec<Collector<'_>> =
            (0..vantages).map(|_| Collector::new(&interest)).collect();
        recordings.read(Purpose::Segments, &mut collectors)?;
        let mut payloads = Payloads::default();
        let mut kept = Vec::with_capacity(vantages);
        for collector in collectors {
            payloads.merge(collector.payloads);
            kept.push(Kept::new(
                collector.segments.common,
                collector.segments.parts,
                collector.handshakes,
                collector.tally,
            ));
        }
        let mut kept = All::of(kept);
        let spans = kept.spans(&flows, recordings);
        let carriers = neighbours(recordings, &mut kept, &spans, &interest, &payloads)?;
        if !carriers.is_empty() {
            for flow in carriers {
                interest.add_flow(flow);
            }
            kept = carried(recordings, kept, &interest)?;
            // What they carry seldom shows another name.
            let known = kept.spans(&flows, recordings);
            if known != spans {
                neighbours(
                    recordings,
                    &mut kept,
                    &known,
                    &interest,
                    &Payloads::default(),
                )?;
            }
        }
        Ok(Self { kept, flows })
    }
}

/// Finds the flows with resets, and what else they may be called.
fn resets<R: Recordings>(recordings: &mut R) -> Result<Interest, R::Error> {
    let hashing = DefaultHashBuilder::default();
    let mut openers: Vec<Opener> = (0..recordings.vantages())
        .map(|_| Opener::new(&hashing))
        .collect();
    recordings.read(Purpose::Resets, &mut openers)?;
    let mut resets = HashSet::new();
    let mut openings = Openings::new(&hashing);
    for opener in openers {
        resets.extend(opener.resets);
        openings.merge(opener.openings);
    }
    let mut interest = Interest::new(resets, hashing);
    openings.kin(&mut interest);
    Ok(interest)
}

/// Reads the neighbours that are asked for; returns the hashes of flows that carry the same payload as one of
/// interest.
fn neighbours<R: Recordings>(
    recordings: &mut R,
    kept: &mut All,
    spans: &[Spans],
    interest: &Interest,
    payloads: &Payloads,
) -> Result<HashSet<u64>, R::Error> {
    let vantages = kept.vantages.iter_mut().zip(spans);
    let mut pickers: Vec<Picker<'_>> = vantages
        .map(|(kept, spans)| Picker {
            interest,
            payloads,
            spans,
            common: std::mem::replace(&mut kept.common, Common::new(&interest.hashing)),
            others: Vec::new(),
            carriers: Carriers::default(),
        })
        .collect();
    recordings.read(Purpose::Neighbours, &mut pickers)?;
    let mut carriers = Carriers::default();
    for (kept, picker) in kept.vantages.iter_mut().zip(pickers) {
        carriers.merge(picker.carriers);
        kept.common = picker.common;
        kept.set_others(picker.others);
    }
    Ok(carriers.flows().collect())
}

/// Reads the segments of the flows of interest once more: there are more of these now, and all of them are to
/// stand in the order of capture.
fn carried<R: Recordings>(
    recordings: &mut R,
    kept: All,
    interest: &Interest,
) -> Result<All, R::Error> {
    let mut kept = kept.vantages;
    let mut takers = Vec::with_capacity(kept.len());
    for kept in &mut kept {
        kept.forget_segments();
        let common = std::mem::replace(&mut kept.common, Common::new(&interest.hashing));
        takers.push(Segments::of(interest, common));
    }
    recordings.read(Purpose::Carriers, &mut takers)?;
    for (kept, taker) in kept.iter_mut().zip(takers) {
        kept.common = taker.common;
        kept.set_segments(taker.parts);
    }
    Ok(All::of(kept))
}

/// Looks for resets, and for what connections begin with.
struct Opener {
    resets: HashSet<Flow>,
    openings: Openings,
}

impl Opener {
    fn new(hashing: &DefaultHashBuilder) -> Self {
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
    #[inline]
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
struct Segments<'a> {
    interest: &'a Interest,
    common: Common,
    parts: Vec<Vec<Packed>>,
}

impl<'a> Segments<'a> {
    fn of(interest: &'a Interest, common: Common) -> Self {
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

    fn part(&mut self, part: usize) -> &mut Vec<Packed> {
        if self.parts.len() <= part {
            self.parts.resize_with(part + 1, Vec::new);
        }
        &mut self.parts[part]
    }

    /// Takes those of another one; returns what became of its numbers.
    fn absorb(&mut self, later: Self) -> Moves {
        let moves = self.common.absorb(later.common);
        for (part, segments) in later.parts.into_iter().enumerate() {
            moved(self.part(part), &segments, &moves);
        }
        moves
    }
}

/// Puts to some segments those of another one.
fn moved(all: &mut Vec<Packed>, later: &[Packed], moves: &Moves) {
    all.reserve_exact(later.len());
    all.extend(later.iter().map(|packed| packed.moved(moves)));
}

impl Take for Segments<'_> {
    #[inline]
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
struct Collector<'a> {
    segments: Segments<'a>,
    payloads: Payloads,
    handshakes: Vec<Packed>,
    tally: Tally,
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
    fn new(interest: &'a Interest) -> Self {
        Self {
            segments: Segments::of(interest, Common::new(&interest.hashing)),
            payloads: Payloads::default(),
            handshakes: Vec::new(),
            tally: Tally::default(),
            known: HashTable::new(),
            // What no hash at that place is.
            strangers: (0..STRANGERS).map(|place| !place).collect(),
        }
    }

    /// What a flow has to do with those of interest.
    #[inline]
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
    #[inline]
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
        moved(&mut self.handshakes, &later.handshakes, &moves);
        self.tally.absorb(later.tally, &moves.flows);
    }
}

/// A SYN or a SYN+ACK.
fn opens(flags: TcpFlags) -> bool {
    flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::RST)
}

/// Keeps the segments of neighbours that are asked for, and notes who else carries a payload of interest.
struct Picker<'a> {
    interest: &'a Interest,
    payloads: &'a Payloads,
    spans: &'a Spans,
    common: Common,
    others: Vec<Packed>,
    carriers: Carriers,
}

impl Picker<'_> {
    #[inline(never)]
    fn keep(&mut self, digest: &Digest) {
        let packed = self.common.pack(digest);
        self.others.push(packed);
    }
}

impl Take for Picker<'_> {
    #[inline]
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

    fn beside(&self) -> Self {
        Self {
            common: Common::new(&self.interest.hashing),
            others: Vec::new(),
            carriers: Carriers::default(),
            ..*self
        }
    }

    fn join(&mut self, later: Self) {
        let moves = self.common.absorb(later.common);
        moved(&mut self.others, &later.others, &moves);
        self.carriers.merge(later.carriers);
    }
}

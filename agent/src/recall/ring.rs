//! The ring: the latest segments, as many as fit, found by flow, by initial number and by payload.
//!
//! Records are written one after another and overwrite the oldest. Two tables of chains lead from a hash
//! to the latest record and from each record to the one before it: by flow, and by what else a segment may
//! be looked for (the number of a SYN, the hash of a payload). Tables and records are allocated once.
//!
//! What is overwritten is not read before: the ring remembers where about a thousand of its records begin, and
//! forgets what lies before one of them at once.

use std::collections::VecDeque;

use parallax_core::digest::TcpFlags;
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest, Flow, TcpSeq};

use super::record::{self, LONGEST, Record, SHIPPED, UNIT};
use crate::noted::Noted;
use crate::noted::key::FlowKey;

mod search;

pub use search::Searched;

/// The least memory that does its work, in octets.
pub const LEAST_OCTETS: usize = 1 << 20;

/// Records that one search looks at, at most: a table's chain may hold other flows' too.
const STEPS_MAX: usize = 1 << 17;

/// A clock that goes back by this much was set; less is a capture that mixes its sources.
const SET_BACK: i64 = SECOND / 2;

/// Before all segments.
const EVER: CaptureTime = CaptureTime::from_nanos(i64::MIN);

/// Parts in which a ring is forgotten.
const PARTS: usize = 1024;
/// One is begun, and one is about to be forgotten.
const PARTS_MAX: usize = PARTS + 2;

/// The chain that a record is looked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Flow,
    Mark,
}

impl By {
    /// Where a record says how far back the one before it in this chain lies, in units.
    const fn place(self) -> usize {
        match self {
            Self::Flow => 4,
            Self::Mark => 8,
        }
    }
}

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sought {
    pub flows: Vec<Flow>,
    pub numbers: Vec<u32>,
    pub payload_hashes: Vec<u64>,
    pub from: CaptureTime,
    /// Included.
    pub until: CaptureTime,
}

/// One flow in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub flow: Flow,
    /// Segments of it in the ring.
    pub count: u64,
    /// First and last of them.
    pub seen: Option<(CaptureTime, CaptureTime)>,
}

/// What a search brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Segments within the span that had not travelled, in the order of capture. They count as travelled now.
    pub digests: Vec<Digest>,
    /// The asked flows in their order, then those found by numbers and hashes.
    pub flows: Vec<Held>,
    /// From when on all segments of these flows were looked at and are here; `None`: the search was cut short
    /// by what it brought.
    pub since: Option<CaptureTime>,
}

/// The latest segments of everything.
#[derive(Debug)]
pub struct Ring {
    records: Vec<u8>,
    /// Positions rise for ever; a record lies at its position modulo the size.
    head: u64,
    /// The first record that is not forgotten.
    tail: u64,
    /// Where the head lies.
    head_at: usize,
    /// The first record of each part after the one that the tail is in.
    parts: VecDeque<u64>,
    /// Where the next part begins.
    next_part: u64,
    by_flow: Vec<u64>,
    by_mark: Vec<u64>,
    newest: CaptureTime,
    /// The first record after the clock was set back last.
    steady_from: u64,
    forgot: bool,
}

impl Ring {
    /// A ring of at most `octets` (no less than [`LEAST_OCTETS`] are used). Pages are touched as they are
    /// needed.
    pub fn new(octets: usize) -> Self {
        let octets = octets.max(LEAST_OCTETS);
        // A record takes some 72 octets: about one place in each table for every two of them.
        let places = (octets / 256).next_power_of_two() / 2;
        let beside = (2 * places + PARTS_MAX) * size_of::<u64>();
        let size = (octets - beside) / UNIT * UNIT;
        Self {
            records: vec![0; size],
            head: 0,
            tail: 0,
            head_at: 0,
            parts: VecDeque::with_capacity(PARTS_MAX),
            next_part: (size / PARTS) as u64,
            by_flow: vec![0; places],
            by_mark: vec![0; places],
            newest: EVER,
            steady_from: 0,
            forgot: false,
        }
    }

    /// Octets that it takes, all told.
    pub fn octets(&self) -> usize {
        let tables = self.by_flow.len() + self.by_mark.len();
        self.records.len() + (tables + self.parts.capacity()) * size_of::<u64>()
    }

    /// How far back it surely holds everything; `None`: to the start of the capture.
    pub fn horizon(&self) -> Option<CaptureTime> {
        let oldest = self.oldest();
        let known = self.forgot || self.steady_from > 0;
        (known && oldest < self.head).then(|| self.record(oldest).time())
    }

    /// The oldest record that counts.
    fn oldest(&self) -> u64 {
        self.tail.max(self.steady_from)
    }

    /// Reads what [`Self::push`] will need for these, so that it waits for memory once for all of them and
    /// not for each; the value means nothing.
    pub fn foresee(&self, batch: &[Noted]) -> u64 {
        let flows = batch.iter().fold(0, |read, noted| {
            read ^ self.by_flow[self.place_of(noted.of.hash)]
        });
        let marks = batch.iter().filter_map(|noted| noted.mark);
        marks.fold(flows, |read, mark| read ^ self.by_mark[self.place_of(mark)])
    }

    /// Keeps a segment.
    pub fn push(&mut self, noted: &Noted, shipped: bool) {
        let room = record::room_for(noted);
        self.make_room(room);
        if self.newest.since(noted.time) >= SET_BACK {
            self.steady_from = self.head;
            self.newest = noted.time;
        }
        self.newest = self.newest.max(noted.time);
        let flow = self.link(By::Flow, noted.of.hash);
        let marked = noted.mark.map_or(0, |mark| self.link(By::Mark, mark));
        let at = self.head_at;
        let room = &mut self.records[at..at + room];
        let len = record::write(noted, shipped, [flow, marked], room);
        self.head += len as u64;
        self.head_at += len;
    }

    fn at(&self, position: u64) -> usize {
        (position % self.records.len() as u64) as usize
    }

    /// A multiply takes the hash's upper bits: numbers that rise by one must not fall together.
    fn place_of(&self, hash: u64) -> usize {
        let mixed = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> (64 - self.by_flow.len().trailing_zeros())) as usize
    }

    /// Puts the next record at the head of a chain; how far back its predecessor lies, 0: there is none.
    fn link(&mut self, by: By, hash: u64) -> u32 {
        let place = self.place_of(hash);
        let heads = match by {
            By::Flow => &mut self.by_flow,
            By::Mark => &mut self.by_mark,
        };
        // Plus one: zero is nothing.
        let before = std::mem::replace(&mut heads[place], self.head + 1);
        match before.checked_sub(1) {
            Some(before) if before >= self.tail => ((self.head - before) / UNIT as u64) as u32,
            _ => 0,
        }
    }

    /// Forgets what lies in the way of a record of at most this length. What is left at the ring's end stays
    /// empty if the record does not fit there.
    #[inline]
    fn make_room(&mut self, len: usize) {
        let size = self.records.len();
        let left = size - self.head_at;
        if left < len {
            self.head += left as u64;
            self.head_at = 0;
        }
        let end = self.head + len as u64;
        if end > self.tail + size as u64 {
            self.forget_up_to(end - size as u64);
        }
        if self.head >= self.next_part {
            self.parts.push_back(self.head);
            self.next_part = self.head + (size / PARTS) as u64;
        }
    }

    /// Nothing before this position counts.
    #[inline(never)]
    fn forget_up_to(&mut self, position: u64) {
        self.forgot = true;
        while self.tail < position {
            self.tail = self.parts.pop_front().unwrap_or(self.head);
        }
    }

    fn record(&self, position: u64) -> Record<'_> {
        let at = self.at(position);
        let end = (at + LONGEST).min(self.records.len());
        Record::new(&self.records[at..end])
    }

    /// The next older record of a chain, if it lies at `from` or later.
    fn before(&self, by: By, position: u64, from: u64) -> Option<u64> {
        let at = self.at(position) + by.place();
        let distance: [u8; 4] = self.records[at..at + 4].try_into().unwrap_or_default();
        let distance = u64::from(u32::from_le_bytes(distance)) * UNIT as u64;
        let before = position.checked_sub(distance)?;
        (distance > 0 && before >= from).then_some(before)
    }

    /// The newest record of a chain, if it lies at `from` or later.
    fn newest(&self, by: By, hash: u64, from: u64) -> Option<u64> {
        let place = self.place_of(hash);
        let newest = match by {
            By::Flow => self.by_flow[place],
            By::Mark => self.by_mark[place],
        };
        newest.checked_sub(1).filter(|position| *position >= from)
    }

    /// A chain's positions from `from` on, newest first. No record before it is read.
    fn chain(&self, by: By, hash: u64, from: u64) -> impl Iterator<Item = u64> {
        let from = from.max(self.oldest());
        let newest = self.newest(by, hash, from);
        std::iter::successors(newest, move |position| self.before(by, *position, from))
    }

    /// These digests, all of one flow, travel: those of them that are here count as travelled.
    pub fn shipped(&mut self, digests: &[Digest]) {
        let Some(first) = digests.first() else { return };
        let oldest = digests.iter().map(|digest| digest.time).min();
        let found: Vec<u64> = self
            .chain(By::Flow, FlowKey::of(first.tuple).0.hash(), 0)
            .take(STEPS_MAX)
            .take_while(|position| Some(self.record(*position).time().plus(SET_BACK)) >= oldest)
            .filter(|position| self.record(*position).is_among(digests))
            .take(digests.len())
            .collect();
        for position in found {
            self.ship(position);
        }
    }

    fn ship(&mut self, position: u64) {
        let at = self.at(position);
        self.records[at] |= SHIPPED;
    }

    /// Looks for connections.
    pub fn search(&mut self, sought: &Sought) -> Found {
        self.search_on(sought, &mut Searched::default())
    }
}

/// What a segment may be looked for by, beside its flow; `payload`: its length and hash.
#[inline]
pub(crate) fn mark(flags: TcpFlags, seq: TcpSeq, payload: (u32, Option<u64>)) -> Option<u64> {
    /// Shorter payloads are alike everywhere.
    const TELLING: u32 = 16;
    if flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::RST) {
        return Some(opening(seq.0));
    }
    let (len, hash) = payload;
    hash.filter(|_| len >= TELLING)
}

/// As [`mark`].
pub(crate) fn mark_of(digest: &Digest) -> Option<u64> {
    let payload = (digest.payload_len, digest.payload_hash);
    mark(digest.flags, digest.seq, payload)
}

/// Initial numbers and payload hashes share a table; this keeps them apart.
fn opening(number: u32) -> u64 {
    u64::from(number) | 1 << 40
}

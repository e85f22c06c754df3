//! The flows that are known: a set-associative table with what each remembers.
//!
//! A set and a known flow fill one cache line each. Within a set the order of use is kept exactly: a full set
//! gives up the flow whose last segment lies farthest back in the order of packets, whatever clocks say.

use std::ops::{Index, IndexMut};

use parallax_core::digest::TcpFlags;
use parallax_core::{CaptureTime, Way};

use super::Grace;
use super::segments::{Chain, Slot};
use crate::noted::Noted;
use crate::noted::key::{Family, FlowKey, Words};

/// Flows that share a set.
const WAYS: usize = 8;

/// How many flows are looked at for remembered segments to give up.
const CANDIDATES: usize = 8;

/// How many more are looked at while none of those remembers any.
const CANDIDATES_MAX: usize = 1024;

/// The segments that a flow holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Remembered {
    /// By direction, low to high first.
    pub chains: [Chain; 2],
    pub handshake_ack: Option<Slot>,
    /// Some of them take more than one slot.
    pub wide: bool,
}

/// Where the segments of a flow lie, without the chains' lengths, which fit elsewhere.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    chains: [Option<Slot>; 2],
    handshake_ack: Option<Slot>,
}

/// One known flow.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct KnownFlow {
    /// When a RST came, while [`Marks::RESET`] is set.
    reset_at: CaptureTime,
    words: Words,
    places: Places,
    /// When the last segment came, in [`AGE`]s.
    last: u32,
    lens: [u8; 2],
    /// Segments that the grace still ships.
    grace_left: u8,
    marks: u8,
}

const _: () = assert!(size_of::<KnownFlow>() == 64 && size_of::<Set>() == 64);

/// Segments until a flow counts as older by one.
const AGE: u64 = 16;

/// Marks of a flow. The first two and the second two stand for its directions.
const MET: u8 = 1;
/// The direction sent a SYN and not yet the ACK that completes its handshake.
const ASKING: u8 = 4;
const RESET: u8 = 16;
const V6: u8 = 32;
/// Some of its segments took more than one slot.
const WIDE: u8 = 64;

const fn side(way: Way) -> usize {
    match way {
        Way::LowToHigh => 0,
        Way::HighToLow => 1,
    }
}

impl KnownFlow {
    fn new(key: &FlowKey) -> Self {
        Self {
            reset_at: CaptureTime::default(),
            words: key.words,
            places: Places::default(),
            last: 0,
            lens: [0; 2],
            grace_left: 0,
            marks: match key.family {
                Family::V4 => 0,
                Family::V6 => V6,
            },
        }
    }

    #[inline]
    fn is(&self, key: &FlowKey) -> bool {
        key.is(&self.words, self.family())
    }

    fn family(&self) -> Family {
        if self.marks & V6 == 0 {
            Family::V4
        } else {
            Family::V6
        }
    }

    pub fn key(&self) -> FlowKey {
        FlowKey {
            words: self.words,
            family: self.family(),
        }
    }

    /// Notes a segment; true for the first of its direction.
    #[inline]
    pub fn meet(&mut self, way: Way) -> bool {
        let bit = MET << side(way);
        let met = self.marks & bit != 0;
        self.marks |= bit;
        !met
    }

    pub fn await_handshake_ack(&mut self, way: Way) {
        self.marks &= !(ASKING | ASKING << 1);
        self.marks |= ASKING << side(way);
    }

    /// Whether the segment completes a handshake that was asked for in its direction.
    #[inline]
    pub fn takes_handshake_ack(&mut self, noted: &Noted) -> bool {
        let bit = ASKING << side(noted.of.way);
        let completes = self.marks & bit != 0 && noted.flags.has(TcpFlags::ACK);
        if completes {
            self.marks &= !bit;
        }
        completes
    }

    pub fn take_handshake_ack(&mut self) -> Option<Slot> {
        self.places.handshake_ack.take()
    }

    pub fn set_handshake_ack(&mut self, slot: Option<Slot>) {
        self.places.handshake_ack = slot;
    }

    pub fn begin_grace(&mut self, since: CaptureTime, grace: Grace) {
        self.marks |= RESET;
        self.reset_at = since;
        self.grace_left = grace.segments;
    }

    /// Whether a segment at `time` falls into the grace after a RST; if so, it uses some of it up.
    #[inline]
    pub fn spend_grace(&mut self, time: CaptureTime, grace: Grace) -> bool {
        if self.marks & RESET == 0 {
            return false;
        }
        let within = self.grace_left > 0 && time.since(self.reset_at) <= grace.nanos;
        if within {
            self.grace_left -= 1;
        } else {
            self.marks &= !RESET;
        }
        within
    }

    #[inline]
    pub fn chain(&self, way: Way) -> Chain {
        let side = side(way);
        Chain {
            at: self.places.chains[side],
            len: self.lens[side],
        }
    }

    #[inline]
    pub fn set_chain(&mut self, way: Way, chain: Chain) {
        let side = side(way);
        self.places.chains[side] = chain.at;
        self.lens[side] = chain.len;
    }

    /// Whether some of its segments may take more than one slot.
    #[inline]
    pub fn is_wide(&self) -> bool {
        self.marks & WIDE != 0
    }

    pub fn holds_wide(&mut self) {
        self.marks |= WIDE;
    }

    fn is_empty(&self) -> bool {
        self.lens == [0; 2] && self.places.handshake_ack.is_none()
    }

    pub fn take_remembered(&mut self) -> Remembered {
        let chains = [self.chain(Way::LowToHigh), self.chain(Way::HighToLow)];
        self.lens = [0; 2];
        let places = std::mem::take(&mut self.places);
        let wide = self.marks & WIDE != 0;
        self.marks &= !WIDE;
        Remembered {
            chains,
            handshake_ack: places.handshake_ack,
            wide,
        }
    }
}

/// Flows whose hashes fall together.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Set {
    /// The ways in the order of their use, one octet each, the latest lowest.
    order: u64,
    /// Part of each flow's hash, four a word; zero is empty.
    tags: [u64; 2],
    /// Place of each flow plus one; zero is empty.
    places: [u32; WAYS],
}

/// The same number in each octet.
const EACH: u64 = 0x0101_0101_0101_0101;

impl Set {
    const EMPTY: Self = Self {
        order: 0x0706_0504_0302_0100,
        tags: [0; 2],
        places: [0; WAYS],
    };

    fn place(&self, way: usize) -> Option<usize> {
        self.places[way].checked_sub(1).map(|place| place as usize)
    }

    /// Marks the ways whose tags are the same, two bits apart, and seldom one more.
    #[inline]
    fn alike(&self, tag: u16) -> u64 {
        const LANES: u64 = 0x0001_0001_0001_0001;
        // A lane that is equal becomes zero, and borrows from its highest bit.
        let equal = |tags: u64| {
            let differ = tags ^ (LANES * u64::from(tag));
            differ.wrapping_sub(LANES) & !differ & (LANES << 15)
        };
        equal(self.tags[0]) >> 15 | equal(self.tags[1]) >> 14
    }

    /// The way of a mark of [`Self::alike`].
    #[inline]
    fn way_of(mark: u32) -> usize {
        (mark / 16 + mark % 16 * 4) as usize
    }

    /// The way that was used longest ago; an empty one if there is one.
    fn oldest(&self) -> usize {
        (self.order >> 56) as usize
    }

    /// Puts a way before all others.
    #[inline]
    fn use_way(&mut self, way: usize) {
        let order = self.order;
        if order as u8 as usize == way {
            return;
        }
        // The octet that is equal becomes zero, and only it borrows.
        let differ = order ^ (EACH * way as u64);
        let zero = differ.wrapping_sub(EACH) & !differ & (EACH << 7);
        let rank = zero.trailing_zeros() / 8;
        let moved = u64::MAX >> (56 - 8 * rank);
        self.order = (order & !moved) | ((order << 8) & moved) | way as u64;
    }

    fn put(&mut self, way: usize, tag: u16, place: usize) {
        let shift = 16 * (way % 4);
        let tags = &mut self.tags[way / 4];
        *tags = (*tags & !(0xffff << shift)) | (u64::from(tag) << shift);
        self.places[way] = place as u32 + 1;
        self.use_way(way);
    }
}

/// The known flows, in sets of [`WAYS`].
#[derive(Debug)]
pub(super) struct Flows {
    sets: Vec<Set>,
    known: Vec<KnownFlow>,
    /// Where the search for an idle flow goes on.
    hand: usize,
    /// Segments so far.
    segments: u64,
}

/// Never zero.
fn tag(hash: u64) -> u16 {
    (hash as u16).max(1)
}

impl Flows {
    /// As many flows as fit into `octets`.
    pub fn within(octets: usize) -> Self {
        let sets = octets / (WAYS * size_of::<KnownFlow>() + size_of::<Set>());
        let sets = sets.clamp(1, u32::MAX as usize / WAYS - 1);
        Self {
            sets: vec![Set::EMPTY; sets],
            known: Vec::with_capacity(sets * WAYS),
            hand: 0,
            segments: 0,
        }
    }

    pub fn octets(&self) -> usize {
        size_of_val(self.sets.as_slice()) + size_of_val(self.known.as_slice())
    }

    #[cfg(test)]
    pub fn reserved(&self) -> [usize; 2] {
        [self.sets.capacity(), self.known.capacity()]
    }

    /// The set that a hash belongs to: the upper half of the hash, scaled.
    #[inline]
    fn set(&self, hash: u64) -> usize {
        (((hash >> 32) * self.sets.len() as u64) >> 32) as usize
    }

    /// Reads from the set of a hash.
    #[inline]
    pub fn touch_set(&self, hash: u64) -> u64 {
        self.sets[self.set(hash)].order
    }

    /// Where the flow of a hash probably is; else the place that it will probably get, if that is taken.
    #[inline]
    pub fn guess(&self, hash: u64) -> Option<usize> {
        let set = &self.sets[self.set(hash)];
        match set.alike(tag(hash)) {
            0 => set.place(set.oldest()),
            alike => set.place(Set::way_of(alike.trailing_zeros())),
        }
    }

    /// Reads from a place.
    #[inline]
    pub fn touch(&self, place: usize) -> u64 {
        self.known[place].marks.into()
    }

    /// The place of a known flow, which counts as used.
    #[inline]
    pub fn find(&mut self, noted: &Noted) -> Option<usize> {
        self.segments += 1;
        let age = (self.segments / AGE) as u32;
        let set = self.set(noted.of.hash);
        let set = &mut self.sets[set];
        let mut alike = set.alike(tag(noted.of.hash));
        while alike != 0 {
            let way = Set::way_of(alike.trailing_zeros());
            alike &= alike - 1;
            let Some(place) = set.place(way) else {
                continue;
            };
            let known = &mut self.known[place];
            if known.is(&noted.of.key) {
                known.last = age;
                set.use_way(way);
                return Some(place);
            }
        }
        None
    }

    /// A place for a flow that is not known, and what the flow that had it remembered.
    pub fn place(&mut self, noted: &Noted) -> (usize, Option<Remembered>) {
        let set = self.set(noted.of.hash);
        let set = &mut self.sets[set];
        let mut fresh = KnownFlow::new(&noted.of.key);
        fresh.last = (self.segments / AGE) as u32;
        let way = set.oldest();
        let tag = tag(noted.of.hash);
        if let Some(place) = set.place(way) {
            set.put(way, tag, place);
            let gone = self.known[place].take_remembered();
            self.known[place] = fresh;
            return (place, Some(gone));
        }
        let place = self.known.len();
        set.put(way, tag, place);
        self.known.push(fresh);
        (place, None)
    }

    /// The longest idle among the next few flows that remember something, other than `but`.
    pub fn idle_with_segments(&mut self, but: usize) -> Option<usize> {
        let now = (self.segments / AGE) as u32;
        let mut best: Option<(u32, usize)> = None;
        for looked_at in 0..self.known.len().min(CANDIDATES_MAX) {
            if looked_at >= CANDIDATES && best.is_some() {
                break;
            }
            self.hand += 1;
            if self.hand >= self.known.len() {
                self.hand = 0;
            }
            let flow = &self.known[self.hand];
            if self.hand == but || flow.is_empty() {
                continue;
            }
            let idle = now.wrapping_sub(flow.last);
            if best.is_none_or(|(most, _)| idle > most) {
                best = Some((idle, self.hand));
            }
        }
        best.map(|(_, place)| place)
    }
}

impl Index<usize> for Flows {
    type Output = KnownFlow;

    #[inline]
    fn index(&self, place: usize) -> &KnownFlow {
        &self.known[place]
    }
}

impl IndexMut<usize> for Flows {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut KnownFlow {
        &mut self.known[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_the_order_of_use_of_its_ways() {
        let mut set = Set::EMPTY;
        let mut expected: Vec<usize> = (0..WAYS).collect();
        let mut way = 5;
        for _ in 0..500 {
            way = (way * 5 + 3) % 11;
            let used = way % WAYS;
            set.use_way(used);
            expected.retain(|other| *other != used);
            expected.insert(0, used);
            let order: Vec<usize> = set.order.to_le_bytes().map(usize::from).to_vec();
            assert_eq!(order, expected);
            assert_eq!(set.oldest(), expected[WAYS - 1]);
        }
    }
}

//! The flows that are known: a set-associative table with what each remembers.

use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

use parallax_core::{CaptureTime, Digest, Flow, Way};

use super::Grace;

/// Flows that share a set; a full set gives up its longest idle one.
const WAYS: usize = 8;

/// How many flows are looked at for remembered segments to give up.
const CANDIDATES: usize = 32;

/// How many more are looked at while none of those remembers any.
const CANDIDATES_MAX: usize = 1024;

/// A place in the slab of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(NonZeroU32);

impl Slot {
    pub const COUNT_MAX: usize = u32::MAX as usize - 1;

    pub fn new(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// One direction's remembered segments, linked from the oldest to the youngest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Chain {
    ends: Option<(Slot, Slot)>,
    len: u8,
}

impl Chain {
    pub fn of_one(slot: Slot) -> Self {
        Self {
            ends: Some((slot, slot)),
            len: 1,
        }
    }

    pub fn len(self) -> u8 {
        self.len
    }

    pub fn ends(self) -> Option<(Slot, Slot)> {
        self.ends
    }

    pub fn oldest(self) -> Option<Slot> {
        self.ends.map(|(oldest, _)| oldest)
    }

    pub fn grow(&mut self, youngest: Slot) {
        let oldest = self.oldest().unwrap_or(youngest);
        self.ends = Some((oldest, youngest));
        self.len += 1;
    }

    pub fn turn(&mut self, oldest: Slot, youngest: Slot) {
        self.ends = Some((oldest, youngest));
    }
}

/// The segments that a flow holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Remembered {
    /// By direction, low to high first.
    pub chains: [Chain; 2],
    pub handshake_ack: Option<Slot>,
}

impl Remembered {
    fn is_empty(&self) -> bool {
        self.chains.iter().all(|chain| chain.len == 0) && self.handshake_ack.is_none()
    }
}

/// What follows a RST is shipped.
#[derive(Debug, Clone, Copy)]
struct AfterReset {
    since: CaptureTime,
    left: u8,
}

/// One known flow.
#[derive(Debug)]
pub(super) struct KnownFlow {
    flow: Flow,
    last: CaptureTime,
    remembered: Remembered,
    /// By direction: whether a segment was met.
    met: [bool; 2],
    /// The direction that sent a SYN and not yet the ACK that completes its handshake.
    asking: Option<Way>,
    after_reset: Option<AfterReset>,
}

const fn side(way: Way) -> usize {
    match way {
        Way::LowToHigh => 0,
        Way::HighToLow => 1,
    }
}

impl KnownFlow {
    fn new(flow: Flow, last: CaptureTime) -> Self {
        Self {
            flow,
            last,
            remembered: Remembered::default(),
            met: [false; 2],
            asking: None,
            after_reset: None,
        }
    }

    /// Notes a segment; true for the first of its direction.
    pub fn meet(&mut self, way: Way, time: CaptureTime) -> bool {
        self.last = self.last.max(time);
        !std::mem::replace(&mut self.met[side(way)], true)
    }

    pub fn await_handshake_ack(&mut self, way: Way) {
        self.asking = Some(way);
    }

    /// Whether the segment completes a handshake that was asked for in its direction.
    pub fn takes_handshake_ack(&mut self, way: Way, digest: &Digest) -> bool {
        let completes = self.asking == Some(way) && digest.acked().is_some();
        if completes {
            self.asking = None;
        }
        completes
    }

    pub fn take_handshake_ack(&mut self) -> Option<Slot> {
        self.remembered.handshake_ack.take()
    }

    pub fn set_handshake_ack(&mut self, slot: Option<Slot>) {
        self.remembered.handshake_ack = slot;
    }

    pub fn begin_grace(&mut self, since: CaptureTime, grace: Grace) {
        self.after_reset = Some(AfterReset {
            since,
            left: grace.segments,
        });
    }

    /// Whether a segment at `time` falls into the grace after a RST; if so, it uses some of it up.
    pub fn spend_grace(&mut self, time: CaptureTime, grace: Grace) -> bool {
        match &mut self.after_reset {
            Some(after) if after.left > 0 && time.since(after.since) <= grace.nanos => {
                after.left -= 1;
                true
            }
            Some(_) => {
                self.after_reset = None;
                false
            }
            None => false,
        }
    }

    pub fn chain(&self, way: Way) -> Chain {
        self.remembered.chains[side(way)]
    }

    pub fn chain_mut(&mut self, way: Way) -> &mut Chain {
        &mut self.remembered.chains[side(way)]
    }

    pub fn take_remembered(&mut self) -> Remembered {
        std::mem::take(&mut self.remembered)
    }
}

/// Flows whose hashes fall together. What a search reads first fills one cache line.
#[derive(Debug, Clone, Default)]
struct Set {
    /// Upper half of each flow's hash.
    tags: [u32; WAYS],
    /// When each flow was last seen, on a [`tick`] clock that wraps.
    seen: [u32; WAYS],
    /// Place of each flow plus one; zero is empty.
    places: [u32; WAYS],
}

/// About a millisecond each; they wrap after 52 days, and only differences are used.
fn tick(time: CaptureTime) -> u32 {
    (time.nanos() >> 20) as u32
}

impl Set {
    fn place(&self, way: usize) -> Option<usize> {
        self.places[way].checked_sub(1).map(|place| place as usize)
    }

    fn longest_idle(&self, now: u32) -> usize {
        let idle = |way: &usize| now.wrapping_sub(self.seen[*way]) as i32;
        (0..WAYS).max_by_key(idle).unwrap_or(0)
    }

    fn put(&mut self, way: usize, hash: u64, place: usize, now: u32) {
        self.tags[way] = (hash >> 32) as u32;
        self.seen[way] = now;
        self.places[way] = place as u32 + 1;
    }
}

/// The known flows, in sets of [`WAYS`].
#[derive(Debug)]
pub(super) struct Flows {
    sets: Vec<Set>,
    known: Vec<KnownFlow>,
    /// Where the search for an idle flow goes on.
    hand: usize,
}

impl Flows {
    /// As many flows as fit into `octets`.
    pub fn within(octets: usize) -> Self {
        let sets = octets / (WAYS * size_of::<KnownFlow>() + size_of::<Set>());
        let sets = sets.clamp(1, u32::MAX as usize / WAYS - 1);
        Self {
            sets: vec![Set::default(); sets],
            known: Vec::with_capacity(sets * WAYS),
            hand: 0,
        }
    }

    pub fn octets(&self) -> usize {
        size_of_val(self.sets.as_slice()) + size_of_val(self.known.as_slice())
    }

    #[cfg(test)]
    pub fn reserved(&self) -> [usize; 2] {
        [self.sets.capacity(), self.known.capacity()]
    }

    /// The set that a hash belongs to: the lower half of the hash, scaled.
    fn set(&self, hash: u64) -> usize {
        (((hash & u64::from(u32::MAX)) * self.sets.len() as u64) >> 32) as usize
    }

    /// The place of a known flow, which counts as seen at `time`.
    pub fn find(&mut self, flow: Flow, hash: u64, time: CaptureTime) -> Option<usize> {
        let set = self.set(hash);
        let set = &mut self.sets[set];
        let tag = (hash >> 32) as u32;
        for way in 0..WAYS {
            if set.tags[way] != tag {
                continue;
            }
            if let Some(place) = set.place(way)
                && self.known[place].flow == flow
            {
                set.seen[way] = tick(time);
                return Some(place);
            }
        }
        None
    }

    /// A place for a flow that is not known, and what the flow that had it remembered.
    pub fn place(
        &mut self,
        flow: Flow,
        hash: u64,
        time: CaptureTime,
    ) -> (usize, Option<Remembered>) {
        let set = self.set(hash);
        let set = &mut self.sets[set];
        let fresh = KnownFlow::new(flow, time);
        let empty = (0..WAYS).find(|way| set.place(*way).is_none());
        let way = empty.unwrap_or_else(|| set.longest_idle(tick(time)));
        if let Some(place) = set.place(way) {
            set.put(way, hash, place, tick(time));
            let gone = std::mem::replace(&mut self.known[place], fresh);
            return (place, Some(gone.remembered));
        }
        let place = self.known.len();
        set.put(way, hash, place, tick(time));
        self.known.push(fresh);
        (place, None)
    }

    /// The longest idle among the next few flows that remember something, other than `but`.
    pub fn idle_with_segments(&mut self, but: usize) -> Option<usize> {
        let mut best: Option<usize> = None;
        for looked_at in 0..self.known.len().min(CANDIDATES_MAX) {
            if looked_at >= CANDIDATES && best.is_some() {
                break;
            }
            self.hand = (self.hand + 1) % self.known.len();
            let flow = &self.known[self.hand];
            if self.hand == but || flow.remembered.is_empty() {
                continue;
            }
            if best.is_none_or(|best| flow.last < self.known[best].last) {
                best = Some(self.hand);
            }
        }
        best
    }
}

impl Index<usize> for Flows {
    type Output = KnownFlow;

    fn index(&self, place: usize) -> &KnownFlow {
        &self.known[place]
    }
}

impl IndexMut<usize> for Flows {
    fn index_mut(&mut self, place: usize) -> &mut KnownFlow {
        &mut self.known[place]
    }
}

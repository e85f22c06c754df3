//! The remembered segments of all flows: one slab, in which each flow's directions are chains.
//!
//! A slot is a cache line, and holds a segment in its plain form; the few that are wide go on in further
//! slots. The ends are the flow's, and are not repeated. Slots are given out in blocks: a flow's segments come
//! in bursts, and what lies side by side is fetched at once.

use std::num::NonZeroU32;

use parallax_core::{CaptureTime, Digest, Way};

use super::LAST_SEGMENTS;
use crate::noted::key::FlowKey;
use crate::noted::plain::{self, FIXED, Plain, WHOLE, field};
use crate::noted::wide::{self, Wide};

/// A place in the slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(NonZeroU32);

impl Slot {
    const COUNT_MAX: usize = u32::MAX as usize - 1;

    fn new(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    fn from_number(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    fn number(slot: Option<Self>) -> u32 {
        slot.map_or(0, |slot| slot.0.get())
    }

    /// The last slot of its block.
    fn last_of_block(self) -> usize {
        self.index() | (BLOCK - 1)
    }

    /// The next slot, if it is of the same block.
    #[inline]
    pub fn beside(self) -> Option<Self> {
        (self.index() < self.last_of_block()).then(|| Self::new(self.index() + 1))
    }
}

/// Slots that are given out together.
const BLOCK: usize = 4;

/// One direction's remembered segments, a circle from the oldest to the youngest and on to the oldest. They
/// fill one block after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Chain {
    /// The youngest; once the chain is [full](Chain::is_full) the oldest, which gives way next.
    pub at: Option<Slot>,
    pub len: u8,
}

impl Chain {
    pub fn of_one(slot: Slot) -> Self {
        Self {
            at: Some(slot),
            len: 1,
        }
    }

    pub fn is_full(self) -> bool {
        self.len == LAST_SEGMENTS
    }

    /// The slot that the next segment will take, but for the first one of a block.
    #[inline]
    pub fn next_slot(self) -> Option<Slot> {
        if self.is_full() {
            return self.at;
        }
        self.at
            .map(|youngest| youngest.beside().unwrap_or(youngest))
    }
}

/// A slot's octets: the next block (four), what is present (two), the state, how long a wide segment is;
/// then the plain form, or the block where a wide one goes on and its beginning. A slot of that holds what
/// follows. The next block stands in the last slot of each only: of a chain's last block the chain's first,
/// of a free block the next free one.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u8; LINE]);

const LINE: usize = 64;
const PRESENT: usize = 4;
const STATE: usize = 6;
const LEN: usize = 7;
const PLAIN: usize = 8;
/// Where a wide segment names the slot in which it goes on.
const MORE: usize = 8;
/// Where it begins in its first slot, and in the others.
const FIRST: usize = 12;
const FURTHER: usize = 4;

/// States: from the higher end to the lower; wide.
const BACK: u8 = 1;
const WIDE: u8 = 2;

const _: () = assert!(PLAIN + WHOLE == LINE && size_of::<Line>() == LINE);

impl Line {
    const EMPTY: Self = Self([0; LINE]);

    #[inline]
    fn link(&self, at: usize) -> Option<Slot> {
        Slot::from_number(u32::from_le_bytes(field(&self.0, at)))
    }

    #[inline]
    fn set_link(&mut self, at: usize, slot: Option<Slot>) {
        self.0[at..at + 4].copy_from_slice(&Slot::number(slot).to_le_bytes());
    }

    #[inline]
    fn next(&self) -> Option<Slot> {
        self.link(0)
    }

    #[inline]
    fn set_next(&mut self, slot: Option<Slot>) {
        self.set_link(0, slot);
    }

    fn is_wide(&self) -> bool {
        self.0[STATE] & WIDE != 0
    }

    /// Everything but the next slot.
    #[inline]
    fn write_plain(&mut self, plain: &Plain, way: Way) {
        self.0[PRESENT..STATE].copy_from_slice(&plain.present.to_le_bytes());
        self.0[STATE] = if way == Way::HighToLow { BACK } else { 0 };
        self.0[PLAIN..].copy_from_slice(&plain.octets);
    }
}

/// The block in which a wide segment goes on, if it must.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Further(pub Option<Slot>);

impl Further {
    pub fn is_needed(wide: &Wide) -> bool {
        wide.octets().len() > LINE - FIRST
    }
}

const _: () = assert!(wide::LONGEST <= LINE - FIRST + BLOCK * (LINE - FURTHER));

/// A slab that grows to its capacity within one allocation and never beyond.
#[derive(Debug)]
pub(super) struct Segments {
    lines: Vec<Line>,
    /// Never more than this; the vector may have reserved more.
    capacity: usize,
    free: Option<Slot>,
}

impl Segments {
    /// As many segments as fit into `octets`.
    pub fn within(octets: usize) -> Self {
        let capacity = (octets / LINE).min(Slot::COUNT_MAX) / BLOCK * BLOCK;
        Self {
            lines: Vec::with_capacity(capacity),
            capacity,
            free: None,
        }
    }

    pub fn octets(&self) -> usize {
        self.lines.len() * LINE
    }

    #[cfg(test)]
    pub fn reserved(&self) -> usize {
        self.lines.capacity()
    }

    /// Slots of the blocks that were given out.
    #[cfg(test)]
    pub fn used(&self) -> usize {
        let next = |slot: &Slot| self.lines[slot.last_of_block()].next();
        self.lines.len() - BLOCK * std::iter::successors(self.free, next).count()
    }

    /// Reads from a slot.
    #[inline]
    pub fn touch(&self, slot: Slot) -> u64 {
        self.lines[slot.index()].0[0].into()
    }

    /// The first slot of a free block.
    #[inline]
    pub fn take_free(&mut self) -> Option<Slot> {
        match self.free {
            Some(slot) => {
                self.free = self.lines[slot.last_of_block()].next();
                Some(slot)
            }
            None if self.lines.len() < self.capacity => {
                let first = self.lines.len();
                self.lines.extend_from_slice(&[Line::EMPTY; BLOCK]);
                Some(Slot::new(first))
            }
            None => None,
        }
    }

    /// Frees a block, or several: those that lead from the first one to that which the slot is of.
    fn free(&mut self, first: Option<Slot>, last: Slot) {
        self.lines[last.last_of_block()].set_next(self.free);
        self.free = first;
    }

    /// Writes a segment to a slot that holds none.
    #[inline]
    pub fn write_plain(&mut self, slot: Slot, plain: &Plain, way: Way) {
        self.lines[slot.index()].write_plain(plain, way);
    }

    /// Writes a segment to a slot that holds none, and on in a block.
    pub fn write_wide(&mut self, slot: Slot, wide: &Wide, further: Further) {
        let octets = wide.octets();
        let (first, rest) = octets.split_at(octets.len().min(LINE - FIRST));
        let line = &mut self.lines[slot.index()];
        line.0[STATE] = WIDE;
        line.0[LEN] = octets.len() as u8;
        line.set_link(MORE, further.0);
        line.0[FIRST..FIRST + first.len()].copy_from_slice(first);
        let Some(further) = further.0 else { return };
        let lines = &mut self.lines[further.index()..];
        for (line, part) in lines.iter_mut().zip(rest.chunks(LINE - FURTHER)) {
            line.0[FURTHER..FURTHER + part.len()].copy_from_slice(part);
        }
    }

    /// Puts a written slot, the one [beside](Slot::beside) the youngest or the first of a block, at the young end
    /// of a chain that is not full. Within a block nothing is read.
    #[inline]
    pub fn push(&mut self, chain: Chain, slot: Slot) -> Chain {
        if slot.index().is_multiple_of(BLOCK) {
            self.begin_block(chain, slot);
        }
        let len = chain.len + 1;
        let at = if len == LAST_SEGMENTS {
            self.after(slot)
        } else {
            Some(slot)
        };
        Chain { at, len }
    }

    /// Puts a block between the last one of a chain and the first.
    fn begin_block(&mut self, chain: Chain, slot: Slot) {
        let mut oldest = Some(slot);
        if let Some(youngest) = chain.at {
            let line = &mut self.lines[youngest.last_of_block()];
            oldest = line.next();
            line.set_next(Some(slot));
        }
        self.lines[slot.last_of_block()].set_next(oldest);
    }

    /// The slot after another in its circle.
    #[inline]
    fn after(&self, slot: Slot) -> Option<Slot> {
        slot.beside()
            .or_else(|| self.lines[slot.last_of_block()].next())
    }

    /// Empties the oldest slot of a full chain, to be written again as its youngest. `wide`: it may go on in a
    /// block; else nothing is read from it.
    #[inline]
    pub fn turn(&mut self, chain: Chain, wide: bool) -> Option<(Slot, Chain)> {
        let slot = chain.at?;
        if wide {
            self.release_further(slot);
        }
        let turned = Chain {
            at: self.after(slot),
            len: chain.len,
        };
        Some((slot, turned))
    }

    /// The segment in a slot.
    pub fn get(&self, slot: Slot, key: &FlowKey) -> Digest {
        let line = &self.lines[slot.index()];
        if line.is_wide() {
            return self.wide(line);
        }
        let way = if line.0[STATE] & BACK == 0 {
            Way::LowToHigh
        } else {
            Way::HighToLow
        };
        let present = u16::from_le_bytes(field(&line.0, PRESENT));
        let octets = &line.0[PLAIN..];
        plain::digest(key.tuple(way), present, octets, field(octets, FIXED))
    }

    fn wide(&self, line: &Line) -> Digest {
        let mut octets = [0; LINE - FIRST + BLOCK * (LINE - FURTHER)];
        let (first, rest) = octets.split_at_mut(LINE - FIRST);
        first.copy_from_slice(&line.0[FIRST..]);
        if let Some(further) = line.link(MORE) {
            let lines = &self.lines[further.index()..];
            for (part, line) in rest.chunks_exact_mut(LINE - FURTHER).zip(lines) {
                part.copy_from_slice(&line.0[FURTHER..]);
            }
        }
        wide::digest(&octets)
    }

    /// Appends the digests of a flow's two chains to `out`, merged by time.
    ///
    /// Such a flow was mostly not in use just now: all slots are found, and all times read, before any digest is
    /// made, so that many reads are under way.
    pub fn append(&self, chains: [Chain; 2], key: &FlowKey, out: &mut Vec<Digest>) {
        let mut slots = [[None; 2]; LAST_SEGMENTS as usize];
        let mut next = chains.map(|chain| self.oldest(chain));
        for (at, places) in slots.iter_mut().enumerate() {
            for ((place, next), chain) in places.iter_mut().zip(&mut next).zip(&chains) {
                if at < usize::from(chain.len) {
                    *place = *next;
                    *next = next.and_then(|slot| self.after(slot));
                }
            }
        }
        let times = slots.map(|places| places.map(|slot| slot.map(|slot| self.time(slot))));
        let [mut low, mut high] = [0, 1].map(|side| {
            let of_side = slots.iter().zip(&times);
            let of_side = of_side.filter_map(move |(slots, times)| slots[side].zip(times[side]));
            of_side.peekable()
        });
        loop {
            let next = match (low.peek(), high.peek()) {
                (Some((_, a)), Some((_, b))) if b < a => high.next(),
                (Some(_), _) => low.next(),
                (None, _) => high.next(),
            };
            let Some((slot, _)) = next else { return };
            out.push(self.get(slot, key));
        }
    }

    /// The slot of a chain's oldest segment.
    fn oldest(&self, chain: Chain) -> Option<Slot> {
        if chain.is_full() {
            return chain.at;
        }
        let youngest = chain.at?;
        self.lines[youngest.last_of_block()].next()
    }

    /// When the segment in a slot was captured.
    fn time(&self, slot: Slot) -> CaptureTime {
        let line = &self.lines[slot.index()];
        if line.is_wide() {
            wide::time(&line.0[FIRST..])
        } else {
            plain::time(&line.0[PLAIN..])
        }
    }

    /// Frees all slots of a chain. `wide`: some of its segments may take several.
    pub fn release(&mut self, chain: Chain, wide: bool) {
        let Some(at) = chain.at else { return };
        if wide {
            self.release_all_further(at, chain.len);
        }
        self.free(self.lines[at.last_of_block()].next(), at);
    }

    fn release_all_further(&mut self, at: Slot, len: u8) {
        // The circle has no segments but the chain's, and begins anywhere.
        let first = self.lines[at.last_of_block()].next();
        let mut slot = first;
        for _ in 0..len {
            let Some(one) = slot else { return };
            slot = self.after(one);
            self.release_further(one);
        }
    }

    /// Frees the block in which a segment goes on.
    fn release_further(&mut self, slot: Slot) {
        let line = &mut self.lines[slot.index()];
        if line.is_wide() {
            line.0[STATE] = 0;
            if let Some(further) = line.link(MORE) {
                self.free(Some(further), further);
            }
        }
    }

    /// Frees a block that was not written to.
    pub fn give_back(&mut self, further: Further) {
        if let Some(block) = further.0 {
            self.free(Some(block), block);
        }
    }
}

//! Flow memory: what a vantage remembers of each flow, and which segments it ships at once.
//!
//! With [`Selection::Context`] these leave at once: SYN, SYN+ACK, FIN, RST, and the first segment of
//! each direction of a flow. Everything else is remembered: the ACK that completes a handshake, and
//! the last [`LAST_SEGMENTS`] of each direction. A RST sends what its flow remembers ahead of itself,
//! and what follows in the flow within the [grace](Grace) leaves at once too. No digest leaves
//! twice.
//!
//! [`Selection::Sampled`] adds a [consistent sample](parallax_core::sampling) of the rest.
//!
//! All of it is allocated once and bounded. Under pressure the longest idle flow among a bounded
//! number of candidates gives way, and is counted; how long a flow was idle is told by the order of
//! packets. The memory has no clock: the time of a grace is the packets'.

use parallax_core::digest::TcpFlags;
use parallax_core::{Digest, Selection};

use crate::noted::wide::Wide;
use crate::noted::{BATCH, Noted};

mod flows;
mod segments;
#[cfg(test)]
mod tests;

use flows::{Flows, Remembered};
use segments::{Chain, Further, Segments, Slot};

/// Segments remembered of each direction of a flow.
pub const LAST_SEGMENTS: u8 = 16;

/// The least memory that does its work, in octets.
pub const LEAST_OCTETS: usize = 1 << 20;

/// How long, and for how many segments, everything in a flow is shipped after a RST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// Nanoseconds of packet time.
    pub nanos: i64,
    pub segments: u8,
}

impl Default for Grace {
    fn default() -> Self {
        Self {
            nanos: 2 * parallax_core::time::SECOND,
            segments: 64,
        }
    }
}

/// What gave way to something newer, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evicted {
    /// Flows forgotten for other flows: met again, they count as met in mid-stream.
    pub flows: u64,
    /// Flows that lost their remembered segments, but are known still.
    pub contexts: u64,
    /// Segments that found no place.
    pub segments: u64,
}

/// Decides for each segment whether it leaves the vantage, and remembers those that don't.
#[derive(Debug)]
pub struct Memory {
    /// Octets that it may take.
    wanted: usize,
    selection: Selection,
    grace: Grace,
    flows: Flows,
    segments: Segments,
    evicted: Evicted,
}

impl Memory {
    /// A memory of at most `octets` (no less than [`LEAST_OCTETS`] are used). But for the
    /// sets of flows, pages are touched as they are needed; with [`Selection::All`] hardly any.
    pub fn new(octets: usize, selection: Selection, grace: Grace) -> Self {
        let wanted = octets;
        let octets = match selection {
            Selection::Context | Selection::Sampled(_) => octets.max(LEAST_OCTETS),
            Selection::All => LEAST_OCTETS,
        };
        let for_flows = octets / 4;
        Self {
            wanted,
            selection,
            grace,
            flows: Flows::within(for_flows),
            segments: Segments::within(octets - for_flows),
            evicted: Evicted::default(),
        }
    }

    /// From now on other segments travel. What is remembered of flows stays, unless nothing was.
    pub fn select(&mut self, selection: Selection) {
        if self.selection == Selection::All && selection != Selection::All {
            let evicted = self.evicted;
            *self = Self::new(self.wanted, selection, self.grace);
            self.evicted = evicted;
        }
        self.selection = selection;
    }

    /// What travels.
    pub fn selection(&self) -> Selection {
        self.selection
    }

    pub fn evicted(&self) -> Evicted {
        self.evicted
    }

    /// Octets in use, at most what was given to [`Memory::new`].
    pub fn octets(&self) -> usize {
        self.flows.octets() + self.segments.octets()
    }

    #[cfg(test)]
    fn reserved(&self) -> [usize; 3] {
        let [cells, known] = self.flows.reserved();
        [cells, known, self.segments.reserved()]
    }

    /// Reads what [`Self::observe`] will need for these, so that it waits for memory three times for all of
    /// them and not for each; the value means nothing.
    ///
    /// What is to be read is worked out first, and then read in loops so short that the processor looks far
    /// ahead in them and has many reads under way.
    pub fn foresee(&self, batch: &[Noted]) -> u64 {
        if self.selection == Selection::All {
            return 0;
        }
        let sets = batch
            .iter()
            .fold(0, |read, noted| read ^ self.flows.touch_set(noted.of.hash));
        let mut places = [None; BATCH];
        for (place, noted) in places.iter_mut().zip(batch) {
            *place = self.flows.guess(noted.of.hash);
        }
        let known = places
            .iter()
            .flatten()
            .fold(sets, |read, place| read ^ self.flows.touch(*place));
        let mut slots = [None; BATCH];
        for ((slot, place), noted) in slots.iter_mut().zip(&places).zip(batch) {
            *slot = place.and_then(|place| self.flows[place].chain(noted.of.way).next_slot());
        }
        slots
            .iter()
            .flatten()
            .fold(known, |read, slot| read ^ self.segments.touch(*slot))
    }

    /// Takes notice of one segment and appends to `out` what is to be shipped because of it, oldest
    /// first; true if it is itself among that, as the last.
    #[inline]
    pub fn observe(&mut self, noted: &Noted, out: &mut Vec<Digest>) -> bool {
        if self.selection == Selection::All {
            noted.append_to(out);
            return true;
        }
        let index = self.flow_of(noted);
        let first_of_its_way = self.flows[index].meet(noted.of.way);
        if noted.flags.has(TcpFlags::RST) {
            self.ship_context(index, out);
            self.flows[index].begin_grace(noted.time, self.grace);
        } else if !self.leaves_at_once(index, noted, first_of_its_way) {
            self.remember(index, noted);
            return false;
        }
        noted.append_to(out);
        true
    }

    #[inline]
    fn leaves_at_once(&mut self, index: usize, noted: &Noted, first_of_its_way: bool) -> bool {
        let flow = &mut self.flows[index];
        let opens = noted.flags.has(TcpFlags::SYN);
        if opens && !noted.flags.has(TcpFlags::ACK) {
            flow.await_handshake_ack(noted.of.way);
            return true;
        }
        let in_grace = flow.spend_grace(noted.time, self.grace);
        let in_sample = match self.selection {
            Selection::Sampled(one_in) => one_in.picks(&noted.digest()),
            Selection::All | Selection::Context => false,
        };
        opens || noted.flags.has(TcpFlags::FIN) || first_of_its_way || in_grace || in_sample
    }

    /// The flow's place, after making one if need be.
    #[inline]
    fn flow_of(&mut self, noted: &Noted) -> usize {
        if let Some(index) = self.flows.find(noted) {
            return index;
        }
        let (index, given_way) = self.flows.place(noted);
        if let Some(gone) = given_way {
            self.evicted.flows += 1;
            self.release(gone);
        }
        index
    }

    fn release(&mut self, gone: Remembered) {
        for chain in gone.chains {
            self.segments.release(chain, gone.wide);
        }
        if let Some(slot) = gone.handshake_ack {
            self.segments.release(Chain::of_one(slot), gone.wide);
        }
    }

    /// Appends what the flow remembers to `out`, in order of time, and forgets it.
    fn ship_context(&mut self, index: usize, out: &mut Vec<Digest>) {
        let key = self.flows[index].key();
        let context = self.flows[index].take_remembered();
        if let Some(slot) = context.handshake_ack {
            out.push(self.segments.get(slot, &key));
        }
        self.segments.append(context.chains, &key, out);
        self.release(context);
    }

    #[inline]
    fn remember(&mut self, index: usize, noted: &Noted) {
        if self.flows[index].takes_handshake_ack(noted) {
            self.remember_handshake_ack(index, noted);
            return;
        }
        let chain = self.flows[index].chain(noted.of.way);
        let chain = if chain.is_full() {
            self.turn(index, chain, noted)
        } else {
            let slot = self.kept(index, chain, noted);
            slot.map(|slot| self.segments.push(chain, slot))
        };
        match chain {
            Some(chain) => self.flows[index].set_chain(noted.of.way, chain),
            None => self.evicted.segments += 1,
        }
    }

    /// Writes a segment in the place of its chain's oldest; `None` if it finds no room.
    #[inline]
    fn turn(&mut self, index: usize, chain: Chain, noted: &Noted) -> Option<Chain> {
        if let Some(plain) = noted.plain() {
            let wide = self.flows[index].is_wide();
            let (slot, turned) = self.segments.turn(chain, wide)?;
            self.segments.write_plain(slot, plain, noted.of.way);
            return Some(turned);
        }
        let wide = noted.wide();
        let further = self.further(index, &wide)?;
        let (slot, turned) = self.segments.turn(chain, true)?;
        self.segments.write_wide(slot, &wide, further);
        Some(turned)
    }

    #[inline(never)]
    fn remember_handshake_ack(&mut self, index: usize, noted: &Noted) {
        if let Some(old) = self.flows[index].take_handshake_ack() {
            self.segments.release(Chain::of_one(old), true);
        }
        let slot = self.kept(index, Chain::default(), noted);
        match slot {
            Some(slot) => {
                self.segments.push(Chain::default(), slot);
            }
            None => self.evicted.segments += 1,
        }
        self.flows[index].set_handshake_ack(slot);
    }

    /// A slot with the segment in it, to be pushed to the chain; `None` if it finds no room.
    #[inline]
    fn kept(&mut self, index: usize, chain: Chain, noted: &Noted) -> Option<Slot> {
        let Some(plain) = noted.plain() else {
            return self.kept_wide(index, chain, &noted.wide());
        };
        let slot = self.slot_for(index, chain)?;
        self.segments.write_plain(slot, plain, noted.of.way);
        Some(slot)
    }

    #[inline(never)]
    fn kept_wide(&mut self, index: usize, chain: Chain, wide: &Wide) -> Option<Slot> {
        let further = self.further(index, wide)?;
        let Some(slot) = self.slot_for(index, chain) else {
            self.segments.give_back(further);
            return None;
        };
        self.segments.write_wide(slot, wide, further);
        Some(slot)
    }

    /// Where a wide segment goes on; `None` if there is no room.
    fn further(&mut self, index: usize, wide: &Wide) -> Option<Further> {
        if !Further::is_needed(wide) {
            return Some(Further::default());
        }
        let block = self.free_block(index)?;
        self.flows[index].holds_wide();
        Some(Further(Some(block)))
    }

    /// The slot for the next segment of a chain that is not full.
    #[inline]
    fn slot_for(&mut self, index: usize, chain: Chain) -> Option<Slot> {
        let beside = chain.at.and_then(Slot::beside);
        beside.or_else(|| self.free_block(index))
    }

    /// A free block, if need be taken from the longest idle of a few flows other than `index`.
    #[inline]
    fn free_block(&mut self, index: usize) -> Option<Slot> {
        let free = self.segments.take_free();
        if free.is_some() {
            return free;
        }
        self.make_room(index)
    }

    #[inline(never)]
    fn make_room(&mut self, index: usize) -> Option<Slot> {
        let idle = self.flows.idle_with_segments(index)?;
        let context = self.flows[idle].take_remembered();
        self.evicted.contexts += 1;
        self.release(context);
        self.segments.take_free()
    }
}

//! The remembered segments of all flows: one slab, in which each flow's directions are chains.

use parallax_core::Digest;

use super::flows::{Chain, Slot};

#[derive(Debug)]
struct Segment {
    digest: Digest,
    /// The next younger segment of the chain, after the youngest the oldest; or the next free slot.
    next: Option<Slot>,
}

/// A slab that grows to its capacity within one allocation and never beyond.
#[derive(Debug)]
pub(super) struct Segments {
    slots: Vec<Segment>,
    /// Never more than this; the vector may have reserved more.
    capacity: usize,
    free: Option<Slot>,
}

impl Segments {
    /// As many segments as fit into `octets`.
    pub fn within(octets: usize) -> Self {
        let capacity = (octets / size_of::<Segment>()).min(Slot::COUNT_MAX);
        Self {
            slots: Vec::with_capacity(capacity),
            capacity,
            free: None,
        }
    }

    pub fn octets(&self) -> usize {
        self.slots.len() * size_of::<Segment>()
    }

    #[cfg(test)]
    pub fn reserved(&self) -> usize {
        self.slots.capacity()
    }

    pub fn get(&self, slot: Slot) -> &Digest {
        &self.slots[slot.index()].digest
    }

    pub fn write(&mut self, slot: Slot, digest: &Digest) {
        let segment = Segment {
            digest: *digest,
            next: Some(slot),
        };
        if slot.index() == self.slots.len() {
            self.slots.push(segment);
        } else {
            self.slots[slot.index()] = segment;
        }
    }

    /// A slot to [write](Self::write) next, before any other is taken.
    pub fn take_free(&mut self) -> Option<Slot> {
        match self.free {
            Some(slot) => {
                self.free = self.slots[slot.index()].next;
                Some(slot)
            }
            None if self.slots.len() < self.capacity => Some(Slot::new(self.slots.len())),
            None => None,
        }
    }

    /// Puts a written slot at the young end of a chain.
    pub fn push(&mut self, chain: &mut Chain, slot: Slot) {
        if let Some((oldest, youngest)) = chain.ends() {
            self.slots[youngest.index()].next = Some(slot);
            self.slots[slot.index()].next = Some(oldest);
        }
        chain.grow(slot);
    }

    /// Overwrites the oldest segment of a chain, which becomes its youngest.
    pub fn turn(&mut self, chain: &mut Chain, digest: &Digest) {
        let Some(oldest) = chain.oldest() else {
            return;
        };
        let segment = &mut self.slots[oldest.index()];
        segment.digest = *digest;
        chain.turn(segment.next.unwrap_or(oldest), oldest);
    }

    /// Appends the digests of a flow's two chains to `out`, merged by time.
    pub fn append(&self, chains: [Chain; 2], out: &mut Vec<Digest>) {
        let [mut low, mut high] = chains.map(|chain| self.walk(chain).peekable());
        loop {
            let next = match (low.peek(), high.peek()) {
                (Some(a), Some(b)) if b.time < a.time => high.next(),
                (Some(_), _) => low.next(),
                (None, _) => high.next(),
            };
            let Some(digest) = next else { return };
            out.push(*digest);
        }
    }

    /// A chain's digests, oldest first.
    fn walk(&self, chain: Chain) -> impl Iterator<Item = &Digest> {
        let next = |slot: &Slot| self.slots[slot.index()].next;
        std::iter::successors(chain.oldest(), next)
            .take(usize::from(chain.len()))
            .map(|slot| self.get(slot))
    }

    /// Frees all slots of a chain.
    pub fn release(&mut self, chain: Chain) {
        if let Some((oldest, youngest)) = chain.ends() {
            self.slots[youngest.index()].next = self.free;
            self.free = Some(oldest);
        }
    }
}

//! A segment on its way through the agent: its digest, the flow that it belongs to, and its packed form.
//!
//! All of it is made once for each packet. Flow memory and recall ring take from it what they keep, so that
//! neither sorts ends, hashes or packs again.

use parallax_core::Digest;

use crate::memory::Memory;
use crate::recall::Desk;

pub(crate) mod key;
pub(crate) mod plain;
pub(crate) mod wide;

use key::Keyed;
use plain::Plain;

/// A digest with what both memories need to know of it.
#[derive(Debug, Clone)]
pub struct Noted {
    pub digest: Digest,
    pub(crate) of: Keyed,
    plain: Plain,
    /// Whether the plain form holds all of it.
    is_plain: bool,
}

impl Noted {
    const BLANK: Self = Self {
        digest: Digest::BLANK,
        of: Keyed::BLANK,
        plain: Plain::EMPTY,
        is_plain: false,
    };

    pub fn of(digest: &Digest) -> Self {
        let mut noted = Self::BLANK;
        noted.digest = *digest;
        noted.derive();
        noted
    }

    /// Makes of the digest what else is known of it.
    #[inline]
    fn derive(&mut self) {
        self.of.set(&self.digest.tuple);
        self.is_plain = self.plain.pack(&self.digest);
    }

    /// `None`: only the [wide] form holds all of it.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&Plain> {
        self.is_plain.then_some(&self.plain)
    }
}

/// Segments that are taken in together: what they will need is fetched for all of them at once.
pub const BATCH: usize = 32;

/// Segments of one round, in order.
#[derive(Debug)]
pub struct Batch {
    places: Box<[Noted]>,
    len: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            places: vec![Noted::BLANK; BATCH].into_boxed_slice(),
            len: 0,
        }
    }
}

impl Batch {
    /// Where the next digest is written, to be [noted](Self::note) then. There must be room.
    #[inline]
    pub fn place(&mut self) -> &mut Digest {
        &mut self.places[self.len].digest
    }

    /// A digest was written to [its place](Self::place); true if the batch is full now.
    #[inline]
    pub fn note(&mut self) -> bool {
        self.len += 1;
        self.len == BATCH
    }

    /// Fetches what the memories will need for these segments, and tells them.
    pub fn foreseen(&mut self, memory: &Memory, desk: Option<&Desk>) -> &[Noted] {
        let noted = &mut self.places[..self.len];
        // Not as each came: what was just written is read slowly.
        noted.iter_mut().for_each(Noted::derive);
        let read = desk.map_or(0, |desk| desk.foresee(noted));
        // Else the compiler would leave the reading away.
        std::hint::black_box(read ^ memory.foresee(noted));
        noted
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }
}

//! A segment on its way through the agent: its digest, the flow that it belongs to, and its packed form.
//!
//! All of it is made once for each packet. Flow memory and recall ring take from it what they keep, so that
//! neither sorts ends, hashes or packs again.

use parallax_core::{Digest, Way};

use crate::memory::Memory;
use crate::recall::Desk;

pub(crate) mod key;
pub(crate) mod plain;
pub(crate) mod wide;

use key::FlowKey;
use plain::Plain;

/// A digest with what both memories need to know of it.
#[derive(Debug, Clone)]
pub struct Noted {
    pub digest: Digest,
    pub(crate) key: FlowKey,
    /// [`FlowKey::hash`].
    pub(crate) hash: u64,
    pub(crate) way: Way,
    /// `None`: only the [wide](wide) form holds all of it.
    pub(crate) plain: Option<Plain>,
}

impl Noted {
    #[inline]
    pub fn of(digest: &Digest) -> Self {
        let (key, way) = FlowKey::of(digest.tuple);
        Self {
            digest: *digest,
            key,
            hash: key.hash(),
            way,
            plain: Plain::of(digest),
        }
    }
}

/// Segments that are taken in together: what they will need is fetched for all of them at once.
pub const BATCH: usize = 64;

/// Segments of one round, in order.
#[derive(Debug)]
pub struct Batch {
    noted: Vec<Noted>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            noted: Vec::with_capacity(BATCH),
        }
    }
}

impl Batch {
    #[inline]
    pub fn push(&mut self, digest: &Digest) {
        self.noted.push(Noted::of(digest));
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.noted.len() >= BATCH
    }

    /// Fetches what the memories will need for these segments, and tells them.
    pub fn foreseen(&self, memory: &Memory, desk: Option<&Desk>) -> &[Noted] {
        let read = desk.map_or(0, |desk| desk.foresee(&self.noted));
        // Else the compiler would leave the reading away.
        std::hint::black_box(read ^ memory.foresee(&self.noted));
        &self.noted
    }

    pub fn clear(&mut self) {
        self.noted.clear();
    }
}

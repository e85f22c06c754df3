//! A segment on its way through the agent: its digest, the flow that it belongs to, and its packed form.
//!
//! All of it is made once for each packet. Flow memory and recall ring take from it what they keep, so that
//! neither sorts ends, hashes or packs again.

use parallax_core::decode::{RawPacket, Unread, decode_into, usual};
use parallax_core::digest::TcpFlags;
use parallax_core::{CaptureTime, Digest};

use crate::memory::Memory;
use crate::recall::{Desk, mark, mark_of};

pub(crate) mod key;
pub(crate) mod plain;
pub(crate) mod wide;

use key::Keyed;
use plain::Plain;
use wide::Wide;

/// A digest with what both memories need to know of it.
#[derive(Debug, Clone)]
pub struct Noted {
    pub(crate) of: Keyed,
    plain: Plain,
    form: Form,
    pub(crate) flags: TcpFlags,
    pub(crate) time: CaptureTime,
    /// What it may be looked for by, beside its flow.
    pub(crate) mark: Option<u64>,
    /// Written unless it is [usual](Form::Usual), and apart: what all need is to lie close together.
    digest: Box<Digest>,
}

/// What a segment was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A digest, of which nothing is derived yet.
    Digest,
    /// The plain form, at once: the kind most met.
    Usual,
    /// A digest, and the plain form of all of it.
    Plain,
    /// A digest of which only the [wide] form holds all.
    Wide,
}

impl Noted {
    fn blank() -> Self {
        Self {
            of: Keyed::BLANK,
            plain: Plain::EMPTY,
            form: Form::Digest,
            flags: TcpFlags(0),
            time: CaptureTime::from_nanos(0),
            mark: None,
            digest: Box::new(Digest::BLANK),
        }
    }

    pub fn of(digest: &Digest) -> Self {
        let mut noted = Self::blank();
        *noted.digest = *digest;
        noted.derive();
        noted
    }

    /// Takes a packet; what is to be derived from its digest is not yet there.
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    fn take(&mut self, packet: &RawPacket<'_>) -> Result<(), Unread> {
        let Some(usual) = usual(packet) else {
            self.form = Form::Digest;
            return decode_into(packet, &mut self.digest);
        };
        self.of.set_usual(usual.src, usual.dst);
        self.plain.pack_usual(&usual);
        self.form = Form::Usual;
        self.flags = usual.flags;
        self.time = usual.time;
        self.mark = mark(
            usual.flags,
            usual.seq,
            (usual.payload_len, usual.payload_hash),
        );
        Ok(())
    }

    /// Makes of the digest what else is known of it.
    #[inline]
    fn derive(&mut self) {
        let digest = &*self.digest;
        self.of.set(&digest.tuple);
        self.form = if self.plain.pack(digest) {
            Form::Plain
        } else {
            Form::Wide
        };
        self.flags = digest.flags;
        self.time = digest.time;
        self.mark = mark_of(digest);
    }

    /// `None`: only the [wide] form holds all of it.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&Plain> {
        (self.form != Form::Wide).then_some(&self.plain)
    }

    /// All of it.
    #[inline]
    pub fn digest(&self) -> Digest {
        match self.form {
            Form::Usual => self.plain.digest(self.of.key.tuple(self.of.way)),
            Form::Digest | Form::Plain | Form::Wide => *self.digest,
        }
    }

    /// The packed form of any segment.
    pub(crate) fn wide(&self) -> Wide {
        Wide::of(&self.digest())
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
            places: vec![Noted::blank(); BATCH].into_boxed_slice(),
            len: 0,
        }
    }
}

impl Batch {
    /// Takes a packet, for which there must be room.
    ///
    /// # Errors
    /// Why there is no digest.
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    pub fn take(&mut self, packet: &RawPacket<'_>) -> Result<(), Unread> {
        self.places[self.len].take(packet)?;
        self.len += 1;
        Ok(())
    }

    /// The same, where `change` alters its digest first.
    ///
    /// # Errors
    /// Why there is no digest.
    pub fn take_changed(
        &mut self,
        packet: &RawPacket<'_>,
        change: impl FnOnce(&mut Digest),
    ) -> Result<(), Unread> {
        let place = &mut self.places[self.len];
        decode_into(packet, &mut place.digest)?;
        change(&mut place.digest);
        place.form = Form::Digest;
        self.len += 1;
        Ok(())
    }

    pub fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// Fetches what the memories will need for these segments, and tells them.
    pub fn foreseen(&mut self, memory: &Memory, desk: Option<&Desk>) -> &[Noted] {
        let noted = &mut self.places[..self.len];
        // Not as each came: what was just written is read slowly.
        noted
            .iter_mut()
            .filter(|noted| noted.form == Form::Digest)
            .for_each(Noted::derive);
        let read = desk.map_or(0, |desk| desk.foresee(noted));
        // Else the compiler would leave the reading away.
        std::hint::black_box(read ^ memory.foresee(noted));
        noted
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }
}

//! A segment on its way through the agent: its digest, the flow that it belongs to, and its packed form.
//!
//! All of it is made once for each packet. Flow memory and recall ring take from it what they keep, so that
//! neither sorts ends, hashes or packs again.

use parallax_core::decode::{RawPacket, Unread, Usual, decode_into, usual, usual_v6};
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

    /// Takes a packet; if it is not of the kind most met, what is to be derived of it is not yet there.
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    fn take(&mut self, packet: &RawPacket<'_>) -> Result<(), Unread> {
        if let Some(usual) = usual(packet) {
            self.of.set_usual(usual.src, usual.dst);
            self.keep(&usual);
            return Ok(());
        }
        self.take_other(packet)
    }

    #[inline(never)]
    fn take_other(&mut self, packet: &RawPacket<'_>) -> Result<(), Unread> {
        if let Some(usual) = usual_v6(packet) {
            self.of.set_usual_v6(usual.src, usual.dst);
            self.keep(&usual);
            return Ok(());
        }
        self.form = Form::Digest;
        decode_into(packet, &mut self.digest)
    }

    /// Keeps a segment of the kind most met, all but its ends.
    #[expect(clippy::inline_always, reason = "as for take")]
    #[inline(always)]
    fn keep<Address>(&mut self, usual: &Usual<Address>) {
        self.plain.pack_usual(usual);
        self.form = Form::Usual;
        self.flags = usual.flags;
        self.time = usual.time;
        self.mark = mark(
            usual.flags,
            usual.seq,
            (usual.payload_len, usual.payload_hash),
        );
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

    /// Appends all of it, copied once.
    #[inline]
    pub(crate) fn append_to(&self, out: &mut Vec<Digest>) {
        match self.form {
            Form::Usual => out.push(self.digest()),
            Form::Digest | Form::Plain | Form::Wide => out.push(*self.digest),
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

#[cfg(test)]
mod tests {
    use parallax_core::decode::{LinkType, decode};
    use proptest::prelude::*;

    use super::*;

    /// None; timestamps, filled up; what a SYN has; a SACK block.
    const OPTIONS: [&[u8]; 4] = [
        &[],
        &[1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 9],
        &[
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 3, 3, 7,
        ],
        &[1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0],
    ];

    fn segment(numbers: [u8; 12], flags: u16, options: &[u8], payload: usize) -> Vec<u8> {
        let mut octets = numbers.to_vec();
        let words = 5 + options.len() as u8 / 4;
        octets.extend([words << 4 | (flags >> 8) as u8, flags as u8]);
        octets.extend([1, 0xf4, 0, 0, 0, 0]);
        octets.extend(options);
        octets.extend((0..payload).map(|at| at as u8 ^ numbers[0]));
        octets
    }

    fn v4(ends: [u8; 8], fragment: u16, body: &[u8]) -> Vec<u8> {
        let mut octets = vec![0x45, 3];
        octets.extend((20 + body.len() as u16).to_be_bytes());
        octets.extend([7, 9]);
        octets.extend(fragment.to_be_bytes());
        octets.extend([63, 6, 0, 0]);
        octets.extend(ends);
        octets.extend(body);
        octets
    }

    fn v6(ends: [u8; 8], body: &[u8]) -> Vec<u8> {
        let mut octets = vec![0x61, 0x20, 0, 0];
        octets.extend((body.len() as u16).to_be_bytes());
        octets.extend([6, 61]);
        for end in ends.chunks(4) {
            octets.extend([0x20, 1, 0xd, 0xb8, end[0], 0, 0, 0, end[1], 0, 0, 0]);
            octets.extend([end[2], 0, 0, end[3]]);
        }
        octets.extend(body);
        octets
    }

    fn ethernet(tagged: bool, ether_type: [u8; 2], packet: &[u8]) -> Vec<u8> {
        let mut octets = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        if tagged {
            octets.extend([0x81, 0, 0, 100]);
        }
        octets.extend(ether_type);
        octets.extend(packet);
        octets
    }

    prop_compose! {
        fn frame()(
            numbers: [u8; 12],
            ends: [u8; 8],
            flags in 0..512_u16,
            options in 0..OPTIONS.len(),
            payload in 0..60_usize,
            kind in 0..8_u8,
            fragment in prop::sample::select(vec![0, 0x4000, 0x2000]),
        ) -> Vec<u8> {
            let body = segment(numbers, flags, OPTIONS[options], payload);
            let tagged = kind == 7;
            if kind & 1 == 0 {
                ethernet(tagged, [8, 0], &v4(ends, fragment, &body))
            } else {
                ethernet(tagged, [0x86, 0xdd], &v6(ends, &body))
            }
        }
    }

    proptest! {
        #[test]
        fn a_packet_is_noted_as_its_digest_is(frame in frame(), cut in 40..200_usize) {
            let packet = RawPacket {
                time: CaptureTime::from_nanos(11),
                link: LinkType::Ethernet,
                original_len: frame.len() as u32,
                interface: 3,
                data: &frame[..frame.len().min(cut)],
            };
            let mut batch = Batch::default();
            // A place that was used before.
            batch.places[0] = Noted::of(&Digest::BLANK);
            let taken = batch.take(&packet);
            let digest = decode(&packet);
            prop_assert_eq!(taken, digest.map(drop));
            let Ok(digest) = digest else { return Ok(()) };
            if batch.places[0].form == Form::Digest {
                batch.places[0].derive();
            }
            let (noted, expected) = (&batch.places[0], Noted::of(&digest));
            prop_assert_eq!(noted.digest(), digest);
            prop_assert_eq!(noted.of.key, expected.of.key);
            prop_assert_eq!((noted.of.hash, noted.of.way), (expected.of.hash, expected.of.way));
            prop_assert_eq!((noted.flags, noted.time), (expected.flags, expected.time));
            prop_assert_eq!(noted.mark, expected.mark);
            let plain = |noted: &Noted| noted.plain().map(|plain| (plain.present, plain.octets));
            prop_assert_eq!(plain(noted), plain(&expected));
            let usual = digest.options.order == 0 && !digest.options.cut && !digest.is_rst();
            prop_assert!(!usual || noted.form == Form::Usual || digest.link.vlans[0].is_some());
        }
    }
}

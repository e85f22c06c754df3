//! A digest as the ring holds it, in some 80 octets.
//!
//! A record is a multiple of eight octets long: its state, part of what it is marked by, which parts are present,
//! how far back the records of the same two chains lie; then a plain segment with its ends between the fixed
//! and the special part, or a wide one.

use parallax_core::{CaptureTime, Digest, Way};

use crate::noted::Noted;
use crate::noted::key::{Family, FlowKey};
use crate::noted::plain::{self, FIXED, Plain, field};
use crate::noted::wide::{self, Wide};

/// Octets before the parts: state, mark, presence, two distances.
const HEAD: usize = 12;
/// No record is longer.
pub(super) const LONGEST: usize = (HEAD + wide::LONGEST).next_multiple_of(UNIT);
/// Records begin at multiples of this.
pub(super) const UNIT: usize = 8;

pub(super) const SHIPPED: u8 = 1;
const WIDE: u8 = 4;
const V6: u8 = 8;
/// From the higher end to the lower.
const BACK: u8 = 16;

/// Where the ends begin in a plain record.
const ENDS: usize = HEAD + FIXED;

/// How far back the record before lies in the chains of the flow and of the mark, in units; 0: nowhere.
pub(super) type Distances = [u32; 2];

/// Room that a record needs at most.
#[inline]
pub(super) fn room_for(noted: &Noted) -> usize {
    match noted.plain() {
        Some(_) => ENDS + 4 * noted.of.key.family.words() + 8,
        None => LONGEST,
    }
}

/// What a record keeps of its mark.
const fn part_of(mark: u64) -> u8 {
    (mark ^ mark >> 24) as u8
}

/// Writes a record into its [room](room_for), and tells how much of it it took.
#[inline]
pub(super) fn write(noted: &Noted, shipped: bool, distances: Distances, room: &mut [u8]) -> usize {
    let shipped = if shipped { SHIPPED } else { 0 };
    let len = match (noted.plain(), noted.of.key.family) {
        (Some(plain), Family::V4) => write_plain::<3>(noted, plain, shipped, room),
        (Some(plain), Family::V6) => write_plain::<9>(noted, plain, shipped | V6, room),
        (None, _) => write_wide(&noted.wide(), shipped, room),
    };
    room[1] = noted.mark.map_or(0, part_of);
    room[4..8].copy_from_slice(&distances[0].to_le_bytes());
    room[8..HEAD].copy_from_slice(&distances[1].to_le_bytes());
    len
}

#[inline]
fn write_plain<const WORDS: usize>(
    noted: &Noted,
    plain: &Plain,
    state: u8,
    room: &mut [u8],
) -> usize {
    let back = if noted.of.way == Way::HighToLow {
        BACK
    } else {
        0
    };
    let special = ENDS + 4 * WORDS;
    let room = &mut room[..special + 8];
    room[0] = state | back;
    room[2..4].copy_from_slice(&plain.present.to_le_bytes());
    room[HEAD..ENDS].copy_from_slice(&plain.octets[..FIXED]);
    for (part, word) in room[ENDS..special]
        .chunks_exact_mut(4)
        .zip(&noted.of.key.words[..WORDS])
    {
        part.copy_from_slice(&word.to_le_bytes());
    }
    room[special..].copy_from_slice(&plain.octets[FIXED..]);
    if Plain::is_short(plain.present) {
        special
    } else {
        special + 8
    }
}

fn write_wide(wide: &Wide, state: u8, room: &mut [u8]) -> usize {
    let end = HEAD + wide.octets().len();
    room[0] = state | WIDE;
    room[HEAD..end].copy_from_slice(wide.octets());
    end.next_multiple_of(UNIT)
}

/// A record in the ring.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    octets: &'a [u8],
}

impl<'a> Record<'a> {
    pub fn new(octets: &'a [u8]) -> Self {
        Self { octets }
    }

    fn is(self, state: u8) -> bool {
        self.octets[0] & state != 0
    }

    pub fn is_shipped(self) -> bool {
        self.is(SHIPPED)
    }

    fn parts(self) -> &'a [u8] {
        self.octets.get(HEAD..).unwrap_or_default()
    }

    pub fn time(self) -> CaptureTime {
        if self.is(WIDE) {
            wide::time(self.parts())
        } else {
            plain::time(self.parts())
        }
    }

    /// Whether it may bear this mark; one of 256 others seems to.
    pub fn may_bear(self, mark: u64) -> bool {
        self.octets[1] == part_of(mark)
    }

    /// Whether it is one of these.
    pub fn is_among(self, digests: &[Digest]) -> bool {
        let time = self.time();
        // Reading a whole record takes longer.
        digests.iter().any(|digest| digest.time == time) && digests.contains(&self.digest())
    }

    /// The flow that it belongs to.
    pub fn key(self) -> FlowKey {
        if self.is(WIDE) {
            return FlowKey::of(self.digest().tuple).0;
        }
        let family = if self.is(V6) { Family::V6 } else { Family::V4 };
        let mut words = [0; 9];
        for (index, word) in words.iter_mut().enumerate().take(family.words()) {
            *word = u32::from_le_bytes(field(self.octets, ENDS + 4 * index));
        }
        FlowKey { words, family }
    }

    pub fn digest(self) -> Digest {
        if self.is(WIDE) {
            return wide::digest(self.parts());
        }
        let present = u16::from_le_bytes(field(self.octets, 2));
        let key = self.key();
        let way = if self.is(BACK) {
            Way::HighToLow
        } else {
            Way::LowToHigh
        };
        let special = field(self.octets, ENDS + 4 * key.family.words());
        plain::digest(key.tuple(way), present, self.parts(), special)
    }
}

//! The packed form of nearly every segment: at fixed places, so that packing is a row of stores.
//!
//! It lacks the ends, which the [`FlowKey`](super::key::FlowKey) has. No VLAN, tunnel or reason of a reset
//! fits into it, at most eight options, and only one of: payload hash, SACK block, MSS with window scale.

use parallax_core::decode::Usual;
use parallax_core::digest::{
    Direction, IpFields, LinkFields, SackBlock, TcpFlags, TcpOptions, Timestamps,
};
use parallax_core::{CaptureTime, Digest, FourTuple, TcpSeq};

/// Octets of the parts that every segment has.
pub(crate) const FIXED: usize = 48;
/// Octets with the part that some have.
pub(crate) const WHOLE: usize = FIXED + SPECIAL;
const SPECIAL: usize = 8;

/// What is present.
pub(crate) const HASH: u16 = 1;
pub(crate) const SACK: u16 = 2;
pub(crate) const MSS: u16 = 4;
pub(crate) const SCALE: u16 = 8;
const SPECIALS: u16 = HASH | SACK | MSS | SCALE;
const STAMPS: u16 = 16;
const IP_ID: u16 = 32;
const MAC: u16 = 64;

const DONT_FRAGMENT: u8 = 1;
const FRAGMENT: u8 = 2;
const CUT: u8 = 4;
const SACK_PERMITTED: u8 = 8;

/// A packed segment without its ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain {
    pub present: u16,
    pub octets: [u8; WHOLE],
}

/// What the form holds.
struct Values {
    present: u16,
    time: CaptureTime,
    /// Sequence and acknowledgement.
    numbers: [TcpSeq; 2],
    flags: TcpFlags,
    window: u16,
    /// TTL, traffic class, interface, marks.
    small: [u8; 4],
    payload_len: u32,
    timestamps: Option<Timestamps>,
    ip_id: Option<u16>,
    mac: Option<[u8; 6]>,
    order: u32,
    special: u64,
}

impl Plain {
    pub const EMPTY: Self = Self {
        present: 0,
        octets: [0; WHOLE],
    };

    /// Packs a segment; false if there is more to it, and then nothing counts.
    #[inline]
    pub fn pack(&mut self, digest: &Digest) -> bool {
        let Digest {
            options, ip, link, ..
        } = digest;
        let present = present(digest);
        let special = present & SPECIALS;
        let one_special =
            matches!(special, 0 | HASH | SACK | MSS | SCALE) || special == MSS | SCALE;
        let untold =
            link.vlans[0].is_some() || link.tunnel.is_some() || digest.rst_reason.is_some();
        if untold || !one_special || options.order > u64::from(u32::MAX) {
            return false;
        }
        self.put_all(&Values {
            present,
            time: digest.time,
            numbers: [digest.seq, digest.ack],
            flags: digest.flags,
            window: digest.window,
            small: [ip.ttl, ip.traffic_class, link.interface, marks(digest)],
            payload_len: digest.payload_len,
            timestamps: options.timestamps,
            ip_id: ip.id,
            mac: link.source,
            order: options.order as u32,
            special: special_part(digest),
        });
        true
    }

    /// Packs a segment of the kind most met.
    #[inline]
    pub fn pack_usual<Address>(&mut self, usual: &Usual<Address>) {
        let bit = |bit: u16, there: bool| if there { bit } else { 0 };
        let ip = &usual.ip;
        self.put_all(&Values {
            present: bit(HASH, usual.payload_hash.is_some())
                | bit(STAMPS, usual.timestamps.is_some())
                | bit(IP_ID, ip.id.is_some())
                | MAC,
            time: usual.time,
            numbers: [usual.seq, usual.ack],
            flags: usual.flags,
            window: usual.window,
            small: [ip.ttl, ip.traffic_class, usual.interface, ip_marks(*ip)],
            payload_len: usual.payload_len,
            timestamps: usual.timestamps,
            ip_id: ip.id,
            mac: Some(usual.source),
            order: usual.order as u32,
            special: usual.payload_hash.unwrap_or(0),
        });
    }

    #[inline]
    fn put_all(&mut self, values: &Values) {
        let stamps = values
            .timestamps
            .map_or([0; 2], |stamps| [stamps.value, stamps.echo]);
        self.present = values.present;
        self.put(0, values.time.nanos().to_le_bytes());
        self.put(8, values.numbers[0].0.to_le_bytes());
        self.put(12, values.numbers[1].0.to_le_bytes());
        self.put(16, values.flags.0.to_le_bytes());
        self.put(18, values.window.to_le_bytes());
        self.put(20, values.small);
        self.put(24, values.payload_len.to_le_bytes());
        self.put(28, stamps[0].to_le_bytes());
        self.put(32, stamps[1].to_le_bytes());
        self.put(36, values.ip_id.unwrap_or(0).to_le_bytes());
        self.put(38, values.mac.unwrap_or_default());
        self.put(44, values.order.to_le_bytes());
        self.put(FIXED, values.special.to_le_bytes());
    }

    #[inline]
    fn put<const N: usize>(&mut self, at: usize, part: [u8; N]) {
        self.octets[at..at + N].copy_from_slice(&part);
    }

    /// All of the segment.
    pub fn digest(&self, tuple: FourTuple) -> Digest {
        digest(
            tuple,
            self.present,
            &self.octets,
            field(&self.octets, FIXED),
        )
    }

    /// Whether only the first [`FIXED`] octets say something.
    pub const fn is_short(present: u16) -> bool {
        present & SPECIALS == 0
    }
}

#[inline]
fn present(digest: &Digest) -> u16 {
    let bit = |bit: u16, there: bool| if there { bit } else { 0 };
    let options = &digest.options;
    bit(HASH, digest.payload_hash.is_some())
        | bit(SACK, options.sack.is_some())
        | bit(MSS, options.mss.is_some())
        | bit(SCALE, options.window_scale.is_some())
        | bit(STAMPS, options.timestamps.is_some())
        | bit(IP_ID, digest.ip.id.is_some())
        | bit(MAC, digest.link.source.is_some())
}

/// What is not there is zero, and only one is there.
#[inline]
fn special_part(digest: &Digest) -> u64 {
    let options = &digest.options;
    let sack = options.sack.map_or(0, |sack| {
        u64::from(sack.left.0) << 32 | u64::from(sack.right.0)
    });
    let mss = u64::from(options.mss.unwrap_or(0));
    let scale = u64::from(options.window_scale.unwrap_or(0)) << 16;
    digest.payload_hash.unwrap_or(0) | sack | mss | scale
}

/// Yes and no, and the direction.
#[inline]
pub(super) fn marks(digest: &Digest) -> u8 {
    let bit = |bit: u8, there: bool| if there { bit } else { 0 };
    let direction = match digest.link.direction {
        Direction::Unknown => 0,
        Direction::In => 1,
        Direction::Out => 2,
    };
    ip_marks(digest.ip)
        | bit(CUT, digest.options.cut)
        | bit(SACK_PERMITTED, digest.options.sack_permitted)
        | direction << 4
}

#[inline]
fn ip_marks(ip: IpFields) -> u8 {
    let bit = |bit: u8, there: bool| if there { bit } else { 0 };
    bit(DONT_FRAGMENT, ip.dont_fragment) | bit(FRAGMENT, ip.fragment)
}

/// When the segment was captured.
pub(crate) fn time(octets: &[u8]) -> CaptureTime {
    CaptureTime::from_nanos(i64::from_le_bytes(field(octets, 0)))
}

/// The digest of packed octets; without [`special`](Plain::is_short) ones the last eight may be missing.
pub(crate) fn digest(tuple: FourTuple, present: u16, octets: &[u8], special: [u8; 8]) -> Digest {
    let there = |bit: u16| present & bit != 0;
    let word = |at: usize| u32::from_le_bytes(field(octets, at));
    let special = u64::from_le_bytes(special);
    let [ttl, traffic_class, interface, marks] = field(octets, 20);
    Digest {
        time: time(octets),
        tuple,
        seq: TcpSeq(word(8)),
        ack: TcpSeq(word(12)),
        flags: TcpFlags(u16::from_le_bytes(field(octets, 16))),
        window: u16::from_le_bytes(field(octets, 18)),
        payload_len: word(24),
        payload_hash: there(HASH).then_some(special),
        rst_reason: None,
        options: TcpOptions {
            mss: there(MSS).then_some(special as u16),
            window_scale: there(SCALE).then_some((special >> 16) as u8),
            timestamps: there(STAMPS).then(|| Timestamps {
                value: word(28),
                echo: word(32),
            }),
            sack: there(SACK).then_some(SackBlock {
                left: TcpSeq((special >> 32) as u32),
                right: TcpSeq(special as u32),
            }),
            order: u64::from(word(44)),
            ..marked_options(marks)
        },
        ip: IpFields {
            ttl,
            id: there(IP_ID).then(|| u16::from_le_bytes(field(octets, 36))),
            traffic_class,
            ..marked_ip(marks)
        },
        link: LinkFields {
            direction: direction(marks),
            source: there(MAC).then(|| field(octets, 38)),
            interface,
            ..LinkFields::default()
        },
    }
}

pub(super) fn marked_options(marks: u8) -> TcpOptions {
    TcpOptions {
        sack_permitted: marks & SACK_PERMITTED != 0,
        cut: marks & CUT != 0,
        ..TcpOptions::default()
    }
}

pub(super) fn marked_ip(marks: u8) -> IpFields {
    IpFields {
        dont_fragment: marks & DONT_FRAGMENT != 0,
        fragment: marks & FRAGMENT != 0,
        ..IpFields::default()
    }
}

pub(super) const fn direction(marks: u8) -> Direction {
    match marks >> 4 & 3 {
        1 => Direction::In,
        2 => Direction::Out,
        _ => Direction::Unknown,
    }
}

/// Octets at a place; what is not there reads as zero: memories hold only what was packed.
pub(crate) fn field<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    octets
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .unwrap_or([0; N])
}

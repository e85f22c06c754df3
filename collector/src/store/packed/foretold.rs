//! What a segment most likely holds, by those of its row before it. Rows hold the difference, which mostly is nothing.

use parallax_core::digest::{SackBlock, TcpFlags, Timestamps};
use parallax_core::time::MILLISECOND;
use parallax_core::{Digest, TcpSeq, Way};

/// How many numbers a segment is told by, beside its kind and its place.
pub(super) const NUMBERS: usize = 12;

/// What one direction said last.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    next: u32,
    ack: u32,
    flags: u16,
    window: u16,
    payload_len: u32,
    id: u16,
    /// How far the IP ID went with the last segment: none, or one.
    id_step: u16,
    stamps: Option<Timestamps>,
    millis: i64,
}

/// What the segments so far said.
#[derive(Debug, Default)]
pub(super) struct Foretold {
    time: i64,
    said: [Option<Said>; 2],
}

impl Foretold {
    /// Takes a segment in.
    pub fn note(&mut self, digest: &Digest) {
        let id = digest.ip.id.unwrap_or(0);
        let before = &mut self.said[side(digest)];
        let stands = before.is_some_and(|before| before.id == id);
        *before = Some(Said {
            next: digest.seq_end().0,
            ack: digest.ack.0,
            flags: digest.flags.0,
            window: digest.window,
            payload_len: digest.payload_len,
            id,
            id_step: u16::from(!stands),
            stamps: digest.options.timestamps,
            millis: millis(digest),
        });
        self.time = digest.time.nanos();
    }

    /// The numbers that tell a segment apart from what is foretold.
    pub fn numbers(&self, digest: &Digest) -> [u64; NUMBERS] {
        let (own, other) = self.said_by(digest);
        let stamps = digest.options.timestamps.unwrap_or(NO_STAMPS);
        let (value, echo) = expected_stamps(own, other, digest);
        let sack = digest.options.sack.unwrap_or(NO_SACK);
        let id = digest.ip.id.unwrap_or(0);
        let expects_hash = digest.payload_len > 0;
        [
            folded(digest.time.nanos().wrapping_sub(self.time)),
            narrow(digest.seq.0.wrapping_sub(own.next)),
            narrow(digest.ack.0.wrapping_sub(expected_ack(own, other))),
            u64::from(digest.flags.0 ^ own.flags),
            folded(i64::from(digest.window) - i64::from(own.window)),
            u64::from(digest.payload_len ^ own.payload_len),
            folded(i64::from(
                id.wrapping_sub(expected_id(own, digest)).cast_signed(),
            )),
            narrow(stamps.value.wrapping_sub(value)),
            narrow(stamps.echo.wrapping_sub(echo)),
            u64::from(digest.payload_hash.is_some() != expects_hash),
            narrow(sack.left.0.wrapping_sub(expected_left(digest).0)),
            u64::from(sack.right.0.wrapping_sub(sack.left.0)),
        ]
    }

    /// The segment of these numbers; its payload's hash is any where it has one. `kind`: a segment that is alike in all else.
    /// What no segment can hold is none.
    pub fn digest(&self, kind: &Digest, numbers: [u64; NUMBERS]) -> Option<Digest> {
        let [
            time,
            seq,
            ack,
            flags,
            window,
            len,
            id,
            value,
            echo,
            odd,
            left,
            right,
        ] = numbers;
        let mut digest = *kind;
        let (own, other) = self.said_by(kind);
        digest.time =
            parallax_core::CaptureTime::from_nanos(self.time.wrapping_add(unfolded(time)));
        digest.seq = TcpSeq(own.next.wrapping_add(widened(seq)?));
        digest.ack = TcpSeq(expected_ack(own, other).wrapping_add(widened(ack)?));
        digest.flags = TcpFlags(own.flags ^ u16::try_from(flags).ok()?);
        digest.window = i64::from(own.window)
            .checked_add(unfolded(window))?
            .try_into()
            .ok()?;
        digest.payload_len = own.payload_len ^ u32::try_from(len).ok()?;
        let id = i16::try_from(unfolded(id)).ok()?.cast_unsigned();
        digest.ip.id = kind.ip.id.map(|_| expected_id(own, kind).wrapping_add(id));
        let (expected, echoed) = expected_stamps(own, other, &digest);
        let stamps = Timestamps {
            value: expected.wrapping_add(widened(value)?),
            echo: echoed.wrapping_add(widened(echo)?),
        };
        digest.options.timestamps = kind.options.timestamps.map(|_| stamps);
        let left = TcpSeq(expected_left(&digest).0.wrapping_add(widened(left)?));
        let sack = SackBlock {
            left,
            right: TcpSeq(left.0.wrapping_add(u32::try_from(right).ok()?)),
        };
        digest.options.sack = kind.options.sack.map(|_| sack);
        let has_hash = (digest.payload_len > 0) != (odd != 0);
        digest.payload_hash = has_hash.then_some(0);
        Some(digest)
    }

    fn said_by(&self, digest: &Digest) -> (Said, Option<Said>) {
        let side = side(digest);
        (self.said[side].unwrap_or_default(), self.said[1 - side])
    }
}

const NO_STAMPS: Timestamps = Timestamps { value: 0, echo: 0 };
const NO_SACK: SackBlock = SackBlock {
    left: TcpSeq(0),
    right: TcpSeq(0),
};

/// A segment without what [`Foretold`] tells: those that are equal in the rest are of one kind.
pub(super) fn rest(digest: &Digest) -> Digest {
    let mut rest = *digest;
    rest.time = Digest::BLANK.time;
    (rest.seq, rest.ack) = (TcpSeq(0), TcpSeq(0));
    (rest.flags, rest.window) = (TcpFlags(0), 0);
    (rest.payload_len, rest.payload_hash) = (0, None);
    rest.ip.id = rest.ip.id.map(|_| 0);
    rest.options.timestamps = rest.options.timestamps.map(|_| NO_STAMPS);
    rest.options.sack = rest.options.sack.map(|_| NO_SACK);
    rest
}

fn side(digest: &Digest) -> usize {
    usize::from(digest.tuple.way() == Way::HighToLow)
}

fn millis(digest: &Digest) -> i64 {
    digest.time.nanos().div_euclid(MILLISECOND)
}

/// All that the other side sent, as far as this vantage saw it.
fn expected_ack(own: Said, other: Option<Said>) -> u32 {
    other.map_or(own.ack, |other| other.next)
}

fn expected_id(own: Said, digest: &Digest) -> u16 {
    if digest.ip.id.is_some() {
        own.id.wrapping_add(own.id_step)
    } else {
        0
    }
}

/// Most hosts' stamps count milliseconds; what comes back is the newest.
fn expected_stamps(own: Said, other: Option<Said>, digest: &Digest) -> (u32, u32) {
    if digest.options.timestamps.is_none() {
        return (0, 0);
    }
    let before = own.stamps.unwrap_or(NO_STAMPS);
    let passed = millis(digest).wrapping_sub(own.millis) as u32;
    let newest = other.and_then(|other| other.stamps);
    (
        before.value.wrapping_add(passed),
        newest.map_or(before.echo, |stamps| stamps.value),
    )
}

/// Blocks lie beyond what is acknowledged.
fn expected_left(digest: &Digest) -> TcpSeq {
    digest.options.sack.map_or(TcpSeq(0), |_| digest.ack)
}

/// Small numbers of either sign as small ones without.
fn folded(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unfolded(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// A difference modulo 2^32.
fn narrow(value: u32) -> u64 {
    folded(i64::from(value.cast_signed()))
}

fn widened(value: u64) -> Option<u32> {
    i32::try_from(unfolded(value)).ok().map(i32::cast_unsigned)
}

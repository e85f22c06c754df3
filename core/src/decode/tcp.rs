//! The TCP header (RFC 9293) and its options.

use xxhash_rust::xxh3::xxh3_64;

use super::octets::{Body, Missing, be16, be32};
use super::unread::Unread;
use crate::digest::{Digest, PAYLOAD_HASH_OCTETS, SackBlock, TcpFlags, TcpOptions, Timestamps};
use crate::reason::ResetReason;
use crate::seq::TcpSeq;

const FIXED: usize = 20;

/// A header in its parts.
pub(super) struct Parts<'a> {
    fixed: &'a [u8; FIXED],
    /// How long the header says that its options are.
    options_len: usize,
    /// Options and payload.
    rest: Body<'a>,
}

/// Cuts a segment up, if its header is sound. By hand, since etherparse's slice refuses a header whose options were
/// cut.
///
/// A first fragment may end within the options; in a whole packet that is nonsense.
#[inline]
pub(super) fn parts<'a>(segment: &Body<'a>, first_fragment: bool) -> Result<Parts<'a>, Unread> {
    let (fixed, rest) = segment.split(FIXED).map_err(|missing| match missing {
        Missing::Cut => Unread::CutInTcp,
        Missing::Overrun => Unread::BadTcpHeader,
    })?;
    let fixed: &[u8; FIXED] = fixed.first_chunk().ok_or(Unread::CutInTcp)?;
    let header_len = usize::from(fixed[12] >> 4) * 4;
    let options_len = header_len.checked_sub(FIXED).ok_or(Unread::BadTcpHeader)?;
    if options_len > rest.declared && !first_fragment {
        return Err(Unread::BadTcpHeader);
    }
    Ok(Parts {
        fixed,
        options_len,
        rest,
    })
}

impl<'a> Parts<'a> {
    #[inline]
    pub(super) fn ports(&self) -> [u16; 2] {
        let fixed = self.fixed;
        [
            u16::from_be_bytes([fixed[0], fixed[1]]),
            u16::from_be_bytes([fixed[2], fixed[3]]),
        ]
    }

    #[inline]
    pub(super) fn flags(&self) -> TcpFlags {
        TcpFlags(u16::from_be_bytes([self.fixed[12] & 1, self.fixed[13]]))
    }

    #[inline]
    pub(super) fn seq(&self) -> TcpSeq {
        let fixed = self.fixed;
        TcpSeq(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]))
    }

    #[inline]
    pub(super) fn ack(&self) -> TcpSeq {
        let fixed = self.fixed;
        TcpSeq(u32::from_be_bytes([
            fixed[8], fixed[9], fixed[10], fixed[11],
        ]))
    }

    #[inline]
    pub(super) fn window(&self) -> u16 {
        u16::from_be_bytes([self.fixed[14], self.fixed[15]])
    }

    #[inline]
    pub(super) fn payload_len(&self) -> usize {
        self.rest.declared.saturating_sub(self.options_len)
    }

    /// What was captured of the options.
    #[inline]
    fn options(&self) -> &'a [u8] {
        let captured = self.rest.captured;
        &captured[..captured.len().min(self.options_len)]
    }

    /// Their order and the timestamps, if there are no other options; `None`: there are, or some were not captured.
    #[inline]
    pub(super) fn usual_options(&self) -> Option<(u64, Option<Timestamps>)> {
        match (self.options(), self.options_len) {
            ([], 0) => Some((0, None)),
            // What nearly every segment after the SYN has (RFC 7323, appendix A).
            (&[1, 1, 8, 10, v0, v1, v2, v3, e0, e1, e2, e3], 12) => {
                let value = u32::from_be_bytes([v0, v1, v2, v3]);
                let echo = u32::from_be_bytes([e0, e1, e2, e3]);
                Some((0x811, Some(Timestamps { value, echo })))
            }
            _ => None,
        }
    }

    /// What was captured of the payload.
    #[inline]
    pub(super) fn payload(&self) -> &'a [u8] {
        let captured = self.rest.captured;
        &captured[captured.len().min(self.options_len)..]
    }
}

/// Reads the header into a digest.
#[inline]
pub(super) fn read(
    segment: &Body<'_>,
    first_fragment: bool,
    place: &mut Digest,
) -> Result<(), Unread> {
    let parts = parts(segment, first_fragment)?;
    let payload_len = parts.payload_len();
    let (captured_options, payload) = (parts.options(), parts.payload());
    [place.tuple.src.port, place.tuple.dst.port] = parts.ports();
    place.seq = parts.seq();
    place.ack = parts.ack();
    place.flags = parts.flags();
    place.window = parts.window();
    options(&parts, &mut place.options);
    place.rst_reason = if place.is_rst() {
        rst_reason(captured_options, payload, payload_len)
    } else {
        None
    };
    place.payload_len = payload_len as u32;
    place.payload_hash = payload_hash(payload, payload_len);
    Ok(())
}

/// The reason in a RST's payload, else in its options. Apart, so that other packets pay nothing for it.
#[inline(never)]
fn rst_reason(options: &[u8], payload: &[u8], payload_len: usize) -> Option<ResetReason> {
    ResetReason::from_payload(payload, payload_len).or_else(|| {
        let mut rest = options;
        loop {
            let (kind, len) = match *rest {
                [] | [0, ..] => return None,
                [1, ..] => (1, 1),
                [kind, len, ..] if len >= 2 => (kind, usize::from(len)),
                _ => return None,
            };
            let (option, after) = rest.split_at_checked(len)?;
            if kind == MPTCP
                && let Some(reason) = ResetReason::from_option(option)
            {
                return Some(reason);
            }
            rest = after;
        }
    })
}

/// The option kind of MPTCP (RFC 8684).
const MPTCP: u8 = 30;

/// `captured` begins with the payload, unless the capture ended before it.
#[inline]
pub(super) fn payload_hash(captured: &[u8], payload_len: usize) -> Option<u64> {
    let hashed = payload_len.min(PAYLOAD_HASH_OCTETS);
    if hashed == 0 {
        return None;
    }
    captured.get(..hashed).map(xxh3_64)
}

/// Reads the options out of what was captured of them.
///
/// Each case writes to the digest itself: a value to be copied there would be read in larger parts than it was
/// written a moment before, which stalls the processor.
#[inline]
fn options(parts: &Parts<'_>, place: &mut TcpOptions) {
    if let Some((order, timestamps)) = parts.usual_options() {
        *place = TcpOptions::NONE;
        place.timestamps = timestamps;
        place.order = order;
    } else {
        *place = walk(parts.options(), parts.options_len);
    }
}

fn timestamps(octets: &[u8]) -> Option<Timestamps> {
    let (value, echo) = be32(octets, 0).zip(be32(octets, 4))?;
    Some(Timestamps { value, echo })
}

#[inline(never)]
fn walk(captured: &[u8], len: usize) -> TcpOptions {
    let mut options = TcpOptions::default();
    let mut place = 0;
    let mut rest = captured;
    loop {
        let Some(&kind) = rest.first() else {
            options.cut = captured.len() < len;
            return options;
        };
        if kind == 0 {
            return options;
        }
        if place < 16 {
            let nibble = if kind > 8 { 15 } else { kind };
            options.order |= u64::from(nibble) << (4 * place);
            place += 1;
        }
        let option_len = match (kind, rest.get(1)) {
            (1, _) => 1,
            (_, Some(&option_len)) if option_len >= 2 => usize::from(option_len),
            _ => {
                options.cut = true;
                return options;
            }
        };
        let Some((option, after)) = rest.split_at_checked(option_len) else {
            options.cut = true;
            return options;
        };
        take(&mut options, kind, option);
        rest = after;
    }
}

/// Keeps the value of an option of the right length.
fn take(options: &mut TcpOptions, kind: u8, option: &[u8]) {
    match (kind, option.len()) {
        (2, 4) => options.mss = be16(option, 2),
        (3, 3) => options.window_scale = option.get(2).copied(),
        (4, 2) => options.sack_permitted = true,
        // One to four blocks of eight octets.
        (5, 10 | 18 | 26 | 34) => {
            options.sack = be32(option, 2)
                .zip(be32(option, 6))
                .map(|(left, right)| SackBlock {
                    left: TcpSeq(left),
                    right: TcpSeq(right),
                });
        }
        (8, 10) => options.timestamps = timestamps(&option[2..]),
        _ => {}
    }
}

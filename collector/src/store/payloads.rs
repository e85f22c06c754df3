//! Rows of table `payload`: which segments make its flow known to those that carry the same payload.
//!
//! Who looks for others asks for all payloads that it has, so a few of each row are enough. What a proxy leaves alone is
//! how messages begin, so these go first.

use std::collections::BTreeSet;

use parallax_core::Digest;

use super::copy::CopyBuffer;
use super::days::day_of;

pub(super) const COPY_PAYLOADS: &str =
    "COPY payload (hash, time_ns, flow, day) FROM STDIN (FORMAT BINARY)";
const COLUMNS: i16 = 4;
/// What the rows of one packed row take in a COPY, about.
pub(super) const ROW_OCTETS: usize = 4 * 42;

/// Of a row with no more segments than this all payloads are noted: it is the surroundings of a reset, or a slow flow.
const FEW: usize = 16;
/// Of others so many.
const NOTED: usize = 4;

/// Payloads shorter than this are too alike; as in `core/src/archive`.
const TELLS: u32 = 16;

/// The hash of a payload by which a flow may be known.
pub(super) fn telling(digest: &Digest) -> Option<u64> {
    digest.payload_hash.filter(|_| digest.payload_len >= TELLS)
}

/// Adds the payloads to note of one flow's segments.
pub(super) fn push(rows: &mut CopyBuffer, flow: i64, days: &BTreeSet<i32>, digests: &[Digest]) {
    let most = if digests.len() <= FEW { FEW } else { NOTED };
    let mut noted: [u64; FEW] = [0; FEW];
    let mut count = 0;
    let mut note = |digest: &Digest, hash: u64| {
        if count < most && !noted[..count].contains(&hash) {
            noted[count] = hash;
            count += 1;
            rows.row(COLUMNS);
            rows.eight(hash.cast_signed());
            rows.eight(digest.time.nanos());
            rows.eight(flow);
            rows.four(days.get(&day_of(digest.time)).copied().unwrap_or(0));
        }
    };
    for (digest, hash) in beginnings(digests) {
        note(digest, hash);
    }
    for digest in digests {
        if let Some(hash) = telling(digest) {
            note(digest, hash);
        }
    }
}

/// The telling segments that begin a message: before them the other side spoke, or nobody.
pub(super) fn beginnings<'a>(
    digests: impl IntoIterator<Item = &'a Digest>,
) -> impl Iterator<Item = (&'a Digest, u64)> {
    let mut speaker = None;
    digests
        .into_iter()
        .filter(|digest| digest.payload_len > 0)
        .filter_map(move |digest| {
            let before = speaker.replace(digest.tuple.src);
            let begins = before != Some(digest.tuple.src);
            telling(digest)
                .filter(|_| begins)
                .map(|hash| (digest, hash))
        })
}

#[cfg(test)]
mod tests;

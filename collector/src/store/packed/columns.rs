//! The octets of a row: its segments, each told by its kind and by what is not foretold of it.
//!
//! One octet for the form, one for how many segments there are; then the first segment of each kind as it travels
//! (`DigestBatch`, its length before it); then bits ([`super::bits`]): columns of the segments' kinds (the number of those
//! before it: a new one) and of how many numbers of the run lie between each and the one before, columns of the others'
//! numbers ([`super::foretold`]), and 64 bits for each of their payloads' hashes.

use parallax_core::Digest;
use parallax_proto::batch;
use parallax_proto::v1::DigestBatch;
use prost::Message;

use super::SEGMENTS_MAX;
use super::bits::{Reader, Writer};
use super::foretold::{Foretold, NUMBERS, rest};

/// The form of these octets. A zstd frame, as rows were before, begins with another.
pub(super) const FORM: u8 = 1;

/// Writes segments, of which `gaps` lie before each in the run.
pub(super) fn write(digests: &[Digest], gaps: &[u64]) -> Vec<u8> {
    let mut kinds: Vec<Digest> = Vec::new();
    let mut firsts: Vec<Digest> = Vec::new();
    let mut which = Vec::with_capacity(digests.len());
    let mut columns: [Vec<u64>; NUMBERS] =
        std::array::from_fn(|_| Vec::with_capacity(digests.len()));
    let mut hashes = Vec::with_capacity(digests.len());
    let mut foretold = Foretold::default();
    for digest in digests {
        let rest = rest(digest);
        let kind = kinds.iter().position(|kind| *kind == rest);
        which.push(kind.unwrap_or(kinds.len()) as u64);
        if kind.is_none() {
            kinds.push(rest);
            firsts.push(*digest);
        } else {
            for (column, number) in columns.iter_mut().zip(foretold.numbers(digest)) {
                column.push(number);
            }
            hashes.extend(digest.payload_hash);
        }
        foretold.note(digest);
    }
    let head = batch::encode(0, &firsts);
    let mut octets = Vec::with_capacity(head.encoded_len() + 16 * digests.len());
    octets.extend([FORM, digests.len() as u8]);
    octets.extend(head.encode_length_delimited_to_vec());
    let mut bits = Writer::after(octets);
    bits.column(&which);
    bits.column(gaps);
    for column in &columns {
        bits.column(column);
    }
    for hash in hashes {
        bits.put(hash, u64::BITS);
    }
    bits.finish()
}

/// Reads segments, each with how many numbers of the run lie before it.
///
/// # Errors
/// What is wrong with the octets.
pub(super) fn read(octets: &[u8]) -> Result<Vec<(u64, Digest)>, String> {
    let [FORM, count, after @ ..] = octets else {
        return Err("no segments".to_owned());
    };
    let count = usize::from(*count);
    if count > SEGMENTS_MAX {
        return Err(format!("{count} segments"));
    }
    let mut rest = after;
    let head =
        DigestBatch::decode_length_delimited(&mut rest).map_err(|error| error.to_string())?;
    let firsts = batch::decode(head).map_err(|error| error.to_string())?;
    let mut bits = Reader::of(rest);
    let cut = || "too few bits".to_owned();
    let which = bits.column(count).ok_or_else(cut)?;
    let gaps = bits.column(count).ok_or_else(cut)?;
    let foretold = count.saturating_sub(firsts.len());
    let mut columns = Vec::with_capacity(NUMBERS);
    for _ in 0..NUMBERS {
        columns.push(bits.column(foretold).ok_or_else(cut)?.into_iter());
    }
    let mut digests = together(&which, &firsts, || {
        let mut numbers = [0; NUMBERS];
        for (number, column) in numbers.iter_mut().zip(&mut columns) {
            *number = column.next()?;
        }
        Some(numbers)
    })?;
    for (_, digest) in digests.iter_mut().filter(|(is_first, _)| !is_first) {
        if let Some(hash) = &mut digest.payload_hash {
            *hash = bits.get(u64::BITS).ok_or_else(cut)?;
        }
    }
    if !bits.is_at_end() {
        return Err("too many bits".to_owned());
    }
    let digests = digests.into_iter().map(|(_, digest)| digest);
    Ok(gaps.into_iter().zip(digests).collect())
}

/// The segments of kinds, and whether each is the first of its kind.
fn together(
    which: &[u64],
    firsts: &[(u64, Digest)],
    mut numbers: impl FnMut() -> Option<[u64; NUMBERS]>,
) -> Result<Vec<(bool, Digest)>, String> {
    let mut digests = Vec::with_capacity(which.len());
    let mut foretold = Foretold::default();
    let mut known = 0;
    for kind in which {
        let kind = usize::try_from(*kind).unwrap_or(usize::MAX);
        let (_, first) = firsts
            .get(kind)
            .filter(|_| kind <= known)
            .ok_or_else(|| format!("kind {kind} of {known}"))?;
        let is_first = kind == known;
        let digest = if is_first {
            known += 1;
            *first
        } else {
            let numbers = numbers().ok_or("too few numbers")?;
            foretold
                .digest(first, numbers)
                .ok_or("numbers of no segment")?
        };
        foretold.note(&digest);
        digests.push((is_first, digest));
    }
    if known < firsts.len() {
        return Err(format!("{known} kinds of {}", firsts.len()));
    }
    Ok(digests)
}

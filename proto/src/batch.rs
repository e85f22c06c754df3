//! Digests to columns and back.
//!
//! A batch is refused whole when anything in it is nonsense, and the refusal names what and where.
//! The layout is documented in `ingest.proto`, at `DigestBatch`.

use parallax_core::Digest;

use crate::v1::DigestBatch;

mod decode;
mod encode;
mod refusal;

pub use refusal::{BatchError, Column};

/// The most digests that one batch may carry.
pub const BATCH_MAX: usize = 65_536;

/// The highest number a digest may bear: it must fit a signed 64-bit column.
pub const NUMBER_MAX: u64 = i64::MAX as u64;

/// `digests` as columns; the first bears `first_number`, the others follow without gaps.
///
/// What no packet can hold is not carried: flag bits above the ninth, an inner VLAN id without an
/// outer one, and a payload hash of zero, which reads as "no hash".
pub fn encode(first_number: u64, digests: &[Digest]) -> DigestBatch {
    encode::encode(first_number, digests)
}

/// The digests of a batch with their numbers, in order.
///
/// # Errors
///
/// The first nonsense met; nothing of such a batch is used.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the columns are spent: digests take their place"
)]
pub fn decode(batch: DigestBatch) -> Result<Vec<(u64, Digest)>, BatchError> {
    decode::decode(&batch)
}

#[cfg(test)]
mod tests;

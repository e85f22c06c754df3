//! Digests to columns and back.
//!
//! A batch is refused whole when anything in it is nonsense, and the refusal names what and where.
//! The layout is documented in `ingest.proto`, at `DigestBatch`.

use parallax_core::{Digest, Flow};

use crate::v1::{DigestBatch, FlowTuple};

mod decode;
mod encode;
mod expected;
mod flows;
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
    let (mut batch, flows) = encode::encode(first_number, digests);
    batch.flows = flows.into_iter().map(flow_tuple).collect();
    batch
}

/// The same with [`FlowColumns`](crate::v1::FlowColumns), for collectors that accept them.
pub fn encode_in_columns(first_number: u64, digests: &[Digest]) -> DigestBatch {
    let (mut batch, flows) = encode::encode(first_number, digests);
    batch.flow_columns = Some(flows::columns(&flows));
    batch
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

/// A flow as messages carry it.
pub fn flow_tuple(flow: Flow) -> FlowTuple {
    flows::row(flow)
}

/// A flow from a message; `index` names it in a refusal.
///
/// # Errors
///
/// Addresses or ports that make no flow.
pub fn flow(index: usize, tuple: &FlowTuple) -> Result<Flow, BatchError> {
    flows::flow(index, tuple)
}

#[cfg(test)]
mod tests;

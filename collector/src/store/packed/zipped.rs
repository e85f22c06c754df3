//! The octets of rows of before: digests as they travel, compressed by zstd.

use parallax_core::Digest;
use parallax_proto::batch;
use parallax_proto::v1::DigestBatch;
use prost::Message;

use super::SEGMENTS_MAX;

/// More than any digest takes in columns.
const PLAIN_MAX: usize = SEGMENTS_MAX * 1024;

/// What such octets hold, before compression.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Pack {
    /// Its first number is the row's.
    #[prost(message, optional, tag = "1")]
    pub batch: Option<DigestBatch>,
    /// For each digest how many numbers of the run lie between it and the one before; 0 for the first.
    #[prost(uint64, repeated, tag = "2")]
    pub gaps: Vec<u64>,
}

/// Reads segments, each with how many numbers of the run lie before it.
///
/// # Errors
/// What is wrong with the octets.
pub(super) fn read(octets: &[u8]) -> Result<Vec<(u64, Digest)>, String> {
    let plain = zstd::bulk::decompress(octets, PLAIN_MAX).map_err(|error| error.to_string())?;
    let pack = Pack::decode(plain.as_slice()).map_err(|error| error.to_string())?;
    let batch = pack.batch.ok_or("nothing")?;
    let digests = batch::decode(batch).map_err(|error| error.to_string())?;
    if digests.len() != pack.gaps.len() {
        return Err(format!(
            "{} segments, {} gaps",
            digests.len(),
            pack.gaps.len()
        ));
    }
    let digests = digests.into_iter().map(|(_, digest)| digest);
    Ok(pack.gaps.into_iter().zip(digests).collect())
}

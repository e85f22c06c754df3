//! Everything that is known about one flow: the complete, immutable input of join and judge.
//!
//! The live service fills it from Postgres, `parallax analyze` from memory. Both must load the same
//! things, so a value of these types cannot be built with a part left out: "no digests" then means
//! that the vantage has none, not that nobody asked.

use uuid::Uuid;

use crate::coverage::Coverage;
use crate::digest::Digest;
use crate::flow::Flow;
use crate::vantage::Vantage;

/// One flow at every vantage there is.
#[derive(Debug, Clone)]
pub struct FlowEvidence {
    pub flow: Flow,
    /// Every vantage known, also those that never saw the flow, in the order in which they were
    /// named (command line) or first registered (collector): that order breaks ties.
    pub vantages: Vec<VantageEvidence>,
    /// The order that somebody configured, client side first, as indices into `vantages`.
    pub configured_path: Option<Vec<usize>>,
    /// Ids that resets of this flow already bear, by [`Judged::identity`](crate::judge::Judged).
    pub known_ids: Vec<(u64, Uuid)>,
}

/// One flow at one vantage.
#[derive(Debug, Clone)]
pub struct VantageEvidence {
    pub vantage: Vantage,
    /// What this vantage ships. It decides what a missing segment means.
    pub selection: Selection,
    /// In order of time, by this vantage's clock.
    pub coverage: Vec<Coverage>,
    /// This vantage's digests of the flow, all lives of the 4-tuple, in order of time.
    pub segments: Vec<Digest>,
    /// Segments of *other* flows, in order of time: the SYN and SYN+ACK between the flow's two
    /// addresses and the SYN+ACK from either of its endpoints (address and port), of which the
    /// [`NEARBY_MAX`] nearest in time to the flow's resets suffice; and whatever else went between the
    /// two addresses within some [`NEIGHBOURS_WITHIN`] of a reset, the [`NEIGHBOURS_MAX`] nearest.
    /// They tell the path, that a port accepts, how a host's packets look here, and what the vantage
    /// misses.
    pub nearby: Vec<Digest>,
}

/// Which segments an agent ships (its `--segments`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Every segment, as capture files are read.
    All,
    /// SYN, SYN+ACK, FIN and RST always, the rest only as the context of a RST: another segment
    /// that is not there may well have been seen.
    Context,
}

/// How many handshake segments of other flows are enough for one vantage of a case.
pub const NEARBY_MAX: usize = 64;

/// How many other segments between the two addresses are enough.
pub const NEIGHBOURS_MAX: usize = 256;

/// How far from a reset they are worth loading, nanoseconds.
pub const NEIGHBOURS_WITHIN: i64 = 10 * crate::time::SECOND;

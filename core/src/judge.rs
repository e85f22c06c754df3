//! Evidence to verdicts.

use uuid::Uuid;

use crate::evidence::FlowEvidence;
use crate::report::{Explanation, ResetReport};

/// A verdict on every reset of one flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What makes this reset the same one when it is judged again: a hash over direction, sequence
    /// and acknowledgement number, flags and window.
    pub identity: u64,
    pub report: ResetReport,
}

/// Joins the sightings of each reset of a flow and judges them.
pub fn judge_flow(_evidence: &FlowEvidence) -> Vec<Judged> {
    Vec::new()
}

/// Tells one reset of a flow in full; `None` when the evidence holds no such reset.
pub fn explain(_evidence: &FlowEvidence, _id: Uuid) -> Option<Explanation> {
    None
}

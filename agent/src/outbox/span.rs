//! What was watched between two beats.

use parallax_core::Coverage;
use parallax_core::decode::UnreadCounts;

/// A span of coverage with the packets in it that could not be digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub coverage: Coverage,
    pub unread: UnreadCounts,
    /// How often the machine's clock had been stepped within the run.
    pub epoch: u32,
}

impl Span {
    /// Whether the two can be said as one without losing anything: nothing lies between them, and
    /// neither lost packets (a loss must stay in the span in which it happened).
    pub(crate) fn joins(&self, later: &Self) -> bool {
        self.is_next_to(later) && self.coverage.dropped == 0 && later.coverage.dropped == 0
    }

    pub(super) fn is_next_to(&self, later: &Self) -> bool {
        self.epoch == later.epoch && later.coverage.from == self.coverage.until.plus(1)
    }

    /// Adds a later span.
    pub fn join(&mut self, later: &Self) {
        self.coverage.until = later.coverage.until;
        self.coverage.received += later.coverage.received;
        self.coverage.dropped += later.coverage.dropped;
        self.unread.merge(&later.unread);
    }
}

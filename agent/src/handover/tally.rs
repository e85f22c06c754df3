//! What was taken so far.

use parallax_core::decode::UnreadCounts;

/// Packets so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub packets: u64,
    pub unread: UnreadCounts,
    /// Digests that found no room on the way to the stream.
    pub lost: u64,
}

impl Tally {
    /// Adds what another thread took.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.unread.merge(&other.unread);
        self.lost += other.lost;
    }
}

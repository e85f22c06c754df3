//! Octets observed and sent, counted where they pass and said with each beat.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one run. Shared by the capture thread, which adds once a beat, and the connections.
#[derive(Debug, Default)]
pub struct Meter {
    observed: AtomicU64,
    sent: AtomicU64,
}

impl Meter {
    /// Packets were captured that had so many octets on the wire.
    pub fn add_observed(&self, octets: u64) {
        self.observed.fetch_add(octets, Ordering::Relaxed);
    }

    /// So many octets were written to a collector.
    pub fn add_sent(&self, octets: u64) {
        self.sent.fetch_add(octets, Ordering::Relaxed);
    }

    pub fn observed(&self) -> u64 {
        self.observed.load(Ordering::Relaxed)
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

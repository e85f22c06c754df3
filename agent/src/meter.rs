//! What an agent counts while it runs: said with each beat, and on its metrics page.
//!
//! The capture threads add once a beat, the courier what it does. Nothing here waits or allocates.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far delivery has come, and what it keeps. Digests, but for the octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Levels {
    /// Numbered since the start of the run.
    pub numbered: u64,
    /// In the collector's durable storage.
    pub committed: u64,
    /// Numbered, and given up for want of room.
    pub given_up: u64,
    /// In memory, for the collector.
    pub in_memory: u64,
    /// How many memory takes.
    pub memory_limit: u64,
    /// Octets on disk, what earlier runs left included.
    pub spool: u64,
    /// How many octets this run may have on disk; 0 without a state directory.
    pub spool_limit: u64,
}

/// Numbers of one run.
#[derive(Debug, Default)]
pub struct Meter {
    observed: Count,
    sent: Count,
    packets: Count,
    dropped: Count,
    unhanded: Count,
    answers: Count,
    numbered: Count,
    committed: Count,
    given_up: Count,
    in_memory: Count,
    memory_limit: Count,
    spool: Count,
    spool_limit: Count,
    connected: AtomicBool,
}

impl Meter {
    /// Packets were captured that had so many octets on the wire.
    pub fn add_observed(&self, octets: u64) {
        self.observed.add(octets);
    }

    /// So many octets were written to a collector.
    pub fn add_sent(&self, octets: u64) {
        self.sent.add(octets);
    }

    /// So many packets were captured, and so many lost between wire and decoding.
    pub fn add_packets(&self, captured: u64, dropped: u64) {
        self.packets.add(captured);
        self.dropped.add(dropped);
    }

    /// So many digests were lost on the way to the outbox.
    pub fn add_unhanded(&self, digests: u64) {
        self.unhanded.add(digests);
    }

    /// A question of the collector was answered.
    pub fn add_answer(&self) {
        self.answers.add(1);
    }

    pub fn set_levels(&self, levels: &Levels) {
        self.numbered.set(levels.numbered);
        self.committed.set(levels.committed);
        self.given_up.set(levels.given_up);
        self.in_memory.set(levels.in_memory);
        self.memory_limit.set(levels.memory_limit);
        self.spool.set(levels.spool);
        self.spool_limit.set(levels.spool_limit);
    }

    /// Whether a collector takes what this agent sends.
    pub fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    pub fn observed(&self) -> u64 {
        self.observed.get()
    }

    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    pub fn packets(&self) -> u64 {
        self.packets.get()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Digests that the collector will never get.
    pub fn lost(&self) -> u64 {
        self.unhanded.get() + self.given_up.get()
    }

    pub fn answers(&self) -> u64 {
        self.answers.get()
    }

    pub fn levels(&self) -> Levels {
        Levels {
            numbered: self.numbered.get(),
            committed: self.committed.get(),
            given_up: self.given_up.get(),
            in_memory: self.in_memory.get(),
            memory_limit: self.memory_limit.get(),
            spool: self.spool.get(),
            spool_limit: self.spool_limit.get(),
        }
    }

    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

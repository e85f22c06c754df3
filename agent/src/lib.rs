//! Captures at vantages and streams digests to a collector.
//!
//! The way of the data: `capture` → `parallax_core::decode` → [`memory`] → `outbox` → `stream`.

pub mod memory;
pub mod outbox;

//! Captures at vantages and streams digests to a collector.
//!
//! The way of the data: `capture` → `parallax_core::decode` → [`memory`] → `outbox` → `stream`.

pub mod capture;
pub mod commands;
pub mod memory;
pub mod outbox;
pub mod stream;

//! Captures at vantages and streams digests to a collector.
//!
//! The way of the data: [`capture`] → `parallax_core::decode` → [`memory`] → [`handover`] →
//! [`outbox`] → [`stream`].

pub mod capture;
pub mod commands;
pub mod config;
pub mod handover;
pub mod memory;
pub mod outbox;
pub mod stream;
pub mod witness;

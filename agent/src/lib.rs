//! Captures at vantages and streams digests to a collector.
//!
//! The way of the data: [`capture`] → `parallax_core::decode` → [`noted`] → [`memory`] → [`handover`] →
//! [`outbox`], on disk in [`spool`] → [`stream`]. Beside it [`recall`] remembers every segment. Several capture
//! threads [`merge`] before the outbox.

pub mod capture;
mod clock;
pub mod commands;
pub mod config;
pub mod confine;
pub mod enrol;
pub mod handover;
mod loss_message;
pub mod memory;
pub mod merge;
pub mod meter;
pub mod noted;
pub mod outbox;
pub mod recall;
pub mod scrape;
pub mod spool;
pub mod stream;
pub mod trust;
pub mod veil;
pub mod witness;

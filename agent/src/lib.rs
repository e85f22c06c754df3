//! Captures at vantages and streams digests to a collector.
//!
//! The way of the data: [`capture`] → `parallax_core::decode` → [`memory`] → [`handover`] →
//! [`outbox`], on disk in [`spool`] → [`stream`].

pub mod capture;
pub mod commands;
pub mod config;
pub mod handover;
mod loss_message;
pub mod memory;
pub mod outbox;
pub mod spool;
pub mod stream;

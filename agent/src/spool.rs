//! The spool: what the collector has not acknowledged, on disk, so that it outlives the agent.
//!
//! A run has a folder of its own in the state directory:
//!
//! ```text
//! STATE/lock                       held while an agent uses the directory
//! STATE/run-UUID/hello             who captured: the stream's `Hello`
//! STATE/run-UUID/00…42.segment     records, the first of them number 42
//! ```
//!
//! A record is a message as it goes to the collector, with a checksum. It is written as soon as it comes,
//! by one `write`, so the kernel has it should the agent be killed. A segment file is forced to disk
//! (`fsync`) when it is full, some seconds' worth: a machine that loses its power loses what came since.
//! A file is deleted once the collector has everything in it.

mod journal;
mod record;
mod segment;
mod state;
#[cfg(test)]
mod tests;

pub use journal::Journal;
pub use state::{Left, Spool, StateDir, StateError};

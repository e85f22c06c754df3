//! Recall: what a vantage remembers of *all* segments, beside the flow memory that decides what travels.
//!
//! A [`Ring`] of fixed size holds packed digests of every segment, the oldest give way. When the
//! collector asks what is known of a connection around a moment, the [`Desk`] answers from it: the digests
//! that have not travelled yet, and what the ring can swear to. All of it belongs to the capture thread:
//! questions come to it between two rounds of reading, so no packet ever waits for a lock, and nothing is
//! allocated for a packet.

mod desk;
mod record;
mod ring;
#[cfg(test)]
mod tests;

pub use desk::{Answer, Desk, Question, Recalled};
pub use ring::{Found, Held, LEAST_OCTETS, Ring, Sought};
pub(crate) use ring::{mark, mark_of};

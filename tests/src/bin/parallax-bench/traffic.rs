//! Captures to measure with: seeded, so that every run reads the same packets, and streamed, so that a capture is
//! never in memory.
//!
//! [`story`] tells the packets of a realistic mix in the order of time; [`vantages`] shows it as three vantages saw
//! it, with a NAT between the first two; [`frame`] makes octets of a packet and [`capture`] a file of them.

mod capture;
mod conversation;
mod frame;
mod packet;
mod single;
mod story;
#[cfg(test)]
mod tests;
mod vantages;

pub use packet::{Maker, Side};
pub use single::{write_elephant, write_flood, write_mix};
pub use vantages::{NAMES, Reset, write_vantages};

/// How much traffic, and which.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Packets that pass the middle of the path, at least seven for each connection.
    pub packets: u32,
    pub connections: u32,
    /// The same seed gives the same octets.
    pub seed: u64,
}

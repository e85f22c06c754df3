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

use std::io;
use std::path::PathBuf;

pub use packet::{Maker, Side};
pub use single::{write_elephant, write_flood, write_mix};
pub use vantages::{NAMES, Reset, write_vantages};

/// Captures to keep.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    /// Which.
    #[arg(value_enum)]
    kind: Kind,
    /// The folder that they go to.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    #[arg(long, default_value_t = 1_000_000)]
    packets: u32,
    /// Of the mix and the vantages.
    #[arg(long, default_value_t = 10_000)]
    connections: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    Mix,
    Flood,
    Elephant,
    Vantages,
}

impl Wanted {
    /// Writes them.
    pub fn write(&self) -> io::Result<()> {
        let plan = Plan {
            packets: self.packets,
            connections: self.connections,
            seed: self.seed,
        };
        let path = |name: &str| self.out.join(format!("{name}.pcap"));
        match self.kind {
            Kind::Mix => write_mix(&path("mix"), plan),
            Kind::Flood => write_flood(&path("flood"), self.packets, self.seed),
            Kind::Elephant => write_elephant(&path("elephant"), self.packets, self.seed),
            Kind::Vantages => write_vantages(&NAMES.map(path), plan).map(drop),
        }
    }
}

/// How much traffic, and which.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Packets that pass the middle of the path, at least seven for each connection.
    pub packets: u32,
    pub connections: u32,
    /// The same seed gives the same octets.
    pub seed: u64,
}

//! Benchmarks that print ratios against peers measured in the same run.
//!
//! Absolute figures of a shared machine mean little; each pair of runs is taken in turn, and the median
//! of the ratios counts.

mod digest;
mod ingest;
mod traffic;

use std::path::PathBuf;

use clap::Parser;

/// Measures Parallax beside its peers.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  parallax-bench digest\n  parallax-bench digest --packets 5000000 --runs 9"
)]
enum Bench {
    /// CPU per packet of `parallax-agent digest --format none` beside `tcpdump -r` counting.
    Digest(digest::Options),
    /// Rows a second into durable Postgres beside plain COPY of the same rows.
    Ingest(ingest::Options),
}

/// The folder of the release binaries: that of this program.
fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().map(PathBuf::from).unwrap_or_default())
}

fn main() -> anyhow::Result<()> {
    match Bench::parse() {
        Bench::Digest(options) => digest::run(&options),
        Bench::Ingest(options) => ingest::run(&options),
    }
}

//! Benchmarks that print ratios against peers measured in the same run.
//!
//! Absolute figures of a shared machine mean little; programs run in turn, round by round, and the medians count.
//! Each prints a Markdown table with its goals, met or missed, and puts it into the README on demand.

mod analyze;
mod digest;
mod fleet;
mod ingest;
mod latency;
mod live;
mod measured;
mod micro;
mod pages;
mod peers;
mod random;
mod report;
mod traffic;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Measures Parallax beside its peers.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  parallax-bench digest\n  parallax-bench digest --packets 1000000 --connections 10000 --runs 9\n  \
                  parallax-bench ingest --readme"
)]
enum Bench {
    /// CPU per packet and memory of `parallax-agent digest --format none` beside tcpdump, flow meters and tshark.
    Digest(digest::Options),
    /// `parallax analyze` of three vantages beside tshark to fields and a join in `SQLite`, and their answers.
    Analyze(analyze::Options),
    /// Digests a second into durable Postgres beside plain COPY of the same rows.
    Ingest(ingest::Options),
    /// A live agent beside tcpdump on a veth: drops and CPU.
    Live(live::Options),
    /// Simulated agents on one collector: memory, digests a second, latency, losses.
    Fleet(fleet::Options),
    /// From a reset on the wire to its verdict, in the lab.
    Latency(latency::Options),
    /// Single steps: decode, flow memory, recall ring, encode, judge.
    Micro(micro::Options),
    /// Lists, filters, groups and pages with a hundred thousand resets in the store.
    Pages(pages::Options),
    /// Write the captures that the others read, to look at or to profile with.
    Traffic(traffic::Wanted),
    #[command(hide = true)]
    Measure(measured::Measure),
    #[command(hide = true)]
    Rush(latency::Rush),
}

/// The names of the blocks in the README.
#[cfg(test)]
const BENCHMARKS: [&str; 8] = [
    "digest", "live", "analyze", "ingest", "fleet", "latency", "micro", "pages",
];

/// The folder of the release binaries: that of this program.
fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().map(PathBuf::from).unwrap_or_default())
}

fn main() -> ExitCode {
    match carry_out(Bench::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parallax-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(bench: Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Digest(options) => digest::run(&options),
        Bench::Analyze(options) => analyze::run(&options),
        Bench::Fleet(options) => fleet::run(&options),
        Bench::Ingest(options) => ingest::run(&options),
        Bench::Live(options) => live::run(&options),
        Bench::Latency(options) => latency::run(&options),
        Bench::Micro(options) => micro::run(&options),
        Bench::Pages(options) => pages::run(&options),
        Bench::Traffic(wanted) => Ok(wanted.write()?),
        Bench::Measure(options) => options.run(),
        Bench::Rush(rush) => rush.run(),
    }
}

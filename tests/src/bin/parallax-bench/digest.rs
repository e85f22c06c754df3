//! Reading a capture: our digest beside the floor of libpcap.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

use crate::traffic;

#[derive(clap::Args)]
pub struct Options {
    /// Packets in each capture.
    #[arg(long, default_value_t = 1_000_000)]
    packets: u32,
    /// Connections that the mix consists of.
    #[arg(long, default_value_t = 10_000)]
    connections: u32,
    /// Pairs of runs, of which the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder for the captures")?;
    println!(
        "Reading {} packets, snaplen 96, CPU = user + system of the whole process, medians of {} pairs",
        options.packets, options.runs
    );
    println!(
        "{:<12} {:>22} {:>22} {:>8}",
        "capture", "parallax ns/packet", "tcpdump ns/packet", "ratio"
    );
    let mix = folder.path().join("mix.pcap");
    traffic::write_mix(&mix, options.packets, options.connections)?;
    compare("mix", &mix, options)?;
    std::fs::remove_file(&mix)?;
    let flood = folder.path().join("flood.pcap");
    traffic::write_flood(&flood, options.packets)?;
    compare("SYN flood", &flood, options)
}

fn compare(name: &str, capture: &Path, options: &Options) -> Result<()> {
    let agent = crate::binaries()?.join("parallax-agent");
    let mut ours = Command::new(&agent);
    ours.args(["digest", "--format", "none", "--file"])
        .arg(capture);
    let mut peer = Command::new("tcpdump");
    peer.arg("--count").arg("-r").arg(capture);
    let mut pairs = Vec::new();
    for _ in 0..=options.runs {
        pairs.push((cpu(&mut ours)?, cpu(&mut peer)?));
    }
    // The first pair warms the page cache.
    pairs.remove(0);
    let per_packet = |seconds: f64| seconds * 1e9 / f64::from(options.packets);
    println!(
        "{name:<12} {:>22.0} {:>22.0} {:>8.2}",
        per_packet(median(pairs.iter().map(|pair| pair.0))),
        per_packet(median(pairs.iter().map(|pair| pair.1))),
        median(pairs.iter().map(|pair| pair.0 / pair.1)),
    );
    Ok(())
}

/// User and system seconds of one run.
fn cpu(command: &mut Command) -> Result<f64> {
    let before = spent()?;
    let program = command.get_program().to_owned();
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("start {}", program.display()))?;
    if !status.success() {
        bail!("{} failed: {status}", program.display());
    }
    Ok(spent()? - before)
}

fn spent() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// The middle of the values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

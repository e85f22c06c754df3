//! Reading a capture: our digest beside the floor of libpcap, flow meters, and tshark.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::measured::{Bounds, Cost, median, middle};
use crate::peers::Peer;
use crate::report::{Bound, Report, Show, grouped, short};
use crate::traffic::{self, Plan};

#[derive(clap::Args)]
pub struct Options {
    /// Packets of the mix, and SYNs of the flood.
    #[arg(long, default_value_t = 5_000_000)]
    packets: u32,
    /// Connections that the mix consists of.
    #[arg(long, default_value_t = 50_000)]
    connections: u32,
    /// Packets of the elephant.
    #[arg(long, default_value_t = 3_000_000)]
    elephant: u32,
    /// Packets of the mix that tshark reads.
    #[arg(long, default_value_t = 250_000)]
    tshark: u32,
    /// The same seed makes the same captures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rounds, in each of which every program runs once; the medians count.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    #[command(flatten)]
    show: Show,
}

/// A peer takes no longer, and no more.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_mins(2),
    memory: 8 * 1024,
};

/// What all programs cost on one capture.
struct Compared {
    packets: u32,
    /// By program, a cost for each round.
    costs: Vec<(Peer, Vec<Cost>)>,
}

impl Compared {
    fn of(&self, peer: Peer) -> Option<&[Cost]> {
        let found = self.costs.iter().find(|(who, _)| *who == peer)?;
        Some(&found.1)
    }

    /// Nanoseconds of CPU a packet.
    fn per_packet(&self, peer: Peer) -> f64 {
        let costs = self.of(peer).unwrap_or_default();
        middle(costs.iter().map(|cost| cost.cpu)) * 1e9 / f64::from(self.packets)
    }

    /// Our CPU over that of a peer, round by round.
    fn ratio(&self, peer: Peer) -> f64 {
        let (Some(ours), Some(theirs)) = (self.of(Peer::Parallax), self.of(peer)) else {
            return f64::NAN;
        };
        middle(
            ours.iter()
                .zip(theirs)
                .map(|(ours, theirs)| ours.cpu / theirs.cpu),
        )
    }

    fn memory(&self, peer: Peer) -> f64 {
        let costs = self.of(peer).unwrap_or_default();
        middle(costs.iter().map(|cost| cost.memory))
    }
}

pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder for the captures")?;
    let mix = read_mix(folder.path(), options)?;
    let tshark = read_by_tshark(folder.path(), options)?;
    let flood = read_flood(folder.path(), options)?;
    let elephant = read_elephant(folder.path(), options)?;
    let mut report = Report::new("digest");
    report.say(&format!(
        "Reading captures, snaplen 96, seed {}: CPU is user + system of the whole process, medians of {} rounds in \
         which every program runs once; the ratio is ours over theirs. Ours takes packets in as a live \
         agent does, with flow memory and recall ring.",
        options.seed, options.runs
    ));
    let mut rows = Vec::new();
    let named = format!("mix, {} connections", grouped(options.connections.into()));
    rows.extend(told(&named, &mix));
    rows.extend(told("mix, a part", &tshark));
    rows.extend(told("SYN flood", &flood));
    rows.extend(told("elephant", &elephant));
    report.table(
        &[
            "capture",
            "packets",
            "program",
            "CPU ns/packet",
            "wall s",
            "peak MiB",
            "ratio",
        ],
        &rows,
    );
    goals(&mut report, [&mix, &tshark, &flood, &elephant]);
    report.show(&options.show)
}

fn read_mix(folder: &Path, options: &Options) -> Result<Compared> {
    let capture = folder.join("mix.pcap");
    traffic::write_mix(&capture, plan(options, options.packets))?;
    let compared = compare(&Peer::OF_THE_MIX, &capture, options.packets, options.runs)?;
    std::fs::remove_file(&capture)?;
    Ok(compared)
}

/// tshark takes seconds for what others do in milliseconds: it reads less, and per packet counts.
fn read_by_tshark(folder: &Path, options: &Options) -> Result<Compared> {
    let capture = folder.join("part.pcap");
    traffic::write_mix(&capture, plan(options, options.tshark))?;
    let peers = [Peer::Parallax, Peer::Tshark];
    compare(&peers, &capture, options.tshark, options.runs.min(3))
}

fn read_flood(folder: &Path, options: &Options) -> Result<Compared> {
    let capture = folder.join("flood.pcap");
    traffic::write_flood(&capture, options.packets, options.seed)?;
    let peers = [Peer::Parallax, Peer::Floor, Peer::Filter];
    let compared = compare(&peers, &capture, options.packets, options.runs)?;
    std::fs::remove_file(&capture)?;
    Ok(compared)
}

fn read_elephant(folder: &Path, options: &Options) -> Result<Compared> {
    let capture = folder.join("elephant.pcap");
    traffic::write_elephant(&capture, options.elephant, options.seed)?;
    let peers = [Peer::Parallax, Peer::Floor, Peer::Filter];
    compare(&peers, &capture, options.elephant, options.runs)
}

/// A mix of so many packets whose connections are as long as those of the whole.
fn plan(options: &Options, packets: u32) -> Plan {
    let share = f64::from(packets) / f64::from(options.packets);
    Plan {
        packets,
        connections: ((f64::from(options.connections) * share) as u32).max(1),
        seed: options.seed,
    }
}

/// Runs the programs in turn, round by round. One that is missing or fails is said and left out.
fn compare(peers: &[Peer], capture: &Path, packets: u32, runs: usize) -> Result<Compared> {
    let mut costs = Vec::new();
    for peer in peers {
        let Some(program) = peer.find() else {
            println!("{} is not installed: left out", peer.name());
            continue;
        };
        // This run brings the file into the page cache, and shows whether the program can do it.
        match peer.read(&program, capture, packets, BOUNDS) {
            Ok(_) => costs.push((*peer, program, Vec::new())),
            Err(error) if *peer == Peer::Parallax => return Err(error),
            Err(error) => println!("{} is left out: {error:#}", peer.name()),
        }
    }
    for _ in 0..runs.max(1) {
        for (peer, program, costs) in &mut costs {
            costs.push(peer.read(program, capture, packets, BOUNDS)?);
        }
    }
    let named = |(peer, _, costs): (Peer, PathBuf, Vec<Cost>)| (peer, costs);
    Ok(Compared {
        packets,
        costs: costs.into_iter().map(named).collect(),
    })
}

fn told(capture: &str, compared: &Compared) -> Vec<Vec<String>> {
    let row = |(peer, costs): &(Peer, Vec<Cost>)| {
        let cost = median(costs);
        let ratio = match peer {
            Peer::Parallax => String::new(),
            _ => short(compared.ratio(*peer)),
        };
        vec![
            capture.to_owned(),
            grouped(compared.packets.into()),
            peer.name().to_owned(),
            short(compared.per_packet(*peer)),
            short(cost.wall),
            short(cost.memory),
            ratio,
        ]
    };
    compared.costs.iter().map(row).collect()
}

fn goals(report: &mut Report, [mix, tshark, flood, elephant]: [&Compared; 4]) {
    report.goal(
        "CPU on the mix, over tcpdump --count",
        mix.ratio(Peer::Floor),
        Bound::AtMost(2.0),
    );
    for peer in [Peer::Softflowd, Peer::Nfpcapd, Peer::Tcptrace, Peer::P0f] {
        let what = format!("CPU on the mix, over {}", peer.name());
        report.goal(&what, mix.ratio(peer), Bound::Below(1.0));
    }
    let ours = mix.per_packet(Peer::Parallax);
    report.goal(
        "CPU per packet of tshark on a part, over ours on the mix",
        tshark.per_packet(Peer::Tshark) / ours,
        Bound::AtLeast(100.0),
    );
    for (name, compared) in [("SYN flood", flood), ("elephant", elephant)] {
        let what = format!("CPU per packet, {name} over mix");
        let ratio = compared.per_packet(Peer::Parallax) / ours;
        report.goal(&what, ratio, Bound::AtMost(1.5));
    }
    let captures = [mix, flood, elephant];
    let most = captures.map(|compared| compared.memory(Peer::Parallax));
    let most = most.into_iter().fold(0.0, f64::max);
    report.goal("most memory, MiB", most, Bound::AtMost(256.0));
}

//! A live agent beside tcpdump on the same wire, at the highest rate that one processor sends.
//!
//! In namespaces of its own: a sender, a veth, and whoever watches. Sender and watcher have a processor each; the
//! collector that takes the agent's digests shares that of the sender.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;
use parallax_core::report::Document;
use parallax_tests::enclosure::{self, Half, SCRATCH};
use parallax_tests::namespace::{Namespace, run as run_program};
use parallax_tests::programs::{Programs, Running, wait_for};
use parallax_tests::service::{ask, collector, url};

use crate::measured::{middle, now};
use crate::peers::installed;
use crate::report::{Bound, Report, Show, grouped, short};
use crate::traffic::{self, Plan};

mod sender;

use sender::Frames;

#[derive(clap::Args)]
pub struct Options {
    /// Packets of each round.
    #[arg(long, default_value_t = 2_000_000)]
    packets: u32,
    /// Connections that they belong to.
    #[arg(long, default_value_t = 20_000)]
    connections: u32,
    /// The same seed makes the same packets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kernel buffer of either, MiB.
    #[arg(long, default_value_t = 16)]
    buffer: u32,
    /// Rounds, in each of which either watches once; the medians count.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    #[command(flatten)]
    show: Show,
}

const SNAPLEN: &str = "192";
const PATIENCE: Duration = Duration::from_secs(30);

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watcher {
    Agent,
    Tcpdump,
}

impl Watcher {
    const ALL: [Self; 2] = [Self::Agent, Self::Tcpdump];

    const fn name(self) -> &'static str {
        match self {
            Self::Agent => "parallax-agent run",
            Self::Tcpdump => "tcpdump -w /dev/null",
        }
    }

    /// What it says once it captures.
    const fn ready(self) -> &'static str {
        match self {
            Self::Agent => "capturing on",
            Self::Tcpdump => "listening on",
        }
    }

    /// What stands behind the numbers of packets captured, and dropped, in what it says at its end.
    const fn tells(self) -> [&'static str; 2] {
        match self {
            Self::Agent => [" packets, ", " dropped by the kernel"],
            Self::Tcpdump => [" packets captured", " packets dropped by kernel"],
        }
    }

    fn command(self, watched: &Namespace, buffer: u32, agent: &Path, tcpdump: &Path) -> Command {
        match self {
            Self::Agent => {
                let mut command = watched.command(agent);
                command
                    .args(["run", "--vantage", "hop", "--interface", "near"])
                    .args(["--snaplen", SNAPLEN, "--buffer", &buffer.to_string()])
                    .args(["--collector", &grpc()]);
                command
            }
            Self::Tcpdump => {
                let mut command = watched.command(tcpdump);
                command
                    .args(["-i", "near", "-w", "/dev/null", "-Z", "root", "-s", SNAPLEN])
                    .args(["-B", &(buffer << 10).to_string()]);
                command
            }
        }
    }
}

/// One round of one of them.
#[derive(Debug, Clone, Copy)]
struct Watched {
    captured: f64,
    dropped: f64,
    /// User and system seconds of its whole life.
    cpu: f64,
    /// Packets that the sender sent a second.
    rate: f64,
    sent: Option<Sent>,
}

/// What an agent sent to its collector: digests, and octets on the connection in all.
#[derive(Debug, Clone, Copy)]
struct Sent {
    digests: f64,
    octets: f64,
}

pub fn run(options: &Options) -> Result<()> {
    if let Half::Outer(status) = enclosure::enter()? {
        ensure!(status.success(), "it ended with {status}");
        return Ok(());
    }
    let Some(tcpdump) = installed("tcpdump") else {
        bail!("tcpdump is not there to be measured beside: install it");
    };
    let folder = Path::new(SCRATCH).join("live");
    std::fs::create_dir_all(&folder).context("making a folder")?;
    let frames = frames(&folder, options)?;
    let (sender, watched) = (Namespace::create("sender")?, Namespace::create("watcher")?);
    lay_wire(&sender, &watched)?;
    let programs = Programs::beside_this_one()?;
    pin(0)?;
    let serving = serve(&watched, &programs, &folder, &[])?;
    let wire = sender.within(|| {
        let wire = pcap::Capture::from_device("far").and_then(|wire| wire.snaplen(64).open());
        let wire = wire.map_err(std::io::Error::other)?;
        // What comes back is nobody's business here.
        Ok(wire)
    })?;
    let mut rounds: Vec<[Watched; 2]> = Vec::new();
    for _ in 0..options.runs {
        let mut round = Vec::with_capacity(2);
        for watcher in Watcher::ALL {
            let command = watcher.command(&watched, options.buffer, &programs.agent(), &tcpdump);
            let before = sent_octets(&watched)?;
            let mut one = watch(watcher, command, &folder, &frames, &wire)?;
            if let Some(sent) = &mut one.sent {
                sent.octets = sent_octets(&watched)? - before;
            }
            round.push(one);
        }
        rounds.extend(<[Watched; 2]>::try_from(round).ok());
    }
    serving.stop()?;
    tell(options, &frames, &rounds)
}

/// The packets to send.
fn frames(folder: &Path, options: &Options) -> Result<Frames> {
    let path = folder.join("mix.pcap");
    let plan = Plan {
        packets: options.packets,
        connections: options.connections,
        seed: options.seed,
    };
    traffic::write_mix(&path, plan).context("making the traffic")?;
    let frames = Frames::read(&path)?;
    std::fs::remove_file(&path)?;
    Ok(frames)
}

/// A wire from `far` at the sender to `near` at the watcher, where nobody answers.
fn lay_wire(sender: &Namespace, watched: &Namespace) -> Result<()> {
    run_program(
        "ip",
        &[
            "link",
            "add",
            "far",
            "netns",
            sender.name(),
            "type",
            "veth",
            "peer",
            "name",
            "near",
            "netns",
            watched.name(),
        ],
    )?;
    for (namespace, end) in [(sender, "far"), (watched, "near")] {
        namespace.sysctl(&format!("net/ipv6/conf/{end}/disable_ipv6"), "1")?;
        // Offloaded segments are longer than packets.
        namespace.ip(&["link", "set", end, "mtu", "65535", "up"])?;
    }
    Ok(())
}

/// A collector with a Postgres of its own, beside the watcher but not on the watched wire.
pub fn serve(
    watched: &Namespace,
    programs: &Programs,
    folder: &Path,
    arguments: &[&str],
) -> Result<Running> {
    let address = format!("{}/32", parallax_tests::lab::COLLECTOR);
    watched.ip(&["addr", "add", &address, "dev", "lo"])?;
    let mut command = collector(watched, programs);
    command.args(arguments);
    let mut serving = Running::start("collector", command, folder)?;
    let up = wait_for(PATIENCE, || {
        serving.check()?;
        Ok(ask(watched, &url(), "/healthz").ok())
    })?;
    up.with_context(|| format!("the collector did not come up: {}", serving.said()))?;
    Ok(serving)
}

/// Where that collector takes agents.
pub fn grpc() -> String {
    let address: Ipv4Addr = parallax_tests::lab::COLLECTOR;
    format!("http://{address}:7600")
}

/// This thread, and what it starts, stays on one processor, where there are two.
fn pin(processor: usize) -> Result<()> {
    /// As it was at the first call: who stays on one processor is told that there is one.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    if *PROCESSORS.get_or_init(all) < 2 {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &set).context("staying on one processor")
}

fn watch(
    watcher: Watcher,
    command: Command,
    folder: &Path,
    frames: &Frames,
    wire: &pcap::Capture<pcap::Active>,
) -> Result<Watched> {
    pin(1)?;
    let before = spent_by_children()?;
    let mut running = Running::start("watcher", command, folder)?;
    pin(0)?;
    let ready = wait_for(PATIENCE, || {
        running.check()?;
        Ok(running.said().contains(watcher.ready()).then_some(()))
    })?;
    ready.with_context(|| format!("{} did not begin: {}", watcher.name(), running.said()))?;
    // The agent connects meanwhile.
    std::thread::sleep(Duration::from_millis(500));
    let begun = now();
    frames.send(wire).context("sending")?;
    let rate = frames.len() as f64 / begun.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_millis(500));
    running.check()?;
    running.stop()?;
    let cpu = spent_by_children()? - before;
    let said = std::fs::read_to_string(folder.join("watcher.log"))?;
    let numbers = watcher.tells().map(|words| number_before(&said, words));
    let [Some(captured), Some(dropped)] = numbers else {
        bail!("{} does not say what it captured: {said}", watcher.name());
    };
    let digests = number_before(&said, " digests numbered");
    Ok(Watched {
        captured,
        dropped,
        cpu,
        rate,
        sent: digests.map(|digests| Sent {
            digests,
            octets: f64::NAN,
        }),
    })
}

/// Octets that agents have sent to the collector, in all.
fn sent_octets(watched: &Namespace) -> Result<f64> {
    let document = ask(watched, &url(), "/v1/vantages")?;
    let document: Document = serde_json::from_str(&document).context("reading the vantages")?;
    let octets = document.vantages.iter().filter_map(|at| at.sent_octets);
    Ok(octets.sum::<u64>() as f64)
}

/// Processor seconds of all children that have ended.
fn spent_by_children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// The number that stands before these words, where they stand last.
fn number_before(said: &str, words: &str) -> Option<f64> {
    let (before, _) = said.rsplit_once(words)?;
    let digits = before.rsplit(|letter: char| !letter.is_ascii_digit());
    digits.into_iter().next()?.parse().ok()
}

fn tell(options: &Options, frames: &Frames, rounds: &[[Watched; 2]]) -> Result<()> {
    let mid = |watcher: usize, what: fn(&Watched) -> f64| {
        middle(rounds.iter().map(|round| what(&round[watcher])))
    };
    let mut report = Report::new("live");
    report.say(&format!(
        "On a veth, {} packets of {} connections (mean {:.0} octets, seed {}) sent as fast as one processor sends them, \
         watched by either in turn on the other processor: snaplen {SNAPLEN}, buffer {} MiB, medians of {} rounds. CPU is \
         user + system of the whole life; the agent has flow memory, recall ring and a collector that stores what it ships, \
         tcpdump has no filter and throws all away.",
        grouped(frames.len() as i64),
        grouped(options.connections.into()),
        frames.mean(),
        options.seed,
        options.buffer,
        rounds.len()
    ));
    let rows: Vec<Vec<String>> = Watcher::ALL
        .into_iter()
        .enumerate()
        .map(|(index, watcher)| {
            let per_packet = mid(index, |round| round.cpu * 1e9) / frames.len() as f64;
            vec![
                watcher.name().to_owned(),
                grouped(mid(index, |round| round.rate) as i64),
                grouped(mid(index, |round| round.captured) as i64),
                grouped(mid(index, |round| round.dropped) as i64),
                short(per_packet),
            ]
        })
        .collect();
    report.table(
        &[
            "watcher",
            "sent packets/s",
            "captured",
            "dropped",
            "CPU ns/packet sent",
        ],
        &rows,
    );
    let sent = |what: fn(Sent) -> f64| {
        middle(rounds.iter().filter_map(|[ours, _]| Some(what(ours.sent?))))
    };
    let octets = sent(|sent| sent.octets / sent.digests);
    report.say(&format!(
        "The agent sent {} digests (SYN, FIN, each direction's first segment, and the surroundings of resets), {} octets \
         a digest on the connection, with beats, answers and framing; {:.2} % of the octets that it observed.",
        grouped(sent(|sent| sent.digests) as i64),
        short(octets),
        100.0 * sent(|sent| sent.octets) / (frames.mean() * frames.len() as f64),
    ));
    // Where tcpdump drops some too, only what the agent drops beyond that is its own.
    let beyond = |[ours, theirs]: &[Watched; 2]| (ours.dropped - theirs.dropped).max(0.0);
    let ratio = middle(rounds.iter().map(|[ours, theirs]| ours.cpu / theirs.cpu));
    report.goal("CPU over tcpdump's", ratio, Bound::AtMost(2.0));
    report.goal(
        "packets dropped beyond tcpdump's, in the worst round",
        rounds.iter().map(beyond).fold(f64::NAN, f64::max),
        Bound::AtMost(0.0),
    );
    report.show(&options.show)
}

#[cfg(test)]
mod tests {
    use nix::sched::sched_getaffinity;

    use super::*;

    #[test]
    fn numbers_are_read_from_what_each_says_at_its_end() {
        let agent = "capturing on near (Ethernet) as vantage \"hop\"\n INFO captured 1990 packets, 3 dropped by the \
                     kernel, 5 unread; 40 digests numbered, 40 committed, 0 lost on the way\n";
        let tcpdump = "listening on near\n2000 packets captured\n2003 packets received by filter\n\
                       4 packets dropped by kernel\n";
        for (watcher, said, expected) in [
            (Watcher::Agent, agent, [1990.0, 3.0]),
            (Watcher::Tcpdump, tcpdump, [2000.0, 4.0]),
        ] {
            let numbers = watcher.tells().map(|words| number_before(said, words));
            assert_eq!(numbers, expected.map(Some), "{}", watcher.name());
        }
        assert_eq!(
            number_before("no packets captured", " packets captured"),
            None
        );
    }

    #[test]
    fn who_stays_on_one_processor_can_be_moved_to_another() {
        let two = std::thread::available_parallelism().map_or(1, usize::from) > 1;
        for processor in [0, 1] {
            pin(processor).unwrap();
            let stays = sched_getaffinity(Pid::from_raw(0)).unwrap();
            let stays = [0, 1].map(|other| stays.is_set(other).unwrap());
            let wanted = [0, 1].map(|other| other == processor);
            assert_eq!(stays == wanted, two || processor == 0, "{stays:?}");
        }
    }

    #[test]
    fn frames_are_as_long_as_on_the_wire() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("elephant.pcap");
        traffic::write_elephant(&path, 300, 1).unwrap();
        let frames = Frames::read(&path).unwrap();
        assert_eq!(frames.len(), 300);
        // Two of three are full.
        assert!(
            (1000.0..1100.0).contains(&frames.mean()),
            "{}",
            frames.mean()
        );
    }
}

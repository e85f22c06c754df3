//! A thousand agents on one collector: what a connection costs, what is stored, how soon verdicts can be read.
//!
//! The agents are tasks of this process with a real agent's stream; the collector is the release program with a
//! Postgres of its own. All of them share this machine.

mod agent;
mod collector;
mod script;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parallax_agent::config::Segments;
use parallax_agent::stream::{Progress, StreamError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::agent::{Post, wall, work};
use self::collector::Collectors;
use self::script::{PLACES, Path, SEGMENTS};
use self::tally::{Held, Latencies, Tally};
use crate::measured::{now, quantile};
use crate::report::{Bound, Report, Show, grouped, short};

#[derive(clap::Args)]
pub struct Options {
    /// Agents, four to a path.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(4..=100_000))]
    agents: u32,
    /// Digests a second of each agent.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Resets a second, of all paths together.
    #[arg(long, default_value_t = 10)]
    resets: u32,
    /// Seconds of traffic.
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Collectors on one database; each agent is given one of them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    collectors: u32,
    /// What the agents say that they ship. With `context` each of them is asked about each reset.
    #[arg(long, default_value = "context")]
    segments: Segments,
    /// The same seed makes the same connections.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    show: Show,
}

/// Until all agents are connected.
const CONNECTING: Duration = Duration::from_mins(2);
/// Seconds at the beginning of the traffic that are not counted.
const WARM: u64 = 5;
/// Verdicts settle so long after the last evidence was judged.
const SETTLING: Duration = Duration::from_secs(8);
/// Until what came late has been judged.
const CATCHING_UP: Duration = Duration::from_mins(2);
const SECOND: i64 = 1_000_000_000;
/// Connections and files that the programs need beside those of the agents.
const FILES_BESIDE: u64 = 512;

/// What was measured.
struct Measured {
    /// MiB of the collector: alone, with all agents connected, and at most under load.
    memory: [f64; 3],
    /// Digests a second: handed over, and stored.
    handed: f64,
    stored: f64,
    /// Cores that the collector took, its Postgres not counted.
    cores: f64,
    progress: Progress,
    latencies: Latencies,
    held: Held,
}

/// The agents at work.
struct Fleet {
    tasks: Vec<JoinHandle<Result<Progress, StreamError>>>,
    progress: Vec<watch::Receiver<Progress>>,
    traffic: watch::Sender<(i64, i64)>,
}

pub fn run(options: &Options) -> Result<()> {
    allow_files(u64::from(options.agents) * 2 + FILES_BESIDE)?;
    let folder = tempfile::tempdir().context("make a folder for the collector")?;
    let collector = Collectors::start(folder.path(), options.collectors as usize)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let measured = runtime.block_on(measure(collector, options))?;
    told(&measured, options)
}

async fn measure(mut collector: Collectors, options: &Options) -> Result<Measured> {
    let tally = Arc::new(Tally::default());
    collector.watch(&tally)?;
    let alone = collector.memory()?;
    let fleet = Fleet::start(&collector, &tally, options).await;
    fleet.await_connected(&collector).await?;
    eprintln!("{} agents are connected", fleet.tasks.len());
    let connected = collector.memory()?;
    let from = wall() + SECOND;
    let until = from + i64::from(options.seconds) * SECOND;
    fleet.traffic.send_replace((from, until));
    tokio::time::sleep(Duration::from_secs(1 + WARM)).await;
    let (begun, before) = (now(), fleet.progress());
    let cpu = collector.cpu()?;
    let mut most = connected;
    for _ in WARM..u64::from(options.seconds).max(WARM + 1) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        collector.check()?;
        most = most.max(collector.memory()?);
    }
    let (passed, after) = (begun.elapsed().as_secs_f64(), fleet.progress());
    let cores = (collector.cpu()? - cpu) / passed;
    let ended = now();
    let progress = fleet.finish().await?;
    eprintln!(
        "the last digest was delivered {:.1} s after the traffic",
        ended.elapsed().as_secs_f64()
    );
    let held = settled(&collector, &tally).await?;
    let rate = |before: u64, after: u64| (after - before) as f64 / passed;
    let measured = Measured {
        memory: [alone, connected, most],
        handed: rate(before.numbered, after.numbered),
        stored: rate(before.committed, after.committed),
        cores,
        progress,
        latencies: tally.latencies(),
        held,
    };
    collector.stop();
    Ok(measured)
}

/// What the collector says once nothing of it changes any more, or all is right.
async fn settled(collector: &Collectors, tally: &Tally) -> Result<Held> {
    let begun = now();
    let mut last = Held::default();
    loop {
        tokio::time::sleep(SETTLING).await;
        let held = tally.hold(&collector.document("/v1/resets?limit=100000")?);
        if held.is_right() || held == last || begun.elapsed() > CATCHING_UP {
            eprintln!(
                "verdicts stood {:.0} s after the last digest",
                begun.elapsed().as_secs_f64()
            );
            return Ok(held);
        }
        last = held;
    }
}

impl Fleet {
    async fn start(collector: &Collectors, tally: &Arc<Tally>, options: &Options) -> Self {
        let (traffic, known) = watch::channel((0, 0));
        let paths = options.agents / PLACES.len() as u32;
        let connections = f64::from(paths) * f64::from(options.rate) / f64::from(SEGMENTS);
        let mut fleet = Self {
            tasks: Vec::new(),
            progress: Vec::new(),
            traffic,
        };
        for number in 0..paths {
            let path = Path {
                number,
                seed: options.seed,
                interval: i64::from(SEGMENTS) * SECOND / i64::from(options.rate.max(1)),
                reset_one_in: (connections / f64::from(options.resets.max(1)))
                    .round()
                    .max(1.0) as u64,
            };
            for place in 0..PLACES.len() {
                let (progress, shown) = watch::channel(Progress::default());
                fleet.progress.push(shown);
                fleet.tasks.push(tokio::spawn(work(Post {
                    path,
                    place,
                    collector: collector.url(number as usize),
                    selection: options.segments.into(),
                    traffic: known.clone(),
                    progress,
                    tally: Arc::clone(tally),
                })));
            }
            // Not all at the same moment.
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        fleet
    }

    async fn await_connected(&self, collector: &Collectors) -> Result<()> {
        let end = now() + CONNECTING;
        loop {
            let document = collector.document("/v1/vantages")?;
            let connected = document.vantages.iter();
            let connected = connected.filter(|vantage| vantage.connected == Some(true));
            if connected.count() == self.tasks.len() {
                return Ok(());
            }
            ensure!(
                now() < end,
                "not all agents are connected after {CONNECTING:?}"
            );
            for task in &self.tasks {
                ensure!(!task.is_finished(), "an agent has ended before the traffic");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Of all agents together.
    fn progress(&self) -> Progress {
        sum(self.progress.iter().map(|shown| *shown.borrow()))
    }

    /// Waits until all have delivered, or given up.
    async fn finish(self) -> Result<Progress> {
        let mut delivered = Vec::new();
        for task in self.tasks {
            delivered.push(task.await?.context("an agent failed")?);
        }
        Ok(sum(delivered.into_iter()))
    }
}

fn sum(all: impl Iterator<Item = Progress>) -> Progress {
    all.fold(Progress::default(), |sum, one| Progress {
        numbered: sum.numbered + one.numbered,
        committed: sum.committed + one.committed,
        lost: sum.lost + one.lost,
    })
}

/// Every agent is a connection.
fn allow_files(wanted: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < wanted {
        ensure!(
            hard >= wanted,
            "only {hard} open files are allowed, {wanted} are needed"
        );
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    Ok(())
}

fn told(measured: &Measured, options: &Options) -> Result<()> {
    let agents = options.agents / 4 * 4;
    let mut report = Report::new("fleet");
    report.say(&format!(
        "{} simulated agents (a real agent's stream and recall memory, segments {}) on {}, all on this machine: {} digests/s \
         each, {} resets/s in all, {} s.",
        grouped(agents.into()),
        options.segments,
        if options.collectors == 1 {
            "one collector with its own Postgres".to_owned()
        } else {
            format!("{} collectors on one Postgres", options.collectors)
        },
        options.rate,
        options.resets,
        options.seconds
    ));
    let mut rows = load(measured, agents);
    rows.extend(outcome(measured));
    report.table(&["what", "measured"], &rows);
    goals(&mut report, measured);
    report.show(&options.show)
}

fn row(what: &str, value: String) -> Vec<String> {
    vec![what.to_owned(), value]
}

/// What it cost, and what was stored.
fn load(measured: &Measured, agents: u32) -> Vec<Vec<String>> {
    let [alone, connected, most] = measured.memory;
    let per_connection = (connected - alone) * 1024.0 / f64::from(agents);
    let progress = &measured.progress;
    let all = [
        progress.numbered as i64,
        progress.committed as i64,
        progress.lost as i64,
        measured.unaccounted(),
    ];
    vec![
        row(
            "collector's memory a connection, KiB",
            short(per_connection),
        ),
        row(
            "collector's memory alone, connected, under load, MiB",
            [alone, connected, most].map(short).join(", "),
        ),
        row(
            "collector's CPU, cores, without Postgres",
            short(measured.cores),
        ),
        row("digests/s handed over", short(measured.handed)),
        row("digests/s stored", short(measured.stored)),
        row(
            "digests in all, stored, lost, unaccounted for",
            all.map(grouped).join(", "),
        ),
    ]
}

/// How soon verdicts could be read, and what they said in the end.
fn outcome(measured: &Measured) -> Vec<Vec<String>> {
    let of = |sorted: &[f64]| {
        let parts = [0.5, 0.99, 1.0].map(|part| short(quantile(sorted, part)));
        parts.join(", ")
    };
    let Measured {
        latencies, held, ..
    } = measured;
    vec![
        row(
            "RST sent to a verdict that can be read, ms: median, p99, worst",
            of(&latencies.told),
        ),
        row(
            "RST sent to the right verdict, ms: median, p99, worst",
            of(&latencies.right),
        ),
        row(
            "resets sent; verdicts right, undetermined, wrong, missing, surplus",
            format!(
                "{}; {}, {}, {}, {}, {}",
                held.sent, held.right, held.undetermined, held.wrong, held.missing, held.surplus
            ),
        ),
    ]
}

impl Measured {
    /// Digests that are neither stored nor counted as lost.
    fn unaccounted(&self) -> i64 {
        let progress = &self.progress;
        progress.numbered as i64 - progress.committed as i64 - progress.lost as i64
    }
}

fn goals(report: &mut Report, measured: &Measured) {
    let Measured {
        latencies, held, ..
    } = measured;
    // A verdict that was never heard is later than any.
    let p99 = if latencies.unheard == 0 {
        quantile(&latencies.told, 0.99)
    } else {
        f64::INFINITY
    };
    report.goal("RST sent to verdict, p99, ms", p99, Bound::Below(1_000.0));
    let lost = measured.progress.lost as f64 + measured.unaccounted().unsigned_abs() as f64;
    report.goal("digests lost", lost, Bound::AtMost(0.0));
    let share = measured.stored / measured.handed;
    report.goal("stored of handed over", share, Bound::AtLeast(0.98));
    let not_right = (held.sent - held.right + held.surplus) as f64;
    report.goal("verdicts that are not right", not_right, Bound::AtMost(0.0));
}

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
use self::collector::Collector;
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
/// Verdicts settle after the last evidence.
const SETTLING: Duration = Duration::from_secs(8);
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
    let collector = Collector::start(folder.path())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let measured = runtime.block_on(measure(collector, options))?;
    told(&measured, options)
}

async fn measure(mut collector: Collector, options: &Options) -> Result<Measured> {
    let tally = Arc::new(Tally::default());
    collector.watch(Arc::clone(&tally))?;
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
    for _ in WARM..u64::from(options.seconds) {
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
    tokio::time::sleep(SETTLING).await;
    let held = tally.hold(&collector.document("/v1/resets?limit=100000")?);
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
    collector.stop()?;
    Ok(measured)
}

impl Fleet {
    async fn start(collector: &Collector, tally: &Arc<Tally>, options: &Options) -> Self {
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
                    collector: collector.url(),
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

    async fn await_connected(&self, collector: &Collector) -> Result<()> {
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
        "{} simulated agents (a real agent's stream and recall memory, segments {}) on one collector with its own \
         Postgres, all on this machine: {} digests/s each, {} resets/s in all, {} s.",
        grouped(agents.into()),
        options.segments,
        options.rate,
        options.resets,
        options.seconds
    ));
    let row = |what: &str, value: String| vec![what.to_owned(), value];
    let [alone, connected, most] = measured.memory;
    let per_connection = (connected - alone) * 1024.0 / f64::from(agents);
    let Measured {
        progress,
        latencies,
        held,
        ..
    } = measured;
    let unaccounted = progress.numbered as i64 - progress.committed as i64 - progress.lost as i64;
    let told = |part| short(quantile(&latencies.told, part));
    let right = |part| short(quantile(&latencies.right, part));
    report.table(
        &["what", "measured"],
        &[
            row(
                "collector's memory a connection, KiB",
                short(per_connection),
            ),
            row(
                "collector's memory alone, connected, under load, MiB",
                format!("{}, {}, {}", short(alone), short(connected), short(most)),
            ),
            row(
                "collector's CPU, cores, without Postgres",
                short(measured.cores),
            ),
            row("digests/s handed over", short(measured.handed)),
            row("digests/s stored", short(measured.stored)),
            row(
                "digests in all, stored, lost, unaccounted for",
                format!(
                    "{}, {}, {}, {}",
                    grouped(progress.numbered as i64),
                    grouped(progress.committed as i64),
                    grouped(progress.lost as i64),
                    grouped(unaccounted)
                ),
            ),
            row(
                "RST sent to a verdict that can be read, ms: median, p99, worst",
                format!("{}, {}, {}", told(0.5), told(0.99), told(1.0)),
            ),
            row(
                "RST sent to the right verdict, ms: median, p99, worst",
                format!("{}, {}, {}", right(0.5), right(0.99), right(1.0)),
            ),
            row(
                "resets sent; verdicts right, undetermined, wrong, missing, surplus",
                format!(
                    "{}; {}, {}, {}, {}, {}",
                    grouped(held.sent as i64),
                    grouped(held.right as i64),
                    held.undetermined,
                    held.wrong,
                    held.missing,
                    held.surplus
                ),
            ),
        ],
    );
    let p99 = if latencies.unheard == 0 {
        quantile(&latencies.told, 0.99)
    } else {
        f64::INFINITY
    };
    report.goal("RST sent to verdict, p99, ms", p99, Bound::Below(1_000.0));
    let lost = progress.lost as f64 + unaccounted.unsigned_abs() as f64;
    report.goal("digests lost", lost, Bound::AtMost(0.0));
    let share = measured.stored / measured.handed;
    report.goal("stored of handed over", share, Bound::AtLeast(0.98));
    let not_right = (held.sent - held.right + held.surplus) as f64;
    report.goal("verdicts that are not right", not_right, Bound::AtMost(0.0));
    report.show(&options.show)
}

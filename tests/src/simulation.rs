//! The whole in one process: agents' capture side, spool and stream, collectors' ingest and recall, over a wire, a clock
//! and a database of our own, with faults by chance from a seed.
//!
//! The parts are the real ones: [`Handover`](parallax_agent::handover::Handover) and its memories,
//! [`Delivery`](parallax_agent::stream::Delivery) with its outbox and its journal on disk, gRPC, and the collector's
//! [`IngestService`](parallax_collector::ingest::IngestService) with its registry and loaders. Ours are [`cable`] in place
//! of TCP, tokio's paused clock, and [`database`] in place of Postgres: it decides by the collector's own
//! [`accept`](parallax_collector::store::accept) and keeps the promises of a transaction.
//!
//! A schedule ([`plan`]) is what goes wrong when; after it all is well, and everything must have arrived ([`check`]).
//! tokio's order of ready tasks is by chance too; `make simulate` builds it so that this comes from the seed.

use std::ops::Range;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

pub mod agent;
pub mod cable;
pub mod chance;
pub mod check;
pub mod collector;
pub mod database;
pub mod plan;
pub mod report;
pub mod traffic;
pub mod verdicts;

use agent::{Agent, Order};
use cable::Exchange;
use chance::Chance;
use check::Violation;
use collector::Collector;
use database::Database;
use plan::{Fault, Plan};
use report::Report;
use traffic::Story;
use verdicts::Verdicts;

/// A fault in Parallax that the simulation must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A commit is answered before it is durable: a collector that dies takes it along.
    EarlyAcknowledgement,
    /// A segment file of a dead agent's spool is gone.
    LostSegment,
    /// What is sent again is stored again.
    DoubleInsert,
}

/// What a schedule came to.
#[derive(Debug)]
pub struct Outcome {
    pub seed: u64,
    pub violations: Vec<Violation>,
    pub report: Report,
}

/// Plays the schedule of a seed; `folder` takes the agents' state directories.
///
/// # Errors
/// When the machine does not let it.
pub fn play(seed: u64, planted: Option<Planted>, folder: &Path) -> Result<Outcome> {
    let plan = Plan::of(seed, planted);
    let reference = verdicts::reference(plan.story, folder)?;
    let mut outcome = run(&plan, planted, folder)?;
    let Outcome {
        violations, report, ..
    } = &mut outcome;
    violations.extend(check::verdicts(&plan, &report.verdicts, &reference));
    Ok(outcome)
}

/// What many schedules came to.
#[derive(Debug, Default)]
pub struct Series {
    pub schedules: u64,
    /// Those in which something does not hold, lowest seed first.
    pub failed: Vec<Outcome>,
    pub report: Report,
}

/// Plays the schedules of these seeds on all processors.
///
/// # Errors
/// When the machine does not let it.
pub fn play_all(seeds: Range<u64>, planted: Option<Planted>, folder: &Path) -> Result<Series> {
    let next = AtomicU64::new(seeds.start);
    let work = || -> Result<Series> {
        let mut series = Series::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(series);
            }
            series.add(play(seed, planted, folder)?);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Series::default();
        for worker in workers {
            let part = worker.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            all.schedules += part.schedules;
            all.report.add(&part.report);
            all.failed.extend(part.failed);
        }
        all.failed.sort_by_key(|outcome| outcome.seed);
        Ok(all)
    })
}

impl Series {
    fn add(&mut self, outcome: Outcome) {
        self.schedules += 1;
        self.report.add(&outcome.report);
        if !outcome.violations.is_empty() {
            self.failed.push(outcome);
        }
    }
}

/// A folder in memory where there is one: schedules write thousands of small files.
///
/// # Errors
/// When it cannot be made.
pub fn folder() -> Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("parallax-simulation-");
    let made = builder.tempdir_in(memory).or_else(|_| builder.tempdir());
    made.context("making a folder for schedules")
}

/// Plays a schedule, without a look at its verdicts.
fn run(plan: &Plan, planted: Option<Planted>, folder: &Path) -> Result<Outcome> {
    let home = tempfile::Builder::new()
        .prefix("schedule-")
        .tempdir_in(folder)
        .context("making a folder for a schedule")?;
    let runtime = runtime(plan.seed)?;
    let outcome = runtime.block_on(play_out(plan, planted, home.path()));
    // What is left of dead collectors and connections ends with it.
    drop(runtime);
    Ok(outcome)
}

fn runtime(seed: u64) -> Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    #[cfg(not(tokio_unstable))]
    let _ = seed;
    builder.build().context("making a runtime")
}

async fn play_out(plan: &Plan, planted: Option<Planted>, home: &Path) -> Outcome {
    let began = Instant::now();
    let chance = Chance::new(plan.seed ^ 0x5117);
    let story = Arc::new(Story::of(plan.story));
    let database = Database::new(plan.database.clone(), planted, chance.fork(1));
    let exchange = Exchange::new(plan.latency.clone(), chance.fork(2));
    let mut collectors: Vec<Collector> = (0..plan.collectors)
        .map(|index| Collector::start(index, &database, &exchange))
        .collect();
    let mut orders = Vec::new();
    let mut agents = Vec::new();
    for index in 0..story.vantages.len() {
        let (order, ordered) = mpsc::unbounded_channel();
        orders.push(order);
        let agent = Agent::new(
            (index, plan, planted),
            &story,
            &exchange,
            (home.join(format!("agent-{index}")), began),
            chance.fork(10 + index as u64),
        );
        agents.push(tokio::spawn(agent.live(ordered)));
    }
    for (at, fault) in &plan.faults {
        sleep_until(began + *at).await;
        match fault {
            Fault::Cut { agent, late } => exchange.cut(*agent, *late),
            Fault::Stall { agent, length } => exchange.stall(*agent, *length),
            Fault::AgentDies { agent, away } => {
                // One that is over by now takes no orders.
                let _ = orders[*agent].send(Order::Die(*away));
            }
            Fault::CollectorDies { collector, away } => collectors[*collector].die(*away),
            Fault::DatabaseAway { length } => database.away(*length),
        }
    }
    let mut violations = Vec::new();
    let mut logs = Vec::new();
    for agent in agents {
        match tokio::time::timeout(Duration::from_mins(5), agent).await {
            Ok(Ok((runs, found))) => {
                logs.push(runs);
                violations.extend(found);
            }
            Ok(Err(error)) => {
                violations.push(Violation::Failed(format!("an agent's task: {error}")));
            }
            Err(_) => violations.push(Violation::Stuck),
        }
    }
    let tables = database.tables();
    violations.extend(check::stored(&logs, &tables));
    let verdicts = Verdicts::of(&tables);
    drop(collectors);
    Outcome {
        seed: plan.seed,
        violations,
        report: Report::of(&tables, &logs, &exchange, verdicts),
    }
}

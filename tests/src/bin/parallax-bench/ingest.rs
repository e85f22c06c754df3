//! Storing digests: the collector's loader, with everything that the join needs, beside plain COPY of the same digests
//! row by row; then on to many digests, whether it stays as fast, what they take, and what a verdict's join takes.

mod connections;
mod told;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use parallax_collector::postgres::{self, Durability};
use parallax_collector::store::{
    Asides, Ask, Beat, COPY_DIGESTS, NewRun, Outcome, Portion, Registered, Source, Store, Target,
    encode_digests,
};
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Coverage, Digest, Selection, Vantage, VantageKind};
use tokio::task::JoinSet;
use uuid::Uuid;

use self::connections::{Connections, Random};
use self::told::Octets;
use crate::measured::now;
use crate::report::{Show, grouped, short};

#[derive(clap::Args)]
pub struct Options {
    /// Digests to store in all, of all vantages.
    #[arg(long, default_value_t = 3_000_000)]
    digests: u64,
    /// Digests of one round beside the peers.
    #[arg(long, default_value_t = 300_000)]
    round: usize,
    /// Rounds, of which the medians count.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Connections at once.
    #[arg(long, default_value_t = 500)]
    at_once: u32,
    /// Digests in one transaction.
    #[arg(long, default_value_t = 50_000)]
    batch: usize,
    /// Vantages that see the same connections.
    #[arg(long, default_value_t = 3)]
    vantages: u32,
    /// Transactions at once, as many as the collector has loaders.
    #[arg(long, default_value_t = 2)]
    loaders: usize,
    /// Flows of one batch of the judge.
    #[arg(long, default_value_t = 64)]
    together: usize,
    /// Joins to measure.
    #[arg(long, default_value_t = 1000)]
    joins: usize,
    /// Without the peers.
    #[arg(long)]
    alone: bool,
    /// Store and ask as where tables are distributed: digests by other keys too, and each question key by key.
    #[arg(long)]
    by_shard: bool,
    /// Where Postgres keeps its data meanwhile.
    #[arg(long, value_name = "DIR")]
    data: Option<std::path::PathBuf>,
    #[command(flatten)]
    show: Show,
}

pub fn run(options: &Options) -> Result<()> {
    let folder = match &options.data {
        Some(data) => tempfile::tempdir_in(data),
        None => tempfile::tempdir(),
    };
    let folder = folder.context("make a folder for Postgres")?;
    open_to_all(folder.path())?;
    let server = postgres::start(&postgres::Settings {
        data_dir: folder.path().to_owned(),
        durability: Durability::Durable,
        installed: postgres::find()?,
    })?;
    let page = largest_page(server.pid());
    let target = Target::new(server.options("postgres"));
    let bench = Target::new(server.options("bench"));
    let runtime = tokio::runtime::Runtime::new()?;
    let measured = runtime.block_on(measure(&target, &bench, options));
    server.stop();
    measured?.report(options, page).show(&options.show)
}

/// KiB of the largest pages that a process has memory in: huge ones where the kernel holds some ready and Postgres asks for
/// them. `None`: the kernel does not tell.
fn largest_page(pid: u32) -> Option<u64> {
    let mappings = std::fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?;
    let sizes = mappings.lines().filter_map(|line| {
        let size = line.strip_prefix("KernelPageSize:")?;
        size.trim().strip_suffix(" kB")?.parse().ok()
    });
    sizes.max()
}

/// Rows a second of one round.
struct Rates {
    loader: f64,
    plain: f64,
    indexed: f64,
}

/// Everything that was measured.
struct Measured {
    rounds: Vec<Rates>,
    /// Digests stored, and digests a second up to there from the tenth before.
    tenths: Vec<(u64, f64)>,
    early: Joins,
    late: Joins,
    octets: Octets,
}

async fn measure(target: &Target, bench: &Target, options: &Options) -> Result<Measured> {
    target.create_database("bench").await?;
    let store = if options.by_shard {
        Store::open_by_shard(bench).await?
    } else {
        Store::open(bench).await?
    };
    store.open_days_ahead().await?;
    let mut growing = Growing::new(store.clone(), options).await?;
    let mut rounds = Vec::new();
    for round in 1..=options.runs {
        eprintln!("round {round} of {}", options.runs);
        let digests = growing.connections.take(options.round);
        let mut rates = Rates {
            loader: growing.store(&digests).await?,
            plain: f64::NAN,
            indexed: f64::NAN,
        };
        if !options.alone {
            rates.plain = copy(&store, &digests, options.batch, "").await?;
            let index = "CREATE INDEX ON plain (flow, seq)";
            rates.indexed = copy(&store, &digests, options.batch, index).await?;
        }
        rounds.push(rates);
    }
    sqlx::query("DROP TABLE IF EXISTS plain")
        .execute(store.pool())
        .await?;
    growing.grow(options.digests.min(1_000_000)).await?;
    let early = growing.joins(options).await?;
    let tenths = growing.grow_in_tenths(options.digests).await?;
    let late = growing.joins(options).await?;
    let octets = Octets::measure(&store, growing.stored).await?;
    store.close().await;
    Ok(Measured {
        rounds,
        tenths,
        early,
        late,
        octets,
    })
}

/// A database that grows.
struct Growing {
    store: Store,
    /// A run at each vantage, and the number of its next digest.
    runs: Vec<(Registered, u64)>,
    connections: Connections,
    batch: usize,
    loaders: usize,
    stored: u64,
}

impl Growing {
    async fn new(store: Store, options: &Options) -> Result<Self> {
        let mut runs = Vec::new();
        for vantage in 0..options.vantages {
            runs.push((register(&store, vantage).await?, 0));
        }
        Ok(Self {
            store,
            runs,
            connections: Connections::new(options.at_once, wall()),
            batch: options.batch,
            loaders: options.loaders,
            stored: 0,
        })
    }

    /// Stores digests at every vantage, the way that an agent's batches go: transaction, watermark, COPY, docket.
    /// Returns digests a second.
    async fn store(&mut self, digests: &[Digest]) -> Result<f64> {
        let mut portions: Vec<Portion> = Vec::new();
        for chunk in digests.chunks(self.batch) {
            for (run, next) in &mut self.runs {
                portions.push(portion(*run, *next, chunk.to_vec()));
                *next += chunk.len() as u64;
            }
        }
        let all = (digests.len() * self.runs.len()) as u64;
        // One run's portions stay with one loader, as a stream's do.
        let mut queues: Vec<Vec<Portion>> = (0..self.loaders).map(|_| Vec::new()).collect();
        for portion in portions {
            let queue = portion.run.id as usize % self.loaders;
            queues[queue].push(portion);
        }
        let begun = now();
        let mut loaders = JoinSet::new();
        for queue in queues {
            loaders.spawn(load(self.store.clone(), queue));
        }
        while let Some(loaded) = loaders.join_next().await {
            loaded??;
        }
        self.stored += all;
        Ok(all as f64 / begun.elapsed().as_secs_f64())
    }

    async fn grow(&mut self, until: u64) -> Result<f64> {
        let mut seconds = 0.0;
        let before = self.stored;
        while self.stored < until {
            let each = (until - self.stored).div_ceil(self.runs.len() as u64);
            let count = each.min(4 * self.batch as u64) as usize;
            let digests = self.connections.take(count);
            let all = (count * self.runs.len()) as f64;
            seconds += all / self.store(&digests).await?;
        }
        Ok((self.stored - before) as f64 / seconds)
    }

    async fn grow_in_tenths(&mut self, until: u64) -> Result<Vec<(u64, f64)>> {
        let (from, mut tenths) = (self.stored, Vec::new());
        for tenth in 1..=10 {
            let rate = self
                .grow(from + (until.saturating_sub(from)) * tenth / 10)
                .await?;
            if rate.is_finite() {
                eprintln!("{} digests stored", self.stored);
                tenths.push((self.stored, rate));
            }
        }
        Ok(tenths)
    }

    /// How long the join of a flow with a reset takes, and gathering everything about it, alone and in a batch.
    async fn joins(&self, options: &Options) -> Result<Joins> {
        // As autovacuum and the checkpointer do after a while: what was just stored is not written meanwhile.
        for quiet in ["VACUUM (ANALYZE) digest, packed, payload", "CHECKPOINT"] {
            sqlx::query(quiet).execute(self.store.pool()).await?;
        }
        let (alone, together) = ((options.joins, 1), (options.joins / 10, options.together));
        Ok(Joins {
            stored: self.stored,
            joined: Times {
                alone: self.times(How::Join, alone).await?,
                together: self.times(How::Join, together).await?,
            },
            gathered: Times {
                alone: self.times(How::Gather, alone).await?,
                together: self.times(How::Gather, together).await?,
            },
        })
    }

    /// Times for one flow each, in order; so many turns, of so many flows together.
    async fn times(&self, how: How, (turns, together): (usize, usize)) -> Result<Vec<Duration>> {
        let mut random = Random(7);
        let mut took = Vec::with_capacity(turns);
        let warm_up = turns / 10 + 10;
        for turn in 0..turns + warm_up {
            let asks = self.asks(&mut random, together)?;
            let count = asks.len() as u32;
            let elapsed = match how {
                How::Join => self.join(asks).await?,
                How::Gather => self.gather(asks).await?,
            };
            if turn >= warm_up {
                took.push(elapsed / count);
            }
        }
        took.sort_unstable();
        Ok(took)
    }

    async fn join(&self, asks: Vec<Ask>) -> Result<Duration> {
        let store = self.store.clone();
        let (found, elapsed) = timed(async move { store.join(&asks, &[]).await }).await?;
        // A connection has 60 segments and more.
        let least = 60 * self.runs.len();
        if let Some(found) = found?.iter().find(|found| **found < least) {
            bail!("{found} segments of a flow were joined, not {least}");
        }
        Ok(elapsed)
    }

    async fn gather(&self, asks: Vec<Ask>) -> Result<Duration> {
        let store = self.store.clone();
        let (gathered, elapsed) = timed(async move { store.gather(&asks, &[]).await }).await?;
        for of in &gathered? {
            if of.evidence.as_ref().map_or(0, Vec::len) != 1 {
                bail!("flow {} was not gathered: {:?}", of.flow, of.evidence);
            }
        }
        Ok(elapsed)
    }

    /// Different flows with a reset, anywhere.
    fn asks(&self, random: &mut Random, count: usize) -> Result<Vec<Ask>> {
        let known = &self.connections.reset;
        if known.is_empty() {
            bail!("no resets yet");
        }
        let from = random.below(known.len() as u64) as usize;
        let all = known.iter().cycle().skip(from).take(count.min(known.len()));
        let ask = |flow: &i64| Ask {
            flow: *flow,
            moment: None,
        };
        Ok(all.map(ask).collect())
    }
}

/// What is measured.
#[derive(Clone, Copy)]
enum How {
    /// A flow's resets at all vantages, its kin, the segments of both, coverage.
    Join,
    /// That and all else that a verdict rests on.
    Gather,
}

/// Times of joins and gatherings where so many digests are stored.
struct Joins {
    stored: u64,
    joined: Times,
    gathered: Times,
}

/// Times for one flow, in order.
struct Times {
    alone: Vec<Duration>,
    /// A flow's share of a batch.
    together: Vec<Duration>,
}

impl Joins {
    fn rows(&self, together: usize) -> Vec<Vec<String>> {
        let stored = grouped(self.stored as i64);
        let row = |what: String, took: &[Duration]| {
            let times = [0.5, 0.99].map(|share| short(millis(took, share)));
            [vec![what], times.to_vec()].concat()
        };
        let each = [("the join", &self.joined), ("all evidence", &self.gathered)];
        let rows = each.map(|(what, times)| {
            let batch = format!("a flow's share of a batch of {together}");
            [
                row(
                    format!("{what}, one flow, {stored} digests stored"),
                    &times.alone,
                ),
                row(
                    format!("{what}, {batch}, {stored} digests stored"),
                    &times.together,
                ),
            ]
        });
        rows.concat()
    }
}

/// How long something takes as a task, as it is for the judge: from outside the runtime each answer would wake one
/// thread more.
async fn timed<T: Send + 'static>(
    what: impl Future<Output = T> + Send + 'static,
) -> Result<(T, Duration)> {
    let task = tokio::spawn(async move {
        let begun = now();
        let result = what.await;
        (result, begun.elapsed())
    });
    Ok(task.await?)
}

fn millis(sorted: &[Duration], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share) as usize;
    let at = sorted.get(index).or(sorted.last());
    at.map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0)
}

async fn load(store: Store, queue: Vec<Portion>) -> Result<()> {
    for portion in queue {
        let loaded = store.load(&[&portion]).await?;
        let until = portion.first_number + portion.digests.len() as u64;
        if loaded.outcomes != [Outcome::Committed(until)] {
            bail!("the loader did not commit: {:?}", loaded.outcomes);
        }
    }
    Ok(())
}

/// Digests with the beat that says what was watched meanwhile.
fn portion(run: Registered, first_number: u64, digests: Vec<Digest>) -> Portion {
    let span = digests
        .first()
        .zip(digests.last())
        .map(|(first, last)| Coverage {
            // What was watched before counts once.
            from: first.time.plus(-SECOND),
            until: last.time,
            received: digests.len() as u64,
            dropped: 0,
        });
    let beat = Beat {
        epoch: 0,
        span,
        unread: Vec::new(),
    };
    Portion {
        stream: 0,
        run,
        first_number,
        digests,
        losses: Vec::new(),
        skipped_to: 0,
        asides: Asides::default(),
        beats: vec![beat],
        finished: false,
    }
}

async fn register(store: &Store, vantage: u32) -> Result<Registered> {
    let run = NewRun {
        vantage: Vantage {
            name: format!("bench-{vantage}"),
            kind: VantageKind::Hop,
        },
        run_id: Uuid::now_v7(),
        source: Source::Live,
        selection: Selection::All,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        interfaces: Vec::new(),
        filter: String::new(),
        snaplen: 96,
    };
    Ok(store.register(&run).await?)
}

/// The same digests by COPY into a table of a row each.
async fn copy(store: &Store, digests: &[Digest], batch: usize, index: &'static str) -> Result<f64> {
    let mut connection = store.pool().acquire().await?;
    for step in [
        "DROP TABLE IF EXISTS plain",
        "CREATE TABLE plain (LIKE digest)",
        index,
    ] {
        if !step.is_empty() {
            sqlx::query(step).execute(&mut *connection).await?;
        }
    }
    let into_plain: Arc<str> = COPY_DIGESTS.replacen("COPY digest", "COPY plain", 1).into();
    let begun = now();
    let mut first_number = 0;
    for digests in digests.chunks(batch) {
        let rows = encode_digests(1, 1, first_number, digests);
        first_number += digests.len() as u64;
        let mut copy = connection.copy_in_raw(&into_plain).await?;
        for message in rows.chunks(65_536) {
            copy.send(message).await?;
        }
        copy.finish().await?;
    }
    Ok(digests.len() as f64 / begun.elapsed().as_secs_f64())
}

/// Postgres runs as another user when started by root.
fn open_to_all(folder: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(
        folder,
        std::fs::Permissions::from_mode(0o755),
    )?)
}

/// Days have partitions around now only.
fn wall() -> CaptureTime {
    parallax_collector::clock::wall()
}

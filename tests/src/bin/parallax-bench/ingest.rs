//! Storing digests: the collector's loader, with everything that the join needs, beside plain COPY of the
//! same rows.

use anyhow::{Context, Result, bail};
use parallax_collector::postgres::{self, Durability};
use parallax_collector::store::{
    Asides, COPY_DIGESTS, NewRun, Outcome, Portion, Registered, Source, Store, Target,
    encode_digests,
};
use parallax_core::{Digest, Selection, Vantage, VantageKind};
use uuid::Uuid;

use crate::measured::{middle, now};
use crate::report::{Bound, Report, Show, grouped, short};
use crate::traffic::{self, Plan};

#[derive(clap::Args)]
pub struct Options {
    /// Digests to store.
    #[arg(long, default_value_t = 500_000)]
    digests: u32,
    /// Connections that they belong to.
    #[arg(long, default_value_t = 5_000)]
    connections: u32,
    /// Digests in one transaction.
    #[arg(long, default_value_t = 50_000)]
    batch: usize,
    /// Rounds, of which the medians count.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// The same seed makes the same digests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    show: Show,
}

pub fn run(options: &Options) -> Result<()> {
    let digests = digests(options)?;
    let folder = tempfile::tempdir().context("make a folder for Postgres")?;
    open_to_all(folder.path())?;
    let server = postgres::start(&postgres::Settings {
        data_dir: folder.path().to_owned(),
        durability: Durability::Durable,
        installed: postgres::find()?,
    })?;
    let target = Target::new(server.options("postgres"));
    let bench = Target::new(server.options("bench"));
    let runtime = tokio::runtime::Runtime::new()?;
    let rates = runtime.block_on(measure(&target, &bench, &digests, options));
    server.stop();
    report(&rates?, digests.len(), options)
}

/// Rows a second of one round.
struct Rates {
    loader: f64,
    plain: f64,
    indexed: f64,
}

async fn measure(
    target: &Target,
    bench: &Target,
    digests: &[Digest],
    options: &Options,
) -> Result<Vec<Rates>> {
    target.create_database("bench").await?;
    let store = Store::open(bench).await?;
    let mut rounds = Vec::new();
    for _ in 0..options.runs {
        rounds.push(Rates {
            loader: loader(&store, digests, options.batch).await?,
            plain: copy(&store, digests, options.batch, "").await?,
            indexed: copy(
                &store,
                digests,
                options.batch,
                "CREATE INDEX ON plain (flow, seq)",
            )
            .await?,
        });
    }
    store.close().await;
    Ok(rounds)
}

/// The way that an agent's batches go: transaction, watermark, COPY, docket.
async fn loader(store: &Store, digests: &[Digest], batch: usize) -> Result<f64> {
    sqlx::query("TRUNCATE digest").execute(store.pool()).await?;
    let run = register(store).await?;
    let begun = now();
    let mut first_number = 0;
    for digests in digests.chunks(batch) {
        let portion = Portion {
            run,
            first_number,
            digests: digests.to_vec(),
            losses: Vec::new(),
            skipped_to: 0,
            asides: Asides::default(),
            beats: Vec::new(),
            finished: false,
        };
        first_number += digests.len() as u64;
        let loaded = store.load(&[&portion]).await?;
        if loaded.outcomes.get(&run.id) != Some(&Outcome::Committed(first_number)) {
            bail!("the loader did not commit: {:?}", loaded.outcomes);
        }
    }
    Ok(digests.len() as f64 / begun.elapsed().as_secs_f64())
}

async fn register(store: &Store) -> Result<Registered> {
    let run = NewRun {
        vantage: Vantage {
            name: "bench".to_owned(),
            kind: VantageKind::Hop,
        },
        run_id: Uuid::now_v7(),
        source: Source::File,
        selection: Selection::All,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        interfaces: Vec::new(),
        filter: String::new(),
        snaplen: 96,
    };
    Ok(store.register(&run).await?)
}

/// The same rows by COPY into a table of the same columns.
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
    let into_plain = COPY_DIGESTS.replacen("COPY digest", "COPY plain", 1);
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

fn report(rounds: &[Rates], rows: usize, options: &Options) -> Result<()> {
    let of = |rate: fn(&Rates) -> f64| middle(rounds.iter().map(rate));
    let over_plain = of(|round| round.loader / round.plain);
    let over_indexed = of(|round| round.loader / round.indexed);
    let mut report = Report::new("ingest");
    report.say(&format!(
        "Storing {} digests of {} connections in durable Postgres, {} a transaction, medians of {} rounds; the \
         ratio is ours over theirs.",
        grouped(rows as i64),
        grouped(options.connections.into()),
        grouped(options.batch as i64),
        options.runs
    ));
    let row = |way: &str, rate: f64, ratio: String| vec![way.to_owned(), short(rate), ratio];
    report.table(
        &["way", "digests/s", "ratio"],
        &[
            row(
                "parallax, with everything that the join needs",
                of(|round| round.loader),
                String::new(),
            ),
            row(
                "plain COPY, no index",
                of(|round| round.plain),
                short(over_plain),
            ),
            row(
                "plain COPY, B-tree on (flow, seq)",
                of(|round| round.indexed),
                short(over_indexed),
            ),
        ],
    );
    report.goal(
        "digests a second, over COPY into a B-tree",
        over_indexed,
        Bound::AtLeast(3.0),
    );
    report.goal(
        "digests a second, over COPY without index",
        over_plain,
        Bound::AtLeast(0.7),
    );
    report.show(&options.show)
}

/// The digests of the mix, in one vantage's order.
fn digests(options: &Options) -> Result<Vec<Digest>> {
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("mix.pcap");
    let plan = Plan {
        packets: options.digests,
        connections: options.connections,
        seed: options.seed,
    };
    traffic::write_mix(&capture, plan)?;
    let mut digests = Vec::with_capacity(options.digests as usize);
    parallax_agent::capture::file::read_digests(&capture, &mut |digest| digests.push(digest))?;
    Ok(digests)
}

/// Postgres runs as another user when started by root.
fn open_to_all(folder: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(
        folder,
        std::fs::Permissions::from_mode(0o755),
    )?)
}

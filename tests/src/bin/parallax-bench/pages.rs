//! What a page asks and what it takes to come, with a hundred thousand resets in the store.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parallax_collector::postgres::{self, Durability};
use parallax_collector::store::{Filters, Grouping, Place, Steps, Store, StoreError, Target};
use parallax_core::CaptureTime;
use parallax_tests::programs::{Programs, Running, wait_for};
use parallax_tests::replay::free_port;
use sqlx::ConnectOptions as _;

use crate::measured::{now, quantile};
use crate::report::{Bound, Report, Show, grouped, short};

/// Resets of a week, as varied as real ones; the tests fill their store with the same.
const FILL: &str = include_str!("../../../../collector/tests/collector/many.sql");
/// The oldest of them, nanoseconds: 2026-01-02T03:04:05Z.
const OLDEST: i64 = 1_767_323_045_000_000_000;
const DAY: i64 = 86_400 * 1_000_000_000;
const WEEK: i64 = 7 * DAY;
/// Resets on one page.
const PAGE: u32 = 50;
/// What of 20 answers 19 must not exceed, milliseconds.
const GOAL: f64 = 150.0;
const START: Duration = Duration::from_mins(1);

/// Pages as browsers ask for them, and what programs ask.
const PATHS: [&str; 7] = [
    "/",
    "/?group=place&origin=middlebox",
    "/?group=peer&port=443",
    "/?vantage=fw-in&cause=closed_port",
    "/path",
    "/vantages",
    "/v1/resets?limit=50",
];

#[derive(clap::Args)]
pub struct Options {
    /// Resets in the store.
    #[arg(long, default_value_t = 100_000)]
    resets: i64,
    /// Times that each question is asked.
    #[arg(long, default_value_t = 40)]
    runs: usize,
    #[command(flatten)]
    show: Show,
}

/// Milliseconds of one question.
struct Took(Vec<f64>);

impl Took {
    fn p95(&self) -> f64 {
        quantile(&self.0, 0.95)
    }

    fn words(&self) -> String {
        format!("{}, {}", short(quantile(&self.0, 0.5)), short(self.p95()))
    }
}

pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder for Postgres")?;
    // Postgres runs as another user when started by root.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let data_dir = folder.path().join("postgres");
    std::fs::create_dir(&data_dir)?;
    std::fs::set_permissions(&data_dir, Permissions::from_mode(0o755))?;
    let server = postgres::start(&postgres::Settings {
        data_dir,
        durability: Durability::Durable,
        installed: postgres::find()?,
    })?;
    let create = Target::new(server.options("postgres"));
    let bench = server.options("bench");
    let runtime = tokio::runtime::Runtime::new()?;
    let asked = runtime.block_on(async {
        create.create_database("bench").await?;
        let store = Store::open(&Target::new(bench.clone())).await?;
        fill(&store, options.resets).await?;
        let asked = ask_store(&store, options.runs).await;
        store.close().await;
        anyhow::Ok(asked?)
    });
    let told = asked.and_then(|asked| {
        let url = bench.to_url_lossy().to_string();
        Ok((asked, ask_pages(folder.path(), &url, options.runs)?))
    });
    server.stop();
    let (asked, pages) = told?;
    report(options, &asked, &pages).show(&options.show)
}

async fn fill(store: &Store, resets: i64) -> Result<()> {
    sqlx::query(FILL)
        .bind(resets)
        .bind(OLDEST)
        .bind(WEEK / resets.max(1))
        .execute(store.pool())
        .await
        .context("filling the store")?;
    // What autovacuum does within a minute.
    sqlx::query("VACUUM ANALYZE reset")
        .execute(store.pool())
        .await
        .context("gathering statistics")?;
    Ok(())
}

/// What visitors ask, by name.
fn questions() -> Vec<(&'static str, Filters)> {
    let all = || Filters {
        limit: PAGE,
        ..Filters::default()
    };
    let with = |name, change: &dyn Fn(&mut Filters)| {
        let mut filters = all();
        change(&mut filters);
        (name, filters)
    };
    let day = CaptureTime::from_nanos(OLDEST + 3 * DAY);
    vec![
        with("all", &|_| {}),
        with("one day", &|asked| {
            asked.since = Some(day);
            asked.until = Some(day.plus(DAY));
        }),
        with("a common address", &|asked| {
            asked.address = "192.0.2.10".parse().ok();
        }),
        with("an address of nobody", &|asked| {
            asked.address = "203.0.113.254".parse().ok();
        }),
        with("a port", &|asked| asked.port = Some(443)),
        with("a rare port", &|asked| asked.port = Some(20_777)),
        with("a vantage", &|asked| {
            asked.vantage = Some("fw-in".to_owned());
        }),
        with("an origin", &|asked| asked.origin = Some("undetermined")),
        with("a cause", &|asked| asked.cause = Some("closed_port")),
        with("a cause of none", &|asked| {
            asked.cause = Some("blind_attack");
        }),
        with("a place", &|asked| {
            asked.between = Some(Place("fw-in".to_owned(), "fw-out".to_owned()));
        }),
    ]
}

/// List, counts, and groups by place, cause and peer, of each question.
type Asked = (&'static str, [Took; 5]);

async fn ask_store(store: &Store, runs: usize) -> Result<Vec<Asked>, StoreError> {
    let steps = Steps {
        from: CaptureTime::from_nanos(OLDEST),
        length: WEEK / 48 + 1,
        count: 48,
    };
    let mut asked = Vec::new();
    for (name, filters) in questions() {
        let mut took: [Vec<f64>; 5] = Default::default();
        // The first is not counted: its pages are read from disk.
        for run in 0..=runs {
            let mut note = |question: usize, begun: std::time::Instant| {
                if run > 0 {
                    took[question].push(milliseconds(begun));
                }
            };
            let begun = now();
            store.page(&filters).await?;
            note(0, begun);
            let begun = now();
            store.counts(&filters, steps).await?;
            note(1, begun);
            let groupings = [Grouping::Place, Grouping::Cause, Grouping::Peer];
            for (place, by) in groupings.into_iter().enumerate() {
                let begun = now();
                store.groups(&filters, by).await?;
                note(2 + place, begun);
            }
        }
        asked.push((name, took.map(sorted)));
    }
    Ok(asked)
}

fn milliseconds(begun: std::time::Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

fn sorted(mut took: Vec<f64>) -> Took {
    took.sort_by(f64::total_cmp);
    Took(took)
}

/// A page until its last octet, and its octets.
type Served = (&'static str, Took, usize);

fn ask_pages(folder: &Path, database: &str, runs: usize) -> Result<Vec<Served>> {
    let http = free_port()?;
    let mut command = Command::new(Programs::beside_this_one()?.collector());
    command
        .args(["serve", "--grpc", "", "--http", &http.to_string()])
        .args(["--database-url", database])
        .env("PARALLAX_SIGNING_KEY", folder.join("signing-key"));
    let mut running = Running::start("collector", command, folder)?;
    let url = format!("http://{http}");
    let config = ureq::Agent::config_builder().proxy(None).build();
    let agent = config.new_agent();
    let up = wait_for(START, || {
        running.check()?;
        Ok(agent.get(format!("{url}/healthz")).call().ok())
    })?;
    ensure!(up.is_some(), "no collector: {}", running.said());
    let mut served = Vec::new();
    for path in PATHS {
        let mut took = Vec::new();
        let mut octets = 0;
        for run in 0..=runs {
            let begun = now();
            let asked = agent.get(format!("{url}{path}")).call();
            let body = asked
                .with_context(|| path.to_owned())?
                .body_mut()
                .read_to_vec()?;
            if run > 0 {
                took.push(milliseconds(begun));
            }
            octets = body.len();
        }
        served.push((path, sorted(took), octets));
    }
    running.stop()?;
    Ok(served)
}

fn report(options: &Options, asked: &[Asked], served: &[Served]) -> Report {
    let mut report = Report::new("pages");
    report.say(&format!(
        "{} resets of a week in the store, {} times each question, one after another. What the database takes for a page of \
         {PAGE}, 48 counts over time and the groups, each as p50, p95 in ms:",
        grouped(options.resets),
        options.runs
    ));
    let rows: Vec<Vec<String>> = asked
        .iter()
        .map(|(name, took)| {
            let cells = took.iter().map(Took::words);
            std::iter::once((*name).to_owned()).chain(cells).collect()
        })
        .collect();
    report.table(
        &[
            "filter", "list", "counts", "by place", "by cause", "by peer",
        ],
        &rows,
    );
    report.say("Whole pages over HTTP on loopback, until the last octet:");
    let rows: Vec<Vec<String>> = served
        .iter()
        .map(|(path, took, octets)| {
            vec![
                (*path).to_owned(),
                short(*octets as f64 / 1024.0),
                took.words(),
            ]
        })
        .collect();
    report.table(&["page", "KiB", "ms: p50, p95"], &rows);
    let worst = |took: &mut dyn Iterator<Item = f64>| took.fold(f64::NAN, f64::max);
    let mut all = asked.iter().flat_map(|(_, took)| took).map(Took::p95);
    report.goal(
        "slowest list, count or group, p95 ms",
        worst(&mut all),
        Bound::AtMost(GOAL),
    );
    let mut all = served.iter().map(|(_, took, _)| took.p95());
    report.goal("slowest page, p95 ms", worst(&mut all), Bound::AtMost(GOAL));
    report
}

//! `parallax-lab`: raises the lab and plays in it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use parallax_tests::analysis::{Order, analyze};
use parallax_tests::chaos::{self, Extent};
use parallax_tests::enclosure::{self, Half};
use parallax_tests::lab::Lab;
use parallax_tests::loss::Damage;
use parallax_tests::networks::check::read;
use parallax_tests::networks::run::{self, LIVE_FILE, Live, Watchers};
use parallax_tests::networks::{self, Network};
use parallax_tests::programs::Programs;
use parallax_tests::recorder::Recording;
use parallax_tests::scenario::{Act, acts};
use parallax_tests::truth::compare;
use parallax_tests::{
    bytes, demo, faults, flood, fuzz, latency, live, loss, monitoring, recall, simulation, traffic,
    veiled,
};

/// A network of namespaces in which resets are made whose origin is known.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Print every scenario with its truth.
    List,
    /// Play scenarios and keep what every vantage saw, as OUT/SCENARIO/VANTAGE.pcap.
    Record {
        #[arg(long, default_value = "target/lab-runs/recorded")]
        out: PathBuf,
        /// Only acts whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Hold the verdicts of `parallax analyze` on recorded acts against the truth.
    Check {
        #[arg(long, default_value = "target/lab-runs/recorded")]
        from: PathBuf,
        /// Only acts whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Damage each vantage of recorded acts in turn and look for verdicts that say too much.
    Damage {
        #[arg(long, default_value = "target/lab-runs/recorded")]
        from: PathBuf,
        /// Only acts whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Drive every fuzz target for a time; inputs that crash are kept in its corpus.
    Fuzz {
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Play schedules of the simulated world; what does not hold is printed with its seed.
    Simulate {
        #[arg(long, default_value_t = 10_000)]
        schedules: u64,
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Play every scenario before live agents and a collector; keep verdicts and captures in OUT.
    Live {
        #[arg(long, default_value = "target/lab-runs/live")]
        out: PathBuf,
        /// Only acts whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Play networks of their own and keep what every vantage saw, with the truth, in OUT/NETWORK;
    /// then hold the verdicts of `parallax analyze` against it.
    Networks {
        #[arg(long, default_value = "target/lab-runs/networks")]
        out: PathBuf,
        /// Only networks whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
        /// Have live agents and a collector watch too.
        #[arg(long)]
        live: bool,
        /// Do not play: judge what was recorded before.
        #[arg(long, conflicts_with_all = ["live", "play_only"])]
        recorded: bool,
        /// Do not judge what was recorded.
        #[arg(long)]
        play_only: bool,
    },
    /// Play one network here.
    #[command(hide = true)]
    PlayNetwork {
        name: String,
        #[arg(long)]
        out: PathBuf,
        #[arg(long)]
        live: bool,
    },
    /// Have agents asked what they remember: plainly, overloaded, stopped, and over two collectors of which one
    /// dies; keep what was wrong in OUT.
    Recall {
        #[arg(long, default_value = "target/lab-runs/recall")]
        out: PathBuf,
    },
    /// Have a real Prometheus scrape agents and collector and evaluate every query of dashboard and alert rules; keep
    /// what was wrong in OUT.
    Monitoring {
        #[arg(long, default_value = "target/lab-runs/monitoring")]
        out: PathBuf,
    },
    /// Send connections past a live agent and measure what it sends of what it observes.
    Bytes {
        #[arg(long, default_value_t = 50_000)]
        connections: u32,
        /// Packets a second; the default is what two shared cores generate and capture without loss.
        #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1..))]
        rate: u32,
        #[arg(long, default_value = "target/lab-runs/bytes")]
        out: PathBuf,
    },
    /// Take interfaces away and fill disks under live agents and a collector, and hold what they tell of it against
    /// what was sent.
    Faults {
        #[arg(long, default_value = "target/lab-runs/faults")]
        out: PathBuf,
    },
    /// Send SYNs, each of a flow of its own, past a live agent while open connections are reset; measure what both
    /// programs take, and keep that in OUT.
    Flood {
        #[arg(long, default_value_t = 5_000_000)]
        flows: u32,
        /// SYNs a second, at most.
        #[arg(long, default_value_t = 100_000)]
        rate: u32,
        /// The folder of the programs that are flooded; by default those beside this one.
        #[arg(long)]
        programs: Option<PathBuf>,
        #[arg(long, default_value = "target/lab-runs/flood")]
        out: PathBuf,
    },
    /// Have agents put pseudonyms in place of addresses on both sides of a translation; `PARALLAX_PSEUDONYM_KEY` names the
    /// key's file.
    Veiled {
        #[arg(long, default_value = "target/lab-runs/veiled")]
        out: PathBuf,
    },
    /// Make traffic before live agents and show the verdicts on it.
    Demo,
    /// Kill, stop and cut at random under load; then hold every RST against the verdicts and losses.
    Chaos {
        #[arg(long, default_value = "target/lab-runs/chaos")]
        out: PathBuf,
        #[arg(long, default_value_t = 100)]
        rounds: u32,
        /// The same seed gives the same faults.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Seconds of the longest outage of the database.
        #[arg(long, default_value_t = 30)]
        database: u64,
        /// Seconds of the longest cut of a link.
        #[arg(long, default_value_t = 60)]
        link: u64,
    },
    /// Measure the time from a reset on the wire to its verdict.
    Latency {
        /// How many resets.
        #[arg(long, default_value_t = 300)]
        count: usize,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(&arguments.what) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("parallax-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Plays schedules; what does not hold is printed, with the seed that shows it again.
fn simulate(seeds: std::ops::Range<u64>) -> Result<ExitCode> {
    let folder = simulation::folder()?;
    let series = simulation::play_all(seeds, None, folder.path())?;
    for outcome in &series.failed {
        println!("seed {}:", outcome.seed);
        for violation in &outcome.violations {
            println!("  {violation}");
        }
    }
    let report = &series.report;
    println!(
        "{} schedules, {} failed: {} runs of agents, {} connections, {} digests, {} answers from memory, {} losses told",
        series.schedules,
        series.failed.len(),
        report.runs,
        report.connections,
        report.digests,
        report.recalled,
        report.losses,
    );
    Ok(ExitCode::from(u8::from(!series.failed.is_empty())))
}

fn carry_out(what: &What) -> Result<ExitCode> {
    if let Some(status) = outside(what)? {
        return Ok(status);
    }
    if let Half::Outer(status) = enclosure::enter()? {
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        return Ok(ExitCode::from(code.unwrap_or(1)));
    }
    inside(what)?;
    Ok(ExitCode::SUCCESS)
}

/// Carries out what needs no namespaces; `None`: the rest.
fn outside(what: &What) -> Result<Option<ExitCode>> {
    Ok(Some(match what {
        What::List => {
            list();
            list_networks();
            ExitCode::SUCCESS
        }
        What::Check { from, only } => check(from, only)?,
        What::Damage { from, only } => damage(from, only)?,
        What::Fuzz { minutes, seed } => {
            fuzz::run_for(Duration::from_secs(60 * minutes), *seed)?;
            ExitCode::SUCCESS
        }
        What::Simulate { schedules, seed } => simulate(*seed..seed + schedules)?,
        What::Networks {
            out,
            only,
            live,
            recorded,
            play_only,
        } => {
            let networks = run::named(only);
            if !recorded {
                run::play_all(&networks, out, watchers(*live))?;
            }
            if *play_only {
                ExitCode::SUCCESS
            } else {
                check_networks(&networks, out)?
            }
        }
        What::Record { .. }
        | What::Live { .. }
        | What::PlayNetwork { .. }
        | What::Recall { .. }
        | What::Bytes { .. }
        | What::Monitoring { .. }
        | What::Demo
        | What::Faults { .. }
        | What::Veiled { .. }
        | What::Flood { .. }
        | What::Chaos { .. }
        | What::Latency { .. } => return Ok(None),
    }))
}

fn inside(what: &What) -> Result<()> {
    match what {
        What::List
        | What::Check { .. }
        | What::Damage { .. }
        | What::Networks { .. }
        | What::Simulate { .. }
        | What::Fuzz { .. } => {}
        What::PlayNetwork { name, out, live } => {
            let networks = run::named(name);
            let network = networks.first().context("there is no such network")?;
            run::play(network, out, watchers(*live))?;
        }
        What::Record { out, only } => record(out, only)?,
        What::Live { out, only } => {
            live::run(out, only)?;
        }
        What::Bytes {
            connections,
            rate,
            out,
        } => bytes::run(*connections, *rate, out)?,
        What::Recall { out } => recall::run(out)?,
        What::Monitoring { out } => monitoring::run(out)?,
        What::Demo => demo::run()?,
        What::Faults { out } => faults::run(out)?,
        What::Veiled { out } => veiled::run(out)?,
        What::Flood {
            flows,
            rate,
            programs,
            out,
        } => {
            let programs = match programs {
                Some(folder) => Programs::in_folder(folder)?,
                None => Programs::beside_this_one()?,
            };
            flood::run(out, &programs, (*flows, *rate))?;
        }
        What::Chaos {
            out,
            rounds,
            seed,
            database,
            link,
        } => {
            let extent = Extent {
                rounds: *rounds,
                seed: *seed,
                database: Duration::from_secs(*database),
                link: Duration::from_secs(*link),
            };
            chaos::run(out, extent)?;
        }
        What::Latency { count } => latency::run(*count)?,
    }
    Ok(())
}

fn list() {
    for act in acts() {
        println!(
            "{} (port {})\n  {}",
            act.name(),
            act.port,
            act.scenario.story
        );
        for (number, truth) in (act.scenario.truth)().iter().enumerate() {
            println!("  {number}: {truth:?} seen at {:?}", truth.seen_at());
        }
    }
}

fn list_networks() {
    for network in networks::all() {
        println!("network {}\n  {}", network.name, network.story);
    }
}

fn check(from: &Path, only: &str) -> Result<ExitCode> {
    let programs = Programs::beside_this_one()?;
    let mut code = ExitCode::SUCCESS;
    for act in acts().iter().filter(|act| act.name().contains(only)) {
        for order in [Order::Told, Order::Inferred] {
            let document = analyze(&programs, &from.join(act.name()), order)?;
            let wrong = compare(act, &document.resets);
            let word = if wrong.is_empty() { "right" } else { "WRONG" };
            println!("{word}  {} (path {order:?})", act.name());
            for difference in wrong {
                println!("       {difference}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

const fn watchers(live: bool) -> Watchers {
    if live {
        Watchers::Live
    } else {
        Watchers::RecordersOnly
    }
}

/// Prints what is right and wrong with every network's verdicts.
fn check_networks(networks: &[Network], out: &Path) -> Result<ExitCode> {
    let programs = Programs::beside_this_one()?;
    let mut code = ExitCode::SUCCESS;
    let mut print = |name: &str, how: String, wrong: Vec<String>| {
        let word = if wrong.is_empty() { "right" } else { "WRONG" };
        println!("{word}  {name} ({how})");
        for difference in wrong {
            println!("       {difference}");
            code = ExitCode::FAILURE;
        }
    };
    for network in networks {
        let folder = out.join(network.name);
        let truth = networks::check::truth(&folder)?;
        let wrong = networks::sightings::differences(&truth, &folder)?;
        print(network.name, "captures".to_owned(), wrong);
        for (order, hosts, wrong) in networks::check::check(&programs, &folder)? {
            print(
                network.name,
                format!("path {order:?}, hosts {hosts:?}"),
                wrong,
            );
        }
        let live = folder.join(LIVE_FILE);
        if live.exists() {
            print(network.name, "live".to_owned(), read::<Live>(&live)?.wrong);
        }
    }
    Ok(code)
}

fn damage(from: &Path, only: &str) -> Result<ExitCode> {
    let programs = Programs::beside_this_one()?;
    let mut code = ExitCode::SUCCESS;
    for act in acts().iter().filter(|act| act.name().contains(only)) {
        let folder = from.join(act.name());
        for damage in [Some(Damage::Lossy), Damage::before_the_reset(&folder, act)?] {
            let Some(damage) = damage else { continue };
            let found = loss::without_each(&programs, &folder, act, damage)?;
            for accusation in &found {
                println!("{} {damage:?} {accusation}", act.name());
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn record(out: &Path, only: &str) -> Result<()> {
    let lab = Lab::raise().context("raising the lab")?;
    for act in acts().iter().filter(|act| act.name().contains(only)) {
        println!("{}", act.name());
        record_act(&lab, act, &out.join(act.name()))?;
    }
    Ok(())
}

fn record_act(lab: &Lab, act: &Act, folder: &Path) -> Result<()> {
    let recording = Recording::start(&lab.site(), folder)?;
    act.play(lab)?;
    traffic::pause(50);
    recording.finish()
}

//! Three vantages, a NAT between two of them: `parallax analyze` beside what a person does without it.
//!
//! By hand that is tshark to fields for each capture, and a join in a database. Both answers are held against each
//! other and against the construction, reset by reset.

mod answers;
mod by_hand;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use parallax_core::report::Document;

use self::answers::{Answers, Verdicts};
use self::by_hand::ByHand;
use crate::measured::{Bounds, Cost, Run, median, middle};
use crate::peers::installed;
use crate::report::{Bound, Report, Show, grouped, short};
use crate::traffic::{self, NAMES, Plan};

#[derive(clap::Args)]
pub struct Options {
    /// Packets that pass each vantage.
    #[arg(long, default_value_t = 1_000_000)]
    packets: u32,
    /// Connections that they belong to.
    #[arg(long, default_value_t = 10_000)]
    connections: u32,
    /// The same seed makes the same captures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rounds of ours and of tcpdump, of which the medians count.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Rounds by hand, which take a minute.
    #[arg(long, default_value_t = 1)]
    by_hand: usize,
    #[command(flatten)]
    show: Show,
}

const BOUNDS: Bounds = Bounds {
    time: Duration::from_mins(5),
    memory: 8 * 1024,
};

/// What was measured.
struct Measured {
    ours: Vec<Cost>,
    /// Of the three readings together.
    floor: Vec<Cost>,
    by_hand: Option<ByHand>,
}

pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder for the captures")?;
    let captures = NAMES.map(|name| folder.path().join(format!("{name}.pcap")));
    let plan = Plan {
        packets: options.packets,
        connections: options.connections,
        seed: options.seed,
    };
    let resets = traffic::write_vantages(&captures, plan)?;
    let truth = Answers::by_construction(&resets)?;
    let (measured, document) = measure(folder.path(), &captures, options)?;
    let ours = Answers::of_document(&document)?;
    let mut report = Report::new("analyze");
    told(&mut report, &measured, options);
    let agreement = Agreement {
        resets: truth.len(),
        ours: ours.differences(&truth),
        by_hand: measured
            .by_hand
            .as_ref()
            .map(|by_hand| by_hand.answers.differences(&truth)),
    };
    agreement.tell(&mut report, &Verdicts::of(&document, &resets));
    goals(&mut report, &measured);
    report.show(&options.show)?;
    agreement.must_be_whole()
}

fn measure(
    folder: &Path,
    captures: &[PathBuf; 3],
    options: &Options,
) -> Result<(Measured, Document)> {
    let by_hand = by_hand::measure(folder, captures, options.by_hand, BOUNDS)?;
    let printed = folder.join("answer.json");
    let mut analyze = Run::new(crate::binaries()?.join("parallax"), folder)
        .output(&printed)
        .args(&["analyze", "--format", "json"]);
    for (name, capture) in NAMES.iter().zip(captures) {
        analyze = analyze.arg(format!("{name}={}", capture.display()));
    }
    let tcpdump = installed("tcpdump").context("tcpdump is not installed")?;
    // The first round brings the files into the page cache.
    let mut ours = Vec::new();
    let mut floor = Vec::new();
    for _ in 0..=options.runs {
        ours.push(analyze.measure(BOUNDS)?);
        let mut costs = Vec::new();
        for capture in captures {
            let run = Run::new(&tcpdump, folder).args(&["--count", "-r"]);
            costs.push(run.arg(capture).measure(BOUNDS)?);
        }
        floor.push(together(&costs));
    }
    ours.remove(0);
    floor.remove(0);
    let document = serde_json::from_slice(&std::fs::read(&printed)?)
        .context("reading what parallax analyze printed")?;
    let measured = Measured {
        ours,
        floor,
        by_hand,
    };
    Ok((measured, document))
}

/// What programs cost that run one after another.
fn together(costs: &[Cost]) -> Cost {
    Cost {
        cpu: costs.iter().map(|cost| cost.cpu).sum(),
        wall: costs.iter().map(|cost| cost.wall).sum(),
        memory: costs.iter().map(|cost| cost.memory).fold(0.0, f64::max),
    }
}

/// In which resets each answer differs from the construction.
struct Agreement {
    resets: usize,
    ours: Vec<String>,
    by_hand: Option<Vec<String>>,
}

/// Differences that are shown.
const SHOWN: usize = 10;

impl Agreement {
    fn tell(&self, report: &mut Report, verdicts: &Verdicts) {
        let resets = grouped(self.resets as i64);
        let by_hand = match &self.by_hand {
            Some(differences) => format!("{} differ by hand", differences.len()),
            None => "nothing was done by hand".to_owned(),
        };
        report.say(&format!(
            "Which vantages saw each of {resets} resets, held against the construction: {} differ in ours, {by_hand}. \
             Of our verdicts {} name the right origin and place, {} are undetermined, {} are wrong.",
            self.ours.len(),
            grouped(verdicts.right as i64),
            grouped(verdicts.undetermined as i64),
            grouped(verdicts.wrong as i64),
        ));
    }

    fn must_be_whole(&self) -> Result<()> {
        for difference in self.ours.iter().take(SHOWN) {
            println!("ours: {difference}");
        }
        for difference in self.by_hand.iter().flatten().take(SHOWN) {
            println!("by hand: {difference}");
        }
        let by_hand = self.by_hand.as_ref().map_or(0, Vec::len);
        if self.ours.len() + by_hand > 0 {
            bail!("the answers differ from what the captures hold");
        }
        Ok(())
    }
}

fn told(report: &mut Report, measured: &Measured, options: &Options) {
    report.say(&format!(
        "Three vantages of {} packets of {} connections, snaplen 96, seed {}, a NAT between the first two: which of \
         them saw each reset? Medians of {} rounds, by hand of {}.",
        grouped(options.packets.into()),
        grouped(options.connections.into()),
        options.seed,
        options.runs,
        options.by_hand,
    ));
    let row = |way: &str, cost: Cost| {
        vec![
            way.to_owned(),
            short(cost.cpu),
            short(cost.wall),
            short(cost.memory),
        ]
    };
    let mut rows = vec![
        row("parallax analyze, with verdicts", median(&measured.ours)),
        row(
            "tcpdump --count of each, nothing answered",
            median(&measured.floor),
        ),
    ];
    if let Some(by_hand) = &measured.by_hand {
        rows.push(row("tshark to fields of each", median(&by_hand.tshark)));
        rows.push(row("and a join in SQLite", median(&by_hand.sqlite)));
    }
    report.table(&["way", "CPU s", "wall s", "peak MiB"], &rows);
}

fn goals(report: &mut Report, measured: &Measured) {
    let ours = median(&measured.ours);
    let whole = measured.by_hand.as_ref().map(ByHand::whole);
    let times =
        |value: fn(&Cost) -> f64| whole.map_or(f64::NAN, |whole| value(&whole) / value(&ours));
    report.goal(
        "CPU by hand, over ours",
        times(|cost| cost.cpu),
        Bound::AtLeast(30.0),
    );
    report.goal(
        "memory by hand, over ours",
        times(|cost| cost.memory),
        Bound::AtLeast(10.0),
    );
    let rounds = measured.ours.iter().zip(&measured.floor);
    report.goal(
        "wall time, over reading all three with tcpdump",
        middle(rounds.map(|(ours, floor)| ours.wall / floor.wall)),
        Bound::Below(2.0),
    );
}

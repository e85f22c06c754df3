//! From a RST on the wire to its right verdict, in the lab of network namespaces.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::report::{Bound, Report, Show, grouped, short};

mod rush;

pub use rush::Rush;
use rush::Rushed;

#[derive(clap::Args)]
pub struct Options {
    /// Resets, one after another.
    #[arg(long, default_value_t = 300)]
    count: u32,
    /// Resets a second through three agents, at each of these rates.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200, 1000])]
    rates: Vec<u32>,
    /// Seconds of each rate.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    #[command(flatten)]
    show: Show,
}

/// Milliseconds.
#[derive(Debug, PartialEq)]
struct Figures {
    median: f64,
    p99: f64,
    worst: f64,
}

pub fn run(options: &Options) -> Result<()> {
    let lab = crate::binaries()?.join("parallax-lab");
    let output = Command::new(&lab)
        .args(["latency", "--count", &options.count.to_string()])
        .output()
        .with_context(|| format!("starting {}", lab.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the lab failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let figures = figures(&said).with_context(|| format!("no figures in {said:?}"))?;
    let mut report = Report::new("latency");
    report.say(&format!(
        "A RST on the wire to its right verdict over HTTP: live agents at four vantages, {} forged resets one after \
         another, asked every millisecond.",
        grouped(options.count.into())
    ));
    report.table(
        &["median ms", "p99 ms", "worst ms"],
        &[vec![
            short(figures.median),
            short(figures.p99),
            short(figures.worst),
        ]],
    );
    report.goal(
        "p99, ms, one after another",
        figures.p99,
        Bound::Below(300.0),
    );
    rush(options, &mut report)?;
    report.show(&options.show)
}

/// Resets at rates, to three agents.
fn rush(options: &Options, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for rate in &options.rates {
        let rushed = rushed(*rate, options.seconds, &folder.path().join("rushed"))?;
        rows.push(row(*rate, &rushed));
        let all = rushed.told == rushed.sent;
        let p99 = if all {
            rushed.to_told[1]
        } else {
            f64::INFINITY
        };
        report.goal(
            &format!("p99, ms, at {} resets/s", grouped(i64::from(*rate))),
            p99,
            Bound::Below(300.0),
        );
    }
    report.say(&format!(
        "New connections through live agents at three vantages, each reset by a box between two of them; {} s at each rate, \
         on one machine with collector and Postgres. A RST on the wire to its first verdict, and to the right one, as events \
         bring them.",
        options.seconds
    ));
    report.table(
        &[
            "resets/s",
            "sent; told, right",
            "first verdict, ms: median, p99, worst",
            "right verdict, ms: median, p99, worst",
        ],
        &rows,
    );
    Ok(())
}

fn rushed(rate: u32, seconds: u32, to: &Path) -> Result<Rushed> {
    let status = Command::new(std::env::current_exe()?)
        .args(["rush", "--rate", &rate.to_string()])
        .args(["--seconds", &seconds.to_string(), "--to"])
        .arg(to)
        .status()
        .context("starting the rush")?;
    ensure!(status.success(), "the rush ended with {status}");
    Ok(serde_json::from_reader(File::open(to)?)?)
}

fn row(rate: u32, rushed: &Rushed) -> Vec<String> {
    let times = |parts: [f64; 3]| parts.map(short).join(", ");
    vec![
        grouped(rate.into()),
        format!("{}; {}, {}", rushed.sent, rushed.told, rushed.right),
        times(rushed.to_told),
        times(rushed.to_right),
    ]
}

/// As in `… over HTTP: median 31.0 ms, p99 110.2 ms, worst 130.9 ms of 300`.
fn figures(said: &str) -> Option<Figures> {
    let number = |name: &str| -> Option<f64> {
        let (_, behind) = said.split_once(name)?;
        behind.split_whitespace().next()?.parse().ok()
    };
    Some(Figures {
        median: number("median ")?,
        p99: number("p99 ")?,
        worst: number("worst ")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_the_lab_says() {
        let said = "reset on the wire to right verdict over HTTP: median 31.0 ms, p99 110.2 ms, \
                    worst 130.9 ms of 300\n";
        let expected = Figures {
            median: 31.0,
            p99: 110.2,
            worst: 130.9,
        };
        assert_eq!(figures(said), Some(expected));
        assert_eq!(figures("it failed"), None);
    }
}

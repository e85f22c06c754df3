//! From a RST on the wire to its right verdict, in the lab of network namespaces.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::report::{Bound, Report, Show, grouped, short};

#[derive(clap::Args)]
pub struct Options {
    /// Resets, one after another.
    #[arg(long, default_value_t = 300)]
    count: u32,
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
    report.goal("p99, ms", figures.p99, Bound::Below(300.0));
    report.show(&options.show)
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

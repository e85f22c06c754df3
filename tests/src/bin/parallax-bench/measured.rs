//! What one run of a program costs.
//!
//! The kernel adds up what all children of a process spent, and keeps the highest memory of any of them. So each
//! run has a process of its own in between, this program's `measure`, whose only child it is.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use serde::{Deserialize, Serialize};

/// What a run may cost before it is ended.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub time: Duration,
    /// MiB of address space.
    pub memory: u64,
}

/// What a run cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// User and system seconds.
    pub cpu: f64,
    pub wall: f64,
    /// Most memory at a time, MiB. Not below some 6: that of the process in between.
    pub memory: f64,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Ended {
    Well(Cost),
    Badly(String),
    TooLong,
}

/// Runs one program, and tells in a file what it cost. Only for this program's own use.
#[derive(Debug, clap::Args)]
pub struct Measure {
    /// Where to tell it.
    #[arg(long)]
    to: PathBuf,
    /// Seconds that it may take.
    #[arg(long)]
    seconds: u64,
    /// MiB of address space that it may have.
    #[arg(long)]
    mebibytes: u64,
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl Measure {
    pub fn run(&self) -> Result<()> {
        let octets = self.mebibytes << 20;
        setrlimit(Resource::RLIMIT_AS, octets, octets).context("bounding the memory")?;
        let (program, arguments) = self.command.split_first().context("no program")?;
        let begun = now();
        let mut child = Command::new(program)
            .args(arguments)
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        let ended = match wait(&mut child, begun + Duration::from_secs(self.seconds))? {
            None => Ended::TooLong,
            Some(status) if status.success() => Ended::Well(cost(begun.elapsed())?),
            Some(status) => Ended::Badly(status.to_string()),
        };
        let file = File::create(&self.to).context("telling what it cost")?;
        Ok(serde_json::to_writer(file, &ended)?)
    }
}

/// Waits for the child; none if it took too long, and was ended.
fn wait(child: &mut Child, end: Instant) -> Result<Option<ExitStatus>> {
    const STEP: Duration = Duration::from_millis(2);
    while now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(STEP);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn cost(wall: Duration) -> Result<Cost> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(Cost {
        cpu: seconds(usage.user_time()) + seconds(usage.system_time()),
        wall: wall.as_secs_f64(),
        memory: usage.max_rss() as f64 / 1024.0,
    })
}

/// A program with its arguments and where its output goes.
#[derive(Debug, Clone)]
pub struct Run {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// Its standard output.
    output: PathBuf,
    /// Its standard error.
    said: PathBuf,
}

impl Run {
    /// A program whose words go to a file in `folder`.
    pub fn new(program: impl Into<PathBuf>, folder: &Path) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            output: folder.join("output"),
            said: folder.join("said"),
        }
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        let argument = argument.as_ref().to_string_lossy().into_owned();
        self.arguments.push(argument);
        self
    }

    #[must_use]
    pub fn args(self, arguments: &[&str]) -> Self {
        arguments.iter().fold(self, Run::arg)
    }

    #[must_use]
    pub fn output(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.output);
        self
    }

    /// Runs it once.
    ///
    /// # Errors
    /// It failed, or went beyond its bounds.
    pub fn measure(&self, bounds: Bounds) -> Result<Cost> {
        let name = self.program.display();
        let told = self.said.with_extension("cost");
        let status = Command::new(std::env::current_exe()?)
            .args(["measure", "--seconds", &bounds.time.as_secs().to_string()])
            .args(["--mebibytes", &bounds.memory.to_string()])
            .arg("--to")
            .arg(&told)
            .arg("--")
            .arg(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&self.output)?)
            .stderr(File::create(&self.said)?)
            .status()?;
        if !status.success() {
            bail!("{name} could not be measured: {}", self.words());
        }
        match serde_json::from_reader(File::open(&told)?)? {
            Ended::Well(cost) => Ok(cost),
            Ended::Badly(status) => bail!("{name} ended with {status}: {}", self.words()),
            Ended::TooLong => bail!("{name} took over {} s", bounds.time.as_secs()),
        }
    }

    /// What it said on standard error in its last run.
    pub fn words(&self) -> String {
        read(&self.said)
    }

    /// What it printed in its last run.
    pub fn printed(&self) -> String {
        read(&self.output)
    }
}

fn read(file: &Path) -> String {
    std::fs::read(file)
        .map(|octets| String::from_utf8_lossy(&octets).into_owned())
        .unwrap_or_default()
}

/// The middle one of several costs, each value by itself.
pub fn median(costs: &[Cost]) -> Cost {
    Cost {
        cpu: middle(costs.iter().map(|cost| cost.cpu)),
        wall: middle(costs.iter().map(|cost| cost.wall)),
        memory: middle(costs.iter().map(|cost| cost.memory)),
    }
}

/// The middle one of the values; not a number if there is none.
pub fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which this part (0 to 1) of the sorted values lies.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * part).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_that_of_the_sorted_values() {
        assert!((middle([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!(middle(std::iter::empty()).is_nan());
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let sorted: Vec<f64> = (1..=101).map(f64::from).collect();
        assert!((quantile(&sorted, 0.99) - 100.0).abs() < 1e-9);
        assert!((quantile(&sorted, 1.0) - 101.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }
}

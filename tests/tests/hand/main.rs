//! People at a terminal, and evidence that is handed over: the real programs before live collectors with the
//! lab's traffic.
//!
//! One test, since collectors must end with it; every step is tried, and all that fails is told.

mod bundles;
mod chinese;
mod documents;
mod terminal;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use parallax_core::report::{Document, Origin};
use parallax_tests::analysis::Order;
use parallax_tests::built::Built;
use parallax_tests::programs::{Programs, wait_for};
use parallax_tests::replay::{Collector, feed};

/// What the lab plays: a firewall that answers a request with a RST, and the same with a server that goes on
/// talking, so that the client's host answers it with a RST of its own.
const ACT: &str = "reject_content-v4";
const TALKING: &str = "reject_content_server_talks-v4";

/// The lab's captures, and a collector that has judged them.
pub struct Stage {
    pub programs: Programs,
    pub collector: Collector,
    folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Result<Self> {
        let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab"))?;
        let programs = built.programs()?;
        let folder = tempfile::tempdir()?;
        for act in [ACT, TALKING] {
            built.record(act, folder.path())?;
        }
        let stage = Self {
            collector: Collector::start(&programs, Order::Told)?,
            programs,
            folder,
        };
        feed(&stage.programs, &stage.captures(), &stage.collector.url)?;
        wait_for(Duration::from_secs(20), || {
            let found = forged(&stage.collector.url)?;
            Ok(found.is_some().then_some(()))
        })?
        .context("the recorded reset was not judged as the lab made it")?;
        Ok(stage)
    }

    fn captures(&self) -> PathBuf {
        self.folder.path().join(ACT)
    }

    /// Captures of the act whose server goes on talking.
    pub fn talking(&self) -> PathBuf {
        self.folder.path().join(TALKING)
    }

    /// `parallax` with these arguments, asking this collector.
    pub fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.cli());
        command
            .args(arguments)
            .args(["--collector", &self.collector.url]);
        command
    }
}

/// The id of the reset that the lab's firewall forged, as a collector tells it.
pub fn forged(url: &str) -> Result<Option<String>> {
    let found: Document = ureq::get(format!("{url}/v1/resets"))
        .call()?
        .body_mut()
        .read_json()?;
    let mut resets = found.resets.iter();
    let forged = resets.find(|reset| reset.origin == Origin::Middlebox);
    Ok(forged.map(|reset| reset.id.to_string()))
}

#[test]
fn people_at_a_terminal_and_two_companies() {
    // Kept in this order: the first restarts the collector.
    type Step = fn(&mut Stage) -> Result<()>;
    const STEPS: [(&str, Step); 4] = [
        ("a live screen", terminal::live_screen),
        ("two companies' bundles", bundles::two_companies),
        ("every command of the documents", documents::every_command),
        ("a reset in Chinese", chinese::no_english_is_left),
    ];
    let mut stage = Stage::set().unwrap_or_else(|error| panic!("the stage: {error:#}"));
    let failed: Vec<String> = STEPS
        .iter()
        .filter_map(|(name, step)| {
            let error = step(&mut stage).err()?;
            Some(format!("{name}: {error:#}"))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

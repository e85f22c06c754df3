//! What the browser stands before.

use std::path::PathBuf;

use anyhow::{Context, Result};
use parallax_core::report::{Document, Origin};
use parallax_tests::analysis::Order;
use parallax_tests::browser::{Browser, Driver, Visitor};
use parallax_tests::built::Built;
use parallax_tests::programs::{Programs, wait_for};
use parallax_tests::replay::{Collector, feed};

/// A collector with what the lab recorded, and a driver of browsers.
pub struct Stage {
    pub programs: Programs,
    pub collector: Collector,
    pub driver: Driver,
    pub folder: tempfile::TempDir,
}

impl Stage {
    pub fn set() -> Result<Self> {
        let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab"))?;
        let programs = built.programs()?;
        let folder = tempfile::tempdir()?;
        for act in ["reject_content-v4", "closed_port-v4", "reject_syn-v4"] {
            built.record(act, folder.path())?;
        }
        let stage = Self {
            collector: Collector::start(&programs, Order::Told)?,
            driver: Driver::start(folder.path())?,
            programs,
            folder,
        };
        stage.play("reject_content-v4")?;
        stage.play("closed_port-v4")?;
        wait_for(std::time::Duration::from_secs(20), || {
            let found = stage.resets()?;
            let forged = found
                .resets
                .iter()
                .any(|reset| reset.origin == Origin::Middlebox);
            let honest = found
                .resets
                .iter()
                .any(|reset| reset.origin == Origin::Endpoint);
            Ok((forged && honest).then_some(()))
        })?
        .context("the recorded resets were not judged as the lab made them")?;
        Ok(stage)
    }

    /// Replays what the lab recorded of an act.
    pub fn play(&self, act: &str) -> Result<()> {
        feed(&self.programs, &self.captures(act), &self.collector.url)
    }

    fn captures(&self, act: &str) -> PathBuf {
        self.folder.path().join(act)
    }

    pub fn resets(&self) -> Result<Document> {
        let url = format!("{}/v1/resets", self.collector.url);
        Ok(ureq::get(&url).call()?.body_mut().read_json()?)
    }

    /// The reset that the lab's firewall forged.
    pub fn forged(&self) -> Result<String> {
        let found = self.resets()?;
        let forged = found
            .resets
            .iter()
            .find(|reset| reset.origin == Origin::Middlebox);
        Ok(forged.context("no forged reset")?.id.to_string())
    }

    pub fn open(&self, visitor: Visitor, path: &str) -> Result<Browser<'_>> {
        let browser = self.driver.browser(visitor)?;
        browser.open(&format!("{}{path}", self.collector.url))?;
        Ok(browser)
    }
}

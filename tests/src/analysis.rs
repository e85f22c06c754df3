//! `parallax analyze` over the captures of a run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use parallax_core::report::Document;

use crate::lab::{VANTAGES, addresses, path};
use crate::programs::Programs;

/// Whether the order of the vantages is told or has to be inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Told,
    Inferred,
}

/// The capture file of each vantage in a run's folder, client side first.
pub fn files(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    VANTAGES
        .iter()
        .map(|vantage| (vantage.name, folder.join(format!("{}.pcap", vantage.name))))
        .collect()
}

/// The addresses of each host vantage, as `--host` takes them.
pub fn hosts() -> Vec<(&'static str, String)> {
    VANTAGES
        .iter()
        .filter_map(|vantage| {
            let addresses = addresses(vantage.host_of?).map(|address| address.to_string());
            Some((vantage.name, addresses.join(",")))
        })
        .collect()
}

/// The verdicts of `parallax analyze` on the captures in a folder.
pub fn analyze(programs: &Programs, folder: &Path, order: Order) -> Result<Document> {
    let question = Question {
        path: (order == Order::Told).then(|| path().join(",")),
        hosts: hosts(),
        files: files(folder),
    };
    question.ask(programs)
}

/// What `parallax analyze` is asked.
#[derive(Debug, Clone)]
pub struct Question<'names> {
    /// For `--path`.
    pub path: Option<String>,
    /// For `--host`: the vantage and its addresses.
    pub hosts: Vec<(&'names str, String)>,
    /// The vantages and their captures.
    pub files: Vec<(&'names str, PathBuf)>,
}

impl Question<'_> {
    /// The verdicts.
    pub fn ask(&self, programs: &Programs) -> Result<Document> {
        let mut command = Command::new(programs.cli());
        command.args(["analyze", "--format", "json"]);
        if let Some(path) = &self.path {
            command.args(["--path", path]);
        }
        for (vantage, addresses) in &self.hosts {
            command.args(["--host", &format!("{vantage}={addresses}")]);
        }
        for (vantage, file) in &self.files {
            command.arg(format!("{vantage}={}", file.display()));
        }
        let output = command.output().context("starting parallax analyze")?;
        ensure!(
            output.status.success(),
            "parallax analyze on {:?} ended with {}: {}",
            self.files,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("reading what parallax analyze printed")
    }
}

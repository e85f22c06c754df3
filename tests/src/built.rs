//! The lab's program before a test: built with what it starts, and heard where it fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::programs::Programs;

/// The lab's program and the folder of its build.
#[derive(Debug)]
pub struct Built {
    lab: PathBuf,
    bin: PathBuf,
}

impl Built {
    /// `lab` is what cargo names as `CARGO_BIN_EXE_parallax-lab`. The programs that the lab starts are built too: a test of one
    /// package alone would not.
    ///
    /// # Errors
    /// They cannot be built.
    pub fn new(lab: &str) -> Result<Self> {
        let lab = PathBuf::from(lab);
        let bin = lab
            .parent()
            .context("a program lies in no folder")?
            .to_owned();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--workspace", "--bins"]);
        if bin.ends_with("release") {
            cargo.arg("--release");
        }
        let status = cargo.status().context("starting cargo")?;
        ensure!(status.success(), "cargo build failed");
        Ok(Self { lab, bin })
    }

    /// # Errors
    /// One is missing.
    pub fn programs(&self) -> Result<Programs> {
        Programs::in_folder(&self.bin)
    }

    /// The folder of the build.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Where the newest run of this name stays, to look into.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.bin.with_file_name("lab-runs").join(name)
    }

    /// The lab with these arguments; what comes of it goes to `out`.
    pub fn command(&self, arguments: &[&str], out: &Path) -> Command {
        let mut command = Command::new(&self.lab);
        command.args(arguments).arg("--out").arg(out);
        command
    }

    /// Runs it.
    ///
    /// # Errors
    /// It fails: with what it said.
    pub fn run(&self, arguments: &[&str], out: &Path) -> Result<()> {
        heard(&mut self.command(arguments, out))
    }

    /// Records an act.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn record(&self, act: &str, out: &Path) -> Result<()> {
        self.run(&["record", "--only", act], out)
    }
}

/// Runs the lab.
///
/// # Errors
/// It fails: with what it said.
pub fn heard(command: &mut Command) -> Result<()> {
    let output = command.output().context("starting the lab")?;
    ensure!(
        output.status.success(),
        "the lab failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

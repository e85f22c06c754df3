//! The product's programs: where they are, and how they run in the lab.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The folder of one build of the programs.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The programs that were built beside this one.
    pub fn beside_this_one() -> Result<Self> {
        let own = std::env::current_exe().context("finding this program's own file")?;
        let folder = own.parent().context("this program lies in no folder")?;
        Self::in_folder(folder)
    }

    /// The programs in `folder`.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let programs = Self {
            folder: folder.to_owned(),
        };
        for file in [programs.agent(), programs.collector(), programs.cli()] {
            ensure!(
                file.is_file(),
                "{} is not there: run `cargo build --workspace` first",
                file.display()
            );
        }
        Ok(programs)
    }

    pub fn agent(&self) -> PathBuf {
        self.folder.join("parallax-agent")
    }

    pub fn collector(&self) -> PathBuf {
        self.folder.join("parallax-collector")
    }

    pub fn cli(&self) -> PathBuf {
        self.folder.join("parallax")
    }
}

/// A program that runs until it is told to stop. Its output goes to a log file.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program; `name` names its log in `folder`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C is for the lab, which then ends everything in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Says so if the program has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended by itself ({status}): {}", self.name, self.said());
        }
        Ok(())
    }

    /// How the program ended; `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .context("asking for a program's state")
    }

    /// What the program has printed so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells the program to stop and waits up to ten seconds for it.
    pub fn stop(mut self) -> Result<()> {
        self.signal(Signal::SIGTERM);
        for _ in 0..1000 {
            if let Some(status) = self.child.try_wait()? {
                ensure!(
                    status.success(),
                    "{} ended with {status}: {}",
                    self.name,
                    self.said()
                );
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("{} did not stop: {}", self.name, self.said())
    }

    /// Asks the program to stop, gives it twenty seconds, and tells what it said.
    pub fn end(mut self) -> String {
        self.signal(Signal::SIGTERM);
        for _ in 0..2000 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.said()
    }

    /// Ends the program at once.
    pub fn kill(mut self) -> Result<()> {
        self.child
            .kill()
            .and_then(|()| self.child.wait().map(drop))
            .with_context(|| format!("killing {}", self.name))
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        // It may have ended already.
        let _gone = kill(Pid::from_raw(self.child.id() as i32), signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM);
            for _ in 0..300 {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            self.signal(Signal::SIGKILL);
            let _status = self.child.wait();
        }
    }
}

/// Asks until the answer is there; `None` after `patience`.
pub fn wait_for<T>(
    patience: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    const STEP: Duration = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        if waited >= patience {
            return Ok(None);
        }
        std::thread::sleep(STEP);
        waited += STEP;
    }
}

//! Faults of a machine under live programs: interfaces that go, disks that are full. Each step says what must hold
//! (docs/FAULTS.md has it in words); the truth is known, for each connection has ports of its own.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};
use parallax_core::report::{Document, LossAt, ResetReport, Side};

use crate::chaos::load::refused;
use crate::enclosure::SCRATCH;
use crate::lab::{COLLECTOR, Family, Lab, address};
use crate::namespace::Namespace;
use crate::programs::{Programs, Running, wait_for};
use crate::service;

mod disks;
mod interfaces;

/// How long something may take to come about.
const PATIENCE: Duration = Duration::from_mins(1);

/// Nobody listens at these: one for each step, so that its resets can be asked for.
const CLOSED: [u16; 3] = [7952, 7953, 7954];

type Step = fn(&mut Stage<'_>) -> Result<()>;
const STEPS: [(&str, Step); 3] = [
    ("interfaces down, renamed and gone", interfaces::play),
    ("a full disk under a spool", disks::spool),
    ("a full disk under the database", disks::database),
];

/// Plays every fault; logs go to `folder`.
pub fn run(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let lab = Lab::raise().context("raising the lab")?;
    // Small disks under what is written: the collector's database, and the spool of `server`.
    disk(&data_dir(), "size=220m")?;
    let mut stage = Stage {
        lab: &lab,
        programs: Programs::beside_this_one()?,
        folder: folder.to_owned(),
        collector: None,
        agents: Vec::new(),
        starts: 0,
        closed: CLOSED[0],
    };
    stage.start_collector()?;
    for ((name, step), closed) in STEPS.into_iter().zip(CLOSED) {
        stage.closed = closed;
        step(&mut stage).context(name)?;
        println!("right  {name}");
    }
    stage.stop()
}

/// A file system of its own.
fn disk(place: &Path, options: &str) -> Result<()> {
    std::fs::create_dir_all(place).with_context(|| format!("making {}", place.display()))?;
    let options = format!("mode=1777,{options}");
    mount(
        Some("tmpfs"),
        place,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(&*options),
    )
    .with_context(|| format!("mounting a memory file system on {}", place.display()))
}

fn data_dir() -> PathBuf {
    PathBuf::from(format!("{SCRATCH}/collector"))
}

fn state_dir(vantage: &str) -> PathBuf {
    PathBuf::from(format!("{SCRATCH}/state/{vantage}"))
}

/// What runs.
struct Stage<'lab> {
    lab: &'lab Lab,
    programs: Programs,
    folder: PathBuf,
    collector: Option<Running>,
    agents: Vec<(&'static str, Running)>,
    starts: u32,
    /// Of [`CLOSED`].
    closed: u16,
}

impl Stage<'_> {
    fn start_collector(&mut self) -> Result<()> {
        self.starts += 1;
        let command = service::collector(&self.lab.management, &self.programs);
        let name = format!("collector-{}", self.starts);
        let mut running = Running::start(&name, command, &self.folder)?;
        let up = wait_for(PATIENCE, || {
            running.check()?;
            Ok(service::get(&self.lab.management, "/healthz").ok())
        })?;
        up.with_context(|| format!("the collector did not come up: {}", running.said()))?;
        self.collector = Some(running);
        Ok(())
    }

    fn kill_collector(&mut self) -> Result<()> {
        self.collector
            .take()
            .map(Running::kill)
            .transpose()
            .map(drop)
    }

    fn start_agent(
        &mut self,
        vantage: &'static str,
        (namespace, interface): (&Namespace, &str),
        more: &[&str],
    ) -> Result<()> {
        self.starts += 1;
        let mut command = namespace.command(self.programs.agent());
        command
            .args(["run", "--vantage", vantage, "--interface", interface])
            .args(["--collector", &grpc(), "--memory=8", "--recall-memory=8"])
            .arg("--state-dir")
            .arg(state_dir(vantage))
            .args(more);
        let name = format!("agent-{vantage}-{}", self.starts);
        let running = Running::start(&name, command, &self.folder)?;
        self.agents.retain(|(known, _)| *known != vantage);
        self.agents.push((vantage, running));
        self.await_connected(vantage)
    }

    fn await_connected(&mut self, vantage: &str) -> Result<()> {
        let connected = wait_for(PATIENCE, || {
            self.agent(vantage)?.check()?;
            let document = self.document("/v1/vantages")?;
            let mut vantages = document.vantages.iter();
            let found = vantages.any(|one| one.name == vantage && one.connected == Some(true));
            Ok(found.then_some(()))
        })?;
        connected.with_context(|| format!("{vantage} did not connect"))
    }

    fn agent(&mut self, vantage: &str) -> Result<&mut Running> {
        let found = self.agents.iter_mut().find(|(name, _)| *name == vantage);
        found
            .map(|(_, agent)| agent)
            .with_context(|| format!("no agent at {vantage}"))
    }

    /// Waits until an agent has said something.
    fn hear(&mut self, vantage: &str, words: &str) -> Result<()> {
        let agent = self.agent(vantage)?;
        let said = wait_for(PATIENCE, || Ok(agent.said().contains(words).then_some(())))?;
        said.with_context(|| format!("{vantage} does not say {words:?}: {}", agent.said()))
    }

    /// A refused connection from each of these ports of the client.
    fn knock(&self, ports: Range<u16>) -> Result<()> {
        let client = address(Side::Client, Family::V4);
        let closed = SocketAddr::new(address(Side::Server, Family::V4), self.closed);
        self.lab.client.within(|| {
            ports
                .into_iter()
                .try_for_each(|port| refused(client, port, closed))
        })
    }

    fn document(&self, query: &str) -> Result<Document> {
        let body = service::get(&self.lab.management, query)?;
        serde_json::from_str(&body).with_context(|| format!("reading the answer to {query}"))
    }

    fn losses(&self, vantage: &str) -> Result<Vec<LossAt>> {
        let query = format!("/v1/losses?vantage={vantage}&limit=100000");
        let body = service::get(&self.lab.management, &query)?;
        serde_json::from_str(&body).context("reading losses")
    }

    /// The resets of the connections from these ports.
    fn resets(&self, ports: &Range<u16>) -> Result<Vec<ResetReport>> {
        let query = format!("/v1/resets?port={}&limit=100000", self.closed);
        let mut resets = self.document(&query)?.resets;
        resets.retain(|reset| ports.contains(&reset.dport));
        Ok(resets)
    }

    /// Waits until every one of these connections has one reset, and all of them satisfy.
    fn await_resets(
        &self,
        ports: &Range<u16>,
        fits: impl Fn(&ResetReport) -> bool,
    ) -> Result<Vec<ResetReport>> {
        let mut last = Vec::new();
        let found = wait_for(PATIENCE, || {
            last = self.resets(ports)?;
            Ok((last.len() == ports.len() && last.iter().all(&fits)).then_some(()))
        })?;
        if found.is_none() {
            let unfit: Vec<_> = last.iter().filter(|reset| !fits(reset)).take(3).collect();
            bail!("{} resets of {}; {unfit:#?}", last.len(), ports.len());
        }
        Ok(last)
    }

    /// What `parallax ARGUMENTS` prints.
    fn cli(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.lab.management.command(self.programs.cli());
        let output = command
            .args(arguments)
            .args(["--collector", &service::url()])
            .output()
            .context("starting parallax")?;
        ensure!(output.status.success(), "parallax {arguments:?} failed");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn stop(mut self) -> Result<()> {
        for (_, agent) in self.agents.drain(..) {
            agent.stop()?;
        }
        self.collector.take().map(Running::stop).transpose()?;
        Ok(())
    }
}

fn grpc() -> String {
    format!("http://{}", SocketAddr::from((COLLECTOR, 7600)))
}

/// Whether a reset was seen at a vantage.
fn seen(reset: &ResetReport, vantage: &str) -> bool {
    reset.seen_at.iter().any(|name| name == vantage)
}

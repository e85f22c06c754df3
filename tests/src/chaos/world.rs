//! What the faults strike: a collector with its own Postgres, agents with state directories, the wires between.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parallax_core::report::{Document, LossAt};

use super::faults::{AGENTS, Fault};
use crate::enclosure::SCRATCH;
use crate::lab::Lab;
use crate::live::now;
use crate::programs::{Programs, Running, wait_for};
use crate::service;
use crate::site::Point;

/// The vantages with agents, client side first: one on each machine, so that each has a wire of its own.
const WATCHED: [&str; AGENTS] = ["client", "gw-out", "fw-in", "server"];

/// How long a program may take to be ready.
const START: Duration = Duration::from_mins(1);

/// An agent, and when it was alive.
pub struct Agent<'lab> {
    pub point: Point<'lab>,
    running: Option<Running>,
    /// From being ready to being killed, nanoseconds since the epoch; the last may be open.
    pub lives: Vec<(i64, Option<i64>)>,
    starts: u32,
}

impl Agent<'_> {
    /// Whether it lived throughout.
    pub fn lived(&self, (from, until): (i64, i64)) -> bool {
        self.lives
            .iter()
            .any(|(born, killed)| *born <= from && killed.is_none_or(|killed| until <= killed))
    }
}

/// Everything that runs.
pub struct World<'lab> {
    lab: &'lab Lab,
    programs: Programs,
    folder: PathBuf,
    collector: Option<Running>,
    starts: u32,
    pub agents: Vec<Agent<'lab>>,
}

impl<'lab> World<'lab> {
    pub fn start(lab: &'lab Lab, programs: Programs, folder: &Path) -> Result<Self> {
        let points = lab.site().points;
        let agents = WATCHED.iter().map(|name| {
            let point = points.iter().find(|point| point.name == *name);
            Ok(Agent {
                point: point.context("a vantage of the lab")?.clone(),
                running: None,
                lives: Vec::new(),
                starts: 0,
            })
        });
        let mut world = Self {
            lab,
            programs,
            folder: folder.to_owned(),
            collector: None,
            starts: 0,
            agents: agents.collect::<Result<_>>()?,
        };
        world.start_collector()?;
        for agent in 0..AGENTS {
            world.start_agent(agent)?;
            world.await_connected(agent)?;
        }
        Ok(world)
    }

    /// Strikes.
    pub fn suffer(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Collector(away) => {
                self.collector.take().map(Running::kill).transpose()?;
                std::thread::sleep(away);
            }
            Fault::Agent(agent, away) => {
                self.kill_agent(agent)?;
                std::thread::sleep(away);
            }
            Fault::DatabaseDown(away) => hold_down(away)?,
            Fault::DatabaseFrozen(away) => freeze(away)?,
            Fault::Link(agent, away) => {
                self.link(agent, "down")?;
                std::thread::sleep(away);
            }
            Fault::AgentBehindCut(agent, away) => {
                self.link(agent, "down")?;
                std::thread::sleep(away / 2);
                self.kill_agent(agent)?;
                std::thread::sleep(away / 2);
            }
        }
        Ok(())
    }

    /// Undoes what a fault did.
    pub fn revive(&mut self, fault: &Fault) -> Result<()> {
        match *fault {
            Fault::Collector(_) => self.start_collector(),
            Fault::Agent(agent, _) => self.start_agent(agent),
            Fault::Link(agent, _) => self.link(agent, "up"),
            Fault::AgentBehindCut(agent, _) => {
                self.link(agent, "up")?;
                self.start_agent(agent)
            }
            Fault::DatabaseDown(_) | Fault::DatabaseFrozen(_) => Ok(()),
        }
    }

    /// Says so if a program has ended that nobody killed.
    pub fn check(&mut self) -> Result<()> {
        let agents = self
            .agents
            .iter_mut()
            .filter_map(|agent| agent.running.as_mut());
        agents
            .chain(self.collector.as_mut())
            .try_for_each(Running::check)
    }

    fn start_collector(&mut self) -> Result<()> {
        self.starts += 1;
        let command = service::collector(&self.lab.management, &self.programs);
        let name = format!("collector-{}", self.starts);
        self.collector = Some(Running::start(&name, command, &self.folder)?);
        let up = wait_for(START, || {
            self.check()?;
            Ok(self.ask("/healthz").ok())
        })?;
        up.map(drop).context("the collector did not come up")
    }

    fn start_agent(&mut self, index: usize) -> Result<()> {
        let agent = &mut self.agents[index];
        agent.starts += 1;
        let name = format!("agent-{}-{}", agent.point.name, agent.starts);
        let command = command(&self.programs, &agent.point);
        let mut running = Running::start(&name, command, &self.folder)?;
        let ready = wait_for(START, || {
            running.check()?;
            Ok(running.said().contains("capturing on ").then_some(()))
        })?;
        ready.with_context(|| format!("{name} does not capture: {}", running.said()))?;
        agent.lives.push((now(), None));
        agent.running = Some(running);
        Ok(())
    }

    fn kill_agent(&mut self, index: usize) -> Result<()> {
        let agent = &mut self.agents[index];
        if let Some(life) = agent.lives.last_mut() {
            life.1 = Some(now());
        }
        agent.running.take().map(Running::kill).transpose()?;
        Ok(())
    }

    fn await_connected(&self, index: usize) -> Result<()> {
        let name = self.agents[index].point.name;
        let connected = wait_for(START, || {
            let document = self.document("/v1/vantages")?;
            let mut vantages = document.vantages.iter();
            let found =
                vantages.any(|vantage| vantage.name == name && vantage.connected == Some(true));
            Ok(found.then_some(()))
        })?;
        connected.with_context(|| format!("{name} did not connect"))
    }

    /// Cuts or mends the wire between an agent's machine and the collector.
    fn link(&self, index: usize, state: &str) -> Result<()> {
        let machine = self.agents[index].point.namespace.name();
        let port = format!("to-{machine}");
        self.lab.management.ip(&["link", "set", &port, state])
    }

    fn ask(&self, query: &str) -> Result<String> {
        service::get(&self.lab.management, query)
    }

    /// What the collector answers.
    pub fn document(&self, query: &str) -> Result<Document> {
        let body = self.ask(query)?;
        serde_json::from_str(&body).with_context(|| format!("reading the answer to {query}"))
    }

    /// Every loss of a vantage.
    pub fn losses(&self, vantage: &str) -> Result<Vec<LossAt>> {
        let query = format!("/v1/losses?vantage={vantage}&limit=100000");
        serde_json::from_str(&self.ask(&query)?).context("reading losses")
    }

    pub fn stop(mut self) -> Result<()> {
        let agents = self
            .agents
            .iter_mut()
            .filter_map(|agent| agent.running.take());
        agents.map(Running::stop).collect::<Result<Vec<()>>>()?;
        self.collector.take().map(Running::stop).transpose()?;
        Ok(())
    }
}

fn command(programs: &Programs, point: &Point<'_>) -> Command {
    let mut command = point.namespace.command(programs.agent());
    command
        .args(["run", "--vantage", point.name])
        .args(["--interface", point.interface])
        .args([
            "--collector",
            &format!("http://{}", SocketAddr::from((crate::lab::COLLECTOR, 7600))),
        ])
        .args(["--state-dir", &format!("{SCRATCH}/state/{}", point.name)])
        // Little, so that outages reach the disk.
        .args(["--outbox", "1024"]);
    if let Some(addresses) = point.host() {
        command.args(["--host", &addresses]);
    }
    command
}

/// The collector's own Postgres.
fn postmaster() -> Option<Pid> {
    let file = format!("{SCRATCH}/collector/postgres/postmaster.pid");
    let text = std::fs::read_to_string(file).ok()?;
    Some(Pid::from_raw(text.lines().next()?.parse().ok()?))
}

/// The collector's own Postgres, which may just be starting again.
fn started_postmaster() -> Result<Pid> {
    const STEP: Duration = Duration::from_millis(50);
    const PATIENCE: u32 = 600;
    for _ in 0..PATIENCE {
        if let Some(pid) = postmaster() {
            return Ok(pid);
        }
        std::thread::sleep(STEP);
    }
    bail!("the database has no pid file");
}

/// Ends the database, and ends it again whenever it is started, for so long.
fn hold_down(away: Duration) -> Result<()> {
    const STEP: Duration = Duration::from_millis(50);
    let mut held = Duration::ZERO;
    while held < away {
        if let Some(pid) = postmaster() {
            send(pid, Signal::SIGQUIT)?;
        }
        std::thread::sleep(STEP);
        held += STEP;
    }
    Ok(())
}

/// Stops every process of the database, as a hanging disk would, for so long.
fn freeze(away: Duration) -> Result<()> {
    let postmaster = started_postmaster()?;
    // The postmaster first: it begets no more.
    send(postmaster, Signal::SIGSTOP)?;
    let children = children(postmaster)?;
    for child in &children {
        send(*child, Signal::SIGSTOP)?;
    }
    std::thread::sleep(away);
    for process in children.into_iter().chain([postmaster]) {
        send(process, Signal::SIGCONT)?;
    }
    Ok(())
}

/// One that has ended needs no signal.
fn send(pid: Pid, signal: Signal) -> Result<()> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("sending {signal} to {pid}")),
    }
}

fn children(parent: Pid) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("reading /proc")? {
        let entry = entry?;
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        // A process may end while it is looked at.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let of = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
        if of == Some(parent.as_raw()) {
            found.push(Pid::from_raw(pid));
        }
    }
    Ok(found)
}

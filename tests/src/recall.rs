//! Agents that ship context only, asked for what they remember: plainly, overloaded, stopped; and over two
//! collectors on one database, of which one dies.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use parallax_core::report::{Document, Evidence, ResetReport};
use serde::{Deserialize, Serialize};

use crate::enclosure::SCRATCH;
use crate::lab::{COLLECTOR, Lab};
use crate::programs::{Programs, Running, wait_for};
use crate::scenario::{Act, Stage, acts};
use crate::scenarios::rejected::forbid;
use crate::service::{agent, ask, collector};
use crate::site::Site;
use crate::traffic::{Connection, pause};
use crate::truth::{compare, of_act};

/// What was wrong in each phase; kept as `recall.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub phases: Vec<Phase>,
    /// How long the agents of a collector that was killed took to another, milliseconds.
    pub failover_millis: u128,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    pub wrong: Vec<String>,
}

/// The file with an [`Outcome`] in a run's folder.
pub const RECALL_FILE: &str = "recall.json";

const START: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(10);
/// Agents of a dead collector must be elsewhere by then.
const FAILOVER: Duration = Duration::from_secs(5);

/// A small ring: some thousand packets.
const TINY_BUFFER: &[&str] = &["--buffer", "1"];

/// What the agent nearest to the firewall on its far side is called.
const UPSTREAM: &str = "fw-out";

/// Plays every phase and keeps the outcome in `folder`.
pub fn run(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let lab = Lab::raise().context("raising the lab")?;
    let mut phases = Vec::new();
    let mut fleet = Fleet::start(lab.site(), &folder.join("one"), 1, TINY_BUFFER)?;
    phases.push(remembered(&lab, &mut fleet)?);
    phases.push(stopped(&lab, &mut fleet)?);
    phases.push(overloaded(&lab, &mut fleet)?);
    fleet.stop()?;
    let mut fleet = Fleet::start(lab.site(), &folder.join("two"), 2, &[])?;
    phases.push(split(&lab, &mut fleet)?);
    let (phase, failover) = fail_over(&lab, &mut fleet)?;
    phases.push(phase);
    fleet.stop()?;
    for phase in &phases {
        let word = if phase.wrong.is_empty() {
            "right"
        } else {
            "WRONG"
        };
        println!(
            "{word}  {}\n       {}",
            phase.name,
            phase.wrong.join("\n       ")
        );
    }
    println!("failover after {} ms", failover.as_millis());
    let outcome = Outcome {
        phases,
        failover_millis: failover.as_millis(),
    };
    let file = folder.join(RECALL_FILE);
    std::fs::write(&file, serde_json::to_vec_pretty(&outcome)?)
        .with_context(|| format!("writing {}", file.display()))
}

/// Collectors on one database, and an agent at every vantage.
struct Fleet<'lab> {
    site: Site<'lab>,
    collectors: Vec<Running>,
    agents: Vec<(&'static str, Running)>,
}

/// Where a collector of this number listens.
fn url(number: usize, port: u16) -> String {
    format!("http://{COLLECTOR}:{}", port + number as u16)
}

fn grpc(number: usize) -> String {
    url(number, 7600)
}

fn http(number: usize) -> String {
    url(number, 7680)
}

impl<'lab> Fleet<'lab> {
    /// Every second agent prefers the second collector.
    fn start(
        site: Site<'lab>,
        folder: &Path,
        collectors: usize,
        arguments: &[&str],
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let programs = Programs::beside_this_one()?;
        let mut fleet = Self {
            collectors: Vec::new(),
            agents: Vec::new(),
            site,
        };
        // The first has the database.
        let first = collector(fleet.site.management, &programs);
        fleet.collector(first, folder)?;
        if collectors == 2 {
            let second = fleet.second(&programs);
            fleet.collector(second, folder)?;
        }
        for (number, point) in fleet.site.points.clone().iter().enumerate() {
            let preferred = number % collectors;
            let urls: Vec<String> = (0..collectors)
                .map(|step| grpc((preferred + step) % collectors))
                .collect();
            let mut command = agent(&programs, point, None, &urls.join(","));
            command.args(arguments);
            let running = Running::start(&format!("agent-{}", point.name), command, folder)?;
            fleet.agents.push((point.name, running));
            fleet.await_agents(preferred)?;
        }
        Ok(fleet)
    }

    fn second(&self, programs: &Programs) -> Command {
        let mut command = self.site.management.command(programs.collector());
        let database =
            format!("postgres://parallax@localhost/parallax?host={SCRATCH}/collector/socket");
        command
            .args(["serve", "--database-url", &database])
            .args(["--grpc", grpc(1).trim_start_matches("http://")])
            .args(["--http", http(1).trim_start_matches("http://")]);
        command
    }

    fn collector(&mut self, command: Command, folder: &Path) -> Result<()> {
        let number = self.collectors.len();
        let mut running = Running::start(&format!("collector-{number}"), command, folder)?;
        let up = wait_for(START, || {
            running.check()?;
            Ok(ask(self.site.management, &http(number), "/healthz").ok())
        })?;
        if up.is_none() {
            bail!("a collector did not come up: {}", running.said());
        }
        self.collectors.push(running);
        Ok(())
    }

    fn await_agents(&mut self, collector: usize) -> Result<()> {
        let wanted = self.agents.len();
        let all = wait_for(START, || {
            let document = self.document(collector, "/v1/vantages")?;
            let connected = document.vantages.iter();
            let connected = connected.filter(|vantage| vantage.connected == Some(true));
            Ok((connected.count() >= wanted).then_some(()))
        })?;
        all.context("not every agent connected")
    }

    fn document(&self, collector: usize, query: &str) -> Result<Document> {
        let body = ask(self.site.management, &http(collector), query)?;
        serde_json::from_str(&body).with_context(|| format!("reading the answer to {query}"))
    }

    fn agent(&self, name: &str) -> Result<&Running> {
        let found = self.agents.iter().find(|(known, _)| *known == name);
        found.map(|(_, agent)| agent).context("no such agent")
    }

    /// Waits until nothing is wrong with the verdicts on an act, as one collector tells them; what is.
    fn await_verdicts(
        &self,
        collector: usize,
        act: &Act,
        wrong_with: impl Fn(&[ResetReport]) -> Vec<String>,
    ) -> Result<Vec<String>> {
        let query = format!("/v1/resets?port={}&limit=1000", act.port);
        let mut wrong = Vec::new();
        wait_for(DEADLINE, || {
            wrong = wrong_with(&self.document(collector, &query)?.resets);
            Ok(wrong.is_empty().then_some(()))
        })?;
        Ok(wrong)
    }

    fn stop(mut self) -> Result<()> {
        for (_, agent) in self.agents.drain(..) {
            agent.stop()?;
        }
        // The one with the database goes last.
        while let Some(collector) = self.collectors.pop() {
            collector.stop()?;
        }
        Ok(())
    }
}

/// A scenario at a port of its own.
fn act(name: &str, port: u16) -> Result<Act> {
    let found = acts().into_iter().find(|act| act.name() == name);
    let act = found.with_context(|| format!("no act is called {name}"))?;
    Ok(Act { port, ..act })
}

fn said<'a>(
    report: &'a ResetReport,
    kind: &'a str,
    vantage: &'a str,
) -> impl Iterator<Item = &'a str> {
    let fits =
        move |told: &&Evidence| told.kind == kind && told.vantage.as_deref() == Some(vantage);
    report
        .evidence
        .iter()
        .filter(fits)
        .map(|told| told.text.as_str())
}

/// An injected reset in mid-stream: the absence upstream is attested by memory.
fn remembered(lab: &Lab, fleet: &mut Fleet<'_>) -> Result<Phase> {
    let act = act("reject_content-v4", 9001)?;
    act.play(lab)?;
    let wrong = fleet.await_verdicts(0, &act, |resets| {
        let mut wrong = compare(&act, resets);
        for report in of_act(&act, resets) {
            let mut absent = said(report, "attested_absence", UPSTREAM);
            if !absent.any(|text| text.contains("asked for all that it remembers")) {
                wrong.push(format!("no memory in the evidence: {:?}", report.evidence));
            }
        }
        wrong
    })?;
    Ok(Phase {
        name: "what is remembered attests the absence".to_owned(),
        wrong,
    })
}

/// Verdicts on a rejected request when the vantage behind the firewall says nothing, for a reason that has one
/// of these words.
fn wider(act: &Act, resets: &[ResetReport], words: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let reports = of_act(act, resets);
    if reports.len() != 1 {
        wrong.push(format!("{} resets, not one", reports.len()));
    }
    for report in reports {
        let place = report
            .between
            .clone()
            .map(|place| place.map(Option::unwrap_or_default));
        if place != Some(["server".to_owned(), "fw-in".to_owned()]) {
            wrong.push(format!("{:?} between {place:?}", report.origin));
        }
        let mut blind = said(report, "blind", UPSTREAM);
        if !blind.any(|text| words.iter().any(|word| text.contains(word))) {
            wrong.push(format!(
                "the evidence does not say why: {:?}",
                report.evidence
            ));
        }
    }
    wrong
}

/// An open connection, on which the firewall then rejects a request.
struct Victim<'lab> {
    act: Act,
    stage: Stage<'lab>,
    connection: Connection,
}

impl<'lab> Victim<'lab> {
    fn open(lab: &'lab Lab, port: u16) -> Result<Self> {
        let act = act("reject_content-v4", port)?;
        let stage = Stage {
            lab,
            family: act.family,
            port,
        };
        let connection = Connection::established(&stage)?;
        // Time for every agent to read it.
        pause(500);
        Ok(Self {
            act,
            stage,
            connection,
        })
    }

    fn reset(mut self) -> Result<Act> {
        forbid(&self.stage, &mut self.connection)?;
        self.connection.hush();
        Ok(self.act)
    }
}

/// The agent upstream is stopped: it is blind, and once it goes on it attests after all.
fn stopped(lab: &Lab, fleet: &mut Fleet<'_>) -> Result<Phase> {
    let victim = Victim::open(lab, 9002)?;
    fleet.agent(UPSTREAM)?.signal(Signal::SIGSTOP);
    pause(500);
    let act = victim.reset()?;
    let blind = fleet.await_verdicts(0, &act, |resets| {
        wider(&act, resets, &["nothing shows that it was still capturing"])
    });
    fleet.agent(UPSTREAM)?.signal(Signal::SIGCONT);
    let mut wrong = blind?;
    wrong.extend(fleet.await_verdicts(0, &act, |resets| compare(&act, resets))?);
    Ok(Phase {
        name: "an agent that is stopped is blind until it goes on".to_owned(),
        wrong,
    })
}

/// The agent upstream cannot keep up: its kernel drops packets, at the reset's time among others.
fn overloaded(lab: &Lab, fleet: &mut Fleet<'_>) -> Result<Phase> {
    const EXCHANGES: usize = 6000;
    let victim = Victim::open(lab, 9003)?;
    let mut flood = Connection::established(&Stage {
        port: 7071,
        ..victim.stage
    })?;
    fleet.agent(UPSTREAM)?.signal(Signal::SIGSTOP);
    for _ in 0..EXCHANGES {
        flood.exchange()?;
    }
    let act = victim.reset()?;
    for _ in 0..100 {
        flood.exchange()?;
    }
    fleet.agent(UPSTREAM)?.signal(Signal::SIGCONT);
    flood.close()?;
    let wrong = fleet.await_verdicts(0, &act, |resets| {
        wider(&act, resets, &["dropped", "losing packets", "had no room"])
    })?;
    Ok(Phase {
        name: "an agent that loses packets widens the interval and says why".to_owned(),
        wrong,
    })
}

/// Half of the agents at each of two collectors: what one tells is right, and the other tells the same.
fn split(lab: &Lab, fleet: &mut Fleet<'_>) -> Result<Phase> {
    let mut wrong = Vec::new();
    for (name, port) in SPLIT {
        wrong.extend(play_before_both(lab, fleet, &act(name, port)?)?);
    }
    Ok(Phase {
        name: "two collectors give the verdicts that one gives".to_owned(),
        wrong,
    })
}

const SPLIT: [(&str, u16); 4] = [
    ("reject_content-v4", 9011),
    ("inject_both_ways-v6", 9012),
    ("reject_content_server_talks-v4", 9013),
    ("inject_at_server_to_client-v4", 9014),
];

fn play_before_both(lab: &Lab, fleet: &Fleet<'_>, act: &Act) -> Result<Vec<String>> {
    act.play(lab)?;
    let mut wrong = Vec::new();
    for collector in 0..fleet.collectors.len() {
        let told = fleet.await_verdicts(collector, act, |resets| compare(act, resets))?;
        wrong
            .extend(told.into_iter().map(|wrong| {
                format!("{}, as collector {collector} tells it: {wrong}", act.name())
            }));
    }
    Ok(wrong)
}

/// One collector is killed: its agents are at the other soon, and verdicts stay right.
fn fail_over(lab: &Lab, fleet: &mut Fleet<'_>) -> Result<(Phase, Duration)> {
    let dead = fleet.collectors.pop().context("two collectors")?;
    dead.signal(Signal::SIGKILL);
    let since = clock();
    let moved = wait_for(FAILOVER, || Ok(all_at(fleet, 0).then_some(())))?;
    let took = since.elapsed();
    drop(dead);
    let mut wrong = Vec::new();
    if moved.is_none() {
        wrong.push(format!("not every agent had moved within {FAILOVER:?}"));
    }
    for (name, port) in [("reject_content-v6", 9021), ("inject_both_ways-v4", 9022)] {
        wrong.extend(play_before_both(lab, fleet, &act(name, port)?)?);
    }
    let phase = Phase {
        name: "a collector that dies hands its agents over".to_owned(),
        wrong,
    };
    Ok((phase, took))
}

/// Whether every agent connected to this collector last.
fn all_at(fleet: &Fleet<'_>, collector: usize) -> bool {
    let told = format!("connected to the collector at {} ", grpc(collector));
    let is_there = |agent: &Running| {
        let said = agent.said();
        let last = said
            .lines()
            .rfind(|line| line.contains("connected to the collector at "));
        last.is_some_and(|line| line.contains(&told))
    };
    fleet.agents.iter().all(|(_, agent)| is_there(agent))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lab measures how long the product takes"
)]
fn clock() -> Instant {
    Instant::now()
}

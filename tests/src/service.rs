//! The product, live in the lab: a collector with its own Postgres, and an agent at every vantage.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use parallax_core::report::Document;

use crate::enclosure::{Power, SCRATCH, power};
use crate::lab::COLLECTOR;
use crate::namespace::Namespace;
use crate::programs::{Programs, Running, wait_for};
use crate::site::{Point, Site};

/// Running agents and collector.
pub struct Service<'lab> {
    site: Site<'lab>,
    programs: Programs,
    collector: Running,
    agents: Vec<Running>,
}

/// How long the collector may take to make a database and listen.
const START: Duration = Duration::from_secs(30);
const HTTP_PORT: u16 = 7680;

impl<'lab> Service<'lab> {
    /// Starts the collector and an agent per vantage, and waits until all are connected. Agents
    /// keep what they see as `VANTAGE.pcap` in `folder`, where everyone's logs go too.
    pub fn start(site: Site<'lab>, programs: Programs, folder: &Path) -> Result<Self> {
        Self::start_all(site, programs, folder, Some(folder))
    }

    /// The same, whose agents keep no packets.
    pub fn start_unrecorded(site: Site<'lab>, programs: Programs, folder: &Path) -> Result<Self> {
        Self::start_all(site, programs, folder, None)
    }

    fn start_all(
        site: Site<'lab>,
        programs: Programs,
        folder: &Path,
        captures: Option<&Path>,
    ) -> Result<Self> {
        let collector = collector(site.management, &programs);
        let collector = Running::start("collector", collector, folder)?;
        let mut service = Self {
            site,
            programs,
            collector,
            agents: Vec::new(),
        };
        service.await_collector()?;
        for point in service.site.points.clone() {
            let command = agent(&service.programs, &point, captures, &grpc());
            let agent = Running::start(&format!("agent-{}", point.name), command, folder)?;
            service.agents.push(agent);
            // One after another: the order of registration is the order of the path.
            service.await_agents()?;
        }
        Ok(service)
    }

    fn await_collector(&mut self) -> Result<()> {
        let management = self.site.management;
        let up = wait_for(START, || {
            self.collector.check()?;
            Ok(get(management, "/healthz").ok())
        })?;
        match up {
            Some(_) => Ok(()),
            None => bail!("the collector did not come up: {}", self.collector.said()),
        }
    }

    fn await_agents(&mut self) -> Result<()> {
        let wanted = self.agents.len();
        let all = wait_for(START, || {
            self.check()?;
            let connected = self
                .document("/v1/vantages")?
                .vantages
                .iter()
                .filter(|vantage| vantage.connected == Some(true))
                .count();
            Ok((connected >= wanted).then_some(()))
        })?;
        if all.is_none() {
            let said: Vec<String> = self.agents.iter().map(Running::said).collect();
            bail!("not every agent connected: {}", said.join("\n"));
        }
        Ok(())
    }

    /// Says so if any program has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.collector.check()?;
        self.agents.iter_mut().try_for_each(Running::check)
    }

    /// Every reset at a server's port, as the collector tells now.
    pub fn resets_at(&self, port: u16) -> Result<Document> {
        self.document(&format!("/v1/resets?port={port}&limit=1000"))
    }

    /// Every reset there is.
    pub fn resets(&self) -> Result<Document> {
        self.document("/v1/resets?limit=10000")
    }

    /// Asks for the resets at a port, on one connection, until `enough` says so.
    pub fn ask_until(
        &self,
        port: u16,
        step: Duration,
        mut enough: impl FnMut(&Document) -> Result<bool> + Send,
    ) -> Result<()> {
        let query = format!("{}/v1/resets?port={port}", url());
        self.site.management.within(|| {
            let agent = ureq::Agent::new_with_defaults();
            loop {
                let body = agent
                    .get(&query)
                    .call()
                    .and_then(|mut answer| answer.body_mut().read_to_string())
                    .map_err(io::Error::other)?;
                let document = serde_json::from_str(&body)?;
                if enough(&document).map_err(io::Error::other)? {
                    return Ok(());
                }
                std::thread::sleep(step);
            }
        })
    }

    fn document(&self, query: &str) -> Result<Document> {
        let body = get(self.site.management, query)?;
        serde_json::from_str(&body).with_context(|| format!("reading the answer to {query}"))
    }

    /// The command line program, asking this collector.
    pub fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.management.command(self.programs.cli());
        command.args(arguments).args(["--collector", &url()]);
        command
    }

    /// Starts a second agent under the name of the first vantage, which must not live; returns what
    /// it said and its exit status.
    pub fn twin(&self, folder: &Path) -> Result<(String, Option<i32>)> {
        let folder = folder.join("twin");
        std::fs::create_dir_all(&folder).context("making the twin's folder")?;
        let command = agent(&self.programs, &self.site.points[0], Some(&folder), &grpc());
        let mut twin = Running::start("twin", command, &folder)?;
        let status = wait_for(START, || twin.ended())?;
        Ok((twin.said(), status.and_then(|status| status.code())))
    }

    /// Stops the agents, so that they say goodbye and their files are whole.
    pub fn stop_agents(&mut self) -> Result<()> {
        self.agents.drain(..).try_for_each(Running::stop)
    }

    pub fn stop(mut self) -> Result<()> {
        self.stop_agents()?;
        self.collector.stop()
    }
}

/// Where the collector is for everyone in the lab.
pub fn url() -> String {
    format!("http://{COLLECTOR}:{HTTP_PORT}")
}

/// Where agents connect.
fn grpc() -> String {
    format!("http://{COLLECTOR}:7600")
}

/// A collector with a Postgres of its own.
pub fn collector(management: &Namespace, programs: &Programs) -> Command {
    let mut command = match power() {
        Power::Root => management.command(programs.collector()),
        Power::UserNamespace => {
            // Postgres refuses root, even of a user namespace: be nobody in one more.
            let mut command = management.command("unshare");
            command
                .args(["--user", "--map-user=65534", "--map-group=65534"])
                .arg(programs.collector());
            command
        }
    };
    command
        .args(["serve", "--data-dir", &format!("{SCRATCH}/collector")])
        .args([
            "--grpc",
            &SocketAddr::new(COLLECTOR.into(), 7600).to_string(),
        ])
        .args([
            "--http",
            &SocketAddr::new(COLLECTOR.into(), HTTP_PORT).to_string(),
        ]);
    command
}

/// An agent at a vantage, which keeps what it sees in a folder.
pub fn agent(
    programs: &Programs,
    point: &Point,
    captures: Option<&Path>,
    collectors: &str,
) -> Command {
    let mut command = point.namespace.command(programs.agent());
    command
        .args(["run", "--vantage", point.name])
        .args(["--interface", point.interface])
        .args(["--collector", collectors]);
    if let Some(folder) = captures {
        command
            .arg("--write")
            .arg(folder.join(format!("{}.pcap", point.name)));
    }
    if let Some(addresses) = point.host() {
        command.args(["--host", &addresses]);
    }
    command
}

/// Asks the collector's HTTP interface from the management network.
pub(crate) fn get(management: &Namespace, query: &str) -> Result<String> {
    ask(management, &url(), query)
}

/// Asks a collector's HTTP interface from the management network.
pub fn ask(management: &Namespace, url: &str, query: &str) -> Result<String> {
    management.within(|| {
        ureq::get(format!("{url}{query}"))
            .call()
            .and_then(|mut answer| answer.body_mut().read_to_string())
            .map_err(io::Error::other)
    })
}

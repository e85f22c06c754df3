//! The collector of a fleet: the release program with a Postgres of its own, and whoever watches it.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use parallax_collector::postgres::{self, DATABASE, Durability, Server};
use parallax_collector::store::Target;
use parallax_core::report::Document;
use parallax_tests::programs::{Programs, Running, wait_for};
use sqlx::ConnectOptions as _;

use super::tally::Tally;
use crate::measured::now;

/// How long it may take to make a database and listen.
const START: Duration = Duration::from_mins(1);

pub struct Collector {
    running: Running,
    grpc: SocketAddr,
    http: SocketAddr,
}

/// Several collectors on one database, or one with a database of its own.
pub struct Collectors {
    all: Vec<Collector>,
    shared: Option<Server>,
}

impl Collectors {
    /// Starts them; data and logs lie in `folder`.
    pub fn start(folder: &Path, count: usize) -> Result<Self> {
        if count == 1 {
            return Ok(Self {
                all: vec![Collector::start(folder, 0, None)?],
                shared: None,
            });
        }
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        let server = postgres::start(&postgres::Settings {
            data_dir: data,
            durability: Durability::Durable,
            installed: postgres::find()?,
        })?;
        let create = Target::new(server.options("postgres"));
        tokio::runtime::Runtime::new()?.block_on(create.create_database(DATABASE))?;
        let url = server.own_database().to_url_lossy().to_string();
        let all = (0..count).map(|number| Collector::start(folder, number, Some(&url)));
        Ok(Self {
            all: all.collect::<Result<_>>()?,
            shared: Some(server),
        })
    }

    /// Where agents of this number connect: all that pass one path to the same one.
    pub fn url(&self, number: usize) -> String {
        self.all[number % self.all.len()].url()
    }

    /// What any of them tells; there is one at least.
    pub fn document(&self, query: &str) -> Result<Document> {
        let first = self.all.first().context("no collector")?;
        first.document(query)
    }

    /// Has verdicts noted as they can be read at any of them.
    pub fn watch(&self, tally: &Arc<Tally>) -> Result<()> {
        self.all
            .iter()
            .try_for_each(|one| one.watch(Arc::clone(tally)))
    }

    /// MiB that all hold now.
    pub fn memory(&self) -> Result<f64> {
        self.all.iter().map(Collector::memory).sum()
    }

    /// CPU seconds that all have spent, Postgres not counted.
    pub fn cpu(&self) -> Result<f64> {
        self.all.iter().map(Collector::cpu).sum()
    }

    /// Says so if one has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.all.iter_mut().try_for_each(Collector::check)
    }

    pub fn stop(self) {
        self.all.into_iter().for_each(Collector::stop);
        if let Some(server) = self.shared {
            server.stop();
        }
    }
}

impl Collector {
    /// Starts one whose data, unless they are in this database, and log lie in `folder`.
    fn start(folder: &Path, number: usize, database: Option<&str>) -> Result<Self> {
        // Postgres runs as another user when started by root.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
        let (grpc, http) = (free()?, free()?);
        let mut command = Command::new(Programs::beside_this_one()?.collector());
        command.env("PARALLAX_LOG", "warn").arg("serve");
        match database {
            Some(url) => command.args(["--database-url", url]),
            None => command.arg("--data-dir").arg(folder.join("data")),
        };
        command.args(["--grpc", &grpc.to_string(), "--http", &http.to_string()]);
        let mut collector = Self {
            running: Running::start(&format!("collector-{number}"), command, folder)?,
            grpc,
            http,
        };
        let up = wait_for(START, || {
            collector.running.check()?;
            Ok(collector.ask("/healthz").ok())
        })?;
        up.with_context(|| {
            format!(
                "the collector did not come up: {}",
                collector.running.said()
            )
        })?;
        Ok(collector)
    }

    /// Where agents connect.
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    fn ask(&self, query: &str) -> Result<String> {
        let mut answer = ureq::get(format!("http://{}{query}", self.http)).call()?;
        Ok(answer
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()?)
    }

    pub fn document(&self, query: &str) -> Result<Document> {
        let body = self.ask(query)?;
        serde_json::from_str(&body).with_context(|| format!("reading the answer to {query}"))
    }

    /// Has verdicts noted as they can be read, on a thread that ends with the collector.
    pub fn watch(&self, tally: Arc<Tally>) -> Result<()> {
        let mut answer = ureq::get(format!("http://{}/v1/watch", self.http)).call()?;
        let body = std::mem::replace(answer.body_mut(), ureq::Body::builder().data(""));
        std::thread::spawn(move || {
            let lines = BufReader::new(body.into_reader()).lines();
            for line in lines.map_while(Result::ok) {
                let Some(data) = line.strip_prefix("data:") else {
                    continue;
                };
                match serde_json::from_str(data.trim_start()) {
                    Ok(report) => tally.heard(&report, now()),
                    Err(error) => eprintln!("an event is no verdict: {error}"),
                }
            }
        });
        Ok(())
    }

    /// MiB that it holds now.
    pub fn memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.pid()))?;
        resident(&status).context("the kernel does not say what it holds")
    }

    /// CPU seconds that it has spent, its Postgres not counted.
    pub fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.running.pid()))?;
        spent(&stat).context("the kernel does not say what it spent")
    }

    /// Says so if it has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.running.check()
    }

    /// What was measured counts also when it cannot end in time.
    pub fn stop(self) {
        if let Err(error) = self.running.stop() {
            eprintln!("{error:#}");
        }
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// MiB, from `/proc/PID/status`.
fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// Seconds, from `/proc/PID/stat`: user and system time in ticks of 10 ms, fields 14 and 15.
fn spent(stat: &str) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_read_from_what_the_kernel_says() {
        let status = "Name:\tx\nVmHWM:\t  4096 kB\nVmRSS:\t  2048 kB\n";
        assert_eq!(resident(status), Some(2.0));
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 8 0 100";
        assert_eq!(spent(stat), Some(2.0));
        assert_eq!(resident(""), None);
    }
}

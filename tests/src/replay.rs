//! Captures through replaying agents into a fresh collector.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use parallax_core::report::Document;

use crate::analysis::{Order, files, hosts};
use crate::lab::path;
use crate::programs::{Programs, Running, wait_for};

/// How long the collector may take to make a database and listen.
const START: Duration = Duration::from_secs(30);
/// How long verdicts may take to stand still.
const SETTLE: Duration = Duration::from_secs(40);

/// The verdicts of a fresh collector on the captures in a folder.
pub fn replay(programs: &Programs, folder: &Path, order: Order) -> Result<Document> {
    let collector = Collector::start(programs, order)?;
    feed(programs, folder, &collector.url)?;
    let document = collector.settled()?;
    collector.running.stop()?;
    Ok(document)
}

/// The captures in a folder, each through an agent of its vantage's name.
pub fn feed(programs: &Programs, folder: &Path, url: &str) -> Result<()> {
    feed_of(programs, folder, url, |_| true)
}

/// The captures of some vantages.
pub fn feed_of(
    programs: &Programs,
    folder: &Path,
    url: &str,
    which: impl Fn(&str) -> bool,
) -> Result<()> {
    for (vantage, file) in files(folder) {
        if !which(vantage) {
            continue;
        }
        let mut command = Command::new(programs.agent());
        command
            .args(["replay", "--vantage", vantage, "--file"])
            .arg(&file)
            .args(["--collector", url]);
        for (_, addresses) in hosts().iter().filter(|(name, _)| *name == vantage) {
            command.args(["--host", addresses]);
        }
        let output = command.output().context("starting parallax-agent replay")?;
        ensure!(
            output.status.success(),
            "replaying {vantage} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

const DATA: &str = "data";

/// A collector on loopback with its own Postgres.
pub struct Collector {
    pub running: Running,
    pub url: String,
    place: Place,
}

/// Where a collector listens and keeps its data.
pub struct Place {
    folder: tempfile::TempDir,
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Collector {
    pub fn start(programs: &Programs, order: Order) -> Result<Self> {
        // Not below a private folder: the database's user must be able to get there.
        let folder = tempfile::Builder::new()
            .prefix("parallax-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .context("making a folder")?;
        let [grpc, http] = [free_port()?, free_port()?];
        Self::start_at(programs, order, Place { folder, grpc, http })
    }

    /// Where another one was, with its data.
    pub fn start_at(programs: &Programs, order: Order, place: Place) -> Result<Self> {
        let mut command = Command::new(programs.collector());
        command
            .arg("serve")
            .args(["--grpc", &place.grpc.to_string()])
            .args(["--http", &place.http.to_string()])
            .arg("--data-dir")
            .arg(place.folder.path().join(DATA));
        if order == Order::Told {
            command.args(["--path", &path().join(",")]);
        }
        let mut running = Running::start("collector", command, place.folder.path())?;
        let url = format!("http://{}", place.http);
        let up = wait_for(START, || {
            running.check()?;
            Ok(get(&format!("{url}/healthz")).ok())
        })?;
        if up.is_none() {
            bail!("the collector did not come up: {}", running.said());
        }
        Ok(Self {
            running,
            url,
            place,
        })
    }

    /// Stops it; another can be started where it was.
    pub fn stop(self) -> Result<Place> {
        self.running.stop()?;
        Ok(self.place)
    }

    /// Where it takes gRPC.
    pub fn grpc(&self) -> SocketAddr {
        self.place.grpc
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.place.folder.path().join(DATA)
    }

    /// Everything it says, once it has said the same for a while.
    pub fn settled(&self) -> Result<Document> {
        // Longer than the longest pause between two looks of the judge.
        const CALM: u32 = 70;
        let mut last: Option<Document> = None;
        let mut same = 0;
        let settled = wait_for(SETTLE, || {
            let body = get(&format!("{}/v1/resets?limit=10000", self.url))?;
            let document = serde_json::from_str(&body).context("reading the answer")?;
            same = if last.as_ref() == Some(&document) {
                same + 1
            } else {
                0
            };
            last = Some(document);
            Ok((same >= CALM).then_some(()))
        })?;
        ensure!(settled.is_some(), "the verdicts never stood still");
        last.context("no answer")
    }
}

/// A loopback address that nobody listens at just now.
pub fn free_port() -> Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .context("finding a free port")
}

fn get(url: &str) -> Result<String> {
    let mut answer = ureq::get(url)
        .call()
        .with_context(|| format!("asking {url}"))?;
    answer
        .body_mut()
        .read_to_string()
        .with_context(|| format!("reading the answer of {url}"))
}

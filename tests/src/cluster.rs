//! Postgres servers of a test's own, as an operator runs them, and a door that leads to one of them.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::replay::free_port;

/// The user that owns everything in the databases.
const USER: &str = "parallax";

/// A server that runs.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    port: u16,
}

impl Cluster {
    /// An empty one.
    pub fn start() -> Result<Self> {
        let cluster = Self::empty()?;
        let data = cluster.data();
        run(postgres("initdb")?.args(["--username", USER, "--auth=trust", "--pgdata", &data]))?;
        cluster.up()?;
        Ok(cluster)
    }

    fn empty() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("parallax-cluster-")
            .tempdir()
            .context("making a folder")?;
        crate::enclosure::open_to_all(folder.path())?;
        Ok(Self {
            folder,
            port: free_port()?.port(),
        })
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn up(&self) -> Result<()> {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=60",
            self.port
        );
        let log = self.folder.path().join("log").display().to_string();
        let data = self.data();
        run(postgres("pg_ctl")?.args(["start", "-w", "-D", &data, "-l", &log, "-o", &options]))
    }

    /// A standby that has everything before it is acknowledged.
    pub fn standby(&self) -> Result<Self> {
        let standby = Self::empty()?;
        let (data, port) = (standby.data(), self.port.to_string());
        run(postgres("pg_basebackup")?
            .args(["-h", "127.0.0.1", "-p", &port, "-U", USER, "-D", &data])
            .args(["--write-recovery-conf", "--checkpoint=fast"]))?;
        standby.up()?;
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        self.sql("SELECT pg_reload_conf()")?;
        Ok(standby)
    }

    /// Becomes the primary.
    pub fn promote(&self) -> Result<()> {
        self.sql("ALTER SYSTEM SET synchronous_standby_names = ''")?;
        run(postgres("pg_ctl")?.args(["promote", "-w", "-D", &self.data()]))
    }

    /// Ends it as a crash does.
    pub fn crash(&self) -> Result<()> {
        run(postgres("pg_ctl")?.args(["stop", "-m", "immediate", "-D", &self.data()]))
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// As `--database-url` has it, of a database that exists.
    pub fn url(&self, database: &str) -> String {
        url(self.address(), database)
    }

    /// Makes an empty database.
    pub fn create(&self, database: &str) -> Result<()> {
        self.sql(&format!("CREATE DATABASE {database}"))
    }

    pub fn sql(&self, statement: &str) -> Result<()> {
        run(postgres("psql")?.args(["-qAt", &self.url("postgres"), "-c", statement]))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may have crashed already.
        let _ = self.crash();
    }
}

/// As `--database-url` has it.
pub fn url(server: SocketAddr, database: &str) -> String {
    format!("postgres://{USER}@{server}/{database}")
}

/// One of Postgres's programs, which refuse to run as root.
pub fn postgres(program: &str) -> Result<Command> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .context("looking for PostgreSQL")?
        .flatten()
        .map(|entry| entry.path().join("bin").join(program))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    let path = found
        .pop()
        .with_context(|| format!("no {program}: install postgresql"))?;
    let mut command = if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(path);
        command
    } else {
        Command::new(path)
    };
    command.current_dir("/");
    Ok(command)
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Result<()> {
    // `pg_ctl start` leaves a server behind, which must not hold a pipe.
    let said = tempfile::tempfile().context("making a file")?;
    let status = command
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        use std::io::{Read as _, Seek as _};
        let (mut said, mut text) = (said, String::new());
        said.rewind()?;
        said.read_to_string(&mut text)?;
        ensure!(status.success(), "{command:?}: {status}: {text}");
    }
    Ok(())
}

/// An address that leads to one server, and later to another.
#[derive(Debug)]
pub struct Door {
    pub address: SocketAddr,
    to: Arc<Mutex<Option<SocketAddr>>>,
}

impl Door {
    pub fn open(to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("opening a door")?;
        let address = listener.local_addr()?;
        let to = Arc::new(Mutex::new(Some(to)));
        let target = Arc::clone(&to);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let target = *target.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(Ok(other)) = target.map(TcpStream::connect) {
                    join(&stream, &other);
                    join(&other, &stream);
                }
            }
        });
        Ok(Self { address, to })
    }

    /// Where connections lead from now on; `None`: they are closed at once.
    pub fn lead(&self, to: Option<SocketAddr>) {
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

/// Passes on what comes until one end closes.
fn join(from: &TcpStream, to: &TcpStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
        return;
    };
    std::thread::spawn(move || {
        let _ended: io::Result<u64> = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    });
}

/// Copies a folder with owners and times, as an operator does.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").arg("-a").arg(from).arg(to))
}

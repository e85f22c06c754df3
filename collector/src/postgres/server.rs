//! The running server.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::PgConnectOptions;
use tracing::warn;

use super::binaries::Binaries;
use super::cluster::Place;
use super::orphan;
use super::owner::Owner;
use super::{DATABASE, Durability, PostgresError, STOP_PATIENCE, connect_options, memory};

/// Everything that a start needs; kept for starting again.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    pub binaries: Binaries,
    pub owner: Owner,
    pub place: Place,
    pub socket: PathBuf,
    pub durability: Durability,
}

/// A private server that runs. It outlives this value: [`Server::stop`] ends it.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    child: Child,
}

const POLL: Duration = Duration::from_millis(5);
/// Crash recovery can take this long on a slow disk.
const START_PATIENCE: Duration = Duration::from_mins(2);
/// Past this size the log begins anew at a start.
const LOG_MAX: u64 = 10 << 20;
/// How often a start is tried while the last server's processes vanish.
const ATTEMPTS: u32 = 10;

impl Server {
    pub(super) fn start(launch: Launch) -> Result<Self, PostgresError> {
        let mut attempt = 1;
        loop {
            match launch.once() {
                Ok(child) => return Ok(Self { launch, child }),
                Err(error) if attempt >= ATTEMPTS || !launch.old_processes_remain() => {
                    return Err(error);
                }
                Err(_) => {
                    attempt += 1;
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }

    /// Starts it again after it ended by itself.
    pub fn restart(&mut self) -> Result<(), PostgresError> {
        orphan::stop(&self.launch.place, &self.launch.socket)?;
        let again = Self::start(self.launch.clone())?;
        self.child = again.child;
        Ok(())
    }

    /// The process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its major version.
    pub fn major(&self) -> u32 {
        self.launch.binaries.major
    }

    /// How to connect to one of its databases.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        connect_options(&self.launch.socket, database)
    }

    /// How to connect to the collector's database.
    pub fn own_database(&self) -> PgConnectOptions {
        self.options(DATABASE)
    }

    /// Where its messages go.
    pub fn log(&self) -> &Path {
        &self.launch.place.log
    }

    /// `Some` when it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Stops it: a fast shutdown, which writes everything; after ten seconds an immediate one, from
    /// which the next start recovers.
    pub fn stop(mut self) {
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            if self.ended().is_some() {
                return;
            }
            let pid = Pid::from_raw(self.child.id().cast_signed());
            if let Err(errno) = kill(pid, signal) {
                warn!(%pid, %signal, %errno, "cannot signal PostgreSQL");
            }
            if wait(&mut self.child, STOP_PATIENCE).is_some() {
                return;
            }
        }
        warn!(pid = self.child.id(), "PostgreSQL does not stop");
    }
}

fn setting((name, value): (&str, &str)) -> [String; 2] {
    ["-c".to_owned(), format!("{name}={value}")]
}

fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let turns = patience.as_millis() / POLL.as_millis();
    for _ in 0..turns {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(POLL);
    }
    None
}

impl Launch {
    fn once(&self) -> Result<Child, PostgresError> {
        let mut child = self.spawn()?;
        let pid_file = self.place.cluster.join("postmaster.pid");
        let turns = START_PATIENCE.as_millis() / POLL.as_millis();
        for _ in 0..turns {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(self.failed(&format!("it ended with {status}: {}", self.complaint())));
            }
            if is_ready(&pid_file, child.id()) {
                return Ok(child);
            }
            std::thread::sleep(POLL);
        }
        let _ = child.kill();
        Err(self.failed("it was not ready after two minutes"))
    }

    fn spawn(&self) -> Result<Child, PostgresError> {
        let program = self.binaries.folder.join("postgres");
        let log = self.open_log()?;
        let mut command = Command::new(&program);
        command
            .arg("-D")
            .arg(&self.place.cluster)
            .arg("-k")
            .arg(&self.socket)
            .args(self.options().into_iter().flat_map(setting))
            .args(setting(("shared_buffers", &self.shared_buffers())))
            .current_dir(&self.place.cluster)
            .env_remove("PGDATA")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // A Ctrl-C is for the collector, which stops Postgres last.
            .process_group(0);
        self.owner.run(&mut command);
        command
            .spawn()
            .map_err(|source| PostgresError::Spawn { program, source })
    }

    fn options(&self) -> Vec<(&'static str, &'static str)> {
        let mut options = vec![
            ("listen_addresses", ""),
            ("port", "5432"),
            ("unix_socket_permissions", "0700"),
            ("max_connections", "40"),
            ("work_mem", "8MB"),
            ("maintenance_work_mem", "64MB"),
            ("effective_cache_size", "512MB"),
            ("random_page_cost", "1.5"),
            // One server without standbys: rows of a COPY need the least WAL.
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("wal_compression", self.wal_compression()),
            ("max_wal_size", "2GB"),
            ("checkpoint_timeout", "15min"),
            ("jit", "off"),
            ("log_min_messages", "warning"),
            ("log_checkpoints", "off"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
        ];
        options.extend(match self.durability {
            Durability::Durable => [
                ("fsync", "on"),
                ("synchronous_commit", "on"),
                ("full_page_writes", "on"),
            ],
            Durability::Throwaway => [
                ("fsync", "off"),
                ("synchronous_commit", "off"),
                ("full_page_writes", "off"),
            ],
        });
        options
    }

    fn shared_buffers(&self) -> String {
        let octets = match self.durability {
            Durability::Durable => memory::shared_buffers(),
            Durability::Throwaway => memory::LEAST,
        };
        format!("{}MB", octets >> 20)
    }

    /// After each checkpoint every page of an index over hashes is logged whole once. With the compression that every server
    /// has, storing falls to two thirds meanwhile; with lz4, which most have from 15 on, it is hardly seen.
    fn wal_compression(&self) -> &'static str {
        let mut command = Command::new(self.binaries.folder.join("postgres"));
        command
            .args(["-C", "wal_compression", "-D"])
            .arg(&self.place.cluster)
            .args(setting(("wal_compression", "lz4")))
            .current_dir(&self.place.cluster);
        self.owner.run(&mut command);
        match command.output() {
            Ok(output) if output.status.success() => "lz4",
            _ => "on",
        }
    }

    fn open_log(&self) -> Result<std::fs::File, PostgresError> {
        let path = &self.place.log;
        let long = std::fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_MAX);
        let file = OpenOptions::new()
            .create(true)
            .append(!long)
            .write(true)
            .truncate(long)
            .open(path);
        file.map_err(|error| PostgresError::Folder {
            path: path.clone(),
            what: format!("cannot be written: {error}"),
            advice: "choose another --data-dir",
        })
    }

    /// The last line of the log that says why.
    fn complaint(&self) -> String {
        let log = std::fs::read(&self.place.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        text.lines()
            .rev()
            .find(|line| line.contains("FATAL:") || line.contains("PANIC:"))
            .map_or("nothing in its log", |line| {
                line.split_once("FATAL:")
                    .map_or(line, |(_, why)| why)
                    .trim()
            })
            .to_owned()
    }

    /// Backends of a killed postmaster take a moment to notice.
    fn old_processes_remain(&self) -> bool {
        let complaint = self.complaint();
        complaint.contains("pre-existing shared memory block")
            || complaint.contains("already exists")
    }

    fn failed(&self, why: &str) -> PostgresError {
        PostgresError::Start {
            why: why.to_owned(),
            log: self.place.log.clone(),
        }
    }
}

/// Line 8 of postmaster.pid says `ready` once connections are accepted (miscadmin.h,
/// `LOCK_FILE_LINE_PM_STATUS`).
fn is_ready(pid_file: &Path, pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(pid_file) else {
        return false;
    };
    let mut lines = text.lines();
    lines
        .next()
        .is_some_and(|line| line.trim() == pid.to_string())
        && lines.nth(6).is_some_and(|line| line.trim() == "ready")
}

//! The state directory: one agent at a time, a folder for each run that is not delivered.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Strength};
use parallax_proto::v1::Hello;
use prost::Message as _;
use thiserror::Error;
use tracing::warn;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::Journal;
use crate::outbox::{Kept, Outgoing};

/// Why a state directory cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    #[error("cannot use the state directory {}: {source}; choose another with --state-dir", path.display())]
    Unusable { path: PathBuf, source: io::Error },
    #[error(
        "the state directory {} is in use by another agent; stop it, or give this one its own with --state-dir",
        path.display()
    )]
    Taken { path: PathBuf },
}

/// A state directory, held by this process.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Octets for each run's journal.
    limit: u64,
    _lock: Flock<File>,
}

/// What an earlier process left of a run.
#[derive(Debug)]
pub struct Left {
    pub hello: Hello,
    pub journal: Journal,
}

/// Where a run keeps what is not acknowledged, beside memory. Nowhere: `default()`.
#[derive(Debug, Default)]
pub struct Spool {
    /// This run's.
    pub journal: Option<Journal>,
    /// Earlier runs', oldest first.
    pub left: Vec<Left>,
    /// Held while the others are used.
    pub state: Option<StateDir>,
}

const HELLO: &str = "hello";

impl StateDir {
    /// Takes a directory, which is made where it is not there; nothing is ever written elsewhere.
    ///
    /// # Errors
    /// When it cannot be made or written, or another agent has it.
    pub fn open(path: &Path, limit: u64) -> Result<Self, StateError> {
        let unusable = |source| StateError::Unusable {
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(path).map_err(unusable)?;
        // Addresses and times of connections are nobody else's business.
        std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(unusable)?;
        let mut options = OpenOptions::new();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(unusable)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
            if errno == Errno::EWOULDBLOCK {
                StateError::Taken {
                    path: path.to_owned(),
                }
            } else {
                unusable(errno.into())
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            limit,
            _lock: lock,
        })
    }

    /// What earlier processes left, oldest first. Each is told that its agent ended without a goodbye, and
    /// that nothing was watched from then until `now`.
    ///
    /// # Errors
    /// When the directory cannot be read; a run that cannot be read is left alone, with a warning.
    pub fn left(&self, now: CaptureTime) -> Result<Vec<Left>, StateError> {
        let unusable = |source| StateError::Unusable {
            path: self.path.clone(),
            source,
        };
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(unusable)? {
            let path = entry.map_err(unusable)?.path();
            let is_run = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("run-"));
            if is_run {
                folders.push(path);
            }
        }
        // Run ids are UUIDs of version 7: their order is that of time.
        folders.sort();
        let mut left = Vec::new();
        for folder in folders {
            match self.recover(&folder) {
                Ok(run) => left.push(ended(run, now)),
                Err(error) => warn!("{} is left alone: {error}", folder.display()),
            }
        }
        Ok(left)
    }

    fn recover(&self, folder: &Path) -> io::Result<Left> {
        Ok(Left {
            hello: read_hello(&folder.join(HELLO))?,
            journal: Journal::recover(folder.to_owned(), self.limit)?,
        })
    }

    /// A journal for a new run.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn begin(&self, hello: &Hello) -> Result<Journal, StateError> {
        let id = Uuid::from_slice(&hello.run_id).unwrap_or_default();
        let folder = self.path.join(format!("run-{id}"));
        let begin = || -> io::Result<()> {
            // Made under another name: a run's folder always has its hello.
            let unfinished = self.path.join(format!("new-{id}"));
            std::fs::create_dir_all(&unfinished)?;
            write_hello(&unfinished.join(HELLO), hello)?;
            std::fs::rename(&unfinished, &folder)
        };
        begin().map_err(|source| StateError::Unusable {
            path: self.path.clone(),
            source,
        })?;
        Ok(Journal::new(folder, self.limit))
    }
}

fn write_hello(path: &Path, hello: &Hello) -> io::Result<()> {
    let body = hello.encode_to_vec();
    let mut file = File::create(path)?;
    file.write_all(&xxh3_64(&body).to_le_bytes())?;
    file.write_all(&body)?;
    file.sync_all()
}

fn read_hello(path: &Path) -> io::Result<Hello> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "its hello is damaged");
    let octets = std::fs::read(path)?;
    let (checksum, body) = octets.split_first_chunk::<8>().ok_or_else(damaged)?;
    if xxh3_64(body) != u64::from_le_bytes(*checksum) {
        return Err(damaged());
    }
    Hello::decode(body).map_err(|_| damaged())
}

/// Notes the end of a run that nobody ended.
fn ended(mut left: Left, now: CaptureTime) -> Left {
    let mut known = false;
    let mut watched = None;
    for outgoing in left.journal.peek() {
        match outgoing {
            Outgoing::Beat(beat) => watched = Some(beat.note.coverage.until.plus(1)),
            Outgoing::Loss(loss) => known |= loss.note.cause == LossCause::Restart,
            Outgoing::Batch { .. } | Outgoing::Skip { .. } => {}
        }
    }
    if known {
        return left;
    }
    let from = watched.or(left.journal.last_time()).unwrap_or(now).min(now);
    let damaged = left.journal.damaged();
    let loss = LossRecord {
        strength: Strength::Certain,
        cause: LossCause::Restart,
        of: LossOf::Packets,
        from,
        until: Some(now),
        count: None,
        detail: (damaged > 0)
            .then(|| format!("{damaged} octets of its spool could not be read back")),
    };
    let note = Outgoing::Loss(Kept {
        note: loss,
        next_number: left.journal.next_number(),
        record: 0,
    });
    if let Err(error) = left.journal.append(&note, false) {
        warn!("a restart is not noted on disk: {error}");
    }
    left
}

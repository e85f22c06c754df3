//! The lock on a data directory: one collector at a time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;

/// Why a data directory cannot be taken.
#[derive(Debug, Error)]
pub enum LockError {
    #[error(
        "data directory {dir} is in use by the collector with pid {pid}; stop that one, or choose another --data-dir"
    )]
    InUse { dir: PathBuf, pid: String },
    #[error("cannot open the lock file {path}: {source}; choose another --data-dir")]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Held while this value lives, and by the process only: a kill -9 frees it.
#[derive(Debug)]
pub struct DataDirLock {
    _file: Flock<File>,
}

/// Takes the lock of `dir` and writes this process's id into it.
pub fn take(dir: &Path) -> Result<DataDirLock, LockError> {
    let path = dir.join("lock");
    let open = |source| LockError::Open {
        path: path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(open)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut file) => {
            file.set_len(0).map_err(open)?;
            file.rewind().map_err(open)?;
            writeln!(file, "{}", std::process::id()).map_err(open)?;
            Ok(DataDirLock { _file: file })
        }
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(open)?;
            let pid = pid.trim();
            let pid = if pid.is_empty() { "unknown" } else { pid };
            Err(LockError::InUse {
                dir: dir.to_owned(),
                pid: pid.to_owned(),
            })
        }
        Err((_, errno)) => Err(open(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_has_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let lock = take(dir.path()).unwrap();
        let refused = take(dir.path()).unwrap_err().to_string();
        assert!(
            refused.contains(&std::process::id().to_string()),
            "{refused}"
        );
        drop(lock);
        take(dir.path()).unwrap();
    }
}

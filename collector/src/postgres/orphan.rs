//! A server that an earlier collector left behind when it was killed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tracing::warn;

use super::cluster::Place;
use super::{PostgresError, STOP_PATIENCE};

/// Stops a server that still runs on the cluster. Whoever calls holds the data directory's lock, so
/// no living collector uses it.
pub(super) fn stop(place: &Place) -> Result<(), PostgresError> {
    let pid_file = place.cluster.join("postmaster.pid");
    let Some(pid) = pid_in(&pid_file) else {
        return Ok(());
    };
    if !is_alive(pid) {
        return Ok(());
    }
    if !is_server_of(pid, &place.cluster) {
        // The id went to another process after a crash. Postgres would refuse to start on it.
        return std::fs::remove_file(&pid_file).map_err(|error| PostgresError::Folder {
            path: pid_file,
            what: format!("is stale and cannot be removed: {error}"),
            advice: "remove it by hand",
        });
    }
    warn!(
        pid = pid.as_raw(),
        "stopping the PostgreSQL of a collector that was killed"
    );
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        send(pid, signal);
        if gone_within(pid, STOP_PATIENCE) {
            return Ok(());
        }
    }
    Err(PostgresError::Orphan {
        pid: pid.as_raw(),
        dir: place.cluster.clone(),
    })
}

fn pid_in(pid_file: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(pid_file).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    (pid > 1).then(|| Pid::from_raw(pid))
}

fn is_alive(pid: Pid) -> bool {
    !matches!(kill(pid, None), Err(Errno::ESRCH))
}

/// A postmaster's working directory is its cluster.
fn is_server_of(pid: Pid, cluster: &Path) -> bool {
    let here: Option<PathBuf> = std::fs::canonicalize(cluster).ok();
    let there = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    here.is_some() && here == there && name.trim().starts_with("postgres")
}

fn send(pid: Pid, signal: Signal) {
    if let Err(errno) = kill(pid, signal) {
        warn!(pid = pid.as_raw(), %signal, %errno, "cannot signal PostgreSQL");
    }
}

fn gone_within(pid: Pid, patience: Duration) -> bool {
    let pause = Duration::from_millis(10);
    let turns = patience.as_millis() / pause.as_millis();
    for _ in 0..turns {
        if !is_alive(pid) {
            return true;
        }
        std::thread::sleep(pause);
    }
    false
}

//! A server that an earlier collector left behind when it was killed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tracing::warn;

use super::cluster::Place;
use super::{PostgresError, STOP_PATIENCE};

/// Stops a server that still runs on the cluster, and clears what a killed one left behind. Whoever
/// calls holds the data directory's lock, so no living collector uses it.
pub(super) fn stop(place: &Place, socket: &Path) -> Result<(), PostgresError> {
    let Ok(cluster) = std::fs::canonicalize(&place.cluster) else {
        // There is none yet.
        return Ok(());
    };
    let pid_file = cluster.join("postmaster.pid");
    let Some(pid) = pid_in(&pid_file) else {
        return Ok(());
    };
    let signals = [None, Some(Signal::SIGINT), Some(Signal::SIGQUIT)];
    let patience = [Duration::ZERO, STOP_PATIENCE, STOP_PATIENCE];
    for (signal, patience) in signals.into_iter().zip(patience) {
        // The id in the file may belong to another process by now.
        if let Some(signal) = signal
            && is_server_of(&Path::new("/proc").join(pid.to_string()), &cluster)
        {
            warn!(%pid, %signal, "stopping the PostgreSQL of a collector that was killed");
            send(pid, signal);
        }
        if nobody_within(&cluster, patience) {
            return clear(&[
                pid_file,
                socket.join(".s.PGSQL.5432"),
                socket.join(".s.PGSQL.5432.lock"),
            ]);
        }
    }
    Err(PostgresError::Orphan {
        pid: pid.as_raw(),
        dir: cluster,
    })
}

/// Removes what names a dead server: its id may belong to another process by now, or to a zombie
/// that nobody reaps, and Postgres would not start over it.
fn clear(leftovers: &[PathBuf]) -> Result<(), PostgresError> {
    for path in leftovers {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(PostgresError::Folder {
                    path: path.clone(),
                    what: format!("is stale and cannot be removed: {error}"),
                    advice: "remove it by hand",
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn pid_in(pid_file: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(pid_file).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    (pid > 1).then(|| Pid::from_raw(pid))
}

fn send(pid: Pid, signal: Signal) {
    if let Err(errno) = kill(pid, signal) {
        warn!(%pid, %signal, %errno, "cannot signal PostgreSQL");
    }
}

/// Whether all processes of a server have ended: each works in its cluster's folder. A zombie works
/// nowhere.
fn nobody_within(cluster: &Path, patience: Duration) -> bool {
    let pause = Duration::from_millis(10);
    let turns = patience.as_millis() / pause.as_millis();
    for _ in 0..turns {
        if !runs_on(cluster) {
            return true;
        }
        std::thread::sleep(pause);
    }
    !runs_on(cluster)
}

fn runs_on(cluster: &Path) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    processes
        .filter_map(Result::ok)
        .any(|process| is_server_of(&process.path(), cluster))
}

/// Whether a folder of `/proc` shows a process of the server on this cluster.
fn is_server_of(process: &Path, cluster: &Path) -> bool {
    let works_here = std::fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == cluster);
    works_here
        && std::fs::read_to_string(process.join("comm"))
            .is_ok_and(|name| name.starts_with("postgres"))
}

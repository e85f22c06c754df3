//! A trace instance of our own: nobody else's tracing is touched.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tracing::debug;

use super::WitnessError;
use super::clock::TraceClock;
use super::pipe::Pipe;

const PLACE: &str = "/sys/kernel/tracing";
/// Where older systems have it.
const OLD_PLACE: &str = "/sys/kernel/debug/tracing";
const PREFIX: &str = "parallax-";
const SENT: &str = "tcp_send_reset";
const RECEIVED: &str = "tcp_receive_reset";
/// KiB for each CPU: some ten thousand events.
const BUFFER: &str = "1024";
/// Names to try: agents in other PID namespaces may bear the same number.
const NAMES: u32 = 64;

/// An instance, removed again when dropped.
#[derive(Debug)]
pub(super) struct Instance {
    folder: Folder,
    pipe: Option<Pipe>,
    format: String,
    clock: TraceClock,
}

/// The instance's folder.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Events end with their instance. What cannot be removed now is removed at the next start.
        if let Err(error) = fs::remove_dir(&self.0) {
            debug!("{} stays for the next start: {error}", self.0.display());
        }
    }
}

impl Instance {
    /// Makes an instance that listens.
    pub fn create() -> Result<Self, WitnessError> {
        let tracing = tracefs()?;
        for event in [SENT, RECEIVED] {
            if !tracing.join("events/tcp").join(event).is_dir() {
                return Err(WitnessError::NoEvent(event));
            }
        }
        let instances = tracing.join("instances");
        // Held until the pipe is open: before that, an agent in another PID namespace would take the folder for stale.
        let alone = lock(&instances).map_err(failed("lock", &instances))?;
        remove_stale(&instances);
        let folder = new_folder(&instances)?;
        let at = |name: &str| folder.0.join(name);
        write(&at("buffer_size_kb"), BUFFER)?;
        let clock = TraceClock::choose(|name| write(&at("trace_clock"), name).is_ok())
            .ok_or(WitnessError::NoClock)?;
        // Names of processes are nobody's business here; kernels without these files do as they do.
        let _older = write(&at("options/record-cmd"), "0");
        let _older = write(&at("buffer_percent"), "0");
        let format = read(&at("events/tcp").join(SENT).join("format"))?;
        let pipe = at("trace_pipe");
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(&pipe)
            .map_err(failed("read", &pipe))?;
        drop(alone);
        for event in [SENT, RECEIVED] {
            write(&at("events/tcp").join(event).join("enable"), "1")?;
        }
        Ok(Self {
            folder,
            pipe: Some(Pipe::new(file)),
            format,
            clock,
        })
    }

    /// What the kernel says of the event's fields.
    pub fn format(&self) -> &str {
        &self.format
    }

    pub fn clock(&self) -> TraceClock {
        self.clock
    }

    pub fn pipe(&mut self) -> Option<&mut Pipe> {
        self.pipe.as_mut()
    }

    /// Events that the ring buffers have lost so far.
    pub fn overrun(&self) -> Result<u64, WitnessError> {
        let cpus = self.folder.0.join("per_cpu");
        let mut lost = 0_u64;
        for cpu in fs::read_dir(&cpus).map_err(failed("read", &cpus))? {
            let cpu = cpu.map_err(failed("read", &cpus))?.path().join("stats");
            lost = lost.saturating_add(lost_of(&read(&cpu)?));
        }
        Ok(lost)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // An open pipe keeps the folder busy.
        self.pipe = None;
    }
}

/// From `per_cpu/cpuN/stats`.
fn lost_of(stats: &str) -> u64 {
    stats
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(what, _)| ["overrun", "commit overrun", "dropped events"].contains(what))
        .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

/// Where tracefs is, mounted if it must be and may.
fn tracefs() -> Result<PathBuf, WitnessError> {
    let there = |place: &&str| Path::new(place).join("instances").is_dir();
    if let Some(place) = [PLACE, OLD_PLACE].iter().find(|place| there(place)) {
        return Ok(PathBuf::from(place));
    }
    let none: Option<&str> = None;
    mount(
        Some("tracefs"),
        PLACE,
        Some("tracefs"),
        MsFlags::empty(),
        none,
    )
    .map_err(io::Error::from)
    .map(|()| PathBuf::from(PLACE))
    .map_err(|source| WitnessError::NoTracefs {
        tried: PLACE,
        source,
    })
}

/// Waits until no other agent makes or removes instances; ends with the value.
fn lock(instances: &Path) -> io::Result<File> {
    let folder = File::open(instances)?;
    folder.lock()?;
    Ok(folder)
}

/// Removes what agents left behind that were killed. One that lives holds its pipe open, and the kernel refuses.
fn remove_stale(instances: &Path) {
    let Ok(entries) = fs::read_dir(instances) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(pid_of);
        if pid.is_some_and(|pid| kill(pid, None) == Err(Errno::ESRCH)) {
            let removed = fs::remove_dir(entry.path());
            debug!(
                "stale trace instance {}: {removed:?}",
                entry.path().display()
            );
        }
    }
}

fn pid_of(name: &str) -> Option<Pid> {
    let number = name.strip_prefix(PREFIX)?.split('-').next()?;
    number
        .parse()
        .ok()
        .map(Pid::from_raw)
        .filter(|pid| pid.as_raw() > 0)
}

fn new_folder(instances: &Path) -> Result<Folder, WitnessError> {
    let pid = std::process::id();
    let mut last = instances.to_owned();
    for number in 0..NAMES {
        let name = match number {
            0 => format!("{PREFIX}{pid}"),
            _ => format!("{PREFIX}{pid}-{number}"),
        };
        last = instances.join(name);
        match fs::create_dir(&last) {
            Ok(()) => return Ok(Folder(last)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("make", &last)(error)),
        }
    }
    Err(failed("make", &last)(ErrorKind::AlreadyExists.into()))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WitnessError {
    let path = path.display().to_string();
    move |source| WitnessError::Trace { what, path, source }
}

fn write(path: &Path, value: &str) -> Result<(), WitnessError> {
    // No `fs::write`: it would create what a kernel does not have.
    let written = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file: File| io::Write::write_all(&mut file, value.as_bytes()));
    written.map_err(failed("write", path))
}

fn read(path: &Path) -> Result<String, WitnessError> {
    fs::read_to_string(path).map_err(failed("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_lose_an_event_counts() {
        let stats = "entries: 6\noverrun: 2\ncommit overrun: 1\nbytes: 504\n\
                     oldest event ts: 1795624096.948671\nnow ts: 1.0\ndropped events: 4\nread events: 9\n";
        assert_eq!(lost_of(stats), 7);
    }

    #[test]
    fn only_instances_of_agents_are_looked_at() {
        assert_eq!(pid_of("parallax-12"), Some(Pid::from_raw(12)));
        assert_eq!(pid_of("parallax-12-3"), Some(Pid::from_raw(12)));
        for other in [
            "parallax-",
            "parallax-x",
            "parallax--1",
            "other-12",
            "parallax-0",
        ] {
            assert_eq!(pid_of(other), None, "{other}");
        }
    }
}

//! One machine of the lab: a named network namespace.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

/// A network namespace with a name. Inside an enclosure, so it needs no removal.
#[derive(Debug)]
pub struct Namespace {
    name: &'static str,
    handle: File,
}

impl Namespace {
    /// Makes a namespace with its loopback up, and addresses that are usable at once.
    pub fn create(name: &'static str) -> Result<Self> {
        run("ip", &["netns", "add", name])?;
        let path = PathBuf::from("/run/netns").join(name);
        let handle = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        let namespace = Self { name, handle };
        for (key, value) in [
            ("net/ipv6/conf/all/accept_dad", "0"),
            ("net/ipv6/conf/default/accept_dad", "0"),
            ("net/ipv6/conf/default/router_solicitations", "0"),
        ] {
            namespace.sysctl(key, value)?;
        }
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A handle of its own, for threads that enter the namespace.
    pub fn handle(&self) -> io::Result<File> {
        self.handle.try_clone()
    }

    /// Runs `work` on a thread inside the namespace. Sockets and captures opened there stay there,
    /// wherever they are used afterwards.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.handle, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
                work()
            });
            match thread.join() {
                Ok(result) => result.with_context(|| format!("in namespace {}", self.name)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A command that will run inside the namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name]).arg(program);
        command
    }

    /// Runs `ip` inside the namespace.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        let mut all = vec!["-n", self.name];
        all.extend_from_slice(arguments);
        run("ip", &all)
    }

    /// Sets a value under `/proc/sys`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.within(|| std::fs::write(format!("/proc/sys/{key}"), value))
            .with_context(|| format!("setting {key} to {value}"))
    }
}

/// Runs a program to its end; an error carries what it said.
pub fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("starting {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

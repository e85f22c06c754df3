//! A private world for the lab: namespaces of its own for network, mounts, processes and IPC.
//!
//! The program starts itself again inside. Whatever happens to either half, the kernel removes
//! everything: the inner half watches a pipe from the outer one and ends when that closes (Ctrl-C,
//! `kill -9`, panic), and with the inner half, process 1 of its namespace, end all its children,
//! the interfaces, and the memory file systems that hold sockets, names and databases.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};

/// Set for the inner half.
const MARK: &str = "PARALLAX_LAB_ENCLOSED";
/// Where the inner half keeps what must vanish with it.
pub const SCRATCH: &str = "/run/parallax";

/// Whose power the enclosure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// The machine's root.
    Root,
    /// Root only within a user namespace of one user.
    UserNamespace,
}

/// Whose power this process has, inside an enclosure.
pub fn power() -> Power {
    match std::env::var(MARK).as_deref() {
        Ok("user") => Power::UserNamespace,
        _ => Power::Root,
    }
}

/// Which half of the program this is.
pub enum Half {
    /// The caller's part is done: the inner half ended like this.
    Outer(ExitStatus),
    /// The work is to be done here.
    Inner,
}

/// Starts this program again inside an enclosure, with the same arguments, and waits for it; in
/// the inner half, prepares the enclosure.
pub fn enter() -> Result<Half> {
    if std::env::var_os(MARK).is_some() {
        settle_in()?;
        return Ok(Half::Inner);
    }
    probe()?;
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    Enclosed::start(&arguments, Stdio::inherit())?
        .wait()
        .map(Half::Outer)
}

/// This program, running once more inside an enclosure of its own.
#[derive(Debug)]
pub struct Enclosed {
    child: Child,
}

impl Enclosed {
    /// Starts this program with other arguments in a new enclosure, which [`enter`] then finds.
    pub fn start(arguments: &[OsString], output: Stdio) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program's own file")?;
        let mut command = unshare();
        command
            .arg("--kill-child")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output);
        let child = command.spawn().context("starting unshare(1)")?;
        Ok(Self { child })
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Result<ExitStatus> {
        // `wait` would close the pipe, which tells the inner half to end.
        let lifeline = self.child.stdin.take();
        let status = self.child.wait().context("waiting for the enclosed half")?;
        drop(lifeline);
        Ok(status)
    }
}

/// `unshare` with new namespaces of every kind that the lab needs.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if nix::unistd::geteuid().is_root() {
        command.env(MARK, "root");
    } else {
        command
            .args(["--user", "--map-root-user"])
            .env(MARK, "user");
    }
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--ipc",
        "--fork",
        "--mount-proc",
    ]);
    command
}

/// Finds out whether namespaces can be made here, to say plainly when they cannot.
fn probe() -> Result<()> {
    let output = unshare()
        .arg("true")
        .output()
        .context("starting unshare(1): install util-linux")?;
    if !output.status.success() {
        bail!(
            "the lab needs namespaces and got none ({}): run as root, or allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1)",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Gives the inner half its memory file systems and ties its life to the outer half's.
fn settle_in() -> Result<()> {
    for place in ["/run", "/dev/shm"] {
        mount(
            Some("tmpfs"),
            place,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("mode=1777"),
        )
        .with_context(|| format!("mounting a memory file system on {place}"))?;
    }
    for place in ["/run/netns", SCRATCH] {
        std::fs::create_dir_all(place).with_context(|| format!("making {place}"))?;
    }
    open_to_all(Path::new(SCRATCH))?;
    std::thread::spawn(end_with_the_outer_half);
    Ok(())
}

/// Lets every user write to a folder: the database's user is not ours.
pub fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o1777))
        .with_context(|| format!("opening {} to all users", folder.display()))
}

fn end_with_the_outer_half() {
    let mut nothing = [0];
    // Nothing is ever written: any return means that the outer half is gone.
    let _gone = std::io::stdin().read(&mut nothing);
    std::process::exit(130);
}

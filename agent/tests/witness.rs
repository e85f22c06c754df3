//! The kernel witness before this machine's kernel. Needs root, since it reads the kernel's trace.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use parallax_agent::stream::Feed;
use parallax_agent::witness::{Wanted, Witness, WitnessError, WitnessOptions};
use parallax_core::reason::{KernelReason, ResetReason};
use parallax_core::testimony::{Act, Oath, Prompt, Statement, TapPlace, Watch};
use tokio::sync::mpsc::{Receiver, channel};

const AGENT: &str = env!("CARGO_BIN_EXE_parallax-agent");
const INSTANCES: &str = "/sys/kernel/tracing/instances";
/// Reports come five times a second.
const REPORTS: Duration = Duration::from_millis(600);

fn options(rate: u32) -> WitnessOptions {
    assert!(
        geteuid().is_root(),
        "the kernel's trace is for root only: run this test as root"
    );
    WitnessOptions {
        wanted: Wanted::On,
        host: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        rate,
        veil: None,
    }
}

/// A port where nobody listens.
fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// All that was said, and the spans.
fn heard(mut feed: Receiver<Feed>) -> (Vec<Statement>, Vec<Watch>) {
    let (mut statements, mut watches) = (Vec::new(), Vec::new());
    while let Some(item) = feed.blocking_recv() {
        if let Feed::Witnessed(report) = item {
            statements.extend(report.statements);
            watches.extend(report.watch);
        }
    }
    (statements, watches)
}

#[test]
fn the_kernel_tells_who_sent_a_reset_and_who_accepted_it_and_when() {
    let (sender, feed) = channel(64);
    let witness = Witness::start(&options(1000), sender).unwrap();
    let port = closed_port();
    TcpStream::connect(port).unwrap_err();
    std::thread::sleep(REPORTS);
    drop(witness);
    let (statements, watches) = heard(feed);
    let refused = |said: &&Statement| said.tuple.src.port == port.port();
    let said: Vec<&Statement> = statements.iter().filter(refused).collect();
    let acts: Vec<Act> = said.iter().map(|said| said.act).collect();
    let sent = Act::Sent {
        reason: Some(ResetReason::Kernel(KernelReason::NoSocket)),
        prompt: Prompt::Segment,
    };
    assert_eq!(acts, [sent, Act::Accepted]);
    let last = watches.last().unwrap();
    assert_eq!(
        (last.lost, last.oath, last.tap),
        (0, Oath::Everything, TapPlace::OwnInterface)
    );
    for said in said {
        assert!(last.from <= said.time && said.time <= last.until);
        assert!(said.error < 1_000_000, "{}", said.error);
    }
}

#[test]
fn what_is_above_the_rate_ends_the_right_to_swear() {
    let (sender, feed) = channel(64);
    let witness = Witness::start(&options(2), sender).unwrap();
    let port = closed_port();
    for _ in 0..20 {
        TcpStream::connect(port).unwrap_err();
    }
    std::thread::sleep(REPORTS);
    drop(witness);
    let (statements, watches) = heard(feed);
    assert!(statements.len() < 20, "{}", statements.len());
    assert!(watches.iter().any(|watch| watch.lost > 0));
}

#[test]
fn a_witness_that_must_be_needs_a_host() {
    let (sender, _feed) = channel(1);
    let hop = WitnessOptions {
        host: Vec::new(),
        ..options(1)
    };
    let error = Witness::start(&hop, sender.clone()).unwrap_err();
    assert!(matches!(error, WitnessError::NoHost));
    let auto = WitnessOptions {
        wanted: Wanted::Auto,
        ..hop
    };
    assert!(Witness::start(&auto, sender).unwrap().is_none());
}

/// An agent on the loopback; nobody takes what it has.
fn agent_through(through: &[&str], program: &str, witness: &str) -> Command {
    let mut words = through.iter().copied().chain([program]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["run", "--vantage=web", "--host=127.0.0.1", "--interface=lo"])
        .args(["--collector=http://127.0.0.1:9", "--memory=1", "--witness"])
        .arg(witness)
        .stderr(Stdio::piped());
    command
}

fn agent() -> Child {
    agent_through(&[], AGENT, "on").spawn().unwrap()
}

fn instance_of(agent: &Child) -> PathBuf {
    Path::new(INSTANCES).join(format!("parallax-{}", agent.id()))
}

#[track_caller]
fn await_that(what: &str, is: impl Fn() -> bool) {
    for _ in 0..200 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not come about");
}

fn signal(agent: &Child, signal: Signal) {
    kill(Pid::from_raw(agent.id() as i32), signal).unwrap();
}

#[test]
fn a_killed_agents_instance_goes_at_the_next_start_and_a_living_ones_stays() {
    options(1);
    let (mut killed, living) = (agent(), agent());
    let (stale, kept) = (instance_of(&killed), instance_of(&living));
    await_that("two instances", || stale.is_dir() && kept.is_dir());
    std::thread::sleep(REPORTS);
    signal(&killed, Signal::SIGKILL);
    killed.wait().unwrap();
    assert!(stale.is_dir());
    let next = agent();
    let last = instance_of(&next);
    await_that("the next start", || last.is_dir() && !stale.is_dir());
    assert!(kept.is_dir());
    std::thread::sleep(REPORTS);
    for agent in [&living, &next] {
        signal(agent, Signal::SIGTERM);
    }
    await_that("the end", || !kept.exists() && !last.exists());
    for mut agent in [living, next] {
        // Nobody takes what it would still hand over.
        signal(&agent, Signal::SIGKILL);
        agent.wait().unwrap();
    }
}

#[test]
fn without_the_right_the_agent_says_so_once_and_goes_on_unless_it_must() {
    // Another user, who may capture in a network namespace of its own.
    let folder = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let program = folder.path().join("parallax-agent");
    std::fs::copy(AGENT, &program).unwrap();
    let up = "PATH=$PATH:/sbin:/usr/sbin ip link set lo up && exec \"$@\"";
    let through = [
        "unshare",
        "--user",
        "--map-root-user",
        "--net",
        "sh",
        "-c",
        up,
        "sh",
    ];
    let agent = |witness| {
        let mut command = agent_through(&through, program.to_str().unwrap(), witness);
        let nobody = User::from_name("nobody").unwrap().expect("a user `nobody`");
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
        command.current_dir("/").spawn().unwrap()
    };
    let must = agent("on").wait_with_output().unwrap();
    assert_eq!(must.status.code(), Some(1));
    let said = String::from_utf8_lossy(&must.stderr).into_owned();
    assert!(said.contains("/sys/kernel"), "{said}");

    let mut may = agent("auto");
    std::thread::sleep(2 * REPORTS);
    assert!(may.try_wait().unwrap().is_none(), "it should go on");
    signal(&may, Signal::SIGKILL);
    let said = may.wait_with_output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(said.matches("no kernel witness").count(), 1, "{said}");
}

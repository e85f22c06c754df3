//! What a running agent may still do. Needs root: there is nothing to give up otherwise.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use parallax_tests::programs::{Programs, Running, wait_for};

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

fn programs() -> Programs {
    let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    Programs::in_folder(lab.parent().expect("a program lies in a folder")).expect("programs")
}

/// A folder that other users can pass.
fn folder() -> tempfile::TempDir {
    assert!(nix::unistd::geteuid().is_root(), "run this test as root");
    tempfile::Builder::new()
        .prefix("parallax-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .expect("a folder")
}

fn agent(folder: &Path, more: &[&str]) -> Running {
    let mut command = Command::new(programs().agent());
    command
        .args([
            "run",
            "--vantage",
            "a",
            "--interface",
            "lo",
            "--threads",
            "2",
        ])
        .args([
            "--memory=2",
            "--recall-memory=2",
            "--collector=http://127.0.0.1:9",
        ])
        .arg("--state-dir")
        .arg(folder.join("state"))
        .args(more);
    let mut agent = Running::start("agent", command, folder).expect("an agent");
    // It says so after the last privilege is gone.
    let up = wait_for(Duration::from_secs(20), || {
        agent.check()?;
        Ok(agent
            .said()
            .contains("cannot reach a collector")
            .then_some(()))
    });
    assert!(up.expect("it runs").is_some(), "{}", agent.said());
    agent
}

/// Name and status of each thread.
fn threads(agent: &Running) -> Vec<(String, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", agent.pid())).expect("its threads");
    let read = |task: PathBuf| std::fs::read_to_string(task.join("status")).expect("a status");
    let mut threads = Vec::new();
    for task in tasks {
        let status = read(task.expect("a thread").path());
        threads.push((field(&status, "Name"), status));
    }
    threads
}

fn field(status: &str, name: &str) -> String {
    let mut lines = status.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_default().trim().to_owned()
}

#[test]
fn an_agent_that_captures_is_nobody_and_has_no_capability_left() {
    let folder = folder();
    let agent = agent(folder.path(), &["--user", "nobody"]);
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let threads = threads(&agent);
    assert!(threads.len() >= 3, "{threads:?}");
    for (name, status) in &threads {
        for set in SETS {
            assert_eq!(field(status, set), "0000000000000000", "{name}: {status}");
        }
        assert_eq!(field(status, "NoNewPrivs"), "1", "{name}");
        let uids = field(status, "Uid");
        let own = nobody.uid.to_string();
        assert!(uids.split_whitespace().all(|uid| uid == own), "{uids}");
        assert_eq!(field(status, "Groups"), "", "{name}");
    }
    let state = folder.path().join("state");
    assert_eq!(
        std::fs::metadata(&state).unwrap().uid(),
        nobody.uid.as_raw()
    );
    let written = std::fs::read_dir(&state).unwrap().count();
    assert!(written > 0, "the spool is in its folder");
    agent.stop().expect("it stops");
}

#[test]
fn with_a_kernel_witness_its_thread_alone_keeps_what_it_needs() {
    let folder = folder();
    let agent = agent(folder.path(), &["--host", "127.0.0.1", "--witness", "on"]);
    // CAP_DAC_READ_SEARCH 2, CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21.
    let kept = format!("{:016x}", 1_u64 << 2 | 1 << 19 | 1 << 21);
    let threads = threads(&agent);
    let witness = threads.iter().filter(|(name, _)| name == "witness");
    assert_eq!(witness.count(), 1, "{threads:?}");
    for (name, status) in &threads {
        let expected = match name.as_str() {
            "witness" => &*kept,
            _ => "0000000000000000",
        };
        for set in ["CapPrm", "CapEff"] {
            assert_eq!(field(status, set), expected, "{name}: {status}");
        }
        if name != "witness" {
            assert_eq!(field(status, "CapBnd"), "0000000000000000", "{name}");
            assert_eq!(field(status, "NoNewPrivs"), "1", "{name}");
        }
    }
    agent
        .stop()
        .expect("it stops, and removes its trace instance");
}

#[test]
fn a_state_directory_that_nobody_else_can_reach_goes_on_working() {
    let folder = folder();
    let private = folder.path().join("private");
    std::fs::create_dir(&private).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&private, mode).unwrap();
    let agent = agent(&private, &[]);
    assert!(
        agent.said().contains("stays root, without capabilities"),
        "{}",
        agent.said()
    );
    for (name, status) in threads(&agent) {
        assert_eq!(field(&status, "CapEff"), "0000000000000000", "{name}");
    }
    agent.stop().expect("it stops");
}

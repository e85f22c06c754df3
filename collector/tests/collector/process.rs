//! The program: start, stop, crash, and errors of one line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::server::{get, open_to_all};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_parallax-collector");

pub struct Running {
    child: Child,
    pub url: String,
    said: Arc<Mutex<String>>,
}

pub fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["serve", "--grpc", "", "--http", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn start(data_dir: &Path) -> Running {
    started(command(data_dir))
}

/// Waits until it is ready.
pub fn started(mut command: Command) -> Running {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    let url = loop {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("not ready: {said:?}"))
            .unwrap();
        if let Some(at) = line.strip_prefix("parallax-collector ready: http ") {
            break at.to_owned();
        }
        said.push(line);
    };
    // Read on, so that the program never waits for us.
    let said = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&said);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let mut heard = heard.lock().unwrap();
            heard.push_str(&line);
            heard.push('\n');
        }
    });
    Running { child, url, said }
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// What it said since it was ready.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub fn stop(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }
}

/// A test that fails leaves no server behind.
impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::SIGINT);
            let _ = self.child.wait();
        }
    }
}

/// Exit code and standard error of a start that fails.
fn fails(mut command: Command) -> (Option<i32>, String, Duration) {
    let started = Instant::now();
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    // One that does not fail is stopped; its exit status then tells.
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(15));
        let _ = kill(pid, Signal::SIGINT);
    });
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    let code = child.wait().unwrap().code();
    (code, said, started.elapsed())
}

fn postgres_pid(data_dir: &Path) -> Option<Pid> {
    let file = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).ok()?;
    Some(Pid::from_raw(file.lines().next()?.parse().ok()?))
}

/// A zombie that nobody has reaped yet is dead.
fn is_alive(pid: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    open_to_all(folder.path());
    folder
}

pub fn until(what: &str, check: impl Fn() -> bool) {
    for _ in 0..1000 {
        if check() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within ten seconds: {what}");
}

#[test]
fn a_private_postgres_is_stopped_with_the_collector_and_survives_its_death() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let first = start(&data_dir);
    let server = postgres_pid(&data_dir).unwrap();
    assert_eq!(get(&format!("{}/healthz", first.url)).0, 200);

    // A second collector on the same folder is told who has it.
    let (code, said, _) = fails(command(&data_dir));
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!(
            "in use by the collector with pid {}",
            first.child.id()
        )),
        "{said}"
    );

    // Killed: its Postgres goes on, and the next start takes over.
    first.stop(Signal::SIGKILL);
    assert!(is_alive(server));
    let second = start(&data_dir);
    assert!(!is_alive(server));
    let server = postgres_pid(&data_dir).unwrap();
    assert_eq!(get(&format!("{}/v1/vantages", second.url)).0, 200);

    // Both killed: Postgres recovers from its log.
    second.stop(Signal::SIGKILL);
    kill(server, Signal::SIGKILL).unwrap();
    let third = start(&data_dir);
    let server = postgres_pid(&data_dir).unwrap();

    // Postgres alone killed: it is started again.
    kill(server, Signal::SIGKILL).unwrap();
    until("another Postgres", || {
        postgres_pid(&data_dir).is_some_and(|pid| pid != server && is_alive(pid))
    });
    until("an answer", || {
        get(&format!("{}/healthz", third.url)).0 == 200
    });
    let server = postgres_pid(&data_dir).unwrap();

    let status = third.stop(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0));
    assert!(!is_alive(server));
    assert_eq!(
        postgres_pid(&data_dir),
        None,
        "a clean stop leaves no pid file"
    );
    let log = std::fs::read_to_string(data_dir.join("postgres.log")).unwrap();
    assert!(
        log.trim_end().ends_with("database system is shut down"),
        "{log}"
    );
}

#[test]
fn each_line_of_a_log_is_a_json_object_if_that_is_wanted() {
    let folder = folder();
    let mut child = command(&folder.path().join("data"))
        .env("PARALLAX_LOG_FORMAT", "json")
        .env("PARALLAX_LOG", "debug")
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut url = None;
    for line in lines {
        let line = line.unwrap();
        let object: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for part in ["timestamp", "level", "target"] {
            assert!(object[part].is_string(), "{line}");
        }
        assert!(object["fields"].is_object(), "{line}");
        if object["fields"]["message"] == "parallax-collector ready" {
            url = object["fields"]["http"].as_str().map(ToOwned::to_owned);
            assert_eq!(get(&format!("{}/healthz", url.as_deref().unwrap())).0, 200);
            kill(pid, Signal::SIGTERM).unwrap();
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(url.is_some(), "it was never ready");
    let mut refused = Command::new(PROGRAM);
    refused.args([
        "serve",
        "--log-format=json",
        "--http=127.0.0.1:0",
        "--grpc=",
    ]);
    refused.args(["--database-url", "mysql://x"]);
    let (code, said, _) = fails(refused);
    assert_eq!(code, Some(1));
    let last: serde_json::Value = serde_json::from_str(said.trim_end()).unwrap();
    assert_eq!(last["level"], "ERROR");
}

#[test]
fn as_root_postgres_runs_as_somebody_else_on_a_socket_only() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let running = start(&data_dir);
    let pid = postgres_pid(&data_dir).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let uid = status
        .lines()
        .find(|line| line.starts_with("Uid:"))
        .unwrap();
    assert!(!uid.split_whitespace().skip(1).any(|id| id == "0"), "{uid}");
    let file = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).unwrap();
    assert_eq!(file.lines().nth(5), Some(""), "no listen address");
    assert_eq!(running.stop(Signal::SIGINT).code(), Some(0));
}

#[test]
fn a_cluster_of_another_version_is_left_alone() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("postgres")).unwrap();
    std::fs::write(folder.path().join("postgres/PG_VERSION"), "9\n").unwrap();
    let (code, said, _) = fails(command(folder.path()));
    assert_eq!(code, Some(1));
    assert!(said.contains("made by PostgreSQL 9, but only"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_named_folder_without_postgres_is_refused() {
    let (folder, empty) = (folder(), folder());
    let mut command = command(folder.path());
    command.env("PARALLAX_POSTGRES_BIN", empty.path());
    let (code, said, _) = fails(command);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("apt install postgresql") && said.contains("--database-url"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn without_any_postgres_and_any_network_it_says_what_to_install() {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "only root can hide the installed servers: run this test as root"
    );
    let folder = folder();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--net", "sh", "-c"])
        .arg("mount -t tmpfs none /usr/lib/postgresql && exec \"$0\" \"$@\"")
        .arg(PROGRAM)
        .args(["serve", "--grpc", "", "--http", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("PARALLAX_LOG", "off");
    let (code, said, _) = fails(command);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("apt install postgresql") && said.contains("cannot be downloaded"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_folder_that_postgres_cannot_pass_is_named() {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "only root switches users: run this test as root"
    );
    let folder = tempfile::tempdir().unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder.path(), closed).unwrap();
    let (code, said, _) = fails(command(&folder.path().join("data")));
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("cannot pass through {}", folder.path().display())),
        "{said}"
    );
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = folder();
    let mut command = Command::new(PROGRAM);
    command
        .args([
            "serve",
            "--grpc",
            "",
            "--http",
            &address.to_string(),
            "--data-dir",
        ])
        .arg(folder.path());
    let (code, said, _) = fails(command);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("port {} of 127.0.0.1 is in use", address.port())),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_wrong_database_url_is_refused_soon_and_without_its_password() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    for url in [
        format!("postgres://joe:geheim@127.0.0.1:{port}/px"),
        format!("postgres://joe:geheim@127.0.0.1:{closed}/px"),
        "postgres://joe:geheim@no-such-host.invalid/px".to_owned(),
        "postgres://joe:geheim@127.0.0.1/px?sslmode=nonsense".to_owned(),
        "joe:geheim@127.0.0.1/px".to_owned(),
    ] {
        for subcommand in ["serve", "migrate"] {
            let mut command = Command::new(PROGRAM);
            command.args([subcommand, "--database-url", &url]);
            if subcommand == "serve" {
                command.args(["--grpc", "", "--http", "127.0.0.1:0"]);
            }
            let (code, said, took) = fails(command);
            assert_eq!(code, Some(1), "{said}");
            assert!(took < Duration::from_secs(5), "{took:?}");
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(!said.contains("geheim"), "{said}");
        }
    }
}

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    for arguments in [&["serve", "--grpc", "nonsense"][..], &["dance"], &[]] {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        let (code, said, _) = fails(command);
        assert_eq!(code, Some(2), "{said}");
    }
}

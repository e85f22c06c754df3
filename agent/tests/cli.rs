//! The program itself: what it refuses, in one line, with which exit status.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::unistd::{User, getuid};

const AGENT: &str = env!("CARGO_BIN_EXE_parallax-agent");

/// The file header of a capture of raw IP, with no packet after it.
const NO_PACKETS: [u8; 24] = [
    0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0,
];

/// A port where nobody listens.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn agent(args: &[&str]) -> Output {
    Command::new(AGENT).args(args).output().unwrap()
}

#[track_caller]
fn fails_with_one_line(output: &Output, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no {part:?} in: {stderr}");
    }
}

#[track_caller]
fn is_wrong_usage(output: &Output, part: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(part), "no {part:?} in: {stderr}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures when it gives up")]
fn replay_without_a_collector_says_where_it_looked_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no-packets.pcap");
    std::fs::write(&file, NO_PACKETS).unwrap();
    let url = format!("http://127.0.0.1:{}", closed_port());
    let before = Instant::now();
    let output = agent(&[
        "replay",
        "--vantage=client",
        "--file",
        file.to_str().unwrap(),
        "--collector",
        &url,
        "--connect-timeout=1",
    ]);
    fails_with_one_line(
        &output,
        &[&url, "Connection refused", "parallax-collector serve"],
    );
    assert!(before.elapsed() < Duration::from_secs(9));
}

#[test]
fn replay_of_what_is_no_capture_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear reader, this is no capture.").unwrap();
    let path = path.to_str().unwrap();
    let output = agent(&["replay", "--vantage=client", "--file", path]);
    fails_with_one_line(&output, &[path]);
}

#[test]
fn an_interface_that_does_not_exist_is_named_beside_those_that_do() {
    let output = agent(&["run", "--vantage=a", "--interface=nowhere0"]);
    fails_with_one_line(&output, &["nowhere0 does not exist", "lo"]);
}

#[test]
fn without_the_right_to_capture_it_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let open_to_all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open_to_all).unwrap();
    let program = folder.path().join("parallax-agent");
    std::fs::copy(AGENT, &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["run", "--vantage=a", "--interface=lo"]);
    if getuid().is_root() {
        let nobody = User::from_name("nobody").unwrap().expect("a user `nobody`");
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    }
    let output = command.current_dir("/").output().unwrap();
    fails_with_one_line(&output, &["no right to capture on lo", "setcap"]);
}

#[test]
fn wrong_usage_ends_with_status_2() {
    is_wrong_usage(&agent(&[]), "Usage");
    is_wrong_usage(&agent(&["run", "--nonsense"]), "--nonsense");
    is_wrong_usage(&agent(&["run", "--interface=lo"]), "--vantage <NAME>");
    is_wrong_usage(&agent(&["run", "--vantage=a"]), "--interface <IF>");
    is_wrong_usage(&agent(&["replay", "--vantage=a"]), "--file");
    let small = ["run", "--vantage=a", "--interface=lo", "--snaplen=1"];
    is_wrong_usage(&agent(&small), "--snaplen is 1, not within 64");
    let run = ["run", "--vantage=a", "--interface=lo"];
    let none = [&run[..], &["--threads=0"]].concat();
    is_wrong_usage(&agent(&none), "--threads is 0, not within 1");
    let more = [&run[..], &["--threads=4", "--memory=3"]].concat();
    is_wrong_usage(&agent(&more), "--memory is 3, not within 4");
}

#[test]
fn a_bad_vantage_name_is_wrong_usage_and_says_why() {
    for (name, reason) in [
        (String::new(), "at least one character"),
        ("x".repeat(129), "at most 128 characters"),
        ("fw\nin".to_owned(), "no control characters"),
    ] {
        let output = agent(&["run", "--vantage", &name, "--interface=lo"]);
        is_wrong_usage(&output, reason);
    }
}

#[test]
fn a_bad_key_in_the_configuration_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, "vantage = 'a'\ninterfaces = ['lo']\n").unwrap();
    let path = path.to_str().unwrap();
    let output = agent(&["run", "--config", path]);
    fails_with_one_line(&output, &[path, "line 2", "`interfaces`"]);
    let output = agent(&["run", "--config", "/does/not/exist.toml"]);
    fails_with_one_line(&output, &["/does/not/exist.toml", "--config"]);
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, "vantage = 'a'\ninterface = ['file0']\n").unwrap();
    let run = |flags: &[&str], environment: &[(&str, &str)]| {
        let output = Command::new(AGENT)
            .args(["run", "--config", path.to_str().unwrap()])
            .args(flags)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let environment = [("PARALLAX_INTERFACE", "env0")];
    assert!(run(&[], &[]).contains("interface file0 does not exist"));
    assert!(run(&[], &environment).contains("interface env0 does not exist"));
    assert!(run(&["--interface=flag0"], &environment).contains("interface flag0 does not exist"));
}

#[test]
fn every_command_helps_with_examples() {
    for command in ["run", "replay", "digest", "completion"] {
        let output = agent(&[command, "--help"]);
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Example"), "{command}: {help}");
    }
    let script = agent(&["completion", "bash"]).stdout;
    assert!(String::from_utf8(script).unwrap().contains("--vantage"));
    let version = agent(&["--version"]).stdout;
    assert!(
        String::from_utf8(version)
            .unwrap()
            .starts_with("parallax-agent ")
    );
}

//! The program as its users start it.

mod analyze;
mod capture;
mod collector;
mod mixed_captures;
mod story;

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// How a run of `parallax` ended.
struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("ended by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// The one line on standard error.
    #[track_caller]
    fn error(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert_eq!(self.stdout, "");
        let line = self.stderr.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "{line}");
        line
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}", self.stderr))
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    command
        .args(arguments)
        .env_remove("PARALLAX_COLLECTOR")
        .env_remove("NO_COLOR")
        .env("LANG", "C.UTF-8")
        .env_remove("LC_ALL")
        .env_remove("LC_CTYPE")
        .env("COLUMNS", "120")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn parallax(arguments: &[&str]) -> Run {
    command(arguments).output().unwrap().into()
}

fn parallax_reading(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = command(&["completion", "zsh"]).spawn().unwrap();
    drop(child.stdout.take());
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn completion_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let run = parallax(&["completion", shell]);
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("vantages"), "{shell}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["analyze"],
        &["analyze", "file-without-name.pcap"],
        &["analyze", "--path", "a,b", "a=a.pcap"],
        &["analyze", "--path", "a,a", "a=a.pcap"],
        &["analyze", "--host", "b=192.0.2.1", "a=a.pcap"],
        &["resets", "--since", "yesterday"],
        &["resets", "--since", "1m", "--until", "1h"],
        &["resets", "--origin", "mars"],
        &["resets", "--limit", "0"],
        &["resets", "--between", "a"],
        &["resets", "--collector", "ftp://localhost:7600"],
        &["explain", "not-an-id"],
        &["top", "--limit", "0"],
    ] {
        let run = parallax(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert_ne!(run.stderr, "", "{arguments:?}");
    }
}

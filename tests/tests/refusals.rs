//! Bad surroundings: each is one line on standard error that says what, where and what to do.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use parallax_tests::analysis::Order;
use parallax_tests::captures::made_up;
use parallax_tests::programs::Programs;
use parallax_tests::replay::{Collector, free_port};

fn programs() -> Programs {
    let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    Programs::in_folder(lab.parent().expect("a program lies in a folder")).expect("programs")
}

/// Runs a program that must fail; returns the line it said.
fn refusal(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command
        .env_remove("RUST_LOG")
        .output()
        .expect("starting a program");
    let said = String::from_utf8_lossy(&stderr).trim_end().to_owned();
    assert_eq!(
        status.code(),
        Some(1),
        "it ended with {status} and said: {said}"
    );
    assert_eq!(
        said.lines().count(),
        1,
        "it should say one line, and said: {said}"
    );
    said
}

fn assert_names(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word:?} is missing in: {line}");
    }
}

/// A capture with one packet.
fn capture(folder: &Path) -> PathBuf {
    let file = folder.join("one.pcap");
    made_up(&file).expect("writing a capture");
    file
}

#[test]
fn a_port_in_use_is_named_by_the_collector() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = taken.local_addr().expect("an address");
    let (address, port) = (address.to_string(), address.port().to_string());
    let folder = tempfile::tempdir().expect("a folder");
    for (taken, free) in [("--grpc", "--http"), ("--http", "--grpc")] {
        let line = refusal(
            Command::new(programs().collector())
                .args(["serve", taken, &address])
                .args([free, &free_port().expect("a port").to_string()])
                .arg("--data-dir")
                .arg(folder.path().join("data")),
        );
        assert_names(&line, &[&port, "in use"]);
    }
}

#[test]
fn a_wrong_database_url_is_refused_without_its_password() {
    for url in [
        "postgres://somebody:secret@127.0.0.1:1/none",
        "mysql://somebody:secret@127.0.0.1/none",
    ] {
        let line = refusal(
            Command::new(programs().collector())
                .args(["serve", "--database-url", url])
                .args(["--grpc", &free_port().expect("a port").to_string()])
                .args(["--http", &free_port().expect("a port").to_string()]),
        );
        assert_names(&line, &["database"]);
        assert!(!line.contains("secret"), "{line}");
    }
}

#[test]
fn an_unreachable_collector_is_named_by_the_command_line_program() {
    let url = format!("http://{}", free_port().expect("a port"));
    for question in [
        ["resets"].as_slice(),
        &["vantages"],
        &["explain", "0197aaaa"],
    ] {
        let line = refusal(
            Command::new(programs().cli())
                .args(question)
                .args(["--collector", &url]),
        );
        assert_names(&line, &[&url]);
    }
}

#[test]
fn an_unreachable_collector_is_named_by_a_replaying_agent() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("http://{}", free_port().expect("a port"));
    let line = refusal(
        Command::new(programs().agent())
            .args(["replay", "--vantage", "here", "--connect-timeout", "1"])
            .args(["--collector", &url, "--file"])
            .arg(capture(folder.path())),
    );
    assert_names(&line, &[&url]);
}

#[test]
fn something_else_than_a_collector_is_told_from_one() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            use std::io::Write as _;
            let _gone = (&stream).write_all(b"220 smtp.example ESMTP\r\n");
        }
    });
    let line = refusal(Command::new(programs().cli()).args(["resets", "--collector", &url]));
    assert_names(&line, &[&url]);
}

#[test]
fn a_second_collector_on_one_data_directory_is_refused() {
    let first = Collector::start(&programs(), Order::Inferred).expect("a collector");
    let line = refusal(
        Command::new(programs().collector())
            .args(["serve", "--data-dir"])
            .arg(first.data())
            .args(["--grpc", &free_port().expect("a port").to_string()])
            .args(["--http", &free_port().expect("a port").to_string()]),
    );
    assert_names(&line, &[&first.data().display().to_string()]);
    first.running.stop().expect("stopping the collector");
}

//! `parallax-agent digest` as a process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use super::Capture;
use super::build::{Magic, gzip, packet, pcap, records};

fn digest() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax-agent"));
    command.arg("digest");
    command
}

fn run(capture: &Capture, format: &str) -> Output {
    digest()
        .arg("--file")
        .arg(capture.path())
        .args(["--format", format])
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn json_is_one_object_a_segment_and_the_summary_goes_to_standard_error() {
    let capture = Capture::of(&pcap(Magic::LittleNano, 1, &records(2)));
    let output = run(&capture, "json");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    let expected = serde_json::json!({
        "time": "2026-01-02T03:04:06.000000123Z",
        "src": "192.0.2.1", "sport": 40000, "dst": "198.51.100.2", "dport": 80,
        "flags": "A", "seq": 1, "ack": 1, "window": 256,
        "payload_len": 0, "payload_hash": null,
        "ttl": 64, "ip_id": 1, "dont_fragment": true, "fragment": false, "traffic_class": 0,
        "options": { "mss": null, "window_scale": null, "sack_permitted": false,
                     "timestamp": null, "timestamp_echo": null, "sack": null, "order": [], "cut": false },
        "direction": null, "source_mac": "02:00:00:00:00:01", "vlans": [], "interface": 0, "tunnel": null,
    });
    assert_eq!(lines[1], expected);
    let path = capture.path().display().to_string();
    assert_eq!(
        stderr(&output),
        format!("{path}: 2 packets, 2 digests, 0 unread\n")
    );
}

#[test]
fn json_shows_the_tunnel_and_the_block_of_a_selective_acknowledgement() {
    let mut acknowledging = packet(1);
    acknowledging[3] += 12;
    acknowledging[32] = 0x80;
    acknowledging.extend([1, 1, 5, 10, 0, 0, 0, 7, 0, 0, 0, 9]);
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 80, 0, 1, 0, 0, 64, 47, 0, 0]);
    frame.extend([203, 0, 113, 1, 203, 0, 113, 2, 0x20, 0, 8, 0, 0, 0, 0, 5]);
    frame.extend(acknowledging);
    let mut records = records(1);
    records[0].data = frame;
    let capture = Capture::of(&pcap(Magic::LittleNano, 1, &records));
    let line: serde_json::Value = serde_json::from_slice(&run(&capture, "json").stdout).unwrap();
    assert_eq!(line["src"], "192.0.2.1");
    assert_eq!(line["options"]["sack"], serde_json::json!([7, 9]));
    let tunnel = serde_json::json!({
        "kind": "gre", "depth": 1, "src": "203.0.113.1", "dst": "203.0.113.2", "id": 5,
    });
    assert_eq!(line["tunnel"], tunnel);
}

#[test]
fn none_prints_the_summary_only_with_reasons_and_warnings() {
    let mut packets = records(3);
    packets[0].data[23] = 17;
    let whole = pcap(Magic::LittleMicro, 1, &packets);
    let capture = Capture::of(&whole[..whole.len() - 1]);
    let output = run(&capture, "none");
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
    let (text, path) = (stderr(&output), capture.path().display().to_string());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("warning: "), "{text}");
    assert!(lines[0].contains("ends at octet 164"), "{text}");
    assert_eq!(
        lines[1],
        format!("{path}: 2 packets, 1 digests, 1 unread (1 not_tcp)")
    );
}

#[test]
fn standard_input_may_be_a_pipe_and_gzipped() {
    let mut child = digest()
        .args(["--file", "-", "--format", "none"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let octets = gzip(&pcap(Magic::BigNano, 1, &records(5000)));
    let mut input = child.stdin.take().unwrap();
    // In two pieces, as a slow pipe gives them.
    for piece in octets.chunks(octets.len() / 2 + 1) {
        input.write_all(piece).unwrap();
        input.flush().unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        stderr(&output),
        "standard input: 5000 packets, 5000 digests, 0 unread\n"
    );
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let capture = Capture::of(&pcap(Magic::LittleMicro, 1, &records(20_000)));
    let mut child = digest()
        .arg("--file")
        .arg(capture.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    drop(out);
    let mut errors = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(errors, "");
    assert!(first.starts_with("{\"time\":"));
}

#[test]
fn a_file_that_is_no_capture_is_one_line_and_status_1() {
    let capture = Capture::of(b"#!/bin/sh\n");
    let output = run(&capture, "json");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let text = stderr(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains("is no capture (begins with 23 21 2f 62)"),
        "{text}"
    );
    assert!(
        text.contains(&capture.path().display().to_string()),
        "{text}"
    );
}

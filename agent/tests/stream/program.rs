//! The program itself against a collector: a file, and an interface.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parallax_core::{CaptureTime, Digest};
use parallax_proto::v1::Beat;

use crate::ingest::{Plan, TestCollector};

pub const AGENT: &str = env!("CARGO_BIN_EXE_parallax-agent");

/// A capture of one SYN and the RST+ACK that refuses it.
fn capture_file(folder: &Path) -> String {
    let mut octets = Vec::new();
    octets.extend(0xa1b2_3c4d_u32.to_le_bytes());
    octets.extend([2, 0, 4, 0]);
    for word in [0_u32, 0, 65_535, 101] {
        octets.extend(word.to_le_bytes());
    }
    let (client, server) = ([192, 0, 2, 1], [198, 51, 100, 1]);
    for (nanos, src, dst, ports, flags) in [
        (1_u32, client, server, [0x9c, 0x40, 0, 80], 0x02),
        (2, server, client, [0, 80, 0x9c, 0x40], 0x14),
    ] {
        for word in [1_767_323_045, nanos, 40, 40] {
            octets.extend(word.to_le_bytes());
        }
        octets.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        octets.extend([src, dst, ports].concat());
        octets.extend([0, 0, 0, 7, 0, 0, 0, 8, 0x50, flags, 0, 100, 0, 0, 0, 0]);
    }
    let path = folder.join("refused.pcap");
    std::fs::write(&path, octets).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn replay_delivers_a_file_and_sums_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = capture_file(folder.path());
    let collector = TestCollector::new(Plan::default());
    let running = collector.listen(None);
    let output = Command::new(AGENT)
        .args([
            "replay",
            "--vantage=client",
            "--host=192.0.2.1",
            "--file",
            &file,
            "--collector",
            &running.url(),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        stdout.trim_end(),
        format!("{file} as client: 2 packets, 2 digests sent, 2 committed, 0 unread, 0 warnings")
    );
    let shelf = collector.shelf();
    assert_eq!(shelf.violations, Vec::<String>::new());
    assert_eq!(shelf.stored.len(), 2);
    assert_eq!(shelf.beats.len(), 1);
    let beat = shelf.beats.values().next().unwrap();
    assert_eq!((beat.until - beat.from, beat.received), (1, 2));
    assert!(shelf.sessions[0].said_goodbye);
}

/// Set in a namespace of the test's own.
const OWN_NETWORK: &str = "PARALLAX_TEST_OWN_NETWORK";

/// Runs one of this file's ignored tests in a new user and network namespace.
pub fn in_own_network(test: &str) {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(OWN_NETWORK, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}{errors}");
    assert!(printed.contains("1 passed"), "{printed}{errors}");
}

pub fn loopback_up() {
    assert!(std::env::var_os(OWN_NETWORK).is_some(), "not in its own");
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()
        .unwrap();
    assert!(up.success());
}

#[test]
fn a_live_run_ships_a_reset_covers_silence_and_ends_on_a_signal() {
    in_own_network("program::live_run");
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn live_run() {
    loopback_up();
    let collector = TestCollector::new(Plan {
        commit_each: 1,
        ..Plan::default()
    });
    let running = collector.listen(None);
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let mut child = Command::new(AGENT)
        .args(["run", "--vantage=lo", "--host=127.0.0.1", "--interface=lo"])
        .args(["--filter", &format!("port {port}")])
        .args(["--collector", &running.url()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut ready = String::new();
    stderr.read_line(&mut ready).unwrap();
    assert_eq!(ready, "capturing on lo (Ethernet) as vantage \"lo\"\n");
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    wait_until(|| {
        collector
            .shelf()
            .stored
            .iter()
            .any(parallax_core::Digest::is_rst)
    });
    wait_until(|| collector.shelf().beats.len() >= 4);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    let mut log = String::new();
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(status.code(), Some(0), "{log}");

    let shelf = collector.shelf();
    assert_eq!(shelf.violations, Vec::<String>::new());
    assert!(shelf.sessions[0].said_goodbye);
    let beats: Vec<_> = shelf.beats.values().collect();
    assert!(
        beats
            .windows(2)
            .all(|pair| pair[0].until + 1 == pair[1].from)
    );
    let reset = shelf.stored.iter().find(|digest| digest.is_rst()).unwrap();
    let time = reset.time.nanos();
    assert!(beats[0].from <= time && time <= beats[beats.len() - 1].until);
}

#[test]
fn several_threads_ship_the_digests_that_one_ships_and_cover_as_much() {
    in_own_network("program::threads_beside_one");
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn threads_beside_one() {
    loopback_up();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for segments in ["all", "context"] {
        let kinds = [1, 4].map(|threads| Watching::start(threads, segments, port));
        for number in 0..150 {
            connection(&listener, number);
        }
        let [one, several] = kinds.map(Watching::end);
        assert_eq!(one.1, several.1, "{segments}: packets received");
        assert!(one.0.len() >= 150 * 5, "{segments}: {}", one.0.len());
        assert_eq!(one.0, several.0, "{segments}");
    }
}

/// A connection with some data both ways; every third is thrown away by the client, with a RST.
fn connection(listener: &TcpListener, number: usize) {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut heard = [0; 64];
    for _ in 0..=number % 5 {
        client.write_all(&[7; 64]).unwrap();
        server.read_exact(&mut heard).unwrap();
        server.write_all(&heard).unwrap();
        client.read_exact(&mut heard).unwrap();
    }
    if number.is_multiple_of(3) {
        // Unread data makes the close an abort.
        server.write_all(&heard).unwrap();
        client.peek(&mut heard).unwrap();
        drop(client);
        server.read_exact(&mut heard).unwrap_err();
    }
}

/// An agent before a collector of its own.
struct Watching {
    collector: TestCollector,
    _running: crate::ingest::Running,
    agent: std::process::Child,
}

impl Watching {
    fn start(threads: u32, segments: &str, port: u16) -> Self {
        let collector = TestCollector::new(Plan::default());
        let running = collector.listen(None);
        let agent = Command::new(AGENT)
            .args(["run", "--vantage=lo", "--interface=lo", "--witness=off"])
            .args(["--filter", &format!("port {port}")])
            .args(["--threads", &threads.to_string(), "--segments", segments])
            .args(["--collector", &running.url()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until(|| !collector.shelf().beats.is_empty());
        Self {
            collector,
            _running: running,
            agent,
        }
    }

    /// The digests without their times and order, and how many packets it counted. Its coverage has no gap and
    /// no loss, and no digest lies outside.
    fn end(mut self) -> (Vec<String>, u64) {
        let beats = || self.collector.shelf().beats.len();
        // What was captured last lies within coverage then.
        let before = beats();
        wait_until(|| beats() > before + 2);
        kill(Pid::from_raw(self.agent.id() as i32), Signal::SIGTERM).unwrap();
        assert_eq!(self.agent.wait().unwrap().code(), Some(0));
        let held = self.collector.shelf();
        assert_eq!(held.violations, Vec::<String>::new());
        let beats: Vec<_> = held.beats.values().collect();
        let joined = |pair: &[&Beat]| pair[0].until + 1 == pair[1].from;
        assert!(beats.windows(2).all(joined), "{beats:?}");
        assert!(beats.iter().all(|beat| beat.dropped == 0), "{beats:?}");
        let covered = beats[0].from..=beats[beats.len() - 1].until;
        let digests = held.stored.iter().map(|digest| {
            assert!(covered.contains(&digest.time.nanos()));
            let timeless = Digest {
                time: CaptureTime::default(),
                ..*digest
            };
            format!("{timeless:?}")
        });
        let mut digests: Vec<String> = digests.collect();
        digests.sort();
        (digests, beats.iter().map(|beat| beat.received).sum())
    }
}

/// Looks every few milliseconds, for some twenty seconds.
#[track_caller]
pub fn wait_until(mut reached: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if reached() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited for 20 s");
}

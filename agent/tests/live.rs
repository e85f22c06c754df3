//! Live capture on real interfaces: each test runs itself again in a network namespace of its own,
//! which needs no right but that to make user namespaces.

#[path = "live/tunnels.rs"]
mod tunnels;

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use parallax_agent::capture::file::read_digests;
use parallax_agent::capture::live::{LiveCapture, LiveError, LiveOptions, Polled};
use parallax_core::Digest;
use parallax_core::decode::{Unread, UnreadCounts, decode};
use parallax_core::digest::Direction;

/// Set in a namespace of the test's own: nothing here may change the machine's interfaces.
const OWN_NETWORK: &str = "PARALLAX_TEST_OWN_NETWORK";

/// Runs one of this file's ignored tests in a new user and network namespace.
fn in_own_network(test: &str, through: &[&str]) {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .args(through)
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

fn ip(arguments: &str) {
    assert!(
        std::env::var_os(OWN_NETWORK).is_some(),
        "not in a namespace of its own"
    );
    let status = Command::new("ip")
        .args(arguments.split(' '))
        .status()
        .unwrap();
    assert!(status.success(), "ip {arguments}");
}

fn options(interfaces: &[&str]) -> LiveOptions {
    LiveOptions::new(interfaces.iter().map(ToString::to_string).collect())
}

#[derive(Default)]
struct Seen {
    digests: Vec<Digest>,
    unread: UnreadCounts,
}

/// Polls until `enough` packets came, or nothing for two seconds.
fn watch(capture: &mut LiveCapture, enough: usize) -> Seen {
    let mut seen = Seen::default();
    let mut packets = 0;
    while packets < enough {
        let polled = capture
            .poll(
                Duration::from_secs(2),
                &mut |packet| match decode(&packet) {
                    Ok(digest) => seen.digests.push(digest),
                    Err(reason) => seen.unread.add(reason),
                },
            )
            .unwrap();
        match polled {
            Polled::Packets(more) => packets += more,
            Polled::Idle => break,
            Polled::Stopped => panic!("nobody stopped it"),
        }
    }
    seen
}

/// A refused connection over loopback: SYN and RST, each going out and coming in.
fn refused_connection() -> u16 {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();
    port
}

fn frame(tags: &[u16], ether_type: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1]);
    for tag in tags {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(packet);
    frame.resize(frame.len().max(60), 0);
    frame
}

fn v4(protocol: u8, seq: u8, port: u8) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 40, 0, 1, 0, 0, 64, protocol, 0, 0];
    packet.extend([192, 0, 2, 1, 192, 0, 2, 2, 0x9c, 0x40, 0, port]);
    packet.extend([0, 0, 0, seq, 0, 0, 0, 0, 0x50, 0x04, 0, 0, 0, 0, 0, 0]);
    packet
}

/// TCP behind a hop-by-hop header.
fn v6_with_options(seq: u8) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 28, 0, 64];
    packet.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet.extend([6, 0, 1, 4, 0, 0, 0, 0]);
    packet.extend(&v4(6, seq, 80)[20..]);
    packet
}

/// Two ends of a wire, and a way to put frames on it at the far end.
fn wire() -> pcap::Capture<pcap::Active> {
    ip("link add near type veth peer name far");
    for end in ["near", "far"] {
        // No packets of the kernel's own.
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1").unwrap();
        ip(&format!("link set {end} up"));
    }
    pcap::Capture::from_device("far").unwrap().open().unwrap()
}

fn seqs(digests: &[Digest]) -> Vec<u32> {
    digests.iter().map(|digest| digest.seq.0).collect()
}

#[test]
fn several_interfaces_are_read_in_one_thread() {
    in_own_network("several_interfaces", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn several_interfaces() {
    let mut far = wire();
    let (mut capture, _stop) = LiveCapture::open(&options(&["far", "near"])).unwrap();
    far.sendpacket(frame(&[], 0x0800, &v4(6, 1, 80))).unwrap();
    let seen = watch(&mut capture, 2);
    let mut interfaces: Vec<u8> = seen.digests.iter().map(|d| d.link.interface).collect();
    interfaces.sort_unstable();
    assert_eq!(interfaces, [0, 1]);
    assert_eq!(seqs(&seen.digests), [1, 1]);
    assert_ne!(seen.digests[0].time.nanos() % 1_000_000_000, 0);
    let counters = capture.counters().unwrap();
    assert_eq!((counters.received, counters.dropped), (2, 0));
    assert_eq!(capture.counters().unwrap().received, 0, "deltas, not sums");
}

#[test]
fn tagged_frames_and_extension_headers_come_through_the_filter() {
    in_own_network("tags_and_extensions", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn tags_and_extensions() {
    let mut far = wire();
    let (mut capture, _stop) = LiveCapture::open(&options(&["near"])).unwrap();
    for (tags, ether_type, packet) in [
        (&[][..], 0x0800, v4(6, 1, 80)),
        (&[], 0x0800, v4(17, 9, 80)),
        (&[5], 0x0800, v4(6, 2, 80)),
        (&[5], 0x0800, v4(17, 9, 80)),
        (&[5, 6], 0x0800, v4(6, 3, 80)),
        (&[], 0x86dd, v6_with_options(4)),
        (&[5], 0x86dd, v6_with_options(5)),
    ] {
        far.sendpacket(frame(tags, ether_type, &packet)).unwrap();
    }
    let seen = watch(&mut capture, 5);
    assert_eq!(seqs(&seen.digests), [1, 2, 3, 4, 5]);
    assert_eq!(seen.digests[1].link.vlans, [Some(5), None]);
    assert_eq!(seen.digests[2].link.vlans, [Some(5), Some(6)]);
    assert_eq!(seen.unread.total(), 0, "UDP stays in the kernel");
}

#[test]
fn the_users_filter_holds_for_tagged_frames_too() {
    in_own_network("own_filter", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn own_filter() {
    let mut far = wire();
    let mut options = options(&["near"]);
    options.filter = Some("port 80 or port 81".to_owned());
    let (mut capture, _stop) = LiveCapture::open(&options).unwrap();
    for (tags, seq, port) in [(&[][..], 1, 80), (&[], 9, 82), (&[5], 2, 81), (&[5], 9, 82)] {
        far.sendpacket(frame(tags, 0x0800, &v4(6, seq, port)))
            .unwrap();
    }
    assert_eq!(seqs(&watch(&mut capture, 3).digests), [1, 2]);
}

#[test]
fn the_device_any_tells_the_direction() {
    in_own_network("any_direction", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn any_direction() {
    ip("link set lo up");
    let (mut capture, _stop) = LiveCapture::open(&options(&["any"])).unwrap();
    let port = refused_connection();
    let seen = watch(&mut capture, 4);
    let resets: Vec<&Digest> = seen.digests.iter().filter(|d| d.is_rst()).collect();
    assert!(resets.iter().all(|reset| reset.tuple.src.port == port));
    let directions: Vec<Direction> = resets.iter().map(|d| d.link.direction).collect();
    assert!(directions.contains(&Direction::In), "{directions:?}");
    assert_eq!(seen.unread.get(Unread::NotIp), 0);
}

#[test]
fn the_last_packets_come_with_the_end_and_also_into_the_packet_file() {
    in_own_network("last_packets", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn last_packets() {
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packets.pcap");
    let mut options = options(&["lo"]);
    options.write = Some(path.clone());
    let (mut capture, stop) = LiveCapture::open(&options).unwrap();
    let mut header = [0; 4];
    let mut file = std::fs::File::open(&path).unwrap();
    file.read_exact(&mut header).unwrap();
    assert_eq!(header, 0xa1b2_3c4d_u32.to_ne_bytes(), "nanoseconds");
    refused_connection();
    stop.stop();
    let mut live = Vec::new();
    let mut take = |packet: parallax_core::decode::RawPacket<'_>| {
        live.push(decode(&packet).unwrap());
    };
    while capture.poll(Duration::from_secs(2), &mut take).unwrap() != Polled::Stopped {}
    let counters = capture.finish(&mut take).unwrap();
    assert_eq!(live.len(), 2, "{live:?}");
    assert!(live[1].is_rst());
    // Loopback counts each packet twice.
    assert!(counters.received >= 2);
    let mut written = Vec::new();
    read_digests(&path, &mut |digest| written.push(digest)).unwrap();
    assert_eq!(written, live);
}

#[test]
fn a_stop_ends_a_wait_at_once() {
    in_own_network("stop_at_once", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
#[expect(
    clippy::disallowed_methods,
    reason = "the test measures how long the wait took"
)]
fn stop_at_once() {
    ip("link set lo up");
    let (mut capture, stop) = LiveCapture::open(&options(&["lo"])).unwrap();
    let begun = std::time::Instant::now();
    let stopper = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        stop.stop();
    });
    let polled = capture.poll(Duration::from_secs(30), &mut |_| {}).unwrap();
    assert_eq!(polled, Polled::Stopped);
    assert!(begun.elapsed() < Duration::from_secs(5));
    stopper.join().unwrap();
}

#[test]
fn an_interface_that_goes_away_ends_the_capture_with_its_name() {
    in_own_network("interface_gone", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn interface_gone() {
    drop(wire());
    let (mut capture, _stop) = LiveCapture::open(&options(&["near"])).unwrap();
    ip("link del near");
    let error = loop {
        match capture.poll(Duration::from_secs(2), &mut |_| {}) {
            Ok(Polled::Idle) => panic!("it did not notice"),
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.starts_with("interface near is gone: "), "{error}");
}

/// Both directions of a connection, of either address family, each segment with its own number.
fn conversation(port: u8) -> [Vec<u8>; 4] {
    let forth = v4(6, port, port);
    let mut back = forth.clone();
    back[12..20].copy_from_slice(&[192, 0, 2, 2, 192, 0, 2, 1]);
    back[20..24].copy_from_slice(&[0, port, 0x9c, 0x40]);
    let mut forth6 = v6_with_options(port);
    forth6[48 + 3] = port;
    let mut back6 = forth6.clone();
    back6[8..24].copy_from_slice(&forth6[24..40]);
    back6[24..40].copy_from_slice(&forth6[8..24]);
    back6[48..52].copy_from_slice(&[0, port, 0x9c, 0x40]);
    [forth, back, forth6, back6]
}

#[test]
fn threads_share_packets_once_each_and_connections_whole() {
    in_own_network("shared_by_threads", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn shared_by_threads() {
    let mut far = wire();
    let (mut captures, _stop) = LiveCapture::open_several(&options(&["near"]), 3).unwrap();
    for port in 1..=100 {
        for packet in conversation(port) {
            let ether_type = if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
            far.sendpacket(frame(&[], ether_type, &packet)).unwrap();
        }
    }
    let seen: Vec<Vec<Digest>> = captures
        .iter_mut()
        .map(|capture| watch(capture, usize::MAX).digests)
        .collect();
    let counts: Vec<usize> = seen.iter().map(Vec::len).collect();
    assert_eq!(counts.iter().sum::<usize>(), 400, "{counts:?}");
    assert!(counts.iter().all(|count| *count > 40), "{counts:?}");
    for digest in seen.iter().flatten() {
        let of_its_flow = |seen: &Vec<Digest>| {
            let flow = digest.tuple.flow();
            seen.iter()
                .filter(|other| other.tuple.flow() == flow)
                .count()
        };
        let held: Vec<usize> = seen.iter().map(of_its_flow).filter(|n| *n > 0).collect();
        assert_eq!(held, [2], "{digest:?}");
    }
    let received = |capture: &mut LiveCapture| capture.counters().unwrap().received;
    let received: u64 = captures.iter_mut().map(received).sum();
    assert_eq!(received, 400);
}

#[test]
fn threads_of_two_agents_on_one_interface_and_on_all_do_not_mix() {
    in_own_network("groups_apart", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn groups_apart() {
    let mut far = wire();
    let (one, _stop) = LiveCapture::open_several(&options(&["near", "any"]), 2).unwrap();
    let (other, _stop) = LiveCapture::open_several(&options(&["near"]), 2).unwrap();
    for port in 1..=20 {
        far.sendpacket(frame(&[], 0x0800, &v4(6, port, port)))
            .unwrap();
    }
    let count = |captures: Vec<LiveCapture>| -> Vec<Digest> {
        let seen = captures
            .into_iter()
            .map(|mut capture| watch(&mut capture, usize::MAX));
        seen.flat_map(|seen| seen.digests).collect()
    };
    let both = count(one);
    let near = both.iter().filter(|digest| digest.link.interface == 0);
    assert_eq!(near.count(), 20);
    // The device `any` sees the far end too.
    assert_eq!(both.len(), 20 + 40);
    assert_eq!(count(other).len(), 20);
}

fn refused(options: &LiveOptions) -> String {
    let error: LiveError = LiveCapture::open(options).err().unwrap();
    let message = error.to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[test]
fn what_cannot_be_captured_says_what_to_do() {
    in_own_network("refusals", &[]);
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn refusals() {
    let error = refused(&options(&["eth77"]));
    assert_eq!(error, "interface eth77 does not exist: choose from lo");
    let error = refused(&options(&["lo"]));
    assert_eq!(error, "interface lo is down: ip link set lo up");
    ip("link set lo up");
    let mut bad = options(&["lo"]);
    bad.filter = Some("port banana".to_owned());
    let error = refused(&bad);
    assert!(
        error.starts_with("filter \"port banana\" is not understood: "),
        "{error}"
    );
    let mut several = options(&["lo", "any"]);
    several.write = Some("x.pcap".into());
    assert!(refused(&several).contains("--write takes the packets of one interface"));
    let mut nowhere = options(&["lo"]);
    nowhere.write = Some("/nowhere/x.pcap".into());
    assert!(refused(&nowhere).starts_with("cannot write packets to /nowhere/x.pcap: "));
    assert!(refused(&options(&[])).contains("--interface"));
    let mut shared = options(&["lo"]);
    shared.write = Some("x.pcap".into());
    let error = LiveCapture::open_several(&shared, 2).err().unwrap();
    assert!(
        error.to_string().contains("leave --threads away"),
        "{error}"
    );
}

#[test]
fn without_the_right_to_capture_it_says_how_to_get_it() {
    in_own_network("no_right", &["setpriv", "--bounding-set=-net_raw"]);
}

#[test]
#[ignore = "runs in a network namespace of its own, without CAP_NET_RAW"]
fn no_right() {
    let error = refused(&options(&["lo"]));
    let program = std::env::current_exe().unwrap();
    let expected = format!(
        "no right to capture on lo: run as root, or once: setcap cap_net_raw+ep {}",
        program.display()
    );
    assert_eq!(error, expected);
}

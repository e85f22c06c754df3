//! A connection as four vantages saw it: a firewall between fw-in and fw-out answers a request with
//! a reset to the client, and keeps the request.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::capture::{ACK, FIN, PSH, RST, SYN, Segment, pcap};

const CLIENT: &str = "192.0.2.7:46420";
const SERVER: &str = "198.51.100.2:8080";

/// The folder with the captures `client`, `fw-in`, `fw-out` and `server` (`.pcap`).
pub struct Story {
    folder: TempDir,
}

/// Who sent a packet, and the first and the last vantage that saw it.
struct Packet {
    micros: u32,
    from_client: bool,
    flags: u8,
    seq: u32,
    ack: u32,
    len: usize,
    at: std::ops::RangeInclusive<usize>,
}

pub const VANTAGES: [&str; 4] = ["client", "fw-in", "fw-out", "server"];

fn packet(micros: u32, from_client: bool, flags: u8, seq: u32, ack: u32, len: usize) -> Packet {
    Packet {
        micros,
        from_client,
        flags,
        seq,
        ack,
        len,
        at: 0..=3,
    }
}

impl Story {
    /// With the forged reset.
    pub fn injected() -> Self {
        Self::write(&forged())
    }

    /// Without any reset.
    pub fn peaceful() -> Self {
        let mut packets = opening(CLIENT);
        packets.push(packet(40_000, true, FIN | ACK, 1001, 5001, 0));
        Self::write(&packets)
    }

    fn write(packets: &[Packet]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let story = Self { folder };
        for (index, name) in VANTAGES.iter().enumerate() {
            fs::write(story.file(name), pcap(&seen(packets, index))).unwrap();
        }
        story
    }

    pub fn file(&self, vantage: &str) -> PathBuf {
        self.folder.path().join(format!("{vantage}.pcap"))
    }

    pub fn input(&self, vantage: &str) -> String {
        format!("{vantage}={}", self.file(vantage).display())
    }

    pub fn inputs(&self) -> Vec<String> {
        VANTAGES.iter().map(|name| self.input(name)).collect()
    }

    /// A further file in the folder.
    pub fn add(&self, vantage: &str, octets: &[u8]) -> String {
        fs::write(self.file(vantage), octets).unwrap();
        self.input(vantage)
    }
}

/// What a vantage saw of the story with the forged reset.
pub fn seen_of_injected(vantage: usize) -> Vec<Segment> {
    seen(&forged(), vantage)
}

fn seen(packets: &[Packet], vantage: usize) -> Vec<Segment> {
    let mut seen: Vec<Segment> = packets
        .iter()
        .filter(|packet| packet.at.contains(&vantage))
        .map(|packet| segment(packet, vantage, CLIENT))
        .collect();
    // Another connection, before and after: every vantage was awake all the time.
    let other = "192.0.2.7:46500";
    for packet in opening(other).into_iter().chain(later()) {
        seen.push(segment(&packet, vantage, other));
    }
    seen.sort_by_key(|segment| segment.micros);
    seen
}

fn forged() -> Vec<Packet> {
    let mut packets = opening(CLIENT);
    packets.push(Packet {
        at: 0..=1,
        ..packet(40_000, true, PSH | ACK, 1001, 5001, 200)
    });
    packets.push(Packet {
        at: 0..=1,
        ..packet(41_000, false, RST, 5001, 0, 0)
    });
    packets
}

fn opening(client: &str) -> Vec<Packet> {
    let offset = if client == CLIENT { 0 } else { 500 };
    vec![
        packet(10_000 + offset, true, SYN, 1000, 0, 0),
        packet(12_000 + offset, false, SYN | ACK, 5000, 1001, 0),
        packet(14_000 + offset, true, ACK, 1001, 5001, 0),
    ]
}

fn later() -> Vec<Packet> {
    vec![
        packet(900_000, true, PSH | ACK, 1001, 5001, 50),
        packet(2_900_000, false, ACK, 5001, 1051, 0),
    ]
}

fn segment(packet: &Packet, vantage: usize, client: &str) -> Segment {
    let (client, server) = (client.parse().unwrap(), SERVER.parse().unwrap());
    let hops = u8::try_from(if packet.from_client {
        vantage
    } else {
        3 - vantage
    })
    .unwrap();
    let (src, dst) = if packet.from_client {
        (client, server)
    } else {
        (server, client)
    };
    Segment {
        micros: packet.micros + 100 * u32::from(hops),
        src,
        dst,
        flags: packet.flags,
        seq: packet.seq,
        ack: packet.ack,
        ttl: 64 - hops,
        payload: vec![b'x'; packet.len],
    }
}

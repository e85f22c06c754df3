//! Capture files made by hand: pcap, Ethernet, IPv4 or IPv6, TCP.

use std::net::{IpAddr, SocketAddr};

/// One packet of a connection, in sequence numbers relative to zero.
#[derive(Clone)]
pub struct Segment {
    pub micros: u32,
    pub src: SocketAddr,
    pub dst: SocketAddr,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub ttl: u8,
    pub payload: Vec<u8>,
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;
pub const PSH: u8 = 8;

/// Seconds of the first packet: 2026-01-02T03:04:05Z.
pub const EPOCH: u32 = 1_767_323_045;

/// A pcap file of these segments, microseconds, little endian.
pub fn pcap(segments: &[Segment]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for segment in segments {
        let frame = frame(segment);
        let len = u32::try_from(frame.len()).unwrap();
        let seconds = EPOCH + segment.micros / 1_000_000;
        for word in [seconds, segment.micros % 1_000_000, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

fn frame(segment: &Segment) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(if segment.src.is_ipv4() {
        [0x08, 0x00]
    } else {
        [0x86, 0xdd]
    });
    frame.extend(packet(segment));
    frame
}

/// From the IP header on.
pub fn packet(segment: &Segment) -> Vec<u8> {
    let tcp = tcp(segment);
    let len = u16::try_from(tcp.len()).unwrap();
    let mut packet = Vec::new();
    match (segment.src.ip(), segment.dst.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            packet.extend([0x45, 0]);
            packet.extend((20 + len).to_be_bytes());
            packet.extend([0, 0, 0x40, 0, segment.ttl, 6, 0, 0]);
            packet.extend(src.octets());
            packet.extend(dst.octets());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(len.to_be_bytes());
            packet.extend([6, segment.ttl]);
            packet.extend(src.octets());
            packet.extend(dst.octets());
        }
        _ => panic!("one packet, one family"),
    }
    packet.extend(tcp);
    packet
}

fn tcp(segment: &Segment) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(segment.src.port().to_be_bytes());
    tcp.extend(segment.dst.port().to_be_bytes());
    tcp.extend(segment.seq.to_be_bytes());
    tcp.extend(segment.ack.to_be_bytes());
    tcp.extend([0x50, segment.flags]);
    let window: u16 = if segment.flags & RST == 0 { 64_240 } else { 0 };
    tcp.extend(window.to_be_bytes());
    tcp.extend([0, 0, 0, 0]);
    tcp.extend(&segment.payload);
    tcp
}

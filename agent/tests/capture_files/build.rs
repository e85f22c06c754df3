//! Capture files put together octet by octet.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magic {
    LittleMicro,
    LittleNano,
    BigMicro,
    BigNano,
}

impl Magic {
    pub const ALL: [Self; 4] = [
        Self::LittleMicro,
        Self::LittleNano,
        Self::BigMicro,
        Self::BigNano,
    ];

    pub fn is_nano(self) -> bool {
        matches!(self, Self::LittleNano | Self::BigNano)
    }

    pub fn is_big(self) -> bool {
        matches!(self, Self::BigMicro | Self::BigNano)
    }
}

#[derive(Debug, Clone)]
pub struct Packet {
    pub seconds: u32,
    /// Microseconds or nanoseconds, as the magic number says.
    pub fraction: u32,
    pub data: Vec<u8>,
}

/// An Ethernet frame with an ACK of this sequence number.
pub fn frame(seq: u32) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend(packet(seq));
    frame
}

/// The same from the IP header on.
pub fn packet(seq: u32) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0];
    packet.extend([192, 0, 2, 1, 198, 51, 100, 2, 0x9c, 0x40, 0, 80]);
    packet.extend(seq.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    packet
}

/// A packet a second, with rising sequence numbers from 0.
pub fn records(count: u32) -> Vec<Packet> {
    (0..count)
        .map(|seq| Packet {
            seconds: 1_767_323_045 + seq,
            fraction: 123,
            data: frame(seq),
        })
        .collect()
}

pub fn pcap(magic: Magic, link: u32, packets: &[Packet]) -> Vec<u8> {
    let long = |value: u32| number(magic.is_big(), value);
    let mut file = Vec::new();
    file.extend(long(if magic.is_nano() {
        0xa1b2_3c4d
    } else {
        0xa1b2_c3d4
    }));
    file.extend(if magic.is_big() {
        [0, 2, 0, 4]
    } else {
        [2, 0, 4, 0]
    });
    for field in [0, 0, 262_144, link] {
        file.extend(long(field));
    }
    for packet in packets {
        let len = packet.data.len() as u32;
        for field in [packet.seconds, packet.fraction, len, len.max(54)] {
            file.extend(long(field));
        }
        file.extend(&packet.data);
    }
    file
}

pub fn number(big: bool, value: u32) -> [u8; 4] {
    if big {
        value.to_be_bytes()
    } else {
        value.to_le_bytes()
    }
}

pub fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

//! Cutting capture files: by time, and with records left out.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};
use etherparse::TcpHeader;
use pcap::{Capture, Packet, Precision};

use crate::segment::Segment;

/// Copies the records of a capture file for which `keep` says so; returns how many it kept.
pub fn copy(from: &Path, to: &Path, mut keep: impl FnMut(&Record) -> bool) -> Result<usize> {
    let mut source = Capture::from_file_with_precision(from, Precision::Nano)
        .with_context(|| format!("opening {}", from.display()))?;
    let mut target = source
        .savefile(to)
        .with_context(|| format!("writing {}", to.display()))?;
    let (mut kept, mut number) = (0, 0);
    loop {
        match source.next_packet() {
            Ok(packet) => {
                if keep(&Record::of(number, &packet)) {
                    target.write(&packet);
                    kept += 1;
                }
                number += 1;
            }
            Err(pcap::Error::NoMorePackets) => break,
            Err(error) => return Err(error).with_context(|| format!("reading {}", from.display())),
        }
    }
    target.flush().context("writing a capture")?;
    Ok(kept)
}

/// Writes a capture of one made-up segment.
pub fn made_up(file: &Path) -> Result<()> {
    let segment = Segment {
        source_mac: [2; 6],
        destination_mac: [4; 6],
        source: IpAddr::from([192, 0, 2, 1]),
        destination: IpAddr::from([198, 51, 100, 1]),
        ttl: 64,
        ip_id: 1,
        tcp: TcpHeader::new(40_000, 80, 1, 1024),
        payload_length: 0,
    };
    let frame = segment.frame()?;
    let length = frame.len() as u32;
    let mut octets = Vec::new();
    // The file's header: magic, version 2.4, zone, accuracy, snapshot length, Ethernet.
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1] {
        octets.extend_from_slice(&u32::to_le_bytes(word));
    }
    // The record's: seconds, microseconds, length kept, length on the wire.
    for word in [1_767_323_045, 0, length, length] {
        octets.extend_from_slice(&u32::to_le_bytes(word));
    }
    octets.extend_from_slice(&frame);
    std::fs::write(file, octets).with_context(|| format!("writing {}", file.display()))
}

/// What a cut may depend on.
#[derive(Debug)]
pub struct Record {
    /// Counted from 0.
    pub number: usize,
    /// Nanoseconds since the Unix epoch.
    pub time: i64,
    pub segment: Option<Segment>,
}

impl Record {
    fn of(number: usize, packet: &Packet) -> Self {
        let stamp = packet.header.ts;
        Self {
            number,
            // With nanosecond precision asked for, `tv_usec` holds nanoseconds.
            time: stamp.tv_sec * 1_000_000_000 + stamp.tv_usec,
            segment: Segment::read(packet.data),
        }
    }

    pub fn is_reset(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.tcp.rst)
    }

    /// Whether it is of a connection to this server port.
    pub fn is_at(&self, port: u16) -> bool {
        self.segment.as_ref().is_some_and(|segment| {
            segment.tcp.source_port == port || segment.tcp.destination_port == port
        })
    }
}

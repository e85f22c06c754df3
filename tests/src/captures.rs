//! Cutting capture files: by time, and with records left out.

use std::path::Path;

use anyhow::{Context, Result};
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

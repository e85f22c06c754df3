//! A network's truth held against the packets of its captures, without any judge.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use pcap::Capture;

use super::truth::Truth;
use crate::segment::Segment;

/// What tells resets apart in one capture: source, destination, flags.
type Key = (SocketAddr, SocketAddr, &'static str);

/// Every way in which the resets in the captures of a folder differ from those of the truth: each
/// must be at every vantage that it passed, as often as it was sent, and nothing else anywhere.
pub fn differences(truth: &Truth, folder: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for vantage in &truth.vantages {
        let should = expected(truth, &vantage.name);
        let is = resets(&folder.join(format!("{}.pcap", vantage.name)))?;
        if is != should {
            wrong.push(format!(
                "{} captured the resets {is:?}, should be {should:?}",
                vantage.name
            ));
        }
    }
    Ok(wrong)
}

fn expected(truth: &Truth, vantage: &str) -> BTreeMap<Key, u32> {
    let mut expected = BTreeMap::new();
    for reset in &truth.resets {
        if !truth.seen_at(reset).contains(&vantage) {
            continue;
        }
        if let Some((source, destination)) = truth.sockets_at(reset, vantage) {
            let flags = if reset.flags == "R" { "R" } else { "RA" };
            *expected.entry((source, destination, flags)).or_default() += reset.count;
        }
    }
    expected
}

fn resets(file: &Path) -> Result<BTreeMap<Key, u32>> {
    let mut capture =
        Capture::from_file(file).with_context(|| format!("opening {}", file.display()))?;
    let mut found = BTreeMap::new();
    loop {
        let packet = match capture.next_packet() {
            Ok(packet) => packet,
            Err(pcap::Error::NoMorePackets) => return Ok(found),
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        };
        let segment = Segment::read(packet.data).or_else(|| Segment::read(inside(packet.data)?));
        let Some(segment) = segment.filter(|segment| segment.tcp.rst) else {
            continue;
        };
        let flags = if segment.tcp.ack { "RA" } else { "R" };
        let key = (segment.source_socket(), segment.destination_socket(), flags);
        *found.entry(key).or_default() += 1;
    }
}

/// The frame that a VXLAN packet over IPv4 without options carries (RFC 7348).
fn inside(frame: &[u8]) -> Option<&[u8]> {
    const DESTINATION_PORT: std::ops::Range<usize> = 36..38;
    const HEADERS: usize = 14 + 20 + 8 + 8;
    let port = frame.get(DESTINATION_PORT)?;
    (port == 4789_u16.to_be_bytes()).then(|| frame.get(HEADERS..))?
}

//! A hop that adds a constant to the sequence numbers of each connection and direction, as some
//! firewalls do to hide how an operating system chooses its initial ones.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use etherparse::{Ipv4HeaderSlice, TcpHeaderSlice};
use nfq::{Queue, Verdict};

use super::standing::Standing;
use crate::firewall::Rule;

/// A connection as its SYN named it: client and server.
type Sockets = (SocketAddrV4, SocketAddrV4);

/// What is added to the numbers of each end's octets on their way to the other.
#[derive(Debug, Clone, Copy)]
struct Offsets {
    client: u32,
    server: u32,
}

/// The offsets of all connections whose SYN passed.
#[derive(Debug, Default)]
struct Table {
    connections: HashMap<Sockets, Offsets>,
    random: RandomState,
}

impl Table {
    /// What to add to a segment's sequence number, and what to take from its acknowledgements.
    fn offsets(&mut self, way: Sockets, is_first_syn: bool) -> Option<(u32, u32)> {
        if is_first_syn {
            let offsets = self.connections.entry(way).or_insert_with(|| {
                let drawn = self.random.hash_one(way);
                Offsets {
                    client: drawn as u32,
                    server: (drawn >> 32) as u32,
                }
            });
            return Some((offsets.client, offsets.server));
        }
        if let Some(offsets) = self.connections.get(&way) {
            return Some((offsets.client, offsets.server));
        }
        let offsets = self.connections.get(&(way.1, way.0))?;
        Some((offsets.server, offsets.client))
    }

    /// Rewrites one IPv4 packet in place. What is no TCP segment of a known connection stays as it
    /// is.
    fn rewrite(&mut self, packet: &mut [u8]) -> Option<()> {
        let ip = Ipv4HeaderSlice::from_slice(packet).ok()?;
        let (source, destination) = (ip.source_addr(), ip.destination_addr());
        let start = ip.slice().len();
        let segment = packet.get(start..usize::from(ip.total_len()))?;
        let tcp = TcpHeaderSlice::from_slice(segment).ok()?;
        let way = (
            SocketAddrV4::new(source, tcp.source_port()),
            SocketAddrV4::new(destination, tcp.destination_port()),
        );
        let (add, take) = self.offsets(way, tcp.syn() && !tcp.ack())?;
        let (has_ack, end) = (tcp.ack(), start + usize::from(ip.total_len()) - start);
        let segment = &mut packet[start..end];
        change(segment, SEQUENCE_AT, |number| number.wrapping_add(add));
        if has_ack {
            change(segment, ACKNOWLEDGEMENT_AT, |number| {
                number.wrapping_sub(take)
            });
        }
        for at in sack_edges(segment) {
            change(segment, at, |number| number.wrapping_sub(take));
        }
        let sum = checksum(source, destination, segment);
        segment[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&sum.to_be_bytes());
        Some(())
    }
}

const SEQUENCE_AT: usize = 4;
const ACKNOWLEDGEMENT_AT: usize = 8;
const DATA_OFFSET_AT: usize = 12;
const CHECKSUM_AT: usize = 16;
const OPTIONS_AT: usize = 20;

fn change(segment: &mut [u8], at: usize, how: impl FnOnce(u32) -> u32) {
    if let Some(octets) = segment.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *octets = how(u32::from_be_bytes(*octets)).to_be_bytes();
    }
}

/// Where in a segment the edges of its SACK blocks are (RFC 2018).
fn sack_edges(segment: &[u8]) -> Vec<usize> {
    const SACK: u8 = 5;
    let end = segment
        .get(DATA_OFFSET_AT)
        .map_or(0, |octet| usize::from(octet >> 4) * 4)
        .min(segment.len());
    let mut edges = Vec::new();
    let mut at = OPTIONS_AT;
    while at < end {
        let length = match segment[at] {
            0 => break,
            1 => 1,
            _ => segment.get(at + 1).map_or(0, |length| usize::from(*length)),
        };
        if length == 0 || at + length > end {
            break;
        }
        if segment[at] == SACK {
            edges.extend((at + 2..at + length).step_by(4));
        }
        at += length;
    }
    edges
}

/// The TCP checksum (RFC 9293, 3.1).
fn checksum(source: Ipv4Addr, destination: Ipv4Addr, segment: &[u8]) -> u16 {
    const TCP: u32 = 6;
    let words = |octets: &[u8]| -> u32 {
        octets
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
            .sum()
    };
    let own = u32::from_be_bytes([0, 0, segment[CHECKSUM_AT], segment[CHECKSUM_AT + 1]]);
    let mut sum = words(&source.octets())
        + words(&destination.octets())
        + TCP
        + segment.len() as u32
        + words(segment)
        - own;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A randomiser at work on everything that a machine forwards.
#[derive(Debug)]
pub struct Randomiser<'net> {
    rule: Rule<'net>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl<'net> Randomiser<'net> {
    /// Starts on connections that open from now on.
    pub fn start(net: &'net Standing, machine: &str) -> Result<Self> {
        let mut queue = net.machine(machine)?.within(|| {
            let mut queue = Queue::open()?;
            queue.bind(0)?;
            Ok(queue)
        })?;
        queue.set_nonblocking(true);
        let rule = net.rule(machine, "FORWARD -p tcp -j NFQUEUE --queue-num 0")?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || work(&mut queue, &told));
        Ok(Self { rule, stop, thread })
    }

    /// Ends it: what opened under it must be over.
    pub fn finish(self) -> Result<()> {
        drop(self.rule);
        self.stop.store(true, Ordering::Release);
        self.thread
            .join()
            .map_err(|_panic| anyhow!("the randomiser failed"))?
    }
}

fn work(queue: &mut Queue, stop: &AtomicBool) -> Result<()> {
    let mut table = Table::default();
    loop {
        match queue.recv() {
            Ok(mut message) => {
                let _untouched = table.rewrite(message.get_payload_mut());
                message.set_verdict(Verdict::Accept);
                queue.verdict(message).context("letting a packet go")?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if stop.load(Ordering::Acquire) {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(error) => return Err(error).context("taking a packet from the queue"),
        }
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, TcpOptionElement};

    use super::*;

    const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 2), 40_000);
    const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 3, 0, 2), 80);

    /// Adds 1,000 to the client's numbers and takes 7 from the server's.
    fn table() -> Table {
        let offsets = Offsets {
            client: 1_000,
            server: 7_u32.wrapping_neg(),
        };
        Table {
            connections: HashMap::from([((CLIENT, SERVER), offsets)]),
            random: RandomState::new(),
        }
    }

    #[test]
    fn an_acknowledgement_with_sack_blocks_is_rewritten_and_its_checksum_is_right() -> Result<()> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([10, 1, 0, 2], [10, 3, 0, 2], 64)
            .tcp(40_000, 80, u32::MAX, 1_000)
            .ack(500)
            .options(&[
                TcpOptionElement::Noop,
                TcpOptionElement::SelectiveAcknowledgement(
                    (600, 700),
                    [Some((800, 3)), None, None],
                ),
            ])?
            .write(&mut packet, b"odd")?;
        table().rewrite(&mut packet).context("a known connection")?;
        let headers = etherparse::PacketHeaders::from_ip_slice(&packet)?;
        let Some(etherparse::TransportHeader::Tcp(tcp)) = headers.transport else {
            panic!("no segment");
        };
        assert_eq!(tcp.sequence_number, 999);
        assert_eq!(tcp.acknowledgment_number, 507);
        let blocks = tcp.options_iterator().find_map(|option| match option {
            Ok(TcpOptionElement::SelectiveAcknowledgement(first, rest)) => Some((first, rest[0])),
            _ => None,
        });
        assert_eq!(blocks, Some(((607, 707), Some((807, 10)))));
        let right = tcp.calc_checksum_ipv4_raw([10, 1, 0, 2], [10, 3, 0, 2], b"odd")?;
        assert_eq!(tcp.checksum, right);
        Ok(())
    }

    #[test]
    fn a_bare_reset_from_the_server_keeps_its_empty_acknowledgement() -> Result<()> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([10, 3, 0, 2], [10, 1, 0, 2], 64)
            .tcp(80, 40_000, 100, 0)
            .rst()
            .write(&mut packet, &[])?;
        table().rewrite(&mut packet).context("a known connection")?;
        let headers = etherparse::PacketHeaders::from_ip_slice(&packet)?;
        let Some(etherparse::TransportHeader::Tcp(tcp)) = headers.transport else {
            panic!("no segment");
        };
        assert_eq!((tcp.sequence_number, tcp.acknowledgment_number), (93, 0));
        Ok(())
    }

    #[test]
    fn other_connections_and_cut_packets_stay_as_they_are() -> Result<()> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([10, 9, 0, 2], [10, 3, 0, 2], 64)
            .tcp(40_000, 80, 1, 1)
            .write(&mut packet, b"payload")?;
        let before = packet.clone();
        for length in 0..=packet.len() {
            assert_eq!(table().rewrite(&mut packet[..length]), None);
        }
        assert_eq!(packet, before);
        Ok(())
    }
}

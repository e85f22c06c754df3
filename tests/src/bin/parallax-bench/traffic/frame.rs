//! A packet as octets on Ethernet, cut by the snaplen.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::packet::{Options, Packet, Side, Stamps};
use crate::random::Random;

/// Octets kept of each packet, as an agent or `tcpdump -s 96` would.
pub const SNAPLEN: usize = 96;

const ETHERNET: usize = 14;
/// Shorter frames are padded by whoever sends them.
const SHORTEST: usize = 60;

/// The first octets of a packet, and how many it had on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    octets: [u8; SNAPLEN],
    pub on_wire: u16,
}

/// The client's name at a vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// As the client itself knows it.
    Own,
    /// As it is behind the NAT. IPv6 is not translated.
    Translated,
}

/// Addresses of both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

const PORTS: u32 = 60_000;
const LEAST_PORT: u32 = 1_024;
const SERVER_PORT: u16 = 443;

impl Frame {
    /// The packet where the client has this name, and this much is left of its TTL.
    pub fn of(packet: &Packet, name: Name, ttl: u8) -> Self {
        let ends = ends(packet.connection, name);
        let mut frame = Self {
            octets: [0; SNAPLEN],
            on_wire: 0,
        };
        let tcp = 20 + option_octets(packet.options);
        let octets = &mut frame.octets;
        let network = match ends {
            Ends::V4(client, server) => {
                ethernet(octets, packet.from, 0x0800);
                ipv4(
                    &mut octets[ETHERNET..],
                    packet,
                    ttl,
                    [client, server],
                    tcp + usize::from(packet.len),
                );
                20
            }
            Ends::V6(client, server) => {
                ethernet(octets, packet.from, 0x86dd);
                ipv6(
                    &mut octets[ETHERNET..],
                    packet,
                    ttl,
                    [client, server],
                    tcp + usize::from(packet.len),
                );
                40
            }
        };
        let client = client_port(packet.connection, name);
        segment(&mut octets[ETHERNET + network..], packet, client);
        payload(
            &mut octets[(ETHERNET + network + tcp).min(SNAPLEN)..],
            packet,
        );
        let whole = ETHERNET + network + tcp + usize::from(packet.len);
        frame.on_wire = whole.max(SHORTEST) as u16;
        frame
    }

    /// What a capture keeps.
    pub fn kept(&self) -> &[u8] {
        &self.octets[..SNAPLEN.min(usize::from(self.on_wire))]
    }

    /// Makes the client another address and port, both in the range for benchmarks (RFC 2544); IPv4 only.
    pub fn set_client(&mut self, number: u32) {
        let address = u32::from_be_bytes([198, 18, 0, 0]) + number % (1 << 17);
        let port = LEAST_PORT + number / (1 << 17);
        self.octets[26..30].copy_from_slice(&address.to_be_bytes());
        self.octets[34..36].copy_from_slice(&(port as u16).to_be_bytes());
        seal(&mut self.octets[ETHERNET..ETHERNET + 20]);
    }
}

/// One connection in ten is IPv6.
fn ends(connection: u32, name: Name) -> Ends {
    let host = connection / 4;
    if connection % 10 == 9 {
        let client = Ipv6Addr::from((0x2001_0db8_0001 << 80) | (u128::from(host) + 1));
        return Ends::V6(client, Ipv6Addr::from((0x2001_0db8_0002 << 80) | 7));
    }
    let client = match name {
        Name::Own => u32::from_be_bytes([10, 20, 0, 1]) + host % (1 << 18),
        Name::Translated => u32::from_be_bytes([198, 51, 100, 1]) + connection / PORTS % 250,
    };
    let server = u32::from_be_bytes([203, 0, 113, 1]) + connection % 16;
    Ends::V4(client.into(), server.into())
}

fn client_port(connection: u32, name: Name) -> u16 {
    let translated = name == Name::Translated && connection % 10 != 9;
    let port = if translated {
        connection % PORTS
    } else {
        connection.wrapping_mul(7) % PORTS
    };
    (LEAST_PORT + port) as u16
}

fn ethernet(octets: &mut [u8], from: Side, kind: u16) {
    let (to, source) = match from {
        Side::Client => ([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]),
        Side::Server => ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
    };
    octets[..6].copy_from_slice(&to);
    octets[6..12].copy_from_slice(&source);
    octets[12..14].copy_from_slice(&kind.to_be_bytes());
}

fn directed<T>(from: Side, [client, server]: [T; 2]) -> (T, T) {
    match from {
        Side::Client => (client, server),
        Side::Server => (server, client),
    }
}

fn ipv4(header: &mut [u8], packet: &Packet, ttl: u8, ends: [Ipv4Addr; 2], carried: usize) {
    let (source, destination) = directed(packet.from, ends);
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(20 + carried as u16).to_be_bytes());
    header[4..6].copy_from_slice(&packet.ip_id.to_be_bytes());
    header[6] = 0x40;
    header[8] = ttl;
    header[9] = 6;
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&destination.octets());
    seal(&mut header[..20]);
}

/// The header's checksum (RFC 791). That of TCP stays 0: nobody can check it in a cut packet.
fn seal(header: &mut [u8]) {
    header[10..12].fill(0);
    let words = header.chunks_exact(2);
    let mut sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

fn ipv6(header: &mut [u8], packet: &Packet, ttl: u8, ends: [Ipv6Addr; 2], carried: usize) {
    let (source, destination) = directed(packet.from, ends);
    header[0] = 0x60;
    header[4..6].copy_from_slice(&(carried as u16).to_be_bytes());
    header[6] = 6;
    header[7] = ttl;
    header[8..24].copy_from_slice(&source.octets());
    header[24..40].copy_from_slice(&destination.octets());
}

const fn option_octets(options: Options) -> usize {
    match options {
        Options::None => 0,
        Options::Opening(_) => 20,
        Options::Stamps(_) => 12,
    }
}

fn segment(header: &mut [u8], packet: &Packet, client_port: u16) {
    let (source, destination) = directed(packet.from, [client_port, SERVER_PORT]);
    header[0..2].copy_from_slice(&source.to_be_bytes());
    header[2..4].copy_from_slice(&destination.to_be_bytes());
    header[4..8].copy_from_slice(&packet.seq.to_be_bytes());
    header[8..12].copy_from_slice(&packet.ack.to_be_bytes());
    header[12] = ((20 + option_octets(packet.options)) as u8 / 4) << 4;
    header[13] = packet.flags;
    header[14..16].copy_from_slice(&packet.window.to_be_bytes());
    match packet.options {
        Options::None => {}
        // MSS 1460, SACK permitted, timestamps, window scale 7: the order of Linux.
        Options::Opening(stamps) => {
            header[20..28].copy_from_slice(&[2, 4, 5, 0xb4, 4, 2, 8, 10]);
            put_stamps(&mut header[28..36], stamps);
            header[36..40].copy_from_slice(&[1, 3, 3, 7]);
        }
        Options::Stamps(stamps) => {
            header[20..24].copy_from_slice(&[1, 1, 8, 10]);
            put_stamps(&mut header[24..32], stamps);
        }
    }
}

fn put_stamps(octets: &mut [u8], stamps: Stamps) {
    octets[..4].copy_from_slice(&stamps.value.to_be_bytes());
    octets[4..8].copy_from_slice(&stamps.echo.to_be_bytes());
}

/// A function of connection, direction and sequence number: a repeated segment carries the same octets.
fn payload(room: &mut [u8], packet: &Packet) {
    let kept = room.len().min(usize::from(packet.len));
    let what = (u64::from(packet.seq) << 32) | (u64::from(packet.connection) << 1);
    let mut random = Random::new(what | packet.from.index() as u64);
    for part in room[..kept].chunks_mut(8) {
        part.copy_from_slice(&random.next().to_le_bytes()[..part.len()]);
    }
}

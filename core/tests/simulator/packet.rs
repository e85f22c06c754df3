//! A TCP segment on its way, and its octets as a capture holds them.

use std::net::IpAddr;

use parallax_core::Endpoint;
use parallax_core::decode::LinkType;
use parallax_core::report::Side;

use crate::chance::mix;

pub const FIN: u16 = 1;
pub const SYN: u16 = 2;
pub const RST: u16 = 4;
pub const PSH: u16 = 8;
pub const ACK: u16 = 16;
/// The ECN nonce bit (RFC 3540).
pub const NS: u16 = 256;

/// One segment. Numbers are those of the streams' own hosts; [`View`] makes them what a place carries.
#[derive(Debug, Clone)]
pub struct Packet {
    pub connection: usize,
    /// Who it says that it comes from.
    pub sender: Side,
    pub seq: u32,
    pub ack: u32,
    pub flags: u16,
    pub window: u16,
    pub len: u32,
    pub options: Options,
    pub ttl: u8,
    pub id: u16,
    /// The last octet of the link-layer source address: who forwarded it last.
    pub link: u8,
    /// For a RST: its number among all that were sent.
    pub reset: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub mss: Option<u16>,
    pub scale: Option<u8>,
    pub stamps: Option<(u32, u32)>,
}

impl Packet {
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The number after this segment.
    pub fn end(&self) -> u32 {
        let marks = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.seq.wrapping_add(self.len).wrapping_add(marks)
    }
}

/// How a connection looks at one place: its ends' addresses there, and what rewriters added to the
/// numbers of either stream.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub client: Endpoint,
    pub server: Endpoint,
    /// Added to the client's numbers and to the server's.
    pub shift: [u32; 2],
}

impl View {
    /// Source and destination of what a side sends.
    pub fn ends(&self, sender: Side) -> (Endpoint, Endpoint) {
        match sender {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        }
    }
}

/// What a payload consists of: every octet follows from its place in the stream.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    pub key: u64,
    /// The initial numbers of both streams.
    pub initial: [u32; 2],
}

impl Content {
    fn octets(&self, packet: &Packet, most: usize) -> Vec<u8> {
        let start = packet
            .seq
            .wrapping_sub(self.initial[packet.sender as usize]);
        (0..packet.len.min(most as u32))
            .map(|at| {
                let place = u64::from(start.wrapping_add(at)) | (packet.sender as u64) << 40;
                mix(self.key ^ place) as u8
            })
            .collect()
    }
}

/// How a vantage writes frames.
#[derive(Debug, Clone, Copy)]
pub struct Framing {
    pub link: LinkType,
    /// Octets that it keeps of each.
    pub snap: usize,
}

/// Whether a packet leaves the capturing machine or comes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading {
    Out,
    In,
}

/// A frame as captured, and the length that it had.
pub fn frame(
    packet: &Packet,
    view: &View,
    content: Content,
    framing: Framing,
    heading: Heading,
) -> (Vec<u8>, u32) {
    let (source, destination) = view.ends(packet.sender);
    let tcp = tcp(packet, view);
    let mut octets = link(packet, framing.link, heading, source.addr.is_ipv6());
    let length = tcp.len() as u32 + packet.len;
    let header = ip(packet, source.addr, destination.addr, length);
    let original = octets.len() as u32 + header.len() as u32 + length;
    octets.extend(header);
    octets.extend(tcp);
    if octets.len() < framing.snap {
        octets.extend(content.octets(packet, framing.snap - octets.len()));
    }
    octets.truncate(framing.snap);
    (octets, original)
}

fn link(packet: &Packet, link: LinkType, heading: Heading, v6: bool) -> Vec<u8> {
    let kind: u16 = if v6 { 0x86dd } else { 0x0800 };
    let address = [2, 0, 0, 0, 0, packet.link];
    let mut octets = Vec::with_capacity(128);
    match link {
        LinkType::Ethernet => {
            octets.extend([2, 0, 0, 0, 1, 1]);
            octets.extend(address);
            octets.extend(kind.to_be_bytes());
        }
        LinkType::LinuxSll2 => {
            octets.extend(kind.to_be_bytes());
            octets.extend([0, 0, 0, 0, 0, 2, 0, 1]);
            octets.push(if heading == Heading::Out { 4 } else { 0 });
            octets.push(6);
            octets.extend(address);
            octets.extend([0, 0]);
        }
        _ => {}
    }
    octets
}

fn ip(packet: &Packet, source: IpAddr, destination: IpAddr, length: u32) -> Vec<u8> {
    // A segment too long for the field travels with 0, as the kernel has it (BIG TCP).
    let field = |len: u32| u16::try_from(len).unwrap_or(0).to_be_bytes();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = vec![0x45, 0];
            header.extend(field(length + 20));
            header.extend(packet.id.to_be_bytes());
            header.extend([0x40, 0, packet.ttl, 6, 0, 0]);
            header.extend(source.octets());
            header.extend(destination.octets());
            header
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(field(length));
            header.extend([6, packet.ttl]);
            header.extend(source.octets());
            header.extend(destination.octets());
            header
        }
        _ => unreachable!("both ends of a connection speak one IP version"),
    }
}

fn tcp(packet: &Packet, view: &View) -> Vec<u8> {
    let (source, destination) = view.ends(packet.sender);
    let options = options(packet.options);
    let mut header = Vec::with_capacity(60);
    header.extend(source.port.to_be_bytes());
    header.extend(destination.port.to_be_bytes());
    header.extend(carried_seq(packet, view).to_be_bytes());
    header.extend(carried_ack(packet, view).to_be_bytes());
    let nonce = u8::from(packet.has(NS));
    header.push((5 + (options.len() / 4) as u8) << 4 | nonce);
    header.push(packet.flags as u8);
    header.extend(packet.window.to_be_bytes());
    header.extend([0, 0, 0, 0]);
    header.extend(options);
    header
}

pub fn carried_seq(packet: &Packet, view: &View) -> u32 {
    packet.seq.wrapping_add(view.shift[packet.sender as usize])
}

/// Rewriters leave the field alone where no ACK flag gives it a meaning.
pub fn carried_ack(packet: &Packet, view: &View) -> u32 {
    if packet.has(ACK) {
        let other = packet.sender.other() as usize;
        packet.ack.wrapping_add(view.shift[other])
    } else {
        packet.ack
    }
}

fn options(options: Options) -> Vec<u8> {
    let mut octets = Vec::with_capacity(20);
    if let Some(mss) = options.mss {
        octets.extend([2, 4]);
        octets.extend(mss.to_be_bytes());
        octets.extend([4, 2]);
        if options.stamps.is_none() {
            octets.extend([1, 1]);
        }
    } else if options.stamps.is_some() {
        octets.extend([1, 1]);
    }
    if let Some((value, echo)) = options.stamps {
        octets.extend([8, 10]);
        octets.extend(value.to_be_bytes());
        octets.extend(echo.to_be_bytes());
    }
    if let Some(scale) = options.scale {
        octets.extend([1, 3, 3, scale]);
    }
    octets
}

//! One capture in any of the formats and link types that are read.

use std::net::SocketAddr;

use super::blocks::Blocks;
use super::build::{Magic, Packet, gzip, pcap};
use crate::capture::{EPOCH, Segment, packet};

/// How a frame begins, by the number of its link type and what it holds before IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// With so many VLAN tags.
    Ethernet(usize),
    Cooked(usize),
    CookedV2(usize),
    /// One of the numbers for raw IP.
    Raw(u16),
    /// The family in little or big endian.
    Null {
        big: bool,
    },
    Loop,
}

use Link::{Cooked, CookedV2, Ethernet, Loop, Null, Raw};

impl Link {
    fn number(self) -> u16 {
        match self {
            Ethernet(_) => 1,
            Cooked(_) => 113,
            CookedV2(_) => 276,
            Raw(number) => number,
            Null { .. } => 0,
            Loop => 108,
        }
    }

    fn frame(self, segment: &Segment) -> Vec<u8> {
        let mut frame = self.header(segment);
        frame.extend(packet(segment));
        frame
    }

    fn header(self, segment: &Segment) -> Vec<u8> {
        let is_v4 = segment.src.is_ipv4();
        let ether_type: u16 = if is_v4 { 0x0800 } else { 0x86dd };
        let family: u32 = if is_v4 { 2 } else { 10 };
        // Nobody has lowered the TTL yet: the capturing host sent it itself.
        let packet_type = if segment.ttl == 64 { 4 } else { 0 };
        let address = [2, 0, 0, 0, 0, 2, 0, 0];
        match self {
            Ethernet(tags) => {
                let types = tagged(tags, ether_type);
                [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &types].concat()
            }
            Cooked(tags) => {
                let head = [0, packet_type, 0, 1, 0, 6];
                [&head[..], &address, &tagged(tags, ether_type)].concat()
            }
            CookedV2(tags) => {
                let types = tagged(tags, ether_type);
                let (first, rest) = types.split_at(2);
                let head = [0, 0, 0, 0, 0, 7, 0, 1, packet_type, 6];
                [first, &head, &address, rest].concat()
            }
            Raw(_) => vec![],
            Null { big: false } => family.to_le_bytes().to_vec(),
            Null { big: true } | Loop => family.to_be_bytes().to_vec(),
        }
    }
}

/// The ether type behind so many tags.
fn tagged(tags: usize, ether_type: u16) -> Vec<u8> {
    let outer_first = [&[0x88_u8, 0xa8, 0, 100][..], &[0x81, 0, 0, 200]].concat();
    let kept = outer_first[4 * (2 - tags)..].to_vec();
    [kept, ether_type.to_be_bytes().to_vec()].concat()
}

/// An interface of a pcapng file: its link type, and how its clock ticks.
#[derive(Debug, Clone, Copy)]
pub struct Interface {
    pub link: Link,
    /// `if_tsresol`.
    pub resolution: u8,
    /// `if_tsoffset`, seconds.
    pub offset: u32,
}

impl Interface {
    pub const fn new(link: Link, resolution: u8) -> Self {
        Self {
            link,
            resolution,
            offset: 0,
        }
    }

    /// With times that count from the story's begin.
    pub const fn from_begin(link: Link, resolution: u8) -> Self {
        Self {
            link,
            resolution,
            offset: EPOCH,
        }
    }

    fn ticks(self, micros: u32) -> u64 {
        let seconds = u128::from(EPOCH - self.offset);
        let micros = seconds * 1_000_000 + u128::from(micros);
        let per_second = match self.resolution {
            binary if binary & 0x80 != 0 => 1_u128 << (binary & 0x7f),
            decimal => 10_u128.pow(decimal.into()),
        };
        // To the nearest tick.
        let ticks = (micros * per_second + 500_000) / 1_000_000;
        u64::try_from(ticks).expect("a resolution that fits the time")
    }
}

#[derive(Debug, Clone)]
pub enum Container {
    Pcap(Magic, Link),
    /// Packets come by its interfaces in turn.
    Pcapng {
        big: bool,
        interfaces: Vec<Interface>,
    },
}

#[derive(Debug, Clone)]
pub struct Format {
    pub container: Container,
    pub gzipped: bool,
}

impl Format {
    pub fn pcap(magic: Magic, link: Link) -> Self {
        Self {
            container: Container::Pcap(magic, link),
            gzipped: false,
        }
    }

    pub fn pcapng(big: bool, interfaces: &[Interface]) -> Self {
        Self {
            container: Container::Pcapng {
                big,
                interfaces: interfaces.to_vec(),
            },
            gzipped: false,
        }
    }

    pub fn gzipped(self) -> Self {
        Self {
            gzipped: true,
            ..self
        }
    }

    pub fn write(&self, segments: &[Segment]) -> Vec<u8> {
        let octets = match &self.container {
            Container::Pcap(magic, link) => classic(*magic, *link, segments),
            Container::Pcapng { big, interfaces } => blocks(*big, interfaces, segments),
        };
        if self.gzipped { gzip(&octets) } else { octets }
    }
}

fn classic(magic: Magic, link: Link, segments: &[Segment]) -> Vec<u8> {
    let unit = if magic.is_nano() { 1000 } else { 1 };
    let packets: Vec<Packet> = segments
        .iter()
        .map(|segment| Packet {
            seconds: EPOCH + segment.micros / 1_000_000,
            fraction: segment.micros % 1_000_000 * unit,
            data: link.frame(segment),
        })
        .collect();
    pcap(magic, u32::from(link.number()), &packets)
}

fn blocks(big: bool, interfaces: &[Interface], segments: &[Segment]) -> Vec<u8> {
    let mut file = Blocks::section(big);
    for interface in interfaces {
        let mut options = vec![(9, vec![interface.resolution])];
        if interface.offset != 0 {
            options.push((14, file.u64(interface.offset.into()).to_vec()));
        }
        file.interface(interface.link.number(), &options);
    }
    for (number, (segment, interface)) in segments.iter().zip(interfaces.iter().cycle()).enumerate()
    {
        let index = u32::try_from(number % interfaces.len()).unwrap();
        let frame = interface.link.frame(segment);
        file.enhanced(index, interface.ticks(segment.micros), &frame, &[]);
    }
    file.octets
}

/// The same connection between IPv6 addresses.
pub fn over_ipv6(mut segments: Vec<Segment>) -> Vec<Segment> {
    let six = |end: SocketAddr| {
        let network: u16 = if end.port() == 8080 { 2 } else { 1 };
        let addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, 0, 7);
        SocketAddr::new(addr.into(), end.port())
    };
    for segment in &mut segments {
        segment.src = six(segment.src);
        segment.dst = six(segment.dst);
    }
    segments
}

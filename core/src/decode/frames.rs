//! Frames put together octet by octet, for tests.

use std::net::IpAddr;

use super::{
    Head, LinkType, RawPacket, Unread, Usual, decode, decode_into, glance, glance_v6, usual,
    usual_v6,
};
use crate::digest::{
    Digest, Direction, IpFields, LinkFields, SackBlock, TcpFlags, TcpOptions, Timestamps,
};
use crate::flow::{Endpoint, FourTuple};
use crate::reason::{KernelReason, ResetReason};
use crate::seq::TcpSeq;
use crate::time::CaptureTime;
use crate::tunnel::{Tunnel, TunnelKind};

pub const PAYLOAD: &[u8] = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n";
pub const SYN_OPTIONS: &[u8] = &[
    2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 3, 3, 7,
];

pub fn tcp(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x9c, 0x40, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8];
    segment.push((5 + (options.len() / 4) as u8) << 4);
    segment.extend([flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

/// `fragment` is the whole 16-bit field: DF 0x4000, MF 0x2000, offset below.
pub fn v4(protocol: u8, fragment: u16, ip_options: &[u8], body: &[u8]) -> Vec<u8> {
    let header_len = 20 + ip_options.len();
    let total = (header_len + body.len()) as u16;
    let mut packet = vec![0x40 | (header_len / 4) as u8, 0x12];
    packet.extend(total.to_be_bytes());
    packet.extend([0xab, 0xcd]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([63, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
    packet.extend(ip_options);
    packet.extend(body);
    packet
}

pub fn v6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x61, 0x20, 0, 0];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend([next, 61]);
    for last in [1, 2] {
        packet.extend([
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]);
    }
    packet.extend(body);
    packet
}

pub fn ethernet(types: &[u16], body: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    let (last, tags) = types.split_last().expect("an ether type");
    for (index, tag) in tags.iter().enumerate() {
        frame.extend(tag.to_be_bytes());
        // Priority 5 and the VLAN ids 100, 101, …
        frame.extend((0xa000 | (100 + index as u16)).to_be_bytes());
    }
    frame.extend(last.to_be_bytes());
    frame.extend(body);
    frame
}

pub fn read(link: LinkType, data: &[u8]) -> Result<Digest, Unread> {
    read_cut(link, data, data.len())
}

/// Reads a packet of which `data` was captured; wherever it is written, it is the same.
pub fn read_cut(link: LinkType, data: &[u8], original_len: usize) -> Result<Digest, Unread> {
    let packet = RawPacket {
        time: CaptureTime::from_nanos(42),
        link,
        original_len: original_len as u32,
        interface: 3,
        data,
    };
    let mut place = USED;
    let over = decode_into(&packet, &mut place).map(|()| place);
    assert_eq!(decode(&packet), over, "what the place held before shows");
    if let Some(glanced) = glance(&packet).or_else(|| glance_v6(&packet)) {
        let told = glanced.map(|glance| (glance.head, glance.payload_hash(), glance.digest()));
        let whole = over.map(|digest| (Head::of(&digest), digest.payload_hash, digest));
        assert_eq!(told, whole, "a first look says something else");
    }
    let usual = usual(&packet).map(|usual| digest_of(&usual));
    let usual = usual.or_else(|| usual_v6(&packet).map(|usual| digest_of(&usual)));
    if let Some(usual) = usual {
        assert_eq!(Ok(usual), over, "its parts say something else");
    }
    over
}

fn digest_of<Address: Copy + Into<IpAddr>>(usual: &Usual<Address>) -> Digest {
    let end = |(addr, port): (Address, u16)| Endpoint::new(addr.into(), port);
    Digest {
        time: usual.time,
        tuple: FourTuple::new(end(usual.src), end(usual.dst)),
        seq: usual.seq,
        ack: usual.ack,
        flags: usual.flags,
        window: usual.window,
        payload_len: usual.payload_len,
        payload_hash: usual.payload_hash,
        options: TcpOptions {
            timestamps: usual.timestamps,
            order: usual.order,
            ..TcpOptions::NONE
        },
        rst_reason: None,
        ip: usual.ip,
        link: LinkFields {
            source: Some(usual.source),
            interface: usual.interface,
            ..LinkFields::default()
        },
    }
}

/// A place with something in every field.
const USED: Digest = Digest {
    seq: TcpSeq(1),
    ack: TcpSeq(2),
    flags: TcpFlags(511),
    window: 3,
    payload_len: 4,
    payload_hash: Some(5),
    options: TcpOptions {
        mss: Some(6),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 8, echo: 9 }),
        sack: Some(SackBlock {
            left: TcpSeq(10),
            right: TcpSeq(11),
        }),
        order: 12,
        cut: true,
    },
    rst_reason: Some(ResetReason::Kernel(KernelReason::NoSocket)),
    ip: IpFields {
        ttl: 13,
        id: Some(14),
        dont_fragment: true,
        traffic_class: 15,
        fragment: true,
    },
    link: LinkFields {
        direction: Direction::Out,
        source: Some([16; 6]),
        vlans: [Some(17), Some(18)],
        interface: 19,
        tunnel: Some(Tunnel {
            kind: TunnelKind::Gre,
            depth: 20,
            ends: None,
            id: Some(21),
        }),
    },
    ..Digest::BLANK
};

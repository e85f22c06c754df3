//! Any bytes at all, and etherparse as the oracle.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    IpNumber, LaxNetSlice, LaxSlicedPacket, PacketBuilder, TcpHeader, TcpOptionElement,
    TransportSlice, VlanId,
};
use proptest::prelude::*;

use super::frames::{PAYLOAD, SYN_OPTIONS, ethernet, read, read_cut, tcp, v4, v6};
use super::{LinkType, Unread};
use crate::digest::{Digest, TcpFlags};

const LINKS: [LinkType; 6] = [
    LinkType::Ethernet,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Raw,
    LinkType::Null,
    LinkType::Loop,
];

fn seeds() -> [Vec<u8>; 5] {
    [
        ethernet(&[0x0800], &v4(6, 0, &[], &tcp(2, SYN_OPTIONS, PAYLOAD))),
        ethernet(
            &[0x8100, 0x86dd],
            &v6(
                60,
                &[&[6, 0, 1, 4, 0, 0, 0, 0], tcp(24, &[], PAYLOAD).as_slice()].concat(),
            ),
        ),
        ethernet(&[0x86dd], &v6(6, &tcp(16, SYN_OPTIONS, PAYLOAD))),
        v4(51, 0x2000, &[1; 4], &tcp(16, SYN_OPTIONS, &[])),
        v6(
            44,
            &[&[6, 0, 0, 1, 0, 0, 0, 9], tcp(4, &[], &[]).as_slice()].concat(),
        ),
    ]
}

/// What etherparse says of ports, numbers, flags and lengths, where it reads a whole packet.
fn oracle(frame: &[u8]) -> Option<(IpAddr, u16, u32, u32, TcpFlags, u16, usize)> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    if packet.stop_err.is_some() {
        return None;
    }
    let (net, source) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => (ip.payload(), IpAddr::V4(ip.header().source_addr())),
        LaxNetSlice::Ipv6(ip) => (ip.payload(), IpAddr::V6(ip.header().source_addr())),
        LaxNetSlice::Arp(_) => return None,
    };
    if net.incomplete || net.fragmented || net.ip_number != IpNumber::TCP {
        return None;
    }
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
        return None;
    };
    let bits = [
        tcp.fin(),
        tcp.syn(),
        tcp.rst(),
        tcp.psh(),
        tcp.ack(),
        tcp.urg(),
        tcp.ece(),
        tcp.cwr(),
        tcp.ns(),
    ];
    let flags = bits
        .into_iter()
        .enumerate()
        .fold(0, |flags, (bit, set)| flags | u16::from(set) << bit);
    Some((
        source,
        tcp.source_port(),
        tcp.sequence_number(),
        tcp.acknowledgment_number(),
        TcpFlags(flags),
        tcp.window_size(),
        tcp.payload().len(),
    ))
}

fn same(digest: &Digest) -> (IpAddr, u16, u32, u32, TcpFlags, u16, usize) {
    (
        digest.tuple.src.addr,
        digest.tuple.src.port,
        digest.seq.0,
        digest.ack.0,
        digest.flags,
        digest.window,
        digest.payload_len as usize,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_bytes_make_the_reader_panic(data in prop::collection::vec(any::<u8>(), 0..200), more: u16) {
        for link in LINKS {
            let _ = read_cut(link, &data, data.len() + usize::from(more));
            let _ = read_cut(link, &data, 0);
        }
    }

    /// Random bytes rarely get past the first header; broken good frames do.
    #[test]
    fn a_broken_frame_is_read_as_etherparse_reads_it(
        seed in 0..5_usize,
        broken in prop::collection::vec((0..120_usize, any::<u8>()), 0..5),
        kept in 0..160_usize,
    ) {
        let mut frame = seeds()[seed].clone();
        for (at, octet) in broken {
            let at = at % frame.len();
            frame[at] = octet;
        }
        let whole = frame.len();
        frame.truncate(kept.max(1));
        for link in LINKS {
            let _ = read_cut(link, &frame, whole);
        }
        if let Some(expected) = oracle(&frame) {
            match read_cut(LinkType::Ethernet, &frame, whole) {
                Ok(digest) => prop_assert_eq!(same(&digest), expected),
                // Etherparse knows no bound on extension headers, nor that a length may be wrong.
                Err(Unread::TooManyHeaders | Unread::BadIpHeader) => {}
                Err(other) => prop_assert!(false, "{other:?} where etherparse reads {expected:?}"),
            }
        }
    }

    #[test]
    fn whatever_etherparse_builds_is_read_back(
        v6: bool,
        tags in 0..3_usize,
        ends in any::<([u8; 4], [u8; 4], u16, u16)>(),
        numbers in any::<(u32, u32, u16, u8)>(),
        ttl: u8,
        mss: Option<u16>,
        stamps: Option<(u32, u32)>,
        scale: Option<u8>,
        payload in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (src, dst, sport, dport) = ends;
        let (seq, ack, window, flags) = numbers;
        let mut header = TcpHeader::new(sport, dport, seq, window);
        header.acknowledgment_number = ack;
        header.fin = flags & 1 != 0;
        header.syn = flags & 2 != 0;
        header.rst = flags & 4 != 0;
        header.psh = flags & 8 != 0;
        header.ack = flags & 16 != 0;
        header.urg = flags & 32 != 0;
        header.ece = flags & 64 != 0;
        header.cwr = flags & 128 != 0;
        let mut elements = vec![];
        elements.extend(mss.map(TcpOptionElement::MaximumSegmentSize));
        elements.extend(stamps.map(|(value, echo)| TcpOptionElement::Timestamp(value, echo)));
        elements.extend(scale.map(TcpOptionElement::WindowScale));
        header.set_options(&elements).unwrap();

        let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 7], [2, 0, 0, 0, 0, 8]);
        let vlan = |id| VlanId::try_new(id).unwrap();
        let far = |octets: [u8; 4]| {
            let [a, b, c, d] = octets;
            [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
        };
        let mut frame = vec![];
        match (tags, v6) {
            (0, false) => link.ipv4(src, dst, ttl).tcp_header(header).write(&mut frame, &payload),
            (0, true) => link.ipv6(far(src), far(dst), ttl).tcp_header(header).write(&mut frame, &payload),
            (1, false) => link.single_vlan(vlan(5)).ipv4(src, dst, ttl).tcp_header(header).write(&mut frame, &payload),
            (1, true) => link.single_vlan(vlan(5)).ipv6(far(src), far(dst), ttl).tcp_header(header).write(&mut frame, &payload),
            (_, false) => link.double_vlan(vlan(5), vlan(6)).ipv4(src, dst, ttl).tcp_header(header).write(&mut frame, &payload),
            (_, true) => link.double_vlan(vlan(5), vlan(6)).ipv6(far(src), far(dst), ttl).tcp_header(header).write(&mut frame, &payload),
        }.unwrap();

        let digest = read(LinkType::Ethernet, &frame).unwrap();
        prop_assert_eq!(Some(same(&digest)), oracle(&frame));
        prop_assert_eq!(digest.tuple.dst.port, dport);
        prop_assert_eq!(digest.tuple.dst.addr, if v6 {
            IpAddr::V6(Ipv6Addr::from(far(dst)))
        } else {
            IpAddr::V4(Ipv4Addr::from(dst))
        });
        prop_assert_eq!(digest.flags, TcpFlags(u16::from(flags)));
        prop_assert_eq!(digest.ip.ttl, ttl);
        prop_assert_eq!(digest.options.mss, mss);
        prop_assert_eq!(digest.options.window_scale, scale);
        prop_assert_eq!(digest.options.timestamps.map(|t| (t.value, t.echo)), stamps);
        prop_assert!(!digest.options.cut);
        prop_assert_eq!(digest.payload_hash.is_some(), !payload.is_empty());
        prop_assert_eq!(digest.link.vlans, [(tags > 0).then_some(5), (tags > 1).then_some(6)]);
    }
}

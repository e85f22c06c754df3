//! Segments in tunnels: each kind by its octets.

mod chains;

use super::frames::*;
use super::{LinkType, Unread};
use crate::digest::{Digest, SackBlock};
use crate::seq::TcpSeq;
use crate::tunnel::{Tunnel, TunnelEnds, TunnelKind};

const V4: u16 = 0x0800;
const V6: u16 = 0x86dd;
const BRIDGED: u16 = 0x6558;

fn inner() -> Vec<u8> {
    v4(6, 0x4000, &[], &tcp(0x18, SYN_OPTIONS, PAYLOAD))
}

fn udp(port: u16, body: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0xc0, 0];
    datagram.extend(port.to_be_bytes());
    datagram.extend((8 + body.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(body);
    datagram
}

/// The packet of a tunnel's outer header, from 192.0.2.1 to 198.51.100.2.
fn outer(protocol: u8, parts: &[&[u8]]) -> Vec<u8> {
    v4(protocol, 0, &[], &parts.concat())
}

fn vxlan(port: u16, header: [u8; 8], packet: &[u8]) -> Vec<u8> {
    let frame = ethernet(&[0x8100, V4], packet);
    outer(17, &[&udp(port, &[&header[..], &frame].concat())])
}

fn geneve(header: &[u8], inside: &[u8]) -> Vec<u8> {
    outer(17, &[&udp(6081, &[header, inside].concat())])
}

fn gtp(header: &[u8], packet: &[u8]) -> Vec<u8> {
    let mut message = [header, packet].concat();
    let len = message.len() as u16 - 8;
    message[2..4].copy_from_slice(&len.to_be_bytes());
    outer(17, &[&udp(2152, &message)])
}

fn pppoe(protocol: u16, packet: &[u8]) -> Vec<u8> {
    let mut body = vec![0x11, 0, 0, 77];
    body.extend((packet.len() as u16 + 2).to_be_bytes());
    body.extend(protocol.to_be_bytes());
    body.extend(packet);
    body
}

fn raw(packet: &[u8]) -> Result<Digest, Unread> {
    read(LinkType::Raw, packet)
}

fn ends() -> TunnelEnds {
    TunnelEnds {
        src: [192, 0, 2, 1].into(),
        dst: [198, 51, 100, 2].into(),
    }
}

fn around(kind: TunnelKind, id: Option<u32>) -> Tunnel {
    Tunnel {
        kind,
        depth: 1,
        ends: Some(ends()),
        id,
    }
}

/// The same segment, whatever it travelled in.
fn bare(digest: Digest) -> Digest {
    Digest {
        link: crate::digest::LinkFields::default(),
        ..digest
    }
}

#[track_caller]
fn reads_as(packet: &[u8], tunnel: Tunnel) {
    let digest = raw(packet).unwrap();
    assert_eq!(digest.link.tunnel, Some(tunnel));
    assert_eq!(bare(digest), bare(raw(&inner()).unwrap()));
}

#[test]
fn vxlan_is_looked_through_on_both_its_ports() {
    let tunnel = around(TunnelKind::Vxlan, Some(0x01_0203));
    for port in [4789, 8472] {
        let plain = vxlan(port, [8, 0, 0, 0, 1, 2, 3, 0], &inner());
        reads_as(&plain, tunnel);
        let with_policy = vxlan(port, [0x88, 0, 0, 9, 1, 2, 3, 0], &inner());
        reads_as(&with_policy, tunnel);
    }
}

#[test]
fn geneve_is_looked_through_with_options_of_any_length() {
    let tunnel = around(TunnelKind::Geneve, Some(7));
    let frame = ethernet(&[V4], &inner());
    reads_as(&geneve(&[0, 0, 0x65, 0x58, 0, 0, 7, 0], &frame), tunnel);
    let mut with_options = vec![63, 0x40, 0x08, 0x00, 0, 0, 7, 0];
    with_options.extend([0xee; 252]);
    reads_as(&geneve(&with_options, &inner()), tunnel);
}

#[test]
fn gre_is_looked_through_with_every_field_it_may_have() {
    let keyed = |id| around(TunnelKind::Gre, id);
    let packet = inner();
    for (flags, fields, id) in [
        (0x00, &[][..], None),
        (0x80, &[9; 4], None),
        (0x20, &[0, 0, 1, 0], Some(256)),
        (0x10, &[9; 4], None),
        (0xb0, &[9, 9, 9, 9, 0, 0, 0, 5, 9, 9, 9, 9], Some(5)),
    ] {
        let header = [flags, 0, 8, 0];
        reads_as(&outer(47, &[&header, fields, &packet]), keyed(id));
    }
    let bridged = ethernet(&[V4], &packet);
    reads_as(&outer(47, &[&[0, 0, 0x65, 0x58], &bridged]), keyed(None));
}

#[test]
fn gre_of_version_1_and_with_source_routes_is_not_followed() {
    for (flags, version) in [(0x30, 0x01), (0x40, 0x00)] {
        let packet = outer(47, &[&[flags, version, 8, 0], &[0; 8], &inner()]);
        assert_eq!(raw(&packet), Err(Unread::NotTcp));
    }
}

#[test]
fn ip_in_ip_is_looked_through_in_all_four_pairs() {
    let six = v6(6, &tcp(0x18, SYN_OPTIONS, PAYLOAD));
    for (packet, is_four_in_six) in [
        (outer(4, &[&inner()]), false),
        (v6(4, &inner()), true),
        (outer(41, &[&six]), false),
        (v6(41, &six), true),
    ] {
        let tunnel = raw(&packet).unwrap().link.tunnel.unwrap();
        assert_eq!((tunnel.kind, tunnel.id), (TunnelKind::IpInIp, None));
        assert_eq!(tunnel.ends.unwrap().src.is_ipv6(), is_four_in_six);
    }
    assert_eq!(raw(&outer(4, &[&six])), Err(Unread::BadIpHeader));
}

#[test]
fn gtp_is_looked_through_with_optional_fields_and_extension_headers() {
    let tunnel = around(TunnelKind::Gtp, Some(0x0a0b_0c0d));
    let fixed = |flags| vec![flags, 255, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d];
    reads_as(&gtp(&fixed(0x30), &inner()), tunnel);
    let mut sequenced = fixed(0x32);
    // The type of the next header means nothing without its flag.
    sequenced.extend([0, 9, 0, 0x85]);
    reads_as(&gtp(&sequenced, &inner()), tunnel);
    let mut extended = fixed(0x34);
    extended.extend([0, 0, 0, 0x85]);
    extended.extend([1, 0x10, 0x05, 0xc0]);
    extended.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    reads_as(&gtp(&extended, &inner()), tunnel);
}

#[test]
fn gtp_messages_that_are_no_users_packets_are_not_tcp() {
    let whole = gtp(&[0x30, 255, 0, 0, 0, 0, 0, 1], &inner());
    let with = |at: usize, octet: u8| {
        let mut packet = whole.clone();
        packet[at] = octet;
        raw(&packet)
    };
    // Version 2, GTP', an echo request, a length beyond the datagram, no IP.
    for (at, octet) in [(28, 0x50), (28, 0x20), (29, 1), (30, 9), (36, 0x10)] {
        assert_eq!(with(at, octet), Err(Unread::NotTcp), "{at} {octet}");
    }
    let mut endless = vec![0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85];
    endless.extend([1, 0, 0, 0x85].repeat(12));
    assert_eq!(raw(&gtp(&endless, &inner())), Err(Unread::TooManyHeaders));
    let empty = [0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 0];
    assert_eq!(raw(&gtp(&empty, &inner())), Err(Unread::NotTcp));
}

#[test]
fn labels_are_looked_through_down_to_ip_and_to_ethernet_behind_a_control_word() {
    let stack = [0x00, 0x06, 0x40, 0xff, 0x00, 0x01, 0x41, 0x40];
    let six = v6(6, &tcp(0x18, SYN_OPTIONS, PAYLOAD));
    let wire = [&[0, 0, 0, 1][..], &ethernet(&[V6], &six)].concat();
    for (ether_type, inside) in [(0x8847, inner()), (0x8848, six), (0x8847, wire)] {
        let frame = ethernet(&[0x8100, ether_type], &[&stack[..], &inside].concat());
        let digest = read(LinkType::Ethernet, &frame).unwrap();
        let tunnel = digest.link.tunnel.unwrap();
        assert_eq!((tunnel.kind, tunnel.id), (TunnelKind::Mpls, Some(20)));
        assert_eq!((tunnel.depth, tunnel.ends), (1, None));
        assert_eq!(digest.link.vlans, [Some(100), None]);
        assert_eq!(digest.payload_len, 38);
    }
    let endless = ethernet(&[0x8847], &[0, 1, 0x40, 64].repeat(12));
    let other = ethernet(&[0x8847], &[0, 1, 0x41, 64, 0x10, 0, 0, 0]);
    for (frame, reason) in [(endless, Unread::TooManyHeaders), (other, Unread::NotIp)] {
        assert_eq!(read(LinkType::Ethernet, &frame), Err(reason));
    }
}

#[test]
fn labels_in_gre_have_the_ends_of_the_header_around() {
    let packet = outer(47, &[&[0, 0, 0x88, 0x47, 0, 1, 0x41, 64], &inner()]);
    let tunnel = Tunnel {
        kind: TunnelKind::Mpls,
        depth: 2,
        ends: Some(ends()),
        id: Some(20),
    };
    reads_as(&packet, tunnel);
}

#[test]
fn a_session_of_pppoe_is_looked_through_and_its_padding_is_no_payload() {
    let six = v6(6, &tcp(0x18, SYN_OPTIONS, PAYLOAD));
    for (protocol, packet) in [(0x0021, inner()), (0x0057, six)] {
        let mut frame = ethernet(&[0x8864], &pppoe(protocol, &packet));
        frame.extend([0; 9]);
        let digest = read(LinkType::Ethernet, &frame).unwrap();
        let tunnel = digest.link.tunnel.unwrap();
        assert_eq!((tunnel.kind, tunnel.id), (TunnelKind::Pppoe, Some(77)));
        assert_eq!((tunnel.ends, digest.payload_len), (None, 38));
    }
    let control = ethernet(&[0x8864], &pppoe(0xc021, &[1, 1, 0, 4]));
    assert_eq!(read(LinkType::Ethernet, &control), Err(Unread::NotIp));
}

#[test]
fn datagrams_at_a_tunnels_port_that_are_no_tunnel_are_not_tcp() {
    let frame = ethernet(&[V4], &inner());
    for header in [
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0x0c; 8],
        [8, 0, 0, 0, 0, 0, 1, 1],
    ] {
        let packet = outer(17, &[&udp(4789, &[&header[..], &frame].concat())]);
        assert_eq!(raw(&packet), Err(Unread::NotTcp), "{header:?}");
    }
    for header in [
        [0x40, 0, 0x65, 0x58],
        [0, 0x80, 0x65, 0x58],
        [0, 0, 0x12, 0x34],
    ] {
        let header = [&header[..], &[0, 0, 1, 0]].concat();
        assert_eq!(raw(&geneve(&header, &frame)), Err(Unread::NotTcp));
    }
    for port in [4789, 8472, 6081, 2152, 53] {
        for len in 0..8 {
            let packet = outer(17, &[&udp(port, &vec![8; len])]);
            assert_eq!(raw(&packet), Err(Unread::NotTcp), "{port} {len}");
        }
    }
    let mut contradictory = vxlan(4789, [8, 0, 0, 0, 1, 2, 3, 0], &inner());
    contradictory[24..26].copy_from_slice(&[0, 7]);
    assert_eq!(raw(&contradictory), Err(Unread::NotTcp));
}

#[test]
fn a_packet_longer_than_the_one_around_it_is_bad() {
    let mut packet = outer(4, &[&inner()]);
    packet[23] += 1;
    assert_eq!(raw(&packet), Err(Unread::BadIpHeader));
    // Unless its end comes in fragments of the packet around it.
    packet[6] = 0x20;
    assert!(raw(&packet).is_ok());
}

#[test]
fn the_first_fragment_of_a_tunnels_packet_gives_the_whole_segments_digest() {
    let whole = vxlan(4789, [8, 0, 0, 0, 1, 2, 3, 0], &inner());
    let expected = bare(raw(&inner()).unwrap());
    // Behind the TCP options, in the midst of the payload; a fragment's length is a multiple of 8.
    let mut first = whole[..20 + 16 + 18 + 20 + 40 + 2].to_vec();
    let len = first.len() as u16;
    first[2..4].copy_from_slice(&len.to_be_bytes());
    first[6] = 0x20;
    let digest = bare(raw(&first).unwrap());
    assert_eq!(
        digest,
        Digest {
            payload_hash: None,
            ..expected
        }
    );
    let mut short = first[..20 + 16].to_vec();
    short[2..4].copy_from_slice(&36_u16.to_be_bytes());
    assert_eq!(raw(&short), Err(Unread::CutInTunnel));
}

#[test]
fn later_fragments_of_tunnels_count_where_the_protocol_tells_them() {
    for protocol in [4, 41, 47] {
        let packet = v4(protocol, 0x2010, &[], &inner());
        assert_eq!(raw(&packet), Err(Unread::LaterFragment));
    }
}

#[test]
fn four_tunnels_are_followed_and_five_are_not() {
    let mut packet = inner();
    for depth in 1..=5 {
        packet = outer(4, &[&packet]);
        match raw(&packet) {
            Ok(digest) => {
                assert!(depth < 5);
                assert_eq!(digest.link.tunnel.unwrap().depth, depth);
            }
            refused => {
                assert_eq!((depth, refused), (5, Err(Unread::TooManyHeaders)));
            }
        }
    }
}

#[test]
fn a_tunnel_cut_in_its_header_is_counted_as_cut() {
    let packet = vxlan(4789, [8, 0, 0, 0, 1, 2, 3, 0], &inner());
    for kept in 20..20 + 16 + 18 {
        let cut = read_cut(LinkType::Raw, &packet[..kept], packet.len());
        assert_eq!(cut, Err(Unread::CutInTunnel), "{kept}");
    }
    assert!(Unread::CutInTunnel.may_be_tcp());
}

#[test]
fn the_first_block_of_a_selective_acknowledgement_is_kept() {
    let block = |left, right| SackBlock {
        left: TcpSeq(left),
        right: TcpSeq(right),
    };
    let one = [1, 1, 5, 10, 0, 0, 0, 9, 0, 0, 0, 12];
    let mut two = vec![1, 1, 5, 18, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2];
    two.extend([0, 0, 0, 9, 0, 0, 0, 12]);
    let wrong = [1, 1, 1, 1, 1, 1, 1, 1, 5, 4, 0, 0];
    for (options, sack) in [
        (&one[..], Some(block(9, 12))),
        (&two, Some(block(u32::MAX, 2))),
        (&wrong, None),
    ] {
        let digest = raw(&v4(6, 0, &[], &tcp(16, options, &[]))).unwrap();
        assert_eq!(digest.options.sack, sack);
    }
}

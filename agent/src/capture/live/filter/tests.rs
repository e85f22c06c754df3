//! What the expressions let through, by libpcap's own compiler and interpreter.

use pcap::{Capture, Linktype};

use super::*;

fn ethernet(tags: &[u16], ether_type: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 5]);
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(packet);
    frame.resize(frame.len() + 60, 0);
    frame
}

fn v4(protocol: u8, fragment: [u8; 2], port: u16) -> Vec<u8> {
    let mut packet = vec![
        0x45,
        0,
        0,
        60,
        0,
        0,
        fragment[0],
        fragment[1],
        64,
        protocol,
        0,
        0,
    ];
    packet.extend([192, 0, 2, 1, 192, 0, 2, 2, 0x9c, 0x40]);
    packet.extend(port.to_be_bytes());
    packet
}

fn v6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 40, next, 64];
    packet.extend([0; 32]);
    packet.extend(body);
    packet
}

fn passes(own: Option<&str>, frame: &[u8]) -> bool {
    passes_with(Tunnels::Taken, own, frame)
}

fn passes_with(tunnels: Tunnels, own: Option<&str>, frame: &[u8]) -> bool {
    let capture = Capture::dead(Linktype::ETHERNET).unwrap();
    let program = capture
        .compile(&expression(LinkType::Ethernet, own, tunnels), true)
        .unwrap();
    program.filter(frame)
}

#[test]
fn tcp_passes_behind_up_to_two_tags_and_udp_never() {
    for tags in [&[][..], &[0x8100], &[0x88a8, 0x8100]] {
        assert!(passes(None, &ethernet(tags, 0x0800, &v4(6, [0, 0], 80))));
        assert!(passes(None, &ethernet(tags, 0x86dd, &v6(6, &[]))));
        assert!(!passes(None, &ethernet(tags, 0x0800, &v4(17, [0, 0], 80))));
        assert!(!passes(None, &ethernet(tags, 0x86dd, &v6(17, &[]))));
    }
    assert!(!passes(None, &ethernet(&[], 0x0806, &[0; 28])));
}

#[test]
fn ipv6_extension_headers_and_fragments_pass() {
    for extension in [0, 43, 51, 60] {
        assert!(passes(None, &ethernet(&[], 0x86dd, &v6(extension, &[6]))));
        assert!(passes(
            None,
            &ethernet(&[0x8100], 0x86dd, &v6(extension, &[6]))
        ));
    }
    assert!(passes(None, &ethernet(&[], 0x86dd, &v6(44, &[6]))));
    assert!(passes(None, &ethernet(&[], 0x0800, &v4(6, [0x20, 4], 0))));
    assert!(passes(None, &ethernet(&[], 0x0800, &v4(51, [0, 0], 0))));
}

/// Of each kind of tunnel one frame.
fn tunnelled(tags: &[u16]) -> Vec<Vec<u8>> {
    let over_udp = [4789, 8472, 6081, 2152].map(|port| v4(17, [0, 0], port));
    let over_ip = [4, 41, 47].map(|protocol| v4(protocol, [0, 0], 0));
    let four = over_udp.iter().chain(&over_ip);
    let six = [4, 41, 47].map(|next| v6(next, &[]));
    let six_udp = v6(17, &[0x9c, 0x40, 0x12, 0xb5]);
    let on_link = [0x8847, 0x8848, 0x8864];
    (four.map(|packet| ethernet(tags, 0x0800, packet)))
        .chain((six.iter().chain([&six_udp])).map(|packet| ethernet(tags, 0x86dd, packet)))
        .chain(on_link.map(|ether_type| ethernet(tags, ether_type, &[0, 1, 0x41, 64])))
        .collect()
}

#[test]
fn tunnels_pass_behind_up_to_two_tags_unless_they_are_left() {
    for tags in [&[][..], &[0x8100], &[0x88a8, 0x8100]] {
        for frame in tunnelled(tags) {
            assert!(passes(None, &frame), "{frame:x?}");
            assert!(!passes_with(Tunnels::Left, None, &frame), "{frame:x?}");
        }
        for other in [1, 50, 89, 132] {
            let frame = ethernet(tags, 0x0800, &v4(other, [0, 0], 4789));
            assert!(!passes(None, &frame), "{other}");
        }
        let mut from_such_a_port = v4(17, [0, 0], 53);
        from_such_a_port[20..22].copy_from_slice(&4789_u16.to_be_bytes());
        assert!(!passes(None, &ethernet(tags, 0x0800, &from_such_a_port)));
    }
}

#[test]
fn the_users_condition_is_put_to_a_tunnels_outer_packet() {
    let frame = ethernet(&[], 0x0800, &v4(47, [0, 0], 0));
    assert!(passes(Some("host 192.0.2.2"), &frame));
    assert!(!passes(Some("host 192.0.2.3"), &frame));
    assert!(!passes(Some("port 443"), &frame));
}

#[test]
fn the_users_condition_holds_at_every_depth() {
    for tags in [&[][..], &[0x8100], &[0x88a8, 0x8100]] {
        let web = ethernet(tags, 0x0800, &v4(6, [0, 0], 80));
        let other = ethernet(tags, 0x0800, &v4(6, [0, 0], 81));
        let own = Some("port 80 or port 443");
        assert!(passes(own, &web), "{tags:x?}");
        assert!(!passes(own, &other), "{tags:x?}");
    }
}

#[test]
fn a_condition_on_vlan_is_taken_as_it_is() {
    let tagged = ethernet(&[0x8100], 0x0800, &v4(6, [0, 0], 80));
    let plain = ethernet(&[], 0x0800, &v4(6, [0, 0], 80));
    assert!(passes(Some("vlan 5 and port 80"), &tagged));
    assert!(!passes(Some("vlan 6"), &tagged));
    assert!(!passes(Some("vlan"), &plain));
    // A host's name is no keyword.
    assert!(!speaks_of_vlan(Some("host myvlanhost")));
}

#[test]
fn the_expression_compiles_for_every_link_type() {
    for (dlt, link) in [
        (1, LinkType::Ethernet),
        (113, LinkType::LinuxSll),
        (276, LinkType::LinuxSll2),
        (12, LinkType::Raw),
        (0, LinkType::Null),
        (108, LinkType::Loop),
    ] {
        let capture = Capture::dead(Linktype(dlt)).unwrap();
        for own in [None, Some("port 80")] {
            for tunnels in [Tunnels::Taken, Tunnels::Left] {
                let compiled = capture.compile(&expression(link, own, tunnels), true);
                assert!(compiled.is_ok(), "{link:?}: {:?}", compiled.err());
            }
        }
    }
}

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
    let capture = Capture::dead(Linktype::ETHERNET).unwrap();
    let program = capture
        .compile(&expression(LinkType::Ethernet, own), true)
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
            let compiled = capture.compile(&expression(link, own), true);
            assert!(compiled.is_ok(), "{link:?}: {:?}", compiled.err());
        }
    }
}

use xxhash_rust::xxh3::xxh3_64;

use super::frames::*;
use super::{LinkType, Unread, UnsupportedLink};
use crate::digest::{Digest, Direction, TcpFlags, Timestamps};
use crate::seq::TcpSeq;

const V4: u16 = 0x0800;
const V6: u16 = 0x86dd;

fn plain() -> Vec<u8> {
    ethernet(&[V4], &v4(6, 0x4000, &[], &tcp(0x18, &[], PAYLOAD)))
}

fn read_v4(packet: &[u8]) -> Result<Digest, Unread> {
    read(LinkType::Raw, packet)
}

#[test]
fn every_field_of_a_plain_segment_is_in_its_digest() {
    let digest = read(LinkType::Ethernet, &plain()).unwrap();
    assert_eq!(digest.time.nanos(), 42);
    assert_eq!(
        digest.tuple.to_string(),
        "192.0.2.1:40000 > 198.51.100.2:80"
    );
    assert_eq!(digest.seq, TcpSeq(0x0102_0304));
    assert_eq!(digest.ack, TcpSeq(0x0506_0708));
    assert_eq!(digest.flags, TcpFlags::PSH.with(TcpFlags::ACK));
    assert_eq!(digest.window, 0xfaf0);
    assert_eq!(digest.payload_len, 38);
    assert_eq!(digest.payload_hash, Some(xxh3_64(&PAYLOAD[..32])));
    assert_eq!(digest.ip.ttl, 63);
    assert_eq!(digest.ip.id, Some(0xabcd));
    assert!(digest.ip.dont_fragment);
    assert!(!digest.ip.fragment);
    assert_eq!(digest.ip.traffic_class, 0x12);
    assert_eq!(digest.link.source, Some([2, 0, 0, 0, 0, 1]));
    assert_eq!(digest.link.direction, Direction::Unknown);
    assert_eq!(digest.link.vlans, [None, None]);
    assert_eq!(digest.link.interface, 3);
}

#[test]
fn options_give_their_values_and_their_order() {
    let digest = read_v4(&v4(6, 0, &[], &tcp(2, SYN_OPTIONS, &[]))).unwrap();
    let options = digest.options;
    assert_eq!(options.mss, Some(1460));
    assert_eq!(options.window_scale, Some(7));
    assert!(options.sack_permitted);
    assert_eq!(options.timestamps, Some(Timestamps { value: 7, echo: 9 }));
    assert_eq!(options.order, 0x31842);
    assert!(!options.cut);
    assert_eq!(digest.payload_hash, None);
}

#[test]
fn a_reset_gives_the_reason_that_its_option_or_payload_carries() {
    let mptcp = [1, 1, 30, 4, 0x80, 4, 0, 0];
    let payload = [0x33, 0xaa, 0, 14, 0, 0, 0, 0];
    let reason = |flags, options: &[u8], payload: &[u8]| {
        let digest = read_v4(&v4(6, 0, &[], &tcp(flags, options, payload))).unwrap();
        digest.rst_reason.map(|reason| reason.to_string())
    };
    assert_eq!(
        reason(4, &mptcp, &[]).as_deref(),
        Some("MPTCP reason 4 (too much outstanding data)")
    );
    assert_eq!(
        reason(0x14, &[], &payload).as_deref(),
        Some("diagnostic code 14 (connection timeout)")
    );
    assert_eq!(reason(0x14, &[], &payload[..7]), None);
    assert_eq!(reason(0x18, &mptcp, &payload), None, "no RST");
    for cut in [[30, 0, 0, 0], [30, 40, 0x80, 4], [30, 4, 0x10, 4]] {
        assert_eq!(reason(4, &cut, &[]), None);
    }
}

#[test]
fn an_unknown_option_is_kind_15_and_the_end_of_list_ends_the_order() {
    let digest = read_v4(&v4(6, 0, &[], &tcp(16, &[34, 2, 0, 1], &[]))).unwrap();
    assert_eq!(digest.options.order, 15);
    assert!(!digest.options.cut);
}

#[test]
fn options_past_the_sixteenth_are_left_out_of_the_order() {
    let mut many = vec![1; 16];
    many.extend([2, 4, 2, 0]);
    let digest = read_v4(&v4(6, 0, &[], &tcp(16, &many, &[]))).unwrap();
    assert_eq!(digest.options.order, 0x1111_1111_1111_1111);
    assert_eq!(digest.options.mss, Some(512));
}

#[test]
fn an_option_longer_than_the_header_counts_as_cut() {
    for broken in [[2, 9, 5, 180], [8, 0, 0, 0], [1, 1, 1, 3]] {
        let digest = read_v4(&v4(6, 0, &[], &tcp(2, &broken, &[]))).unwrap();
        assert!(digest.options.cut, "{broken:?}");
    }
}

#[test]
fn the_ecn_nonce_bit_is_the_ninth_flag() {
    let mut segment = tcp(0x14, &[], &[]);
    segment[12] |= 1;
    let digest = read_v4(&v4(6, 0, &[], &segment)).unwrap();
    assert_eq!(
        digest.flags,
        TcpFlags::RST.with(TcpFlags::ACK).with(TcpFlags::NS)
    );
}

#[test]
fn vlan_tags_are_followed_and_the_outer_two_are_kept() {
    let packet = v4(6, 0, &[], &tcp(16, &[], &[]));
    let cases: [(&[u16], [Option<u16>; 2]); 5] = [
        (&[0x8100], [Some(100), None]),
        (&[0x88a8, 0x8100], [Some(100), Some(101)]),
        (&[0x9100, 0x8100], [Some(100), Some(101)]),
        (&[0x8100, 0x8100, 0x8100], [Some(100), Some(101)]),
        (&[0x8100; 8], [Some(100), Some(101)]),
    ];
    for (tags, vlans) in cases {
        let types: Vec<u16> = tags.iter().copied().chain([V4]).collect();
        let digest = read(LinkType::Ethernet, &ethernet(&types, &packet)).unwrap();
        assert_eq!(digest.link.vlans, vlans, "{tags:x?}");
    }
    let endless = ethernet(&[0x8100; 12], &packet);
    assert_eq!(
        read(LinkType::Ethernet, &endless),
        Err(Unread::TooManyHeaders)
    );
}

#[test]
fn cooked_frames_tell_the_direction_and_the_source() {
    let packet = v6(6, &tcp(16, &[], &[]));
    for (kind, direction) in [
        (0, Direction::In),
        (1, Direction::In),
        (3, Direction::Unknown),
        (4, Direction::Out),
    ] {
        let mut sll = vec![0, kind, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 0x86, 0xdd];
        sll.extend(&packet);
        let mut sll2 = vec![0x86, 0xdd, 0, 0, 0, 0, 0, 7, 0, 1, kind, 6];
        sll2.extend([2, 0, 0, 0, 0, 9, 0, 0]);
        sll2.extend(&packet);
        for (link, frame) in [(LinkType::LinuxSll, sll), (LinkType::LinuxSll2, sll2)] {
            let digest = read(link, &frame).unwrap();
            assert_eq!(digest.link.direction, direction);
            assert_eq!(digest.link.source, Some([2, 0, 0, 0, 0, 9]));
            assert_eq!(digest.ip.ttl, 61);
        }
    }
}

#[test]
fn a_cooked_frame_without_address_has_no_source_and_may_carry_a_tag() {
    let mut frame = vec![
        0, 4, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 9, 8, 0,
    ];
    frame.extend(v4(6, 0, &[], &tcp(16, &[], &[])));
    let digest = read(LinkType::LinuxSll, &frame).unwrap();
    assert_eq!(digest.link.source, None);
    assert_eq!(digest.link.vlans, [Some(9), None]);
}

#[test]
fn loopback_families_are_read_in_either_byte_order() {
    let (four, six) = (v4(6, 0, &[], &tcp(16, &[], &[])), v6(6, &tcp(16, &[], &[])));
    let families = [(2, &four), (10, &six), (24, &six), (28, &six), (30, &six)];
    for (family, packet) in families {
        for header in [[family, 0, 0, 0], [0, 0, 0, family]] {
            for link in [LinkType::Null, LinkType::Loop] {
                let frame = [&header[..], packet].concat();
                assert!(read(link, &frame).is_ok(), "family {header:?}");
            }
        }
    }
    assert_eq!(
        read(LinkType::Null, &[[7, 0, 0, 0].as_slice(), &four].concat()),
        Err(Unread::NotIp)
    );
}

#[test]
fn link_types_are_known_by_their_numbers_and_others_are_refused() {
    for raw in [12, 14, 101, 228, 229] {
        assert_eq!(LinkType::from_dlt(raw), Ok(LinkType::Raw));
    }
    assert_eq!(LinkType::from_dlt(276), Ok(LinkType::LinuxSll2));
    assert_eq!(LinkType::from_dlt(105), Err(UnsupportedLink(105)));
}

#[test]
fn ip_options_are_skipped() {
    let packet = v4(6, 0, &[1, 1, 1, 1, 7, 4, 4, 0], &tcp(16, &[], PAYLOAD));
    assert_eq!(read_v4(&packet).unwrap().payload_len, 38);
}

#[test]
fn a_first_fragment_is_marked_and_a_later_one_is_counted() {
    let first = read_v4(&v4(6, 0x2000, &[], &tcp(16, &[], PAYLOAD))).unwrap();
    assert!(first.ip.fragment);
    assert_eq!(
        read_v4(&v4(6, 0x2004, &[], &tcp(16, &[], PAYLOAD))),
        Err(Unread::LaterFragment)
    );
    assert_eq!(
        read_v4(&v4(17, 0x2004, &[], &tcp(16, &[], PAYLOAD))),
        Err(Unread::NotTcp)
    );
}

#[test]
fn a_first_fragment_may_end_within_the_tcp_options() {
    let options = &tcp(2, SYN_OPTIONS, &[])[..32];
    let digest = read_v4(&v4(6, 0x2000, &[], options)).unwrap();
    assert!(digest.options.cut);
    assert_eq!(digest.payload_len, 0);
    assert_eq!(read_v4(&v4(6, 0, &[], options)), Err(Unread::BadTcpHeader));
}

/// Next header, then the extension's own octets.
fn extended(chain: &[(u8, &[u8])], body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (index, (_, extension)) in chain.iter().enumerate() {
        octets.push(chain.get(index + 1).map_or(6, |(kind, _)| *kind));
        octets.extend(*extension);
    }
    octets.extend(body);
    v6(chain[0].0, &octets)
}

#[test]
fn ipv6_extension_headers_are_followed() {
    let chain: &[(u8, &[u8])] = &[
        (0, &[0, 1, 4, 0, 0, 0, 0]),
        (60, &[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (43, &[0, 4, 0, 0, 0, 0, 0]),
        (51, &[1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]),
    ];
    let digest = read_v4(&extended(chain, &tcp(16, &[], PAYLOAD))).unwrap();
    assert_eq!(digest.payload_len, 38);
    assert_eq!(digest.ip.id, None);
    assert_eq!(digest.ip.traffic_class, 0x12);
    assert_eq!(
        digest.tuple.to_string(),
        "[2001:db8::1]:40000 > [2001:db8::2]:80"
    );
}

#[test]
fn ipv6_fragments_are_told_apart() {
    let segment = tcp(16, &[], PAYLOAD);
    let fragment = |offset: u8| [0, 0, offset, 0, 0, 0, 9];
    let with = |offset| read_v4(&extended(&[(44, &fragment(offset))], &segment));
    assert!(with(1).unwrap().ip.fragment);
    assert!(!with(0).unwrap().ip.fragment, "an atomic fragment is whole");
    assert_eq!(with(0x81), Err(Unread::LaterFragment));
}

#[test]
fn an_authentication_header_is_followed_in_ipv4_too() {
    let mut body = vec![6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    body.extend(tcp(4, &[], &[]));
    assert!(read_v4(&v4(51, 0, &[], &body)).unwrap().is_rst());
}

#[test]
fn endless_extension_headers_are_given_up() {
    let one: (u8, &[u8]) = (60, &[0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(
        read_v4(&extended(&[one; 10], &tcp(16, &[], &[]))),
        Err(Unread::TooManyHeaders)
    );
}

#[test]
fn what_is_no_tcp_says_so() {
    assert_eq!(
        read(LinkType::Ethernet, &ethernet(&[0x0806], &[0; 28])),
        Err(Unread::NotIp)
    );
    assert_eq!(read_v4(&v4(17, 0, &[], &[0; 8])), Err(Unread::NotTcp));
    assert_eq!(read_v4(&v6(58, &[0; 8])), Err(Unread::NotTcp));
    assert_eq!(read_v4(&[0x50; 40]), Err(Unread::NotIp));
}

#[test]
fn contradictory_headers_are_bad() {
    let whole = v4(6, 0, &[], &tcp(16, &[], &[]));
    let with = |at: usize, octet: u8| {
        let mut packet = whole.clone();
        packet[at] = octet;
        read_v4(&packet)
    };
    assert_eq!(with(0, 0x44), Err(Unread::BadIpHeader));
    assert_eq!(with(3, 19), Err(Unread::BadIpHeader));
    assert_eq!(with(3, 39), Err(Unread::BadTcpHeader));
    assert_eq!(with(32, 0x40), Err(Unread::BadTcpHeader));
    assert_eq!(with(32, 0x60), Err(Unread::BadTcpHeader));
    let mislabelled = ethernet(&[V6], &whole);
    assert_eq!(
        read(LinkType::Ethernet, &mislabelled),
        Err(Unread::BadIpHeader)
    );
}

#[test]
fn ethernet_padding_is_no_payload() {
    let mut frame = ethernet(&[V4], &v4(6, 0, &[], &tcp(4, &[], &[])));
    frame.resize(60, 0);
    let digest = read(LinkType::Ethernet, &frame).unwrap();
    assert_eq!((digest.payload_len, digest.payload_hash), (0, None));
}

#[test]
fn without_a_length_in_the_ip_header_the_length_on_the_link_counts() {
    let mut four = ethernet(&[V4], &v4(6, 0, &[], &tcp(16, &[], PAYLOAD)));
    four[16..18].fill(0);
    let mut six = ethernet(&[V6], &v6(6, &tcp(16, &[], PAYLOAD)));
    six[18..20].fill(0);
    for (frame, headers) in [(four, 54), (six, 74)] {
        let whole = read(LinkType::Ethernet, &frame).unwrap();
        assert_eq!(whole.payload_len, 38);
        let cut = read_cut(LinkType::Ethernet, &frame, 70_000).unwrap();
        assert_eq!(cut.payload_len, 70_000 - headers);
        assert_eq!(cut.payload_hash, whole.payload_hash);
    }
}

#[test]
fn a_frame_cut_anywhere_keeps_what_is_there() {
    let payload = &PAYLOAD[..20];
    let frame = ethernet(&[0x8100, V4], &v4(6, 0, &[], &tcp(2, SYN_OPTIONS, payload)));
    let whole = read(LinkType::Ethernet, &frame).unwrap();
    for kept in 0..frame.len() {
        let cut = read_cut(LinkType::Ethernet, &frame[..kept], frame.len());
        match kept {
            0..18 => assert_eq!(cut, Err(Unread::CutInLink), "{kept}"),
            18..38 => assert_eq!(cut, Err(Unread::CutInIp), "{kept}"),
            38..58 => assert_eq!(cut, Err(Unread::CutInTcp), "{kept}"),
            _ => {
                let cut = cut.unwrap();
                let as_cut = Digest {
                    payload_hash: None,
                    options: cut.options,
                    ..whole
                };
                assert_eq!(cut, as_cut, "{kept}");
                assert_eq!(cut.options.cut, kept < 78, "{kept}");
                assert_eq!(cut.options.mss.is_some(), kept >= 62, "{kept}");
                assert_eq!(cut.options.timestamps.is_some(), kept >= 74, "{kept}");
            }
        }
    }
}

#[test]
fn an_ipv6_packet_cut_in_its_extension_headers_is_cut_in_ip() {
    let packet = extended(&[(60, &[0, 1, 4, 0, 0, 0, 0])], &tcp(16, &[], &[]));
    for kept in 0..packet.len() {
        let expected = match kept {
            0..48 => Unread::CutInIp,
            _ => Unread::CutInTcp,
        };
        assert_eq!(
            read_cut(LinkType::Raw, &packet[..kept], packet.len()),
            Err(expected),
            "{kept}"
        );
    }
}

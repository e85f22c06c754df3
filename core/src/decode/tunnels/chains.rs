//! Any chain of tunnels, whole, cut and damaged.

use proptest::prelude::*;

use super::super::frames::*;
use super::super::{LinkType, RawPacket, Unread, decode, far, link, on_link};
use super::{BRIDGED, V4, V6, bare, pppoe, raw, udp};
use crate::digest::Digest;
use crate::time::CaptureTime;

/// One layer of a chain, with room for a choice of its fields.
fn wrapped(layer: u8, choice: u8, packet: &[u8]) -> Vec<u8> {
    let four = packet[0] >> 4 == 4;
    let ether_type: u16 = if four { V4 } else { V6 };
    let types: &[u16] = match choice % 3 {
        0 => &[ether_type],
        1 => &[0x8100, ether_type],
        _ => &[0x88a8, 0x8100, ether_type],
    };
    let frame = ethernet(types, packet);
    let kind = |inside: u16| inside.to_be_bytes();
    let body = match layer {
        0 => udp(4789, &[&[8, 0, 0, 0, 0, 0, choice, 0], &frame[..]].concat()),
        1 => {
            let [high, low] = kind(BRIDGED);
            let header = [choice & 3, 0, high, low, 0, 0, choice, 0];
            let options = vec![1; usize::from(choice & 3) * 4];
            udp(6081, &[&header[..], &options, &frame].concat())
        }
        2 => {
            let flags = [0, 0x80, 0x20, 0xb0][usize::from(choice & 3)];
            let fields = [0, 4, 4, 12][usize::from(choice & 3)];
            let [high, low] = kind(ether_type);
            let header = [flags, 0, high, low];
            [&header[..], &vec![choice; fields], packet].concat()
        }
        3 => packet.to_vec(),
        4 => {
            let mut message = vec![0x30, 255, 0, 0, 0, 0, 0, choice];
            message.extend(packet);
            message[2..4].copy_from_slice(&(packet.len() as u16).to_be_bytes());
            udp(2152, &message)
        }
        _ => [&[0, 0, 0x88, 0x47, 0, 1, 1, 64], packet].concat(),
    };
    let protocol = match (layer, four) {
        (2 | 5.., _) => 47,
        (3, true) => 4,
        (3, false) => 41,
        _ => 17,
    };
    if choice & 4 == 0 {
        v4(protocol, 0, &[], &body)
    } else {
        v6(protocol, &body)
    }
}

fn framed(link: u8, packet: &[u8]) -> (LinkType, Vec<u8>) {
    let four = packet[0] >> 4 == 4;
    let ether_type: u16 = if four { V4 } else { V6 };
    let [high, low] = ether_type.to_be_bytes();
    match link {
        0 => (LinkType::Ethernet, ethernet(&[0x8100, ether_type], packet)),
        1 => {
            let header = [0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, high, low];
            (LinkType::LinuxSll, [&header[..], packet].concat())
        }
        2 => (LinkType::Raw, packet.to_vec()),
        3 => {
            let session = pppoe(if four { 0x21 } else { 0x57 }, packet);
            (LinkType::Ethernet, ethernet(&[0x8864], &session))
        }
        _ => {
            let stack = [&[0, 1, 0x41, 64], packet].concat();
            (LinkType::Ethernet, ethernet(&[0x8847], &stack))
        }
    }
}

fn chains() -> impl Strategy<Value = (Vec<(u8, u8)>, u8, bool)> {
    let layers = prop::collection::vec((0..6_u8, any::<u8>()), 0..5);
    (layers, 0..5_u8, any::<bool>())
}

/// How many tunnels a layer or a link counts as: labels in GRE are two.
fn depth(layers: &[(u8, u8)], link: u8) -> usize {
    let inside: usize = layers
        .iter()
        .map(|(layer, _)| 1 + usize::from(*layer == 5))
        .sum();
    inside + usize::from(link > 2)
}

fn segment(is_v6: bool) -> Vec<u8> {
    let segment = tcp(0x12, SYN_OPTIONS, PAYLOAD);
    if is_v6 {
        v6(6, &segment)
    } else {
        v4(6, 0x4000, &[], &segment)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_chain_of_tunnels_gives_the_digest_of_the_bare_packet((layers, link, is_v6) in chains()) {
        let bare_packet = segment(is_v6);
        let packet = layers.iter().fold(bare_packet.clone(), |packet, (layer, choice)| {
            wrapped(*layer, *choice, &packet)
        });
        let (link_type, frame) = framed(link, &packet);
        let found = read(link_type, &frame);
        let depth = depth(&layers, link);
        if depth > 4 {
            prop_assert_eq!(found, Err(Unread::TooManyHeaders));
        } else {
            let digest = found.unwrap();
            prop_assert_eq!(bare(digest), bare(raw(&bare_packet).unwrap()));
            let told = digest.link.tunnel.map_or(0, |tunnel| usize::from(tunnel.depth));
            prop_assert_eq!(told, depth);
        }
    }

    #[test]
    fn a_chain_cut_anywhere_is_a_counted_refusal_or_the_same_segment(
        (layers, link, is_v6) in chains(),
        at: prop::sample::Index,
    ) {
        let packet = layers.iter().fold(segment(is_v6), |packet, (layer, choice)| {
            wrapped(*layer, *choice, &packet)
        });
        let (link_type, frame) = framed(link, &packet);
        let whole = read(link_type, &frame);
        let kept = at.index(frame.len());
        match (read_cut(link_type, &frame[..kept], frame.len()), whole) {
            (Ok(cut), Ok(whole)) => {
                prop_assert_eq!((cut.tuple, cut.seq, cut.flags), (whole.tuple, whole.seq, whole.flags));
                prop_assert_eq!((cut.payload_len, cut.link), (whole.payload_len, whole.link));
            }
            (Err(reason), _) => prop_assert!(reason.may_be_tcp(), "{reason:?}"),
            (Ok(cut), Err(reason)) => prop_assert!(false, "{cut:?}, but whole {reason:?}"),
        }
    }

    /// Damage anywhere in a chain; where the tunnels stay sound, the segment must be one that is there.
    #[test]
    fn a_chain_with_any_damage_makes_no_panic(
        (layers, link, is_v6) in chains(),
        broken in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        more: u16,
    ) {
        let packet = layers.iter().fold(segment(is_v6), |packet, (layer, choice)| {
            wrapped(*layer, *choice, &packet)
        });
        let (link_type, mut frame) = framed(link, &packet);
        for (at, octet) in broken {
            let at = at.index(frame.len());
            frame[at] = octet;
        }
        for len in [0, frame.len() + usize::from(more)] {
            if let Ok(digest) = read_cut(link_type, &frame, len) {
                prop_assert!(digest.link.tunnel.is_none_or(|tunnel| (1..=4).contains(&tunnel.depth)));
            }
        }
    }

    /// The short way for plain packets must not change what they say.
    #[test]
    fn the_short_way_reads_what_the_long_way_reads(
        fragment in prop::sample::select(vec![0, 0x4000, 0x2000, 0x2001, 0x6000]),
        broken in prop::collection::vec((0..60_usize, any::<u8>()), 0..4),
        kept in 0..140_usize,
        more in 0..2000_u32,
    ) {
        let packet = v4(6, fragment, &[1; 4], &tcp(0x18, SYN_OPTIONS, PAYLOAD));
        let mut frame = ethernet(&[V4], &packet);
        for (at, octet) in broken {
            frame[at] = octet;
        }
        frame.truncate(kept);
        let raw = RawPacket {
            time: CaptureTime::from_nanos(7),
            link: LinkType::Ethernet,
            original_len: more,
            interface: 3,
            data: &frame,
        };
        let long = link::walk(raw.link, &frame).and_then(|framed| {
            let mut place = Digest::BLANK;
            far(&raw, &framed, on_link(&raw, &framed), &mut place)?;
            Ok(place)
        });
        prop_assert_eq!(decode(&raw), long);
    }

    /// Octets at random seldom look like a tunnel; behind a tunnel's header they are asked for one.
    #[test]
    fn any_octets_in_a_tunnel_make_no_panic(
        layer in 0..6_u8,
        choice: u8,
        octets in prop::collection::vec(any::<u8>(), 1..120),
    ) {
        let packet = wrapped(layer, choice, &octets);
        for link in 0..5 {
            let (link_type, frame) = framed(link, &packet);
            let _ = read(link_type, &frame);
        }
    }
}

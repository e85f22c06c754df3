//! What leaves, when, how often, and within which bounds.

use std::collections::HashMap;

use parallax_core::digest::{IpFields, LinkFields, TcpFlags, TcpOptions};
use parallax_core::time::{MILLISECOND, SECOND};
use parallax_core::tunnel::{Tunnel, TunnelEnds, TunnelKind};
use parallax_core::{CaptureTime, Endpoint, FourTuple, TcpSeq};
use proptest::prelude::*;

use super::*;

const SYN: TcpFlags = TcpFlags::SYN;
const SYN_ACK: TcpFlags = TcpFlags::SYN.with(TcpFlags::ACK);
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);
const RST: TcpFlags = TcpFlags::RST;

/// Segment number `seq` of a flow, which tells it from all others.
fn segment(client_port: u32, from: Side, flags: TcpFlags, seq: u32, time: i64) -> Digest {
    let client = Endpoint::new(
        std::net::Ipv4Addr::from(0xc000_0200 + client_port / 60_000).into(),
        (client_port % 60_000) as u16 + 1,
    );
    let server = Endpoint::new("198.51.100.1".parse().unwrap(), 80);
    let there = FourTuple::new(client, server);
    Digest {
        time: CaptureTime::from_nanos(time),
        tuple: match from {
            Side::Client => there,
            Side::Server => there.reversed(),
        },
        seq: TcpSeq(seq),
        ack: TcpSeq(0),
        flags,
        window: 100,
        payload_len: 10,
        payload_hash: None,
        options: TcpOptions::default(),
        rst_reason: None,
        ip: IpFields::default(),
        link: LinkFields::default(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}
use Side::{Client, Server};

fn memory(octets: usize) -> Memory {
    Memory::new(octets, Selection::Context, Grace::default())
}

fn shipped(memory: &mut Memory, segments: &[Digest]) -> Vec<u32> {
    let mut out = Vec::new();
    for segment in segments {
        memory.observe(&Noted::of(segment), &mut out);
    }
    out.iter().map(|digest| digest.seq.0).collect()
}

/// SYN (1), SYN+ACK (2), ACK (3), then data by turns, numbered from 4 on, a millisecond apart.
fn connection(port: u32, data: u32) -> Vec<Digest> {
    let mut segments = vec![
        segment(port, Client, SYN, 1, MILLISECOND),
        segment(port, Server, SYN_ACK, 2, 2 * MILLISECOND),
        segment(port, Client, ACK, 3, 3 * MILLISECOND),
    ];
    segments.extend((4..4 + data).map(|seq| {
        let side = if seq.is_multiple_of(2) {
            Client
        } else {
            Server
        };
        segment(port, side, ACK, seq, i64::from(seq) * MILLISECOND)
    }));
    segments
}

#[test]
fn handshake_requests_ends_and_resets_leave_at_once_and_data_does_not() {
    let mut segments = connection(1, 10);
    segments.push(segment(1, Client, FIN, 100, SECOND));
    assert_eq!(shipped(&mut memory(1 << 20), &segments), [1, 2, 100]);
}

#[test]
fn a_flow_met_in_mid_stream_ships_the_first_segment_of_each_direction() {
    let segments = [
        segment(1, Client, ACK, 1, 1),
        segment(1, Client, ACK, 2, 2),
        segment(1, Server, ACK, 3, 3),
        segment(1, Server, ACK, 4, 4),
    ];
    assert_eq!(shipped(&mut memory(1 << 20), &segments), [1, 3]);
}

#[test]
fn a_reset_sends_its_flows_context_ahead_in_order_of_time() {
    let mut segments = connection(1, 6);
    segments.extend(connection(2, 6));
    segments.push(segment(1, Server, RST, 100, SECOND));
    assert_eq!(
        shipped(&mut memory(1 << 20), &segments),
        [1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100]
    );
}

#[test]
fn a_long_flow_keeps_its_handshake_and_the_last_sixteen_each_way() {
    let mut segments = connection(1, 100);
    segments.push(segment(1, Client, RST, 200, SECOND));
    let mut expected = vec![1, 2, 3];
    expected.extend(72..=103);
    expected.push(200);
    assert_eq!(shipped(&mut memory(1 << 20), &segments), expected);
}

#[test]
fn what_follows_a_reset_leaves_at_once_within_the_grace_and_not_after_it() {
    let mut memory = memory(1 << 20);
    let mut segments = connection(1, 0);
    segments.push(segment(1, Client, RST, 10, SECOND));
    segments.push(segment(1, Server, ACK, 11, SECOND + MILLISECOND));
    segments.push(segment(1, Server, ACK, 12, 3 * SECOND));
    segments.push(segment(1, Server, ACK, 13, 3 * SECOND + 1));
    segments.push(segment(1, Server, ACK, 14, 3 * SECOND + 2));
    assert_eq!(shipped(&mut memory, &segments), [1, 2, 3, 10, 11, 12]);
    let again = segment(1, Client, RST, 15, 4 * SECOND);
    assert_eq!(shipped(&mut memory, &[again]), [13, 14, 15]);
}

#[test]
fn the_grace_ends_after_its_number_of_segments() {
    let mut memory = memory(1 << 20);
    let mut segments = vec![segment(1, Server, ACK, 1, 0), segment(1, Client, RST, 2, 0)];
    segments.extend((3..203).map(|seq| segment(1, Server, ACK, seq, 1)));
    let expected: Vec<u32> = (1..=2 + 64).collect();
    assert_eq!(shipped(&mut memory, &segments), expected);
}

#[test]
fn selecting_all_ships_every_segment_as_it_comes() {
    let mut memory = Memory::new(1 << 20, Selection::All, Grace::default());
    let segments = connection(1, 50);
    let expected: Vec<u32> = (1..54).collect();
    assert_eq!(shipped(&mut memory, &segments), expected);
}

#[test]
fn a_flood_of_flows_stays_within_the_bound_and_spares_the_busy_flow() {
    let bound = 1 << 20;
    let mut memory = memory(bound);
    let mut out = Vec::new();
    for round in 0..200_000_u32 {
        let time = i64::from(round) * MILLISECOND / 10;
        let flood = segment(100 + round, Client, SYN, round, time);
        memory.observe(&Noted::of(&flood), &mut out);
        let busy = segment(1, Client, ACK, round, time);
        memory.observe(&Noted::of(&busy), &mut out);
    }
    assert!(memory.octets() <= bound, "{} octets", memory.octets());
    assert!(memory.evicted().flows > 190_000, "{:?}", memory.evicted());
    out.clear();
    memory.observe(&Noted::of(&segment(1, Client, RST, 1, 200_000)), &mut out);
    assert_eq!(out.len(), 17, "the busy flow's context is whole");
}

#[test]
fn when_segments_run_out_the_idle_flow_gives_up_its_context() {
    let bound = 1 << 20;
    let mut memory = memory(bound);
    let mut out = Vec::new();
    for round in 0..40_u32 {
        for port in 0..900 {
            let time = i64::from(round * 900 + port);
            memory.observe(
                &Noted::of(&segment(port, Client, ACK, round, time)),
                &mut out,
            );
        }
    }
    assert!(memory.octets() <= bound, "{} octets", memory.octets());
    assert!(memory.evicted().contexts > 0);
    assert_eq!(memory.evicted().flows, 0);
    out.clear();
    memory.observe(&Noted::of(&segment(899, Client, RST, 99, 50_000)), &mut out);
    assert!(out.len() > 1, "the flow that was last busy has context");
}

#[test]
fn segments_with_tags_and_tunnels_come_back_whole_and_give_their_room_back() {
    let mut memory = memory(1 << 20);
    let mut segments = connection(1, 100);
    for (index, segment) in segments.iter_mut().enumerate().skip(2) {
        if index % 3 != 0 {
            segment.link.vlans = [Some(7), Some(index as u16)];
        }
        if index % 5 == 0 {
            let end = |last| std::net::Ipv6Addr::from(u128::from(u32::MAX - last)).into();
            segment.link.tunnel = Some(Tunnel {
                kind: TunnelKind::Vxlan,
                depth: 1,
                ends: Some(TunnelEnds {
                    src: end(1),
                    dst: end(2),
                }),
                id: Some(index as u32),
            });
        }
    }
    let mut expected = segments[..3].to_vec();
    expected.extend(&segments[71..]);
    let reset = segment(1, Client, RST, 200, SECOND);
    segments.push(reset);
    expected.push(reset);
    let mut out = Vec::new();
    for segment in &segments {
        memory.observe(&Noted::of(segment), &mut out);
    }
    assert_eq!(out, expected);
    assert_eq!(memory.segments.used(), 0);
}

#[test]
fn foreseeing_changes_nothing() {
    let mut plain = memory(1 << 20);
    let mut foreseen = memory(1 << 20);
    let mut segments: Vec<Digest> = (0..200).flat_map(|port| connection(port, 40)).collect();
    segments.sort_by_key(|segment| segment.time);
    segments.push(segment(7, Client, RST, 100, SECOND));
    let noted: Vec<Noted> = segments.iter().map(Noted::of).collect();
    let mut out = [Vec::new(), Vec::new()];
    for batch in noted.chunks(BATCH) {
        foreseen.foresee(batch);
        for noted in batch {
            plain.observe(noted, &mut out[0]);
            foreseen.observe(noted, &mut out[1]);
        }
    }
    assert_eq!(out[0], out[1]);
    // Both SYNs of each, then one handshake's ACK, sixteen each way, and the reset.
    assert_eq!(out[0].len(), 2 * 200 + 1 + 32 + 1);
}

#[derive(Debug, Clone, Copy)]
struct Event {
    port: u32,
    side: Side,
    flags: TcpFlags,
    pause: i64,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let flags = prop_oneof![
        8 => Just(ACK),
        1 => Just(SYN),
        1 => Just(SYN_ACK),
        1 => Just(FIN),
        1 => Just(RST),
        1 => Just(RST.with(TcpFlags::ACK)),
    ];
    let side = prop_oneof![Just(Client), Just(Server)];
    let event =
        (0..3_u32, side, flags, 0..SECOND / 4).prop_map(|(port, side, flags, pause)| Event {
            port,
            side,
            flags,
            pause,
        });
    proptest::collection::vec(event, 0..400)
}

proptest! {
    #[test]
    fn each_digest_leaves_at_most_once_and_every_reset_right_then(events in events()) {
        let mut memory = memory(1 << 20);
        let (mut out, mut time) = (Vec::new(), 0);
        for (seq, event) in (0..).zip(&events) {
            time += event.pause;
            let digest = segment(event.port, event.side, event.flags, seq, time);
            memory.observe(&Noted::of(&digest), &mut out);
            let at_once = event.flags != ACK;
            prop_assert_eq!(at_once && out.last() != Some(&digest), false);
        }
        let mut times_left = HashMap::new();
        for digest in &out {
            *times_left.entry(digest.seq.0).or_insert(0) += 1;
        }
        prop_assert!(times_left.values().all(|times| *times == 1));
    }

    #[test]
    fn a_reset_is_preceded_by_all_that_its_flow_still_holds(data in 0..60_u32) {
        let mut memory = memory(1 << 20);
        let mut segments = connection(1, data);
        segments.push(segment(1, Client, RST, 1_000, SECOND));
        let seqs = shipped(&mut memory, &segments);
        let kept_from = 4 + data.saturating_sub(32);
        let mut expected = vec![1, 2, 3];
        expected.extend(kept_from..4 + data);
        expected.push(1_000);
        prop_assert_eq!(seqs, expected);
    }

    #[test]
    fn no_traffic_makes_it_exceed_its_bound(
        seeds in proptest::collection::vec((0..100_000_u32, 1..40_u32), 1..600),
    ) {
        let bound = 1 << 20;
        let mut memory = memory(bound);
        let mut out = Vec::new();
        let reserved = memory.reserved();
        for (round, (port, burst)) in (0_i64..).zip(seeds) {
            for seq in 0..burst {
                memory.observe(&Noted::of(&segment(port, Client, ACK, seq, round)), &mut out);
            }
            out.clear();
            prop_assert!(memory.octets() <= bound);
        }
        prop_assert_eq!(memory.reserved(), reserved, "nothing was allocated on the way");
    }
}

#[test]
fn a_sample_of_the_rest_travels_the_same_whatever_else_does() {
    let one_in = parallax_core::OneIn::new(4).expect("not zero");
    let mut memory = Memory::new(1 << 20, Selection::Sampled(one_in), Grace::default());
    let segments: Vec<Digest> = (0..400)
        .map(|seq| {
            let mut data = segment(1, Client, ACK, seq, i64::from(seq));
            data.payload_hash = Some(u64::from(seq) << 32 | 1);
            data
        })
        .collect();
    let left = shipped(&mut memory, &segments);
    let picked = segments.iter().filter(|digest| one_in.picks(digest));
    let mut expected: Vec<u32> = picked.map(|digest| digest.seq.0).collect();
    // The first of its way always does.
    if expected.first() != Some(&0) {
        expected.insert(0, 0);
    }
    assert_eq!(left, expected);
    assert!((60..140).contains(&left.len()), "{}", left.len());
}

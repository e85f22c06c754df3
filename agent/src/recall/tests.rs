//! What the ring keeps, finds and forgets, and what the desk swears to.

use std::net::{Ipv4Addr, Ipv6Addr};

use parallax_core::digest::{
    Direction, IpFields, LinkFields, SackBlock, TcpFlags, TcpOptions, Timestamps,
};
use parallax_core::time::SECOND;
use parallax_core::tunnel::{Tunnel, TunnelEnds, TunnelKind};
use parallax_core::{
    CaptureTime, Coverage, Digest, Endpoint, Flow, FourTuple, ResetReason, TcpSeq,
};
use proptest::prelude::*;

use super::desk::{Desk, Question};
use super::record::{self, Record};
use super::ring::{LEAST_OCTETS, Ring, Searched, Sought};
use crate::noted::Noted;
use crate::noted::key::FlowKey;

fn at(nanos: i64) -> CaptureTime {
    CaptureTime::from_nanos(nanos)
}

fn tuple(port: u16) -> FourTuple {
    FourTuple::new(
        Endpoint::new(Ipv4Addr::new(192, 0, 2, 1).into(), port),
        Endpoint::new(Ipv4Addr::new(198, 51, 100, 1).into(), 80),
    )
}

fn segment(port: u16, flags: TcpFlags, seq: u32, time: i64) -> Digest {
    Digest {
        time: at(time),
        tuple: tuple(port),
        seq: TcpSeq(seq),
        ack: TcpSeq(0),
        flags,
        window: 100,
        payload_len: 0,
        payload_hash: None,
        rst_reason: None,
        options: TcpOptions::default(),
        ip: IpFields::default(),
        link: LinkFields::default(),
    }
}

fn ack(port: u16, seq: u32, time: i64) -> Digest {
    segment(port, TcpFlags::ACK, seq, time)
}

fn sought(flows: &[Flow], from: i64, until: i64) -> Sought {
    Sought {
        flows: flows.to_vec(),
        from: at(from),
        until: at(until),
        ..Sought::default()
    }
}

fn numbers(digests: &[Digest]) -> Vec<u32> {
    digests.iter().map(|digest| digest.seq.0).collect()
}

#[test]
fn a_flow_is_found_among_others_and_travels_once() {
    let mut ring = Ring::new(LEAST_OCTETS);
    for turn in 0..100_u32 {
        for port in 1..40 {
            ring.push(&Noted::of(&ack(port, turn, i64::from(turn))), turn % 2 == 0);
        }
    }
    let flow = tuple(7).flow();
    let found = ring.search(&sought(&[flow], 10, 19));
    assert_eq!(numbers(&found.digests), [11, 13, 15, 17, 19]);
    assert_eq!(found.flows[0].count, 100);
    assert_eq!(found.flows[0].seen, Some((at(0), at(99))));
    assert!(found.since.is_some());
    assert!(ring.search(&sought(&[flow], 10, 19)).digests.is_empty());
    let rest = ring.search(&sought(&[flow], 0, 99)).digests;
    assert_eq!(rest.len(), 45);
}

#[test]
fn context_that_travelled_with_a_reset_does_not_travel_again() {
    let mut ring = Ring::new(LEAST_OCTETS);
    let all: Vec<Digest> = (0..10).map(|seq| ack(1, seq, i64::from(seq))).collect();
    for digest in &all {
        ring.push(&Noted::of(digest), false);
    }
    ring.shipped(&all[4..]);
    let found = ring.search(&sought(&[tuple(1).flow()], 0, 99));
    assert_eq!(numbers(&found.digests), [0, 1, 2, 3]);
}

#[test]
fn a_flow_that_memory_does_not_hold_is_said_to_be_held_nowhere() {
    let mut ring = Ring::new(LEAST_OCTETS);
    ring.push(&Noted::of(&ack(1, 1, 1)), false);
    let found = ring.search(&sought(&[tuple(2).flow()], 0, 99));
    assert_eq!(found.flows[0].count, 0);
    assert_eq!(found.flows[0].seen, None);
}

#[test]
fn a_translated_name_is_found_by_its_initial_number_and_a_proxys_by_its_payload() {
    let mut ring = Ring::new(LEAST_OCTETS);
    ring.push(&Noted::of(&segment(1, TcpFlags::SYN, 0xdead_beef, 1)), true);
    ring.push(&Noted::of(&ack(1, 5, 2)), false);
    let mut data = ack(2, 9, 3);
    (data.payload_len, data.payload_hash) = (40, Some(77));
    ring.push(&Noted::of(&data), false);
    ring.push(&Noted::of(&ack(3, 9, 4)), false);
    let mut wanted = sought(&[tuple(9).flow()], 0, 99);
    wanted.numbers = vec![0xdead_beef];
    wanted.payload_hashes = vec![77, 78];
    let found = ring.search(&wanted);
    assert_eq!(numbers(&found.digests), [5, 9]);
    let mut flows: Vec<Flow> = found.flows.iter().map(|held| held.flow).collect();
    assert_eq!(flows.remove(0), tuple(9).flow());
    flows.sort_unstable();
    assert_eq!(flows, [tuple(1).flow(), tuple(2).flow()]);
}

/// Every HTTP client of a kind begins alike: such a payload would bring one connection for each of them.
#[test]
fn a_payload_that_many_connections_carry_tells_of_none_of_them() {
    let carriers = |count: u16| {
        let mut ring = Ring::new(LEAST_OCTETS);
        for port in 1..=count {
            let mut data = ack(port, 9, i64::from(port));
            (data.payload_len, data.payload_hash) = (40, Some(77));
            ring.push(&Noted::of(&data), false);
            ring.push(&Noted::of(&data), false);
        }
        let mut wanted = sought(&[], 0, 99);
        wanted.payload_hashes = vec![77];
        ring.search(&wanted).flows.len()
    };
    assert_eq!(carriers(16), 16);
    assert_eq!(carriers(17), 0);
}

#[test]
fn the_ring_stays_within_its_size_forgets_the_oldest_and_says_how_far_back_it_reaches() {
    let mut ring = Ring::new(LEAST_OCTETS);
    let before = ring.octets();
    assert!(before <= LEAST_OCTETS);
    assert_eq!(ring.horizon(), None);
    let count = 200_000_u32;
    for seq in 0..count {
        ring.push(
            &Noted::of(&ack((seq % 500) as u16 + 1, seq, i64::from(seq))),
            false,
        );
    }
    assert_eq!(ring.octets(), before);
    let horizon = ring.horizon().expect("something was forgotten").nanos();
    let held = i64::from(count) - horizon;
    assert!((10_000..25_000).contains(&held), "{held} segments held");
    for port in [1, 250, 500] {
        let found = ring.search(&sought(&[tuple(port).flow()], 0, i64::MAX));
        let first = found.digests[0].seq.0;
        assert!(i64::from(first) >= horizon && i64::from(first) < horizon + 500);
        let expected: Vec<u32> = (first..count).step_by(500).collect();
        assert_eq!(numbers(&found.digests), expected);
    }
}

#[test]
fn a_clock_that_was_set_back_ends_what_memory_swears_to() {
    let mut ring = Ring::new(LEAST_OCTETS);
    ring.push(&Noted::of(&ack(1, 1, 10 * SECOND)), false);
    ring.push(&Noted::of(&ack(1, 2, 5 * SECOND)), false);
    ring.push(&Noted::of(&ack(1, 3, 6 * SECOND)), false);
    assert_eq!(ring.horizon(), Some(at(5 * SECOND)));
    let found = ring.search(&sought(&[tuple(1).flow()], 0, 20 * SECOND));
    assert_eq!(numbers(&found.digests), [2, 3]);
}

fn coverage(from: i64, until: i64, dropped: u64) -> Coverage {
    Coverage {
        from: at(from),
        until: at(until),
        received: 1,
        dropped,
    }
}

#[test]
fn an_answer_speaks_of_what_was_watched_and_comes_again_when_the_span_has_passed() {
    let mut desk = Desk::new(Ring::new(LEAST_OCTETS), at(0));
    desk.note(&Noted::of(&ack(1, 1, 5)), &[], false);
    let question = Question {
        id: 9,
        sought: sought(&[tuple(1).flow()], -10, 100),
        quiet: false,
    };
    desk.ask(question);
    let first = desk.take_ready().expect("an answer");
    assert_eq!(
        first.answer.span, None,
        "nothing is known to be watched yet"
    );
    assert!(first.answer.more && !first.answer.complete);
    assert_eq!(numbers(&first.digests), [1]);
    desk.note(&Noted::of(&ack(1, 2, 20)), &[], false);
    desk.watched(&coverage(0, 50, 3));
    let second = desk.take_ready().expect("an answer with the next beat");
    assert_eq!(second.answer.span, Some((at(0), at(50))));
    assert!(second.answer.more && second.answer.complete);
    assert_eq!(second.answer.dropped, 3);
    assert_eq!(numbers(&second.digests), [2]);
    desk.watched(&coverage(51, 80, 0));
    assert_eq!(desk.take_ready(), None);
    desk.note(&Noted::of(&ack(1, 3, 99)), &[], false);
    desk.watched(&coverage(81, 120, 0));
    let last = desk.take_ready().expect("the last answer");
    assert_eq!(last.answer.span, Some((at(0), at(100))));
    assert!(!last.answer.more);
    assert_eq!(numbers(&last.digests), [3]);
    desk.watched(&coverage(121, 200, 0));
    assert_eq!(desk.take_ready(), None);
}

#[test]
fn a_segment_that_travels_by_itself_is_not_recalled() {
    let mut desk = Desk::new(Ring::new(LEAST_OCTETS), at(0));
    let (one, two) = (ack(1, 1, 1), ack(1, 2, 2));
    let reset = segment(1, TcpFlags::RST, 3, 3);
    desk.note(&Noted::of(&one), &[], false);
    desk.note(&Noted::of(&two), &[], false);
    desk.note(&Noted::of(&reset), &[two, reset], true);
    desk.ask(Question {
        id: 1,
        sought: sought(&[tuple(1).flow()], 0, 9),
        quiet: false,
    });
    assert_eq!(numbers(&desk.take_ready().unwrap().digests), [1]);
}

#[test]
fn a_quiet_question_is_answered_once_something_is_held() {
    let mut desk = Desk::new(Ring::new(LEAST_OCTETS), at(0));
    let watched = |from, until| Coverage {
        from: at(from),
        until: at(until),
        received: 0,
        dropped: 0,
    };
    desk.note(&Noted::of(&ack(2, 1, 5)), &[], false);
    desk.ask(Question {
        id: 1,
        sought: sought(&[tuple(1).flow()], 0, 100),
        quiet: true,
    });
    desk.watched(&watched(0, 10));
    assert_eq!(desk.take_ready(), None);
    desk.note(&Noted::of(&ack(1, 1, 15)), &[], false);
    desk.watched(&watched(11, 100));
    let said = desk.take_ready().expect("an answer");
    assert_eq!((said.digests.len(), said.answer.complete), (1, true));
}

prop_compose! {
    fn options()(
        mss: Option<u16>,
        window_scale: Option<u8>,
        sack_permitted: bool,
        stamps: Option<(u32, u32)>,
        sack: Option<(u32, u32)>,
        order: u64,
        cut: bool,
    ) -> TcpOptions {
        TcpOptions {
            mss,
            window_scale,
            sack_permitted,
            timestamps: stamps.map(|(value, echo)| Timestamps { value, echo }),
            sack: sack.map(|(left, right)| SackBlock { left: TcpSeq(left), right: TcpSeq(right) }),
            order,
            cut,
        }
    }
}

prop_compose! {
    fn link()(
        direction in 0..3_u8,
        source: Option<[u8; 6]>,
        vlans in prop::option::of((0..4096_u16, prop::option::of(0..4096_u16))),
        interface: u8,
        tunnel in prop::option::of((0..7_usize, 1..=255_u8, any::<Option<u32>>(), any::<bool>())),
    ) -> LinkFields {
        let v6 = Ipv6Addr::LOCALHOST.into();
        LinkFields {
            direction: [Direction::Unknown, Direction::In, Direction::Out][usize::from(direction)],
            source,
            vlans: [vlans.map(|(outer, _)| outer), vlans.and_then(|(_, inner)| inner)],
            interface,
            tunnel: tunnel.map(|(kind, depth, id, ends)| Tunnel {
                kind: TunnelKind::ALL[kind],
                depth,
                ends: ends.then_some(TunnelEnds { src: v6, dst: v6 }),
                id,
            }),
        }
    }
}

prop_compose! {
    fn digest()(
        time: i64,
        v6: bool,
        ports: (u16, u16),
        numbers: (u32, u32),
        flags in 0..512_u16,
        window: u16,
        payload in prop::option::of((1..u32::MAX, any::<Option<u64>>())),
        options in options(),
        reason: Option<u8>,
        ip in (any::<u8>(), any::<Option<u16>>(), any::<bool>(), any::<u8>(), any::<bool>()),
        link in link(),
    ) -> Digest {
        let addr = |last: u8| if v6 {
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into()
        } else {
            Ipv4Addr::new(192, 0, 2, last).into()
        };
        let (ttl, id, dont_fragment, traffic_class, fragment) = ip;
        Digest {
            time: at(time),
            tuple: FourTuple::new(Endpoint::new(addr(1), ports.0), Endpoint::new(addr(2), ports.1)),
            seq: TcpSeq(numbers.0),
            ack: TcpSeq(numbers.1),
            flags: TcpFlags(flags),
            window,
            payload_len: payload.map_or(0, |(len, _)| len),
            payload_hash: payload.and_then(|(_, hash)| hash),
            rst_reason: reason.and_then(|code| ResetReason::from_number(1 << 48 | u64::from(code))),
            options,
            ip: IpFields { ttl, id, dont_fragment, traffic_class, fragment },
            link,
        }
    }
}

#[test]
fn carriers_that_are_forgotten_do_not_make_the_others_a_crowd_for_ever() {
    let wanted = Sought {
        payload_hashes: vec![7],
        until: at(i64::MAX),
        ..Sought::default()
    };
    let carry = |ring: &mut Ring, ports: std::ops::Range<u16>| {
        for port in ports {
            let mut digest = ack(port, 1, 1);
            (digest.payload_len, digest.payload_hash) = (100, Some(7));
            ring.push(&Noted::of(&digest), false);
        }
    };
    // More than half of the ring.
    let fill = |ring: &mut Ring| {
        for number in 0..LEAST_OCTETS as u32 * 6 / 10 / 72 {
            ring.push(&Noted::of(&ack(900, number, 1)), false);
        }
    };
    let (mut ring, mut searched) = (Ring::new(LEAST_OCTETS), Searched::default());
    carry(&mut ring, 1..10);
    fill(&mut ring);
    carry(&mut ring, 10..19);
    assert_eq!(ring.search_on(&wanted, &mut searched).flows, []);
    fill(&mut ring);
    assert_eq!(ring.search_on(&wanted, &mut searched).flows.len(), 9);
}

proptest! {
    #[test]
    fn any_digest_comes_back_as_it_was(digest in digest()) {
        let noted = Noted::of(&digest);
        let mut room = vec![0; record::room_for(&noted)];
        let len = record::write(&noted, false, [0; 2], &mut room);
        prop_assert!(len <= room.len() && len.is_multiple_of(record::UNIT));
        let record = Record::new(&room[..len]);
        prop_assert_eq!(record.digest(), digest);
        prop_assert_eq!((record.time(), record.key()), (digest.time, FlowKey::of(digest.tuple).0));
    }

    #[test]
    fn any_sequence_of_segments_is_found_again_in_order(digests in prop::collection::vec(digest(), 1..50)) {
        let mut ring = Ring::new(LEAST_OCTETS);
        for digest in &digests {
            ring.push(&Noted::of(digest), false);
        }
        let flows: Vec<Flow> = digests.iter().map(|digest| digest.tuple.flow()).collect();
        let found = ring.search(&sought(&flows, i64::MIN, i64::MAX));
        let steady = digests.len() - found.digests.len();
        prop_assert_eq!(&found.digests[..], &digests[steady..]);
    }

    /// Few flows, numbers and payloads, so that they are shared; some fill the ring between the searches.
    #[test]
    fn a_search_that_goes_on_finds_what_one_from_the_start_does(
        parts in prop::collection::vec((prop::collection::vec((0..6_u16, 0..4_u32, 0..3_u8), 0..40), any::<bool>()), 1..5),
    ) {
        let wanted = Sought {
            flows: vec![tuple(1).flow(), tuple(2).flow()],
            numbers: vec![1, 2],
            payload_hashes: vec![3, 4],
            from: at(20),
            until: at(i64::MAX),
        };
        let mut rings = [Ring::new(LEAST_OCTETS), Ring::new(LEAST_OCTETS)];
        let mut searched = Searched::default();
        let mut now = 0;
        for (segments, much) in &parts {
            let filling = if *much { LEAST_OCTETS as u32 / 80 } else { 0 };
            let few = segments.iter().map(|(port, number, kind)| {
                let mut digest = match kind {
                    0 => segment(*port, TcpFlags::SYN, *number, 0),
                    _ => ack(*port, *number, 0),
                };
                if *kind == 2 {
                    digest.payload_len = 100;
                    digest.payload_hash = Some(u64::from(*number) + 2);
                }
                digest
            });
            for mut digest in few.chain((0..filling).map(|number| ack(9, number, 0))) {
                now += 1;
                digest.time = at(now);
                for ring in &mut rings {
                    ring.push(&Noted::of(&digest), false);
                }
            }
            let [on, anew] = &mut rings;
            prop_assert_eq!(on.search_on(&wanted, &mut searched), anew.search(&wanted));
        }
    }
}

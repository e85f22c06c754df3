//! Numbers, order, loss, and what goes again after a reconnect.

use std::collections::BTreeMap;

use parallax_core::decode::UnreadCounts;
use parallax_core::digest::{IpFields, LinkFields, TcpFlags, TcpOptions};
use parallax_core::{CaptureTime, Coverage, Endpoint, FourTuple, LossOf, TcpSeq};
use proptest::prelude::*;

use super::*;

fn digest(seq: u32, flags: TcpFlags) -> Digest {
    Digest {
        time: CaptureTime::from_nanos(i64::from(seq)),
        tuple: FourTuple::new(
            Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
            Endpoint::new("198.51.100.1".parse().unwrap(), 443),
        ),
        seq: TcpSeq(seq),
        ack: TcpSeq(0),
        flags,
        window: 0,
        payload_len: 0,
        payload_hash: None,
        options: TcpOptions::default(),
        rst_reason: None,
        ip: IpFields::default(),
        link: LinkFields::default(),
    }
}

fn span(from: i64, until: i64, dropped: u64) -> Span {
    Span {
        coverage: Coverage {
            from: CaptureTime::from_nanos(from),
            until: CaptureTime::from_nanos(until),
            received: 10,
            dropped,
        },
        unread: UnreadCounts::default(),
        epoch: 0,
    }
}

fn fill(outbox: &mut Outbox, seqs: std::ops::Range<u32>) {
    for seq in seqs {
        outbox.offer(&digest(seq, TcpFlags::ACK));
    }
}

fn send_all(outbox: &mut Outbox) -> Vec<Outgoing> {
    std::iter::from_fn(|| outbox.take_next()).collect()
}

/// First number and count of each batch; beats as their `next_number`.
fn sketch(sent: &[Outgoing]) -> Vec<String> {
    sent.iter()
        .map(|outgoing| match outgoing {
            Outgoing::Batch { first, digests } => format!("{first}+{}", digests.len()),
            Outgoing::Beat(beat) => format!("beat {}", beat.next_number),
            Outgoing::Loss(loss) => format!("loss {}", loss.next_number),
            Outgoing::Skip { first, next } => format!("skip {first}-{next}"),
        })
        .collect()
}

#[test]
fn numbers_rise_by_one_and_a_beat_goes_after_its_digests_and_before_the_next() {
    let mut outbox = Outbox::new(100_000);
    fill(&mut outbox, 0..5000);
    outbox.watched(span(0, 9, 0));
    fill(&mut outbox, 0..10);
    assert_eq!(
        sketch(&send_all(&mut outbox)),
        ["0+4096", "4096+904", "beat 5000", "5000+10"]
    );
    assert!(outbox.is_all_sent() && !outbox.is_all_committed());
}

#[test]
fn after_a_reconnect_only_what_is_not_committed_goes_again_with_its_old_numbers() {
    let mut outbox = Outbox::new(1000);
    fill(&mut outbox, 0..10);
    send_all(&mut outbox);
    outbox.commit(4).unwrap();
    fill(&mut outbox, 10..12);
    outbox.resume(6).unwrap();
    let Some(Outgoing::Batch { first, digests }) = outbox.take_next() else {
        panic!("no batch");
    };
    assert_eq!(first, 6);
    let seqs: Vec<u32> = digests.iter().map(|digest| digest.seq.0).collect();
    assert_eq!(seqs, [6, 7, 8, 9, 10, 11]);
}

#[test]
fn beats_that_no_later_digest_confirms_go_again_unchanged() {
    let mut outbox = Outbox::new(1000);
    fill(&mut outbox, 0..2);
    outbox.watched(span(0, 9, 0));
    outbox.watched(span(10, 19, 3));
    outbox.end();
    let first = send_all(&mut outbox);
    assert_eq!(sketch(&first), ["0+2", "beat 2", "beat 2"]);
    outbox.commit(2).unwrap();
    outbox.watched(span(20, 29, 0));
    outbox.resume(2).unwrap();
    let again = send_all(&mut outbox);
    assert_eq!(again[..2], first[1..]);
    assert_eq!(sketch(&again), ["beat 2", "beat 2", "beat 2"]);
    fill(&mut outbox, 2..3);
    send_all(&mut outbox);
    outbox.resume(3).unwrap();
    assert_eq!(send_all(&mut outbox), [], "digest 2 confirmed them");
}

#[test]
fn spans_join_while_they_wait_but_a_loss_stays_in_its_span_and_the_next() {
    let mut outbox = Outbox::new(1000);
    outbox.watched(span(0, 9, 0));
    outbox.watched(span(10, 19, 0));
    outbox.watched(span(20, 29, 5));
    outbox.watched(span(30, 39, 2));
    outbox.watched(span(40, 49, 0));
    outbox.watched(span(60, 69, 0));
    let spans: Vec<(i64, i64, u64, u64)> = send_all(&mut outbox)
        .into_iter()
        .map(|outgoing| match outgoing {
            Outgoing::Beat(Kept { note, .. }) => (
                note.coverage.from.nanos(),
                note.coverage.until.nanos(),
                note.coverage.received,
                note.coverage.dropped,
            ),
            other => panic!("no digests were offered: {other:?}"),
        })
        .collect();
    assert_eq!(
        spans,
        [
            (0, 19, 20, 0),
            (20, 29, 10, 5),
            (30, 49, 20, 2),
            (60, 69, 10, 0)
        ]
    );
}

#[test]
fn a_full_outbox_gives_up_the_oldest_digests_before_resets_and_says_so() {
    let mut outbox = Outbox::new(160);
    outbox.offer(&digest(0, TcpFlags::ACK));
    for seq in 1..=20 {
        let mut reset = digest(seq, TcpFlags::RST);
        reset.tuple = reset.tuple.reversed();
        reset.tuple.src.port = 999;
        outbox.offer(&reset);
    }
    fill(&mut outbox, 21..300);
    assert_eq!(outbox.next_number(), 300);
    let (mut seqs, mut skipped, mut losses) = (Vec::new(), 0, Vec::new());
    for outgoing in send_all(&mut outbox) {
        match outgoing {
            Outgoing::Batch { digests, .. } => {
                seqs.extend(digests.iter().map(|digest| digest.seq.0));
            }
            Outgoing::Skip { first, next } => skipped += next - first,
            Outgoing::Loss(loss) => losses.push(loss.note),
            Outgoing::Beat(_) => panic!("nothing was watched"),
        }
    }
    assert!((1..=20).all(|reset| seqs.contains(&reset)), "{seqs:?}");
    assert_eq!(seqs.last(), Some(&299));
    assert_eq!(seqs.len() as u64 + skipped, 300);
    let counted: u64 = losses.iter().filter_map(|loss| loss.count).sum();
    assert_eq!((counted, outbox.lost()), (skipped, skipped));
    assert!(
        losses.iter().all(|loss| loss.of == LossOf::Segments),
        "{losses:?}"
    );
}

#[test]
fn an_outbox_full_of_resets_gives_up_the_oldest_and_says_that_resets_were_lost() {
    let mut outbox = Outbox::new(160);
    for seq in 0..200 {
        outbox.offer(&digest(seq, TcpFlags::RST));
    }
    let sent = send_all(&mut outbox);
    assert!(
        matches!(
            &sent[0],
            Outgoing::Skip { first: 0, .. } | Outgoing::Loss(_)
        ),
        "{sent:?}"
    );
    let losses = sent.iter().filter_map(|outgoing| match outgoing {
        Outgoing::Loss(loss) => Some((loss.note.of, loss.note.count)),
        _ => None,
    });
    let losses: Vec<_> = losses.collect();
    assert!(losses.iter().all(|(of, _)| *of == LossOf::Resets));
    let counted: u64 = losses.iter().filter_map(|(_, count)| *count).sum();
    assert_eq!(counted, outbox.lost());
}

#[test]
fn a_reset_is_urgent_until_it_is_sent() {
    let mut outbox = Outbox::new(100);
    fill(&mut outbox, 0..3);
    assert!(!outbox.is_urgent());
    outbox.offer(&digest(3, TcpFlags::RST));
    assert!(outbox.is_urgent());
    send_all(&mut outbox);
    assert!(!outbox.is_urgent());
    outbox.resume(0).unwrap();
    assert!(outbox.is_urgent(), "it has to be sent again");
}

#[test]
fn a_beat_and_a_full_batch_are_pressing_until_they_are_sent_and_a_reset_is_not() {
    let mut outbox = Outbox::new(100_000);
    fill(&mut outbox, 0..BATCH as u32 - 1);
    assert!(!outbox.is_pressing());
    outbox.offer(&digest(9, TcpFlags::RST));
    assert!(outbox.is_pressing(), "a full batch");
    send_all(&mut outbox);
    outbox.offer(&digest(10, TcpFlags::RST));
    assert!(!outbox.is_pressing());
    outbox.watched(span(0, 9, 0));
    assert!(outbox.is_pressing(), "a beat");
    send_all(&mut outbox);
    assert!(!outbox.is_pressing());
}

#[test]
fn a_collector_that_contradicts_itself_is_an_error() {
    let mut outbox = Outbox::new(100);
    fill(&mut outbox, 0..3);
    assert_eq!(
        outbox.commit(4),
        Err(OutboxError::Ahead { said: 4, next: 3 })
    );
    outbox.commit(2).unwrap();
    assert_eq!(
        outbox.resume(1),
        Err(OutboxError::Behind { said: 1, before: 2 })
    );
}

#[test]
fn an_idle_vantage_keeps_a_bounded_number_of_beats() {
    let mut outbox = Outbox::new(100);
    for beat in 0..10_000 {
        outbox.watched(span(beat * 10, beat * 10 + 9, 0));
        send_all(&mut outbox);
    }
    outbox.resume(0).unwrap();
    assert_eq!(send_all(&mut outbox).len(), BEATS_KEPT);
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Offer,
    Watch,
    Send,
    Commit(u8),
    Reconnect(u8),
    End,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    proptest::collection::vec(
        prop_oneof![
            4 => Just(Act::Offer),
            2 => Just(Act::Watch),
            3 => Just(Act::Send),
            1 => any::<u8>().prop_map(Act::Commit),
            1 => any::<u8>().prop_map(Act::Reconnect),
        ],
        0..200,
    )
}

/// What a collector that has received `received` digests may have committed, not below `floor`.
fn some_commit(floor: u64, received: u64, part: u8) -> u64 {
    floor + (received - floor) * u64::from(part) / 255
}

proptest! {
    /// The collector's side is played here: it takes digests only in order, and what it has
    /// stored survives a reconnect.
    #[test]
    fn every_digest_arrives_in_order_and_every_span_arrives(acts in acts()) {
        let mut outbox = Outbox::new(10_000);
        let (mut offered, mut time) = (0_u32, 0_i64);
        let (mut received, mut stored) = (0_u64, 0_u64);
        let mut covered = BTreeMap::new();
        let closing = [Act::End, Act::Reconnect(0), Act::Send];
        for act in acts.into_iter().chain(closing) {
            match act {
                Act::End => outbox.end(),
                Act::Offer => {
                    outbox.offer(&digest(offered, TcpFlags::ACK));
                    offered += 1;
                }
                Act::Watch => {
                    outbox.watched(span(time, time + 9, u64::from(offered % 2)));
                    time += 10;
                }
                Act::Send => for outgoing in send_all(&mut outbox) {
                    match outgoing {
                        Outgoing::Batch { first, digests } => {
                            prop_assert_eq!(first, received);
                            for (number, digest) in (first..).zip(&digests) {
                                prop_assert_eq!(u64::from(digest.seq.0), number);
                            }
                            received += digests.len() as u64;
                        }
                        Outgoing::Beat(beat) => {
                            prop_assert!(beat.next_number <= received);
                            let coverage = beat.note.coverage;
                            if let Some(before) = covered.insert(coverage.from, coverage) {
                                prop_assert_eq!(before, coverage, "sent again, but changed");
                            }
                        }
                        Outgoing::Loss(_) | Outgoing::Skip { .. } => prop_assert!(false),
                    }
                },
                Act::Commit(part) => {
                    stored = some_commit(stored, received, part);
                    outbox.commit(stored).unwrap();
                }
                Act::Reconnect(part) => {
                    stored = some_commit(stored, received, part);
                    received = stored;
                    outbox.resume(stored).unwrap();
                }
            }
        }
        prop_assert_eq!(received, u64::from(offered));
        let mut from = CaptureTime::default();
        for coverage in covered.values() {
            prop_assert_eq!(coverage.from, from);
            from = coverage.until.plus(1);
        }
        prop_assert_eq!(from.nanos(), time);
    }
}

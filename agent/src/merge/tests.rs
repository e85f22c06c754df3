use parallax_core::digest::TcpFlags;
use parallax_core::{Digest, Endpoint, Flow, FourTuple};

use super::*;
use crate::recall::{Answer, Held, Recalled};

fn at(nanos: i64) -> CaptureTime {
    CaptureTime::from_nanos(nanos)
}

fn span(epoch: u32, from: i64, until: i64, dropped: u64) -> Feed {
    Feed::Watched(Span {
        coverage: Coverage {
            from: at(from),
            until: at(until),
            received: 10,
            dropped,
        },
        unread: UnreadCounts::default(),
        epoch,
    })
}

fn tell(merge: &mut Merge, thread: usize, told: Feed) -> Vec<Feed> {
    let mut out = Vec::new();
    merge.take(thread, told, &mut out);
    out
}

/// Epoch, first and last nanosecond, packets, losses of each span.
fn spans(told: &[Feed]) -> Vec<(u32, i64, i64, u64, u64)> {
    let spans = told.iter().filter_map(|feed| match feed {
        Feed::Watched(span) => Some(span),
        _ => None,
    });
    spans
        .map(|span| {
            let coverage = &span.coverage;
            let (from, until) = (coverage.from.nanos(), coverage.until.nanos());
            (span.epoch, from, until, coverage.received, coverage.dropped)
        })
        .collect()
}

#[test]
fn a_span_is_covered_as_far_as_all_threads_are_and_every_packet_is_counted_once() {
    let mut merge = Merge::new(3);
    assert_eq!(spans(&tell(&mut merge, 0, span(0, 1, 20, 0))), []);
    assert_eq!(spans(&tell(&mut merge, 1, span(0, 2, 15, 0))), []);
    let first = tell(&mut merge, 2, span(0, 0, 30, 7));
    assert_eq!(spans(&first), [(0, 2, 15, 30, 7)]);
    assert_eq!(spans(&tell(&mut merge, 2, span(0, 31, 40, 0))), []);
    let next = tell(&mut merge, 1, span(0, 16, 40, 1));
    assert_eq!(spans(&next), [(0, 16, 20, 20, 1)]);
    let last = tell(&mut merge, 0, span(0, 21, 25, 0));
    assert_eq!(spans(&last), [(0, 21, 25, 10, 0)]);
}

#[test]
fn a_thread_that_ended_holds_coverage_where_it_ended() {
    let mut merge = Merge::new(2);
    tell(&mut merge, 0, span(0, 0, 10, 0));
    assert_eq!(spans(&tell(&mut merge, 1, span(0, 0, 99, 0))).len(), 1);
    assert_eq!(spans(&tell(&mut merge, 1, span(0, 100, 199, 0))), []);
}

#[test]
fn after_a_step_of_the_clock_coverage_begins_anew_also_where_a_thread_missed_an_epoch() {
    let mut merge = Merge::new(2);
    tell(&mut merge, 0, span(0, 0, 100, 0));
    assert_eq!(spans(&tell(&mut merge, 1, span(0, 0, 90, 0))).len(), 1);
    // The clock was set back twice; the second thread noticed once.
    assert_eq!(spans(&tell(&mut merge, 0, span(1, 50, 60, 0))), []);
    assert_eq!(spans(&tell(&mut merge, 0, span(2, 20, 30, 0))), []);
    let told = tell(&mut merge, 1, span(2, 22, 40, 0));
    assert_eq!(spans(&told), [(2, 22, 30, 30, 0)]);
    let told = tell(&mut merge, 0, span(2, 31, 35, 0));
    assert_eq!(spans(&told), [(2, 31, 35, 10, 0)]);
}

fn change(from: i64, selection: Selection) -> Feed {
    Feed::Changed(Change {
        from: at(from),
        selection,
    })
}

#[test]
fn a_change_counts_for_more_from_the_last_thread_on_and_for_less_from_the_first_on() {
    let mut merge = Merge::new(2);
    assert!(tell(&mut merge, 0, change(5, Selection::All)).is_empty());
    assert!(tell(&mut merge, 0, change(30, Selection::Context)).is_empty());
    for (from, selection, expected) in [(8, Selection::All, 8), (40, Selection::Context, 30)] {
        let told = tell(&mut merge, 1, change(from, selection));
        let [Feed::Changed(made)] = told.as_slice() else {
            panic!("one change expected: {told:?}");
        };
        assert_eq!((made.from, made.selection), (at(expected), selection));
    }
}

fn flow(port: u16) -> FourTuple {
    FourTuple::new(
        Endpoint::new("192.0.2.1".parse().unwrap(), port),
        Endpoint::new("198.51.100.1".parse().unwrap(), 443),
    )
}

fn held(port: u16, count: u64, seen: Option<(i64, i64)>) -> Held {
    let flow: Flow = flow(port).flow();
    Held {
        flow,
        count,
        seen: seen.map(|(first, last)| (at(first), at(last))),
    }
}

fn digest(port: u16) -> Digest {
    Digest {
        tuple: flow(port),
        flags: TcpFlags::ACK,
        ..Digest::BLANK
    }
}

fn answer(span: Option<(i64, i64)>, more: bool, flows: Vec<Held>, digests: Vec<Digest>) -> Feed {
    Feed::Recalled(Recalled {
        digests,
        answer: Answer {
            id: 7,
            span: span.map(|(from, until)| (at(from), at(until))),
            complete: span.is_some(),
            capturing_since: at(0),
            horizon: at(span.map_or(0, |(from, _)| from)),
            dropped: 1,
            flows,
            more,
        },
    })
}

fn one(told: Vec<Feed>) -> Recalled {
    match <[Feed; 1]>::try_from(told) {
        Ok([Feed::Recalled(recalled)]) => recalled,
        other => panic!("one answer expected: {other:?}"),
    }
}

#[test]
fn memory_has_answered_when_all_threads_have_and_swears_to_what_all_swear_to() {
    let mut merge = Merge::new(2);
    let flows = vec![held(1, 2, Some((5, 6))), held(2, 0, None)];
    let first = answer(Some((4, 20)), true, flows, vec![digest(1)]);
    assert!(tell(&mut merge, 0, first).is_empty());
    let flows = vec![held(1, 1, Some((3, 4))), held(2, 4, Some((8, 9)))];
    let second = answer(Some((2, 18)), false, flows, vec![digest(2)]);
    let said = one(tell(&mut merge, 1, second));
    assert_eq!(said.digests.len(), 2);
    assert_eq!(said.answer.span, Some((at(4), at(18))));
    assert!(said.answer.complete && said.answer.more);
    assert_eq!((said.answer.horizon, said.answer.dropped), (at(4), 2));
    let expected = [held(1, 3, Some((3, 6))), held(2, 4, Some((8, 9)))];
    assert_eq!(said.answer.flows, expected);
    // The last word of the first: nothing that travels, but nothing more to wait for.
    let last = answer(Some((4, 30)), false, expected[..1].to_vec(), Vec::new());
    let said = one(tell(&mut merge, 0, last));
    assert!(!said.answer.more);
    // Asked again, all are heard again.
    let again = answer(Some((4, 30)), false, Vec::new(), Vec::new());
    assert!(tell(&mut merge, 0, again).is_empty());
}

#[test]
fn an_answer_without_news_is_not_repeated_and_one_thread_that_knows_nothing_voids_it() {
    let mut merge = Merge::new(2);
    tell(&mut merge, 0, answer(None, true, Vec::new(), Vec::new()));
    let said = one(tell(
        &mut merge,
        1,
        answer(Some((1, 9)), true, Vec::new(), Vec::new()),
    ));
    assert_eq!(said.answer.span, None);
    assert!(!said.answer.complete);
    let same = answer(Some((1, 9)), true, Vec::new(), Vec::new());
    assert!(tell(&mut merge, 1, same).is_empty());
}

#[tokio::test]
async fn the_last_thread_ends_the_feed() {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::channel(4)).unzip();
    let (to, mut out) = mpsc::channel(4);
    let merging = tokio::spawn(run(receivers, to));
    for sender in &senders {
        sender.send(Feed::Digests(vec![digest(1)])).await.unwrap();
    }
    drop(senders);
    let mut digests = 0;
    while let Some(feed) = out.recv().await {
        digests += usize::from(matches!(feed, Feed::Digests(_)));
    }
    assert_eq!(digests, 3);
    merging.await.unwrap();
}

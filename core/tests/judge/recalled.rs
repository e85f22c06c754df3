//! What an agent's memory adds to a vantage that ships context only.

use parallax_core::judge;
use parallax_core::report::{Origin, ResetReport, Side};
use parallax_core::time::{MILLISECOND, SECOND};
use parallax_core::{CaptureTime, ExchangedClock, FlowEvidence, Selection};

use crate::wire::{Wire, flags};

/// A connection with much data, then a RST that the firewall between `fw-in` and `fw-out` forges.
fn forged() -> FlowEvidence {
    let mut wire = Wire::new(&["client@", "fw-in", "fw-out", "server@"]);
    wire.handshake();
    for _ in 0..20 {
        wire.exchange();
    }
    let seq = wire.next(Side::Server);
    wire.send_as_far_as(Side::Client, flags("PA").len(50), "fw-in");
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    let mut evidence = wire.evidence();
    for at in &mut evidence.vantages {
        at.selection = Selection::Context;
    }
    evidence
}

/// What `fw-out` recorded of the connection, but every third of its data segments.
fn losing_a_third(evidence: &mut FlowEvidence) {
    let mut count = 0;
    evidence.vantages[2].segments.retain(|digest| {
        count += usize::from(digest.payload_len > 0);
        digest.payload_len == 0 || !count.is_multiple_of(3)
    });
}

fn remember(evidence: &mut FlowEvidence, vantage: usize) {
    let all = (
        CaptureTime::from_nanos(i64::MIN),
        CaptureTime::from_nanos(i64::MAX),
    );
    evidence.vantages[vantage].complete = vec![all];
}

fn only(evidence: &FlowEvidence) -> ResetReport {
    let mut judged = judge::judge_flow(evidence);
    assert_eq!(judged.len(), 1, "one reset expected: {judged:#?}");
    judged.remove(0).report
}

fn told(report: &ResetReport, kind: &str) -> String {
    let of_kind = report.evidence.iter().filter(|told| told.kind == kind);
    of_kind.map(|told| told.text.as_str()).collect()
}

#[test]
fn an_absence_says_that_memory_was_asked() {
    let mut evidence = forged();
    let before = only(&evidence);
    assert!(!told(&before, "attested_absence").contains("remembers"));
    remember(&mut evidence, 2);
    let report = only(&evidence);
    assert_eq!(report.origin, Origin::Middlebox);
    let text = told(&report, "attested_absence");
    assert!(text.contains("\"fw-out\" did not see the RST"), "{text}");
    assert!(text.contains("asked for all that it remembers"), "{text}");
    assert!(report.confidence >= before.confidence);
}

#[test]
fn segments_missing_from_a_complete_memory_show_that_the_vantage_loses_packets() {
    let mut evidence = forged();
    losing_a_third(&mut evidence);
    // Without a word on its memory they may have been recorded and not shipped.
    assert!(!told(&only(&evidence), "blind").contains("fw-out"));
    remember(&mut evidence, 2);
    let report = only(&evidence);
    let text = told(&report, "blind");
    assert!(text.contains("\"fw-out\" says nothing about it"), "{text}");
    let between = report.between.expect("a place");
    assert_eq!(between[0].as_deref(), Some("server"));
    assert_eq!(between[1].as_deref(), Some("fw-in"));
}

#[test]
fn a_memory_that_does_not_reach_the_moment_says_nothing_of_it() {
    let mut evidence = forged();
    losing_a_third(&mut evidence);
    let first = evidence.vantages[2].segments[0].time;
    evidence.vantages[2].complete = vec![(first.plus(-10 * SECOND), first.plus(-SECOND))];
    let report = only(&evidence);
    assert!(!told(&report, "attested_absence").contains("remembers"));
    assert!(!told(&report, "blind").contains("fw-out"));
}

#[test]
fn a_sample_that_a_vantage_lacks_counts_as_missed() {
    let mut evidence = forged();
    losing_a_third(&mut evidence);
    let one_in = parallax_core::OneIn::new(1).expect("not zero");
    evidence.vantages[2].selection = Selection::Sampled(one_in);
    let text = told(&only(&evidence), "blind");
    assert!(text.contains("\"fw-out\" says nothing about it"), "{text}");
}

#[test]
fn where_packets_tell_nothing_of_a_clock_the_exchange_of_stamps_does() {
    let ahead = 3 * 3600 * SECOND;
    let mut evidence = forged();
    // The server's tap saw nothing at all and its clock is far ahead.
    let at = &mut evidence.vantages[3];
    at.segments.clear();
    at.nearby = parallax_core::Nearby::new(CaptureTime::default(), &[], &[], &[]);
    for span in &mut at.coverage {
        span.from = span.from.plus(ahead);
        span.until = span.until.plus(ahead);
    }
    evidence.vantages[2].segments.clear();
    evidence.vantages[2].coverage.clear();
    let blind = only(&evidence);
    assert!(told(&blind, "blind").contains("\"server\""));
    let moment = evidence.vantages[0].segments[0].time;
    for (index, at) in evidence.vantages.iter_mut().enumerate() {
        let offset = if index == 3 { ahead } else { 0 };
        at.clock = Some(ExchangedClock {
            at: moment.plus(offset),
            offset,
            error: MILLISECOND,
        });
    }
    let report = only(&evidence);
    assert!(!told(&report, "blind").contains("began to capture later"));
}

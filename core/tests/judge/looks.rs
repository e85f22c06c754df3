//! One vantage: what a RST's looks are worth, and what they are not.

use parallax_core::FlowEvidence;
use parallax_core::digest::Digest;
use parallax_core::judge;
use parallax_core::report::{Origin, ResetReport, Side};

use crate::wire::{Segment, Wire, flags};

/// A connection at a hop some way from both hosts, and a RST in the server's name.
fn reset(segment: Segment) -> FlowEvidence {
    let mut wire = Wire::new(&["hop"]);
    wire.handshake();
    for _ in 0..3 {
        wire.exchange();
    }
    wire.wait(10);
    wire.forge(Side::Server, segment, "hop");
    let mut evidence = wire.evidence();
    for digest in &mut evidence.vantages[0].segments {
        digest.ip.ttl -= 5;
    }
    evidence
}

fn change(mut evidence: FlowEvidence, change: impl Fn(&mut Digest)) -> FlowEvidence {
    evidence.vantages[0].segments.iter_mut().for_each(change);
    evidence
}

fn judged(evidence: &FlowEvidence) -> ResetReport {
    judge::judge_flow(evidence).remove(0).report
}

fn tells(report: &ResetReport, kind: &str) -> Option<String> {
    let evidence = report.evidence.iter().find(|one| one.kind == kind)?;
    Some(evidence.text.clone())
}

#[test]
fn a_reset_that_has_come_as_far_leans_to_the_endpoint_and_another_to_a_middlebox() {
    assert_eq!(judged(&reset(flags("RA").ttl(64))).origin, Origin::Endpoint);
    assert_eq!(
        judged(&reset(flags("RA").ttl(61))).origin,
        Origin::Middlebox
    );
}

#[test]
fn another_initial_ttl_over_the_same_way_is_no_difference() {
    for ttl in [128, 255] {
        assert_ne!(
            judged(&reset(flags("RA").ttl(ttl))).origin,
            Origin::Middlebox,
            "{ttl}"
        );
    }
}

#[test]
fn where_a_hop_sets_every_ttl_agreement_says_nothing() {
    let evidence = change(reset(flags("R").ttl(64)), |digest| digest.ip.ttl = 64);
    let report = judged(&evidence);
    assert_eq!(report.origin, Origin::Undetermined, "{report:#?}");
    assert!(
        tells(&report, "fingerprint_ttl")
            .unwrap()
            .contains("says little")
    );
}

#[test]
fn ip_id_zero_says_nothing() {
    let report = judged(&reset(flags("R")));
    assert_eq!(tells(&report, "fingerprint_ip_id"), None);
}

#[test]
fn an_ip_id_is_compared_only_with_a_sender_that_counts() {
    let next = Segment {
        ip_id: Some(9005),
        ..flags("R")
    };
    let text = tells(&judged(&reset(next)), "fingerprint_ip_id").unwrap();
    assert!(text.contains("goes on"), "{text}");
    let far = Segment {
        ip_id: Some(40_000),
        ..flags("R")
    };
    let text = tells(&judged(&reset(far)), "fingerprint_ip_id").unwrap();
    assert!(text.contains("far from"), "{text}");
    let random = change(reset(far), |digest| {
        if !digest.is_rst() {
            digest.ip.id = digest.ip.id.map(|id| id.wrapping_mul(40_503));
        }
    });
    assert_eq!(tells(&judged(&random), "fingerprint_ip_id"), None);
}

#[test]
fn a_reset_without_timestamps_is_not_worse_for_it() {
    let report = judged(&reset(flags("R")));
    assert_eq!(tells(&report, "fingerprint_options"), None);
    assert_eq!(report.origin, Origin::Endpoint);
}

#[test]
fn a_number_that_the_sender_would_not_use_is_told_and_an_exact_one_is_not() {
    assert_eq!(tells(&judged(&reset(flags("R"))), "fingerprint_seq"), None);
    let elsewhere = judged(&reset(flags("R").seq(90_000_000)));
    assert!(tells(&elsewhere, "fingerprint_seq").is_some());
}

#[test]
fn an_acknowledgement_that_goes_back_is_told() {
    let back = judged(&reset(flags("RA").ack(1001)));
    assert!(
        tells(&back, "fingerprint_ack")
            .unwrap()
            .contains("less than")
    );
    let unsent = judged(&reset(flags("RA").ack(999_999)));
    assert!(
        tells(&unsent, "fingerprint_ack")
            .unwrap()
            .contains("only up to")
    );
    assert_eq!(tells(&judged(&reset(flags("RA"))), "fingerprint_ack"), None);
}

#[test]
fn weak_differences_alone_accuse_nobody() {
    let evidence = change(reset(flags("R")), |digest| {
        if digest.is_rst() {
            digest.ip.dont_fragment = false;
            digest.ip.traffic_class = 0x48;
            digest.ip.id = Some(31_000);
        }
    });
    let report = judged(&evidence);
    assert_ne!(report.origin, Origin::Middlebox, "{report:#?}");
    assert!(tells(&report, "fingerprint_ip").is_some());
}

#[test]
fn one_slow_answer_does_not_make_a_quick_reset_a_forgery() {
    let mut wire = Wire::new(&["hop"]);
    wire.send(Side::Client, flags("PA").len(10));
    wire.wait(40);
    wire.send(Side::Server, flags("A"));
    wire.send(Side::Client, flags("PA").len(10));
    wire.send(Side::Server, flags("RA").window(501));
    let report = judged(&wire.evidence());
    assert_eq!(tells(&report, "fingerprint_timing"), None);
    assert_ne!(report.origin, Origin::Middlebox, "{report:#?}");
}

#[test]
fn a_reset_faster_than_the_way_is_told() {
    let mut wire = Wire::new(&["hop"]);
    wire.send(Side::Client, flags("S"));
    wire.wait(40);
    wire.send(Side::Server, flags("SA"));
    wire.send(Side::Client, flags("A"));
    wire.send(Side::Client, flags("PA").len(10));
    wire.forge(Side::Server, flags("RA"), "hop");
    let report = judged(&wire.evidence());
    assert!(
        tells(&report, "fingerprint_timing").is_some(),
        "{report:#?}"
    );
}

#[test]
fn a_verdict_from_looks_alone_is_never_sure() {
    for segment in [flags("R"), flags("RA").window(501), flags("R").ttl(58)] {
        let report = judged(&reset(segment));
        assert!(report.confidence <= 0.95, "{report:#?}");
    }
}

//! What would decide it: a role and a place for each kind of open or wide verdict.

use parallax_core::report::{Advice, Cause, Origin, ResetReport, Role, Side};
use parallax_core::testimony::TapPlace;
use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Strength};

use crate::wire::{Wire, flags};

const ALL: [&str; 5] = ["client@", "gw", "fw-in", "fw-out", "server@"];

/// The firewall between `fw-in` and `fw-out` forges a RST in the server's name.
fn forged(wire: &mut Wire) {
    wire.handshake();
    wire.exchange();
    wire.send_as_far_as(Side::Client, flags("PA").len(50), "fw-in");
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq).ttl(64), "fw-in");
}

fn only(wire: &Wire) -> ResetReport {
    let judged = wire.judge();
    assert_eq!(judged.len(), 1, "{judged:#?}");
    judged.into_iter().next().unwrap().report
}

fn advice(report: &ResetReport) -> &Advice {
    let advice = report.advice.as_ref().expect("advice");
    assert_eq!(report.decide.as_ref(), Some(&advice.text));
    advice
}

#[test]
fn a_verdict_that_is_one_hop_wide_needs_no_advice() {
    let mut wire = Wire::new(&ALL);
    forged(&mut wire);
    let report = only(&wire);
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!((report.advice, report.decide), (None, None));
}

#[test]
fn a_wide_verdict_names_the_vantage_that_was_not_capturing() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    wire.stop("fw-out");
    wire.wait(500);
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq).ttl(64), "fw-in");
    let report = only(&wire);
    assert_eq!(report.origin, Origin::Middlebox);
    let advice = advice(&report);
    assert_eq!(
        (advice.role, advice.vantage.as_deref()),
        (Role::Hop, Some("fw-out"))
    );
    assert!(
        advice
            .text
            .starts_with("\"fw-out\" capturing at that moment: "),
        "{advice:?}"
    );
}

/// Everything that passed a vantage in the seconds around was in doubt.
fn lossy(strength: Strength, count: Option<u64>) -> LossRecord {
    LossRecord {
        strength,
        cause: LossCause::Kernel,
        of: LossOf::Packets,
        from: CaptureTime::from_nanos(0),
        until: Some(CaptureTime::from_nanos(i64::MAX)),
        count,
        detail: None,
    }
}

fn with_loss(wire: &Wire, vantage: &str, loss: LossRecord) -> ResetReport {
    let mut evidence = wire.evidence();
    let place = evidence
        .vantages
        .iter()
        .position(|at| at.vantage.name == vantage);
    evidence.vantages[place.unwrap()].losses.push(loss);
    parallax_core::judge::judge_flow(&evidence).remove(0).report
}

#[test]
fn a_vantage_that_surely_lost_packets_widens_the_verdict_and_is_to_be_repaired() {
    let mut wire = Wire::new(&ALL);
    forged(&mut wire);
    let report = with_loss(&wire, "fw-out", lossy(Strength::Certain, None));
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(
        report.between,
        Some([Some("server".to_owned()), Some("fw-in".to_owned())])
    );
    let advice = advice(&report);
    assert_eq!(advice.vantage.as_deref(), Some("fw-out"));
    assert!(
        advice
            .text
            .starts_with("repair \"fw-out\": its kernel dropped packets"),
        "{advice:?}"
    );
    let absence = report
        .absent_at
        .iter()
        .find(|absence| absence.vantage == "fw-out");
    let why = absence.unwrap().why.as_deref().unwrap();
    assert!(why.contains("its kernel dropped packets"), "{why}");
}

#[test]
fn a_possible_loss_leaves_the_verdict_and_lowers_its_confidence() {
    let mut wire = Wire::new(&["client@", "fw-in", "fw-out"]);
    forged(&mut wire);
    let sure = only(&wire);
    let mut doubtful = lossy(Strength::Possible, None);
    doubtful.cause = LossCause::ClockStep;
    let doubted = with_loss(&wire, "fw-out", doubtful);
    assert_eq!(doubted.origin, Origin::Middlebox);
    assert_eq!(doubted.between, sure.between);
    assert!(
        doubted.confidence < sure.confidence,
        "{} {}",
        doubted.confidence,
        sure.confidence
    );
    let told = doubted.evidence.iter().any(|reason| {
        reason.kind == "attested_absence"
            && reason.text.contains("its clock was stepped around then")
    });
    assert!(told, "{:?}", doubted.evidence);
}

#[test]
fn a_host_whose_tap_loses_packets_is_given_the_kernel_witness() {
    let mut wire = Wire::new(&["client@", "server@"]);
    forged_before(&mut wire, "client");
    let report = with_loss(&wire, "server", lossy(Strength::Certain, None));
    assert_ne!(report.origin, Origin::Endpoint);
    let advice = advice(&report);
    assert_eq!(
        (advice.role, advice.vantage.as_deref()),
        (Role::Witness, Some("server"))
    );
}

#[test]
fn a_kernel_witness_that_is_there_is_not_asked_for_again() {
    let mut wire = Wire::new(&["client@", "server@"]);
    wire.witness("server", TapPlace::OwnInterface);
    // It lost events itself: its silence says nothing.
    wire.testimony("server").watches[0].lost = 1;
    forged_before(&mut wire, "client");
    let report = with_loss(&wire, "server", lossy(Strength::Certain, None));
    let advice = advice(&report);
    assert_eq!(
        (advice.role, advice.vantage.as_deref()),
        (Role::Host, Some("server"))
    );
    assert!(!advice.text.contains("witness"), "{}", advice.text);
}

fn forged_before(wire: &mut Wire, first: &str) {
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq).ttl(64), first);
}

#[test]
fn one_vantage_alone_asks_for_the_senders_host() {
    let mut wire = Wire::new(&["fw-in"]);
    wire.handshake();
    wire.exchange();
    wire.send(Side::Server, flags("RA").window(501));
    let report = only(&wire);
    assert!(report.confidence < 0.95);
    let advice = advice(&report);
    assert_eq!(
        (advice.role, advice.at),
        (Role::Host, Some(wire.tuple.dst.addr))
    );
    assert!(
        advice.text.contains("with the kernel witness") && advice.why.contains("alone"),
        "{advice:?}"
    );
}

#[test]
fn a_first_sighting_at_a_hop_asks_for_the_senders_host() {
    let mut wire = Wire::new(&["client@", "gw", "fw-in"]);
    wire.handshake();
    wire.exchange();
    wire.send(Side::Server, flags("RA").window(501));
    let report = only(&wire);
    let advice = advice(&report);
    assert_eq!(
        (advice.role, advice.at),
        (Role::Host, Some(wire.tuple.dst.addr))
    );
    assert!(advice.why.contains("\"fw-in\""), "{advice:?}");
}

#[test]
fn a_vantage_that_shows_one_direction_is_asked_for_both() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq).ttl(64), "fw-in");
    let mut evidence = wire.evidence();
    let server = wire.tuple.dst;
    let fw_out = evidence
        .vantages
        .iter_mut()
        .find(|at| at.vantage.name == "fw-out")
        .unwrap();
    fw_out.segments.retain(|digest| digest.tuple.src != server);
    let report = parallax_core::judge::judge_flow(&evidence).remove(0).report;
    let advice = advice(&report);
    assert_eq!(advice.vantage.as_deref(), Some("fw-out"));
    assert!(advice.text.contains("both directions"), "{advice:?}");
}

#[test]
fn a_vantage_beside_the_path_asks_for_one_on_it() {
    let mut wire = Wire::new(&["client@", "fw-in", "fw-out", "server@"]);
    wire.configure(&["client", "fw-in", "fw-out", "server"]);
    forged(&mut wire);
    let mut evidence = wire.evidence();
    let fw_out = evidence
        .vantages
        .iter_mut()
        .find(|at| at.vantage.name == "fw-out")
        .unwrap();
    fw_out.segments.clear();
    let report = parallax_core::judge::judge_flow(&evidence).remove(0).report;
    let advice = advice(&report);
    assert_eq!(advice.role, Role::Hop);
    assert_eq!(
        advice.between,
        Some([Some("server".to_owned()), Some("fw-in".to_owned())])
    );
    assert!(
        advice
            .text
            .starts_with("a hop vantage between \"server\" and \"fw-in\""),
        "{advice:?}"
    );
}

#[test]
fn forged_guesses_from_outside_ask_where_they_come_in() {
    let mut wire = Wire::new(&["client@"]);
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    for guess in [0, 1460, 4380] {
        wire.forge(Side::Server, flags("R").seq(seq + guess).ttl(9), "client");
    }
    for judged in wire.judge() {
        let report = judged.report;
        assert_eq!(report.cause, Cause::InjectedOffPath);
        let advice = advice(&report);
        assert_eq!(advice.role, Role::Hop);
        assert_eq!(advice.between, Some([None, Some("client".to_owned())]));
    }
}

#[test]
fn a_reset_that_got_lost_somewhere_names_the_blind_vantage_in_between() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    wire.send_as_far_as(Side::Server, flags("RA").window(501), "fw-out");
    let report = with_loss(&wire, "fw-in", lossy(Strength::Certain, None));
    assert_eq!(report.origin, Origin::Endpoint);
    assert_eq!(
        report.lost_between,
        Some([Some("fw-out".to_owned()), Some("gw".to_owned())])
    );
    assert_eq!(advice(&report).vantage.as_deref(), Some("fw-in"));
}

//! Whether a reset ended the connection at its receiver (RFC 5961).

use parallax_core::report::{ResetReport, Side};

use crate::wire::{Wire, flags};

const ENDS: [&str; 3] = ["client@", "hop", "server@"];

fn open() -> Wire {
    let mut wire = Wire::new(&ENDS);
    wire.handshake();
    wire.exchange();
    wire
}

fn first(wire: &Wire) -> ResetReport {
    wire.judge().remove(0).report
}

fn why(report: &ResetReport) -> String {
    report
        .evidence
        .iter()
        .find(|one| one.kind == "effect")
        .map_or_else(String::new, |one| one.text.clone())
}

#[test]
fn the_exact_number_is_accepted() {
    let mut wire = open();
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "hop");
    let report = first(&wire);
    assert_eq!(report.effective, Some(true));
    assert!(why(&report).contains("exactly"), "{}", why(&report));
}

#[test]
fn the_number_after_data_not_yet_acknowledged_is_exact_too() {
    let mut wire = open();
    wire.send(Side::Server, flags("PA").len(500));
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "hop");
    assert_eq!(first(&wire).effective, Some(true));
}

#[test]
fn the_number_before_data_that_arrived_is_ignored() {
    let mut wire = open();
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("PA").len(500));
    wire.forge(Side::Server, flags("R").seq(seq), "hop");
    assert_eq!(first(&wire).effective, Some(false));
}

#[test]
fn a_number_elsewhere_in_the_window_draws_a_challenge_ack() {
    let mut wire = open();
    let seq = wire.next(Side::Server) + 700;
    wire.forge(Side::Server, flags("R").seq(seq), "hop");
    wire.wait(5);
    wire.send(Side::Client, flags("A"));
    wire.exchange();
    let report = first(&wire);
    assert_eq!(report.effective, Some(false));
    assert!(why(&report).contains("challenge ACK"), "{}", why(&report));
}

#[test]
fn a_number_elsewhere_in_the_window_without_more_packets_says_nothing() {
    let mut wire = open();
    let seq = wire.next(Side::Server) + 700;
    wire.forge(Side::Server, flags("R").seq(seq), "hop");
    let report = first(&wire);
    assert_eq!(report.effective, None);
    assert!(why(&report).contains("RFC 5961"), "{}", why(&report));
}

#[test]
fn a_number_beyond_the_window_is_ignored() {
    let mut wire = open();
    let seq = wire.next(Side::Server) + 50_000_000;
    wire.forge(Side::Server, flags("R").seq(seq), "hop");
    let report = first(&wire);
    assert_eq!(report.effective, Some(false));
    assert!(
        why(&report).contains("beyond the window"),
        "{}",
        why(&report)
    );
}

#[test]
fn whoever_asks_for_a_connection_accepts_only_a_reset_that_acknowledges_its_syn() {
    let isn = 1000;
    for (reset, effective) in [
        (flags("RA").seq(0).ack(isn + 1), Some(true)),
        (flags("RA").seq(0).ack(isn), Some(false)),
        (flags("R").seq(0), Some(false)),
    ] {
        let mut wire = Wire::new(&ENDS);
        wire.send(Side::Client, flags("S"));
        wire.send(Side::Server, reset);
        assert_eq!(first(&wire).effective, effective);
    }
}

#[test]
fn a_reset_that_was_lost_has_no_known_effect() {
    let mut wire = open();
    wire.send_as_far_as(Side::Server, flags("RA").window(501), "hop");
    wire.wait(100);
    assert_eq!(first(&wire).effective, None);
}

#[test]
fn what_was_on_its_way_when_the_reset_passed_a_hop_is_no_sign_of_life() {
    let mut wire = Wire::new(&["hop"]);
    wire.send(Side::Server, flags("PA").len(10));
    wire.wait(60);
    wire.send(Side::Client, flags("A"));
    wire.send(Side::Server, flags("RA"));
    wire.wait(30);
    wire.send(Side::Client, flags("PA").len(40));
    assert_eq!(first(&wire).effective, Some(true));
}

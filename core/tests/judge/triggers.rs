//! What provoked a reset, and the silence before it.

use parallax_core::report::{Cause, ResetReport, Side};
use parallax_core::time::SECOND;

use crate::wire::{Segment, Wire, flags};

const ALL: [&str; 4] = ["client@", "fw-in", "fw-out", "server@"];

fn open() -> Wire {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    wire
}

fn first(wire: &Wire) -> ResetReport {
    wire.judge().remove(0).report
}

fn idle_text(report: &ResetReport) -> String {
    report
        .evidence
        .iter()
        .find(|one| one.kind == "idle")
        .map_or_else(String::new, |one| one.text.clone())
}

/// The client speaks after `millis` of silence, and the firewall answers.
fn rejected_after(millis: i64) -> ResetReport {
    let mut wire = open();
    wire.wait(millis);
    let seq = wire.next(Side::Server);
    wire.send_as_far_as(Side::Client, flags("PA").len(40), "fw-in");
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    first(&wire)
}

#[test]
fn the_silence_before_the_trigger_is_told_with_a_product_that_fits() {
    let report = rejected_after(350_500);
    assert_eq!(report.cause, Cause::FirewallIdleTimeout);
    let idle = report.idle_ns.unwrap();
    assert!((350 * SECOND..352 * SECOND).contains(&idle), "{idle}");
    let text = idle_text(&report);
    assert!(
        text.contains("consistent with AWS NAT gateway (350 s"),
        "{text}"
    );
    assert!(text.contains("https://"), "{text}");
}

#[test]
fn a_silence_that_fits_no_product_names_none() {
    let report = rejected_after(150_000);
    assert_eq!(report.cause, Cause::FirewallIdleTimeout);
    assert!(!idle_text(&report).contains("consistent"), "{report:#?}");
}

#[test]
fn a_busy_connection_tells_no_silence() {
    let report = rejected_after(20);
    assert_eq!(report.idle_ns, None);
    assert_eq!(report.cause, Cause::FirewallRejectContent);
}

#[test]
fn a_silence_counts_from_before_the_first_copy_of_the_trigger() {
    let mut wire = open();
    wire.wait(350_500);
    let (seq, own) = (wire.next(Side::Server), wire.next(Side::Client));
    wire.send_as_far_as(Side::Client, flags("PA").len(40), "fw-in");
    wire.wait(300);
    wire.send_as_far_as(Side::Client, flags("PA").len(40).seq(own), "fw-in");
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    let report = first(&wire);
    assert!(report.idle_ns.unwrap() >= 350 * SECOND, "{report:#?}");
    assert_eq!(report.cause, Cause::FirewallIdleTimeout);
}

#[test]
fn resets_to_both_ends_when_the_idle_time_is_over_come_from_a_timer() {
    let mut wire = open();
    wire.wait(240_500);
    let (client, server) = (wire.next(Side::Client), wire.next(Side::Server));
    wire.forge(Side::Server, flags("R").seq(server), "fw-in");
    wire.forge(Side::Client, flags("R").seq(client), "fw-out");
    let judged = wire.judge();
    for one in &judged {
        assert_eq!(
            one.report.cause,
            Cause::FirewallIdleTimeout,
            "{:#?}",
            one.report
        );
    }
    let text = idle_text(&judged[0].report);
    assert!(text.contains("consistent with Azure"), "{text}");
}

#[test]
fn an_unasked_reset_after_a_silence_that_no_timer_has_is_just_injected() {
    let mut wire = open();
    wire.wait(100_000);
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    assert_eq!(first(&wire).cause, Cause::Injected);
}

#[test]
fn a_first_segment_after_silence_that_got_past_the_box_was_not_forgotten() {
    let mut wire = open();
    wire.wait(100_000);
    wire.send(Side::Client, flags("PA").len(40));
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    assert_eq!(first(&wire).cause, Cause::FirewallRejectContent);
}

#[test]
fn the_segment_whose_ip_id_and_window_are_copied_provoked_it() {
    let mut wire = open();
    let seq = wire.next(Side::Server);
    let request = Segment {
        ip_id: Some(4711),
        ..flags("PA")
    };
    wire.send(Side::Client, request.len(40).window(333));
    wire.send(Side::Client, flags("PA").len(50));
    let reset = Segment {
        ip_id: Some(4711),
        ..flags("R")
    };
    wire.wait(300);
    wire.forge(Side::Server, reset.seq(seq).window(333), "fw-in");
    let report = first(&wire);
    assert!(
        report.trigger.as_ref().unwrap().contains("len 40"),
        "{report:#?}"
    );
}

#[test]
fn the_trigger_of_a_host_is_the_segment_that_its_reset_mirrors() {
    let mut wire = open();
    wire.send(Side::Server, flags("FA"));
    wire.wait(20);
    wire.send(Side::Client, flags("PA").len(77));
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("R").seq(seq));
    let report = first(&wire);
    assert!(
        report.trigger.as_ref().unwrap().contains("len 77"),
        "{report:#?}"
    );
    assert!(!idle_text(&report).contains("consistent"));
}

//! Resets that were forged on the way: content, bursts, guesses, both ways.

use parallax_core::report::{Cause, Side};

use super::{causes, reports, wire};
use crate::wire::{Wire, flags};

fn open() -> Wire {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire
}

#[test]
fn a_reset_long_after_a_payload_segment_is_not_for_its_content() {
    let mut wire = open();
    wire.send(Side::Client, flags("PA").len(40));
    wire.send(Side::Server, flags("A"));
    wire.wait(800);
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    assert_eq!(causes(&wire), [Cause::Injected]);
}

#[test]
fn a_reply_that_draws_a_reset_to_its_own_sender_is_rejected_content() {
    let mut wire = open();
    let seq = wire.next(Side::Client);
    wire.send_as_far_as(Side::Server, flags("PA").len(700), "fw-out");
    wire.forge(Side::Client, flags("R").seq(seq), "fw-out");
    assert_eq!(causes(&wire), [Cause::FirewallRejectContent]);
}

#[test]
fn tcpkill_spreads_by_windows_even_when_none_of_its_numbers_hits() {
    let mut wire = open();
    wire.send(Side::Client, flags("A").window(300));
    let seq = wire.next(Side::Server) + 7;
    for windows in [0, 1, 3] {
        let reset = flags("R").seq(seq + 300 * windows);
        wire.forge(Side::Server, reset, "fw-in");
    }
    assert_eq!(causes(&wire), [Cause::InjectedOffPath; 3]);
}

#[test]
fn the_great_firewalls_spread_is_off_path_although_the_stream_has_moved_on() {
    let mut wire = open();
    let seq = wire.next(Side::Server) + 99;
    for step in [0, 1460, 4380] {
        wire.forge(Side::Server, flags("RA").seq(seq + step), "fw-in");
    }
    assert_eq!(causes(&wire), [Cause::InjectedOffPath; 3]);
}

#[test]
fn repeated_forgeries_at_the_exact_number_are_no_burst_around_the_stream() {
    let mut wire = open();
    for _ in 0..3 {
        wire.send_as_far_as(Side::Client, flags("PA").len(10), "fw-in");
        let seq = wire.next(Side::Server);
        let ack = wire.next(Side::Client);
        wire.forge(Side::Server, flags("RA").seq(seq).ack(ack), "fw-in");
        wire.wait(200);
    }
    for cause in causes(&wire) {
        assert_eq!(cause, Cause::FirewallRejectContent);
    }
}

#[test]
fn one_wrong_number_is_a_guess_only_when_the_connection_lives_on() {
    let forge = |lives_on: bool| {
        let mut wire = open();
        let seq = wire.next(Side::Server) + 5000;
        wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
        wire.wait(300);
        if lives_on {
            wire.exchange();
        }
        causes(&wire)
    };
    assert_eq!(forge(true), [Cause::BlindAttack]);
    assert_eq!(forge(false), [Cause::Injected]);
}

#[test]
fn a_number_within_what_offload_merged_was_not_guessed() {
    let mut wire = open();
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("A").len(14_480));
    wire.forge(Side::Server, flags("R").seq(seq + 2896), "fw-in");
    wire.wait(300);
    wire.exchange();
    assert_ne!(causes(&wire)[0], Cause::BlindAttack);
}

#[test]
fn a_reset_of_one_end_that_an_honest_one_follows_is_not_both_ways() {
    let mut wire = open();
    wire.wait(500);
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    wire.wait(400);
    wire.send(Side::Server, flags("PA").len(10));
    let seq = wire.next(Side::Client);
    wire.send(Side::Client, flags("R").seq(seq));
    let reports = reports(&wire);
    assert_eq!(reports[0].cause, Cause::Injected);
    assert_eq!(reports[1].cause, Cause::NoSocket);
    assert_eq!(reports[1].root, Some(reports[0].id));
}

#[test]
fn forgeries_to_both_ends_from_different_places_are_not_one_act() {
    let mut wire = Wire::new(&["client@", "fw-in", "mid", "fw-out", "server@"]);
    wire.handshake();
    wire.exchange();
    let (client, server) = (wire.next(Side::Client), wire.next(Side::Server));
    wire.wait(500);
    wire.forge(Side::Server, flags("R").seq(server), "client");
    wire.forge(Side::Client, flags("R").seq(client), "server");
    assert!(!causes(&wire).contains(&Cause::InjectedBothWays));
}

//! No socket, out of window, and firewalls on the host itself.

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
fn a_half_open_connections_segment_after_long_silence_finds_no_socket() {
    let mut wire = open();
    wire.wait(900_000);
    wire.send(Side::Client, flags("PA").len(10));
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("R").seq(seq));
    let report = &reports(&wire)[0];
    assert_eq!(report.cause, Cause::NoSocket);
    assert!(report.idle_ns.unwrap() >= 900_000_000_000);
}

#[test]
fn a_live_sockets_abort_right_after_a_request_is_no_missing_socket() {
    let mut wire = open();
    wire.send(Side::Client, flags("PA").len(10));
    wire.send(Side::Server, flags("RA").window(501));
    assert_ne!(causes(&wire)[0], Cause::NoSocket);
}

#[test]
fn an_ack_of_what_another_vantage_saw_sent_is_not_out_of_window() {
    let mut wire = open();
    wire.deafen("server");
    wire.send(Side::Server, flags("PA").len(400));
    wire.listen("server");
    wire.send(Side::Client, flags("A"));
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("R").seq(seq));
    assert_eq!(causes(&wire), [Cause::NoSocket]);
}

#[test]
fn a_host_that_was_reset_and_stays_silent_has_no_firewall_to_blame() {
    let mut wire = open();
    wire.send(Side::Client, flags("PA").len(40));
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("R").seq(seq));
    wire.wait(300);
    wire.send(Side::Client, flags("PA").len(40));
    wire.send(Side::Server, flags("R").seq(seq));
    assert_eq!(causes(&wire)[0], Cause::NoSocket);
}

#[test]
fn a_reset_of_an_unacceptable_ack_while_opening_is_tcps_own_although_it_goes_on() {
    let mut wire = wire();
    wire.send(Side::Client, flags("S"));
    wire.send(Side::Server, flags("SA"));
    let beyond = wire.next(Side::Server) + 9000;
    wire.send(Side::Client, flags("A").ack(beyond));
    wire.send(Side::Server, flags("R").seq(beyond));
    wire.wait(20);
    wire.send(Side::Client, flags("A"));
    wire.exchange();
    assert_eq!(causes(&wire), [Cause::OutOfWindow]);
}

#[test]
fn a_reset_that_its_receiver_ignored_is_no_root() {
    let mut wire = open();
    let guess = wire.next(Side::Server) + 30_000_000;
    wire.forge(Side::Server, flags("R").seq(guess), "fw-in");
    wire.wait(50);
    wire.exchange();
    wire.send(Side::Client, flags("FA"));
    wire.wait(50);
    wire.send(Side::Server, flags("PA").len(20));
    let seq = wire.next(Side::Client);
    wire.send(Side::Client, flags("R").seq(seq));
    let reports = reports(&wire);
    assert_eq!(reports[0].cause, Cause::BlindAttack);
    assert_eq!(reports[1].cause, Cause::NoSocket);
    assert_eq!(reports[1].root, None, "{reports:#?}");
}

#[test]
fn after_an_abort_late_segments_find_no_socket_and_name_the_abort_as_root() {
    let mut wire = open();
    wire.send(Side::Server, flags("RA").window(501));
    wire.send(Side::Client, flags("PA").len(40));
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("R").seq(seq));
    let reports = reports(&wire);
    assert_eq!(reports[1].cause, Cause::NoSocket);
    assert_eq!(reports[1].root, Some(reports[0].id));
}

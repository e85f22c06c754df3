//! Senders that gave up, and senders that did not.

use parallax_core::report::{Cause, Side};

use super::{causes, reports, wire};
use crate::wire::{Wire, flags};

fn open() -> Wire {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire
}

/// Sends octets `from` to `from + len` into the void.
fn lost(wire: &mut Wire, from: u32, len: u32) {
    wire.send_as_far_as(Side::Server, flags("PA").len(len).seq(from), "fw-out");
    wire.wait(300);
}

#[test]
fn copies_that_offload_split_and_merged_count_as_one_segment() {
    let mut wire = open();
    let seq = wire.next(Side::Server);
    lost(&mut wire, seq, 2896);
    for _ in 0..2 {
        lost(&mut wire, seq, 1448);
        lost(&mut wire, seq, 4344);
    }
    lost(&mut wire, seq, 1448);
    wire.set_next(Side::Server, seq + 4344);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::RetransmissionTimeout]);
}

#[test]
fn new_data_in_flight_does_not_hide_a_retransmission_timeout() {
    let mut wire = open();
    let seq = wire.next(Side::Server);
    for round in 0..6 {
        lost(&mut wire, seq, 200);
        wire.send_as_far_as(
            Side::Server,
            flags("PA").len(200).seq(seq + 200 * (round + 1)),
            "fw-out",
        );
    }
    wire.set_next(Side::Server, seq + 1400);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::RetransmissionTimeout]);
}

#[test]
fn acknowledgements_of_other_segments_do_not_matter() {
    let mut wire = open();
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("PA").len(100));
    wire.send(Side::Client, flags("A"));
    for _ in 0..6 {
        lost(&mut wire, seq + 100, 200);
        wire.send(Side::Client, flags("A").ack(seq + 100));
    }
    wire.set_next(Side::Server, seq + 300);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::RetransmissionTimeout]);
}

#[test]
fn many_segments_on_one_path_recorded_twice_are_not_sent_twice() {
    let mut wire = Wire::new(&["client@", "gw", "server@"]);
    wire.double("server");
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    for _ in 0..3 {
        wire.send_as_far_as(Side::Server, flags("PA").len(200).seq(seq), "gw");
        wire.wait(300);
    }
    wire.set_next(Side::Server, seq + 200);
    wire.send(Side::Server, flags("RA").window(501));
    assert_ne!(causes(&wire)[0], Cause::RetransmissionTimeout);
}

#[test]
fn a_bare_reset_that_answers_a_later_segment_found_no_socket() {
    let mut wire = open();
    let seq = wire.next(Side::Server);
    for _ in 0..6 {
        lost(&mut wire, seq, 200);
    }
    wire.wait(5000);
    wire.send(Side::Client, flags("PA").len(30).ack(seq));
    wire.send(Side::Server, flags("R").seq(seq));
    assert_eq!(causes(&wire), [Cause::NoSocket]);
}

#[test]
fn a_syn_sent_too_often_is_counted_apart() {
    let mut wire = wire();
    let isn = wire.next(Side::Client);
    for _ in 0..6 {
        wire.send_as_far_as(Side::Client, flags("S").seq(isn), "fw-in");
        wire.wait(1000);
    }
    wire.set_next(Side::Client, isn + 1);
    wire.send(Side::Client, flags("R"));
    let report = &reports(&wire)[0];
    assert_eq!(report.cause, Cause::RetransmissionTimeout);
    assert!(report.trigger.as_ref().unwrap().starts_with('S'));
}

#[test]
fn syns_do_not_add_to_the_retransmissions_of_data() {
    let mut wire = wire();
    let isn = wire.next(Side::Client);
    for _ in 0..4 {
        wire.send_as_far_as(Side::Client, flags("S").seq(isn), "fw-in");
        wire.wait(1000);
    }
    wire.handshake();
    let seq = wire.next(Side::Client);
    for _ in 0..3 {
        wire.send_as_far_as(Side::Client, flags("PA").len(50).seq(seq), "fw-in");
        wire.wait(300);
    }
    wire.set_next(Side::Client, seq + 50);
    wire.send(Side::Client, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::AbortLinger]);
}

#[test]
fn a_syn_ack_that_nobody_completes_times_out() {
    let mut wire = wire();
    wire.send(Side::Client, flags("S"));
    let isn = wire.next(Side::Server);
    for _ in 0..3 {
        wire.send_as_far_as(Side::Server, flags("SA").seq(isn), "fw-out");
        wire.wait(1000);
    }
    wire.send(Side::Server, flags("R").seq(isn + 1));
    assert_eq!(causes(&wire), [Cause::RetransmissionTimeout]);
}

#[test]
fn a_reset_in_the_moment_of_a_keep_alive_probe_did_not_wait_for_its_answer() {
    let mut wire = open();
    let before = wire.next(Side::Server) - 1;
    wire.wait(1000);
    wire.send_as_far_as(Side::Server, flags("A").seq(before), "fw-out");
    wire.wait(3);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::AbortLinger]);
}

#[test]
fn probes_that_carry_an_octet_count_too() {
    let mut wire = open();
    let before = wire.next(Side::Server) - 1;
    for _ in 0..3 {
        wire.wait(1000);
        wire.send_as_far_as(Side::Server, flags("A").seq(before).len(1), "fw-out");
    }
    wire.wait(1000);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::KeepaliveTimeout]);
}

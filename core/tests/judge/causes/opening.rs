//! Resets while a connection is being opened, and those of port reuse.

use parallax_core::report::{Cause, Origin, Side};
use parallax_core::{Nearby, judge};

use super::{causes, refuse, reports, reused, wire};
use crate::wire::{Wire, flags};

#[test]
fn a_syn_above_the_last_number_of_a_closed_connection_is_no_reuse_of_time_wait() {
    let mut wire = wire();
    reused(&mut wire, 900_000);
    assert_eq!(causes(&wire), [Cause::OutOfWindow]);
}

#[test]
fn a_refused_syn_below_the_last_number_reuses_time_wait_and_one_above_finds_a_closed_port() {
    for (isn, cause) in [(500, Cause::TimeWaitReuse), (900_000, Cause::ClosedPort)] {
        let mut wire = wire();
        wire.handshake();
        wire.exchange();
        wire.send(Side::Server, flags("FA"));
        wire.send(Side::Client, flags("FA"));
        wire.send(Side::Server, flags("A"));
        wire.wait(10_000);
        wire.set_next(Side::Client, isn);
        refuse(&mut wire);
        assert_eq!(causes(&wire), [cause]);
    }
}

#[test]
fn a_connection_closed_long_ago_is_no_longer_in_time_wait() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.send(Side::Server, flags("FA"));
    wire.send(Side::Client, flags("FA"));
    wire.wait(600_000);
    wire.set_next(Side::Client, 500);
    refuse(&mut wire);
    assert_eq!(causes(&wire), [Cause::ClosedPort]);
}

#[test]
fn a_syn_that_an_open_connection_resets_is_out_of_window() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.wait(3000);
    wire.set_next(Side::Client, 70_000_000);
    refuse(&mut wire);
    assert_eq!(causes(&wire), [Cause::OutOfWindow]);
}

#[test]
fn a_syn_that_draws_a_challenge_ack_is_reset_by_its_own_sender() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.wait(3000);
    let (old_ack, old_seq) = (wire.next(Side::Client), wire.next(Side::Server));
    wire.set_next(Side::Client, 70_000_000);
    wire.send(Side::Client, flags("S"));
    wire.send(Side::Server, flags("A").seq(old_seq).ack(old_ack));
    wire.send(Side::Client, flags("R").seq(old_ack));
    let report = &reports(&wire)[0];
    assert_eq!(report.cause, Cause::OutOfWindow);
    assert_eq!(report.emitter, Some(Side::Client));
}

#[test]
fn a_syn_that_comes_again_before_the_handshake_ends_is_not_within_a_connection() {
    let mut wire = wire();
    let isn = wire.next(Side::Client);
    wire.send(Side::Client, flags("S"));
    wire.send_as_far_as(Side::Server, flags("SA"), "fw-out");
    wire.wait(1000);
    wire.send(Side::Client, flags("S").seq(isn));
    wire.send(Side::Server, flags("RA").window(501));
    assert_ne!(causes(&wire)[0], Cause::OutOfWindow);
}

#[test]
fn of_two_parallel_syns_the_refused_one_names_the_other() {
    let mut wire = wire();
    wire.tuple.dst.port = 139;
    wire.send(Side::Client, flags("S"));
    wire.send(Side::Server, flags("SA"));
    wire.send(Side::Client, flags("R"));
    let mut evidence = wire.evidence();
    for vantage in &mut evidence.vantages {
        let other = |digest: &parallax_core::Digest| {
            let mut other = *digest;
            for end in [&mut other.tuple.src, &mut other.tuple.dst] {
                end.port = if end.port == 139 { 445 } else { end.port + 1 };
            }
            other
        };
        let shaken = vantage.segments.iter().filter(|digest| !digest.is_rst());
        let moment = vantage.segments[0].time;
        vantage.nearby = Nearby::new(moment, &shaken.map(other).collect::<Vec<_>>(), &[], &[]);
    }
    let report = judge::judge_flow(&evidence).remove(0).report;
    assert_eq!(report.cause, Cause::SynAckRefused);
    let told = report.evidence.iter().find(|one| one.kind == "cause");
    assert!(told.unwrap().text.contains("port 445"), "{report:#?}");
}

#[test]
fn a_half_open_scan_refuses_the_syn_ack_and_an_answered_handshake_does_not() {
    let mut scan = wire();
    scan.send(Side::Client, flags("S").window(1024));
    scan.send(Side::Server, flags("SA"));
    let ack = scan.next(Side::Client);
    scan.send(Side::Client, flags("R").seq(ack));
    assert_eq!(causes(&scan), [Cause::SynAckRefused]);

    let mut opened = wire();
    opened.handshake();
    opened.send(Side::Client, flags("RA").window(501));
    assert_eq!(causes(&opened), [Cause::AbortLinger]);
}

#[test]
fn a_syn_ack_for_another_syn_is_out_of_window_not_refused() {
    let mut wire = wire();
    wire.send(Side::Client, flags("S"));
    wire.send(Side::Server, flags("SA").ack(777));
    wire.send(Side::Client, flags("R").seq(777));
    assert_eq!(causes(&wire), [Cause::OutOfWindow]);
}

#[test]
fn a_firewall_that_rejects_a_syn_is_told_from_a_closed_port_by_place_alone() {
    let reject = |wire: &mut Wire, forged: bool| {
        wire.neighbour();
        wire.wait(60_000);
        let ack = wire.next(Side::Client) + 1;
        let reset = flags("RA").seq(0).ack(ack);
        if forged {
            wire.send_as_far_as(Side::Client, flags("S"), "fw-in");
            wire.forge(Side::Server, reset, "fw-in");
        } else {
            wire.send(Side::Client, flags("S"));
            wire.send(Side::Server, reset);
        }
    };
    let mut firewall = wire();
    reject(&mut firewall, true);
    assert_eq!(causes(&firewall), [Cause::FirewallRejectSyn]);
    assert_eq!(reports(&firewall)[0].origin, Origin::Middlebox);
    let mut host = wire();
    reject(&mut host, false);
    assert_eq!(causes(&host), [Cause::ClosedPort]);
}

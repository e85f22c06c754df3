//! Why: every cause with a scenario, and counter-scenarios that look like it.

mod aborts;
mod forged;
mod opening;
mod sockets;
mod timeouts;

use parallax_core::report::{Cause, Origin, ResetReport, Side};

use crate::wire::{Wire, flags};

const ALL: [&str; 4] = ["client@", "fw-in", "fw-out", "server@"];

fn wire() -> Wire {
    Wire::new(&ALL)
}

fn reports(wire: &Wire) -> Vec<ResetReport> {
    wire.judge()
        .into_iter()
        .map(|judged| judged.report)
        .collect()
}

fn causes(wire: &Wire) -> Vec<Cause> {
    reports(wire).iter().map(|report| report.cause).collect()
}

fn refuse(wire: &mut Wire) {
    wire.send(Side::Client, flags("S"));
    let ack = wire.next(Side::Client);
    wire.send(Side::Server, flags("RA").seq(0).ack(ack));
}

#[test]
fn a_syn_that_a_host_refuses_found_a_closed_port() {
    let mut wire = wire();
    refuse(&mut wire);
    assert_eq!(causes(&wire), [Cause::ClosedPort]);
}

#[test]
fn a_refusal_beside_accepted_connections_is_an_overloaded_listener() {
    let mut wire = wire();
    wire.neighbour();
    wire.wait(200);
    refuse(&mut wire);
    assert_eq!(causes(&wire), [Cause::ListenerOverloaded]);
}

#[test]
fn a_port_that_accepted_a_minute_ago_is_closed_now() {
    let mut wire = wire();
    wire.neighbour();
    wire.wait(60_000);
    refuse(&mut wire);
    assert_eq!(causes(&wire), [Cause::ClosedPort]);
}

#[test]
fn a_reset_on_the_last_ack_of_the_handshake_is_a_full_accept_queue() {
    let mut wire = wire();
    wire.handshake();
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("R").seq(seq));
    assert_eq!(causes(&wire), [Cause::ListenerOverloaded]);
}

#[test]
fn a_client_that_answers_syn_ack_with_rst_refuses_it() {
    let mut wire = wire();
    wire.send(Side::Client, flags("S"));
    wire.send(Side::Server, flags("SA"));
    wire.send(Side::Client, flags("R"));
    assert_eq!(causes(&wire), [Cause::SynAckRefused]);
}

#[test]
fn five_retransmissions_of_one_segment_then_rst_is_a_retransmission_timeout() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    for _ in 0..6 {
        wire.send_as_far_as(Side::Server, flags("PA").len(200).seq(seq), "fw-out");
        wire.wait(400);
    }
    wire.set_next(Side::Server, seq + 200);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::RetransmissionTimeout]);
}

#[test]
fn five_retransmissions_of_different_segments_are_no_timeout() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    for _ in 0..5 {
        let seq = wire.next(Side::Server);
        wire.send_as_far_as(Side::Server, flags("PA").len(200), "fw-out");
        wire.wait(300);
        wire.send(Side::Server, flags("PA").len(200).seq(seq));
        wire.send(Side::Client, flags("A"));
    }
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::AbortLinger]);
}

#[test]
fn a_retransmitted_segment_that_was_acknowledged_late_causes_nothing() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    for _ in 0..6 {
        wire.send(Side::Server, flags("PA").len(200).seq(seq));
        wire.wait(300);
    }
    wire.set_next(Side::Server, seq + 200);
    wire.send(Side::Client, flags("A"));
    wire.wait(300);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::AbortLinger]);
}

#[test]
fn unanswered_keep_alive_probes_then_rst_are_a_keepalive_timeout() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    let before = wire.next(Side::Server) - 1;
    for _ in 0..3 {
        wire.wait(1000);
        wire.send_as_far_as(Side::Server, flags("A").seq(before), "fw-out");
    }
    wire.wait(1000);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::KeepaliveTimeout]);
}

#[test]
fn answered_keep_alive_probes_are_no_timeout() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    let before = wire.next(Side::Server) - 1;
    for _ in 0..3 {
        wire.wait(1000);
        wire.send(Side::Server, flags("A").seq(before));
        wire.send(Side::Client, flags("A"));
    }
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::AbortLinger]);
}

#[test]
fn an_abort_with_an_unanswered_request_left_data_unread() {
    let mut wire = wire();
    wire.handshake();
    wire.send(Side::Client, flags("PA").len(300));
    wire.send(Side::Server, flags("A"));
    wire.wait(50);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::AbortUnreadData]);
}

#[test]
fn a_client_that_hangs_up_with_its_whole_answer_aborts_by_choice() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.wait(20);
    wire.send(Side::Client, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::AbortLinger]);
}

#[test]
fn a_client_that_hangs_up_while_data_is_coming_leaves_it_unread() {
    let mut wire = wire();
    wire.handshake();
    wire.send(Side::Client, flags("PA").len(100));
    wire.send(Side::Server, flags("A").len(1448));
    wire.send(Side::Client, flags("A"));
    wire.send(Side::Client, flags("RA").window(501));
    wire.send(Side::Server, flags("A").len(1448));
    assert_eq!(causes(&wire)[0], Cause::AbortUnreadData);
}

#[test]
fn an_abort_after_the_answer_is_a_linger_abort() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.wait(50);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::AbortLinger]);
}

#[test]
fn a_segment_after_the_close_finds_no_socket() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.send(Side::Server, flags("FA"));
    wire.send(Side::Client, flags("A"));
    wire.wait(50);
    wire.send(Side::Client, flags("PA").len(10));
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("R").seq(seq));
    assert_eq!(causes(&wire), [Cause::NoSocket]);
}

#[test]
fn a_restarted_host_knows_no_socket_for_an_old_connection() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.wait(5000);
    wire.send(Side::Client, flags("PA").len(10));
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("R").seq(seq));
    assert_eq!(causes(&wire), [Cause::NoSocket]);
}

/// A connection that both ends closed, then a new SYN on its ports with the given number.
fn reused(wire: &mut Wire, isn: u32) {
    wire.handshake();
    wire.exchange();
    wire.send(Side::Server, flags("FA"));
    wire.send(Side::Client, flags("FA"));
    wire.send(Side::Server, flags("A"));
    let (old_ack, old_seq) = (wire.next(Side::Client), wire.next(Side::Server));
    wire.wait(2000);
    wire.set_next(Side::Client, isn);
    wire.send(Side::Client, flags("S"));
    wire.send(Side::Server, flags("A").seq(old_seq).ack(old_ack));
    wire.send(Side::Client, flags("R").seq(old_ack));
}

#[test]
fn a_syn_below_the_last_number_of_a_closed_connection_reuses_time_wait() {
    let mut wire = wire();
    reused(&mut wire, 500);
    assert_eq!(causes(&wire), [Cause::TimeWaitReuse]);
}

#[test]
fn an_old_ack_against_a_syn_without_a_known_past_is_out_of_window() {
    let mut wire = wire();
    wire.send(Side::Client, flags("S"));
    wire.send(Side::Server, flags("A").seq(9_000).ack(70_000));
    wire.send(Side::Client, flags("R").seq(70_000));
    assert_eq!(causes(&wire), [Cause::OutOfWindow]);
}

#[test]
fn an_ack_of_what_was_never_sent_is_out_of_window() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    let beyond = wire.next(Side::Server) + 5000;
    wire.send(Side::Client, flags("A").ack(beyond));
    wire.send(Side::Server, flags("R").seq(beyond));
    assert_eq!(causes(&wire), [Cause::OutOfWindow]);
}

#[test]
fn a_host_whose_tcp_goes_on_was_reset_by_its_own_firewall() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.send(Side::Client, flags("PA").len(40));
    let seq = wire.next(Side::Server);
    wire.send(Side::Server, flags("R").seq(seq));
    wire.wait(300);
    wire.send(Side::Server, flags("PA").len(10));
    let report = &reports(&wire)[0];
    assert_eq!(report.cause, Cause::HostFirewallReject);
    assert_eq!(report.origin, Origin::Endpoint);
}

#[test]
fn honest_resets_after_a_forged_one_name_it_as_their_root() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    wire.send_as_far_as(Side::Client, flags("PA").len(40), "fw-in");
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    wire.set_next(Side::Client, wire.next(Side::Client) - 40);
    wire.wait(500);
    wire.send(Side::Server, flags("PA").len(20));
    let seq = wire.next(Side::Client);
    wire.send(Side::Client, flags("R").seq(seq));
    let reports = reports(&wire);
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].origin, Origin::Middlebox);
    assert_eq!(reports[1].origin, Origin::Endpoint);
    assert_eq!(reports[1].emitter, Some(Side::Client));
    assert_eq!(reports[1].cause, Cause::NoSocket);
    assert_eq!(reports[1].root, Some(reports[0].id));
}

#[test]
fn forged_resets_to_both_ends_are_one_act() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    let (client, server) = (wire.next(Side::Client), wire.next(Side::Server));
    wire.forge(Side::Server, flags("R").seq(server), "fw-in");
    wire.forge(Side::Client, flags("R").seq(client), "fw-out");
    assert_eq!(
        causes(&wire),
        [Cause::InjectedBothWays, Cause::InjectedBothWays]
    );
}

#[test]
fn a_burst_around_the_stream_is_off_path_injection() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    for step in [0, 1460, 4380] {
        wire.forge(Side::Server, flags("R").seq(seq + step), "fw-in");
    }
    assert_eq!(causes(&wire), [Cause::InjectedOffPath; 3]);
}

#[test]
fn guesses_that_never_hit_the_stream_are_a_blind_attack() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    for guess in [17_000, 34_000, 51_000] {
        wire.forge(Side::Server, flags("R").seq(seq + guess), "fw-in");
    }
    wire.wait(20);
    wire.exchange();
    let reports = reports(&wire);
    assert!(
        reports
            .iter()
            .all(|report| report.cause == Cause::BlindAttack)
    );
    assert!(reports.iter().all(|report| report.effective == Some(false)));
}

#[test]
fn a_forged_reset_after_long_silence_is_an_idle_timeout() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.wait(350_000);
    let seq = wire.next(Side::Server);
    wire.send_as_far_as(Side::Client, flags("PA").len(40), "fw-in");
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    assert_eq!(causes(&wire), [Cause::FirewallIdleTimeout]);
}

#[test]
fn a_forged_reset_out_of_the_blue_is_just_injected() {
    let mut wire = wire();
    wire.handshake();
    wire.exchange();
    wire.wait(3000);
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    assert_eq!(causes(&wire), [Cause::Injected]);
}

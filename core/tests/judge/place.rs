//! Where: origin, place, loss, and what silence is worth.

use parallax_core::KnownId;
use parallax_core::judge::{self, Judged};
use parallax_core::report::{Cause, Mark, Origin, ResetReport, Side};
use parallax_core::time::SECOND;

use crate::wire::{Wire, flags};

const ALL: [&str; 5] = ["client@", "gw", "fw-in", "fw-out", "server@"];

fn only(judged: Vec<Judged>) -> ResetReport {
    assert_eq!(judged.len(), 1, "one reset expected: {judged:#?}");
    judged.into_iter().next().unwrap().report
}

fn between(report: &ResetReport) -> [Option<&str>; 2] {
    let place = report.between.as_ref().expect("a place");
    [place[0].as_deref(), place[1].as_deref()]
}

/// The firewall between `fw-in` and `fw-out` forges a RST in the server's name.
fn forged(wire: &mut Wire) {
    wire.handshake();
    wire.exchange();
    let (seq, arrived) = (wire.next(Side::Server), wire.next(Side::Client));
    wire.send_as_far_as(Side::Client, flags("PA").len(50), "fw-in");
    wire.forge(Side::Server, flags("R").seq(seq).ttl(64), "fw-in");
    wire.wait(100);
    wire.send_as_far_as(Side::Server, flags("A").ack(arrived), "fw-out");
}

#[test]
fn a_reset_that_the_server_host_sent_is_the_endpoints() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    wire.send(Side::Server, flags("RA").window(501));
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Endpoint);
    assert_eq!(report.emitter, Some(Side::Server));
    assert_eq!(report.at.as_deref(), Some("server"));
    assert_eq!(
        report.seen_at,
        ["server", "fw-out", "fw-in", "gw", "client"]
    );
    assert_eq!(report.path, ["client", "gw", "fw-in", "fw-out", "server"]);
    assert!(report.confidence > 0.9);
}

#[test]
fn a_reset_first_seen_behind_an_attested_absence_was_forged_there() {
    let mut wire = Wire::new(&ALL);
    forged(&mut wire);
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(between(&report), [Some("fw-out"), Some("fw-in")]);
    assert_eq!(report.cause, Cause::FirewallRejectContent);
    assert!(report.absent_at.iter().all(|absence| absence.attested));
    assert!(report.confidence > 0.9);
    assert_eq!(report.effective, Some(true));
}

#[test]
fn the_order_of_the_arguments_does_not_matter_to_the_path() {
    let mut wire = Wire::new(&ALL);
    forged(&mut wire);
    let mut evidence = wire.evidence();
    evidence.vantages.reverse();
    let report = only(judge::judge_flow(&evidence));
    assert_eq!(report.path, ["client", "gw", "fw-in", "fw-out", "server"]);
    assert_eq!(between(&report), [Some("fw-out"), Some("fw-in")]);
}

#[test]
fn a_configured_path_is_turned_round_for_a_client_at_its_far_end() {
    let mut wire = Wire::new(&ALL);
    forged(&mut wire);
    wire.configure(&["server", "fw-out", "fw-in", "gw", "client"]);
    let report = only(wire.judge());
    assert_eq!(between(&report), [Some("fw-out"), Some("fw-in")]);
}

#[test]
fn a_clock_five_seconds_off_changes_nothing() {
    for name in ["client", "gw", "fw-in", "fw-out", "server"] {
        for ahead in [-5 * SECOND, 5 * SECOND] {
            let mut wire = Wire::new(&ALL);
            wire.clock(name, ahead);
            forged(&mut wire);
            let report = only(wire.judge());
            assert_eq!(report.origin, Origin::Middlebox, "{name} {ahead}");
            assert_eq!(between(&report), [Some("fw-out"), Some("fw-in")]);
        }
    }
}

#[test]
fn a_blind_vantage_widens_the_interval() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.stop("fw-out");
    wire.exchange();
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "fw-in");
    wire.wait(50);
    wire.send(Side::Server, flags("A"));
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(between(&report), [Some("server"), Some("fw-in")]);
    assert!(report.decide.as_deref().unwrap_or("").contains("fw-out"));
}

#[test]
fn a_server_capture_that_stopped_before_the_reset_accuses_nobody() {
    let mut wire = Wire::new(&["client@", "server@"]);
    wire.handshake();
    wire.exchange();
    wire.stop("server");
    wire.wait(10);
    wire.send(Side::Server, flags("RA").window(501));
    let report = only(wire.judge());
    assert_ne!(report.origin, Origin::Middlebox, "{report:#?}");
    assert!(!report.absent_at[0].attested);
}

#[test]
fn a_vantage_that_loses_packets_attests_nothing() {
    let mut wire = Wire::new(&["client@", "gw", "server@"]);
    wire.handshake();
    for round in 0..9 {
        if round % 3 == 0 {
            wire.deafen("server");
        } else {
            wire.listen("server");
        }
        wire.exchange();
    }
    wire.deafen("server");
    wire.send(Side::Server, flags("RA").window(501));
    wire.listen("server");
    wire.wait(10);
    let report = only(wire.judge());
    assert_ne!(report.origin, Origin::Middlebox, "{report:#?}");
}

#[test]
fn a_reset_that_a_hop_drops_is_lost_behind_its_last_sighting() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    wire.send_as_far_as(Side::Server, flags("RA").window(501), "fw-out");
    wire.wait(100);
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Endpoint);
    let lost = report.lost_between.as_ref().unwrap();
    assert_eq!(lost[0].as_deref(), Some("fw-out"));
    assert_eq!(lost[1].as_deref(), Some("fw-in"));
}

#[test]
fn a_rejected_syn_is_placed_by_other_connections_of_the_two_hosts() {
    let mut wire = Wire::new(&ALL);
    wire.neighbour();
    wire.wait(1000);
    wire.send_as_far_as(Side::Client, flags("S"), "fw-in");
    let ack = wire.next(Side::Client);
    wire.forge(Side::Server, flags("RA").seq(0).ack(ack), "fw-in");
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(between(&report), [Some("fw-out"), Some("fw-in")]);
    assert_eq!(report.cause, Cause::FirewallRejectSyn);
}

#[test]
fn a_reset_forged_in_front_of_the_server_comes_from_there() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Client);
    wire.forge(Side::Client, flags("R").seq(seq), "server");
    wire.wait(50);
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(between(&report), [Some("fw-out"), Some("server")]);
}

#[test]
fn a_neighbours_forgery_on_the_hosts_own_link_is_not_the_hosts() {
    let mut wire = Wire::new(&ALL);
    wire.links();
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Client);
    wire.forge_from(
        Side::Client,
        flags("R").seq(seq),
        "client",
        [2, 9, 9, 9, 9, 9],
    );
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(between(&report), [Some("client"), Some("gw")]);
}

#[test]
fn one_hop_alone_tells_by_hop_counts_and_says_how_unsure_it_is() {
    let mut wire = Wire::new(&["hop"]);
    wire.handshake();
    wire.exchange();
    wire.send(Side::Server, flags("RA").window(501));
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Endpoint);
    assert!(report.confidence < 0.95);

    let mut wire = Wire::new(&["hop"]);
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq).ttl(50), "hop");
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(between(&report), [None, Some("hop")]);
    assert!(report.confidence < 0.96);
}

#[test]
fn one_hop_that_saw_nothing_else_of_the_sender_says_undetermined() {
    let mut wire = Wire::new(&["hop"]);
    wire.send(Side::Client, flags("S"));
    let ack = wire.next(Side::Client);
    wire.send(Side::Server, flags("RA").seq(0).ack(ack));
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Undetermined);
    assert_eq!(report.cause, Cause::Unknown);
    assert!(report.decide.is_some());
}

#[test]
fn equal_resets_of_one_direction_are_one_with_a_count() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    wire.send(Side::Server, flags("FA"));
    wire.wait(50);
    let seq = wire.next(Side::Server);
    for _ in 0..3 {
        wire.send(Side::Client, flags("PA").len(10));
        wire.send(Side::Server, flags("R").seq(seq));
    }
    let report = only(wire.judge());
    assert_eq!(report.count, 3);
    assert_eq!(report.cause, Cause::NoSocket);
}

#[test]
fn judging_again_keeps_the_id_that_a_reset_bears() {
    let mut wire = Wire::new(&ALL);
    forged(&mut wire);
    let first = wire.judge().remove(0);
    let id = uuid::Uuid::from_u128(7);
    let mut evidence = wire.evidence();
    evidence.known_ids.push(KnownId {
        flow: evidence.flow.hash(),
        identity: first.identity,
        id,
    });
    assert_eq!(judge::judge_flow(&evidence)[0].report.id, id);
    assert_eq!(first.report.id, wire.judge()[0].report.id, "ids repeat");
    assert!(judge::explain(&evidence, id).is_some());
}

#[test]
fn the_ladder_shows_the_gap_and_the_absences() {
    let mut wire = Wire::new(&ALL);
    forged(&mut wire);
    let report = only(wire.judge());
    let told = judge::explain(&wire.evidence(), report.id).unwrap();
    let gap = told.ladder.gap.unwrap();
    assert_eq!((gap.left, gap.right), (Some(2), Some(3)));
    let row = told.ladder.rows.iter().find(|row| row.is_this).unwrap();
    let (seen, absent) = (Mark::Seen, Mark::Absent);
    assert_eq!(row.marks, [seen, seen, seen, absent, absent]);
    let passed: Vec<i64> = row.times.iter().flatten().copied().collect();
    assert_eq!((row.times.len(), passed.len()), (5, 3));
    assert!(passed.is_sorted_by(|a, b| a > b), "towards the client");
    assert!(told.sentence.contains("between \"fw-out\" and \"fw-in\""));
}

#[test]
fn a_connection_is_told_by_handshake_ranges_and_delay() {
    let mut wire = Wire::new(&ALL);
    forged(&mut wire);
    let report = only(wire.judge());
    let evidence = wire.evidence();
    let told = judge::connection(&evidence, report.id).unwrap();
    assert_eq!(told.resets, [report.id]);
    let steps: Vec<&str> = told.handshake.iter().map(|step| &*step.segment).collect();
    assert_eq!(steps, ["SYN", "SYN+ACK", "ACK"]);
    assert!(told.handshake[0].times.iter().flatten().is_sorted());
    let ranges: Vec<_> = told
        .vantages
        .iter()
        .map(|at| &at.from_server.ranges)
        .collect();
    assert!(
        ranges
            .iter()
            .all(|range| range.len() == 1 && range[0][0] == 0)
    );
    // What the firewall rejected is nowhere behind it.
    let missing: Vec<_> = told
        .stretches
        .iter()
        .map(|to| to.client_octets_missing)
        .collect();
    assert_eq!(missing.len(), 4);
    assert!(missing[2] > Some(0), "{missing:?}");
    assert_eq!([missing[0], missing[1], missing[3]], [Some(0); 3]);
    let delay = told.stretches[0].from_client.unwrap();
    assert!(0 < delay.min_ns && delay.min_ns <= delay.median_ns);
    let recorded = judge::recorded(&evidence, report.id).unwrap();
    let marked = |at: &judge::Recorded| at.packets.iter().filter(|packet| packet.is_this).count();
    let marked: Vec<usize> = recorded.iter().map(marked).collect();
    assert_eq!(marked, [1, 1, 1, 0, 0]);
}

#[test]
fn evidence_without_a_reset_gives_no_verdict() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    assert!(wire.judge().is_empty());
}

#[test]
fn equal_resets_from_different_places_are_two() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq).ttl(64), "fw-in");
    wire.wait(30);
    wire.send(Side::Server, flags("R").seq(seq));
    let reports: Vec<ResetReport> = wire.judge().into_iter().map(|one| one.report).collect();
    let origins: Vec<Origin> = reports.iter().map(|report| report.origin).collect();
    assert_eq!(origins, [Origin::Middlebox, Origin::Endpoint]);
    assert_ne!(reports[0].id, reports[1].id);
}

#[test]
fn a_vantage_that_alone_missed_a_passing_reset_is_no_place_of_loss() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    wire.deafen("fw-in");
    wire.send(Side::Server, flags("RA").window(501));
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Endpoint);
    assert_eq!(report.lost_between, None);
    assert!(!report.absent_at[0].attested);
}

#[test]
fn a_router_that_records_both_its_interfaces_accuses_nobody() {
    let mut wire = Wire::new(&ALL);
    wire.double("gw");
    wire.handshake();
    wire.exchange();
    wire.send(Side::Server, flags("RA").window(501));
    let report = only(wire.judge());
    assert_eq!(report.origin, Origin::Endpoint);
    assert_eq!(report.count, 1);
    assert_eq!(report.path, ["client", "gw", "fw-in", "fw-out", "server"]);

    let mut wire = Wire::new(&ALL);
    wire.double("fw-in");
    forged(&mut wire);
    let report = only(wire.judge());
    assert_eq!(between(&report), [Some("fw-out"), Some("fw-in")]);
}

#[test]
fn a_vantage_that_drops_packets_around_the_reset_is_blind() {
    let mut wire = Wire::new(&ALL);
    forged(&mut wire);
    let mut evidence = wire.evidence();
    for (dropped, attested) in [(0, true), (1, true), (500, false)] {
        evidence.vantages[3].coverage[0].received = 1000;
        evidence.vantages[3].coverage[0].dropped = dropped;
        let report = only(judge::judge_flow(&evidence));
        let fw_out = report.absent_at.iter().find(|one| one.vantage == "fw-out");
        assert_eq!(fw_out.unwrap().attested, attested, "{dropped} dropped");
    }
}

#[test]
fn equal_resets_of_two_connections_on_the_same_ports_are_two() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.send(Side::Server, flags("R").seq(9));
    wire.wait(500);
    wire.set_next(Side::Client, 900_000);
    wire.handshake();
    wire.send(Side::Server, flags("R").seq(9));
    let judged = wire.judge();
    assert_eq!(judged.len(), 2);
    assert_ne!(judged[0].identity, judged[1].identity);
    assert_ne!(judged[0].report.id, judged[1].report.id);
}

#[test]
fn a_vantage_behind_a_translator_attests_nothing_even_on_a_configured_path() {
    for sender in [Side::Client, Side::Server] {
        let mut wire = Wire::new(&["client@", "inside", "outside", "server@"]);
        wire.neighbour();
        wire.handshake();
        wire.exchange();
        wire.send(sender, flags("RA").window(501));
        wire.wait(20);
        wire.translate("client");
        wire.translate("inside");
        wire.configure(&["client", "inside", "outside", "server"]);
        let report = only(wire.judge());
        assert_ne!(report.origin, Origin::Middlebox, "{report:#?}");
        assert_eq!(report.lost_between, None, "{report:#?}");
    }
}

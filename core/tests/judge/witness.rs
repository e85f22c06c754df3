//! What the kernels of the hosts say, and what their silence proves.

use parallax_core::digest::Direction;
use parallax_core::reason::ResetReason;
use parallax_core::report::{Cause, Origin, ResetReport, Side};
use parallax_core::testimony::{Act, Oath, Prompt, TapPlace, listeners};
use parallax_core::time::{MILLISECOND, SECOND};

use crate::wire::{Segment, Wire, flags};

const ALL: [&str; 3] = ["client@", "fw", "server@"];

fn sent(word: &str, prompt: Prompt) -> Act {
    Act::Sent {
        reason: Some(ResetReason::from_word(word)),
        prompt,
    }
}

/// An open connection, the server's kernel under a witness.
fn open(tap: TapPlace) -> Wire {
    let mut wire = Wire::new(&ALL);
    wire.witness("server", tap);
    wire.handshake();
    wire.exchange();
    wire.wait(2000);
    wire
}

fn only(wire: &Wire) -> ResetReport {
    let mut judged = wire.judge();
    assert_eq!(judged.len(), 1, "one reset expected: {judged:#?}");
    judged.remove(0).report
}

fn tells(report: &ResetReport) -> bool {
    let mut evidence = report.evidence.iter();
    evidence.any(|evidence| evidence.kind == "kernel_witness")
}

fn between(report: &ResetReport) -> Option<[Option<&str>; 2]> {
    let place = report.between.as_ref()?;
    Some([place[0].as_deref(), place[1].as_deref()])
}

/// A RST in the server's name that the server's tap sees go by, as if from the server.
fn seen_at_the_tap(wire: &mut Wire, segment: Segment) {
    wire.wait(300);
    wire.send(Side::Server, segment);
}

/// As a packet filter makes it: afresh.
fn afresh(wire: &mut Wire, name: &str, ttl: u8) {
    let digest = wire.latest(name);
    digest.ip.id = Some(0);
    digest.ip.dont_fragment = true;
    digest.ip.ttl = ttl;
    digest.options.order = 0;
}

/// The filter rejects the client's request.
fn rejected(tap: TapPlace, ttl: u8) -> Wire {
    let mut wire = open(tap);
    wire.send(Side::Client, flags("PA").len(50));
    wire.send(Side::Server, flags("R"));
    afresh(&mut wire, "server", ttl);
    wire
}

#[test]
fn what_the_kernel_says_that_it_sent_is_the_endpoints_with_its_reason() {
    let cases = [
        ("TCP_ABORT_ON_CLOSE", Cause::AbortUnreadData),
        ("TCP_STATE", Cause::AbortLinger),
        ("TCP_KEEPALIVE_TIMEOUT", Cause::KeepaliveTimeout),
    ];
    for (word, cause) in cases {
        let mut wire = open(TapPlace::Elsewhere);
        wire.send(Side::Server, flags("RA").window(501));
        wire.says("server", Side::Server, sent(word, Prompt::Itself));
        let report = only(&wire);
        assert_eq!(report.origin, Origin::Endpoint);
        assert_eq!(report.cause, cause, "{word}");
        assert!(tells(&report) && report.confidence >= 0.999);
    }
}

#[test]
fn a_passive_reset_has_the_cause_of_its_reason_and_of_what_it_answers() {
    let mut wire = Wire::new(&ALL);
    wire.witness("server", TapPlace::OwnInterface);
    wire.wait(2000);
    wire.send(Side::Client, flags("S"));
    wire.says("server", Side::Server, sent("NO_SOCKET", Prompt::Segment));
    let ack = wire.next(Side::Client);
    wire.send(Side::Server, flags("RA").seq(0).ack(ack));
    assert_eq!(only(&wire).cause, Cause::ClosedPort);

    let mut wire = open(TapPlace::OwnInterface);
    wire.send(Side::Client, flags("PA").len(50));
    wire.says("server", Side::Server, sent("NO_SOCKET", Prompt::Segment));
    wire.send(Side::Server, flags("R"));
    assert_eq!(only(&wire).cause, Cause::NoSocket);
}

#[test]
fn a_reset_from_behind_the_tap_that_the_kernel_did_not_send_is_forged() {
    let mut wire = open(TapPlace::Elsewhere);
    seen_at_the_tap(&mut wire, flags("RA").window(502));
    let report = only(&wire);
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(between(&report), Some([Some("server"), Some("fw")]));
    assert!(tells(&report) && report.confidence >= 0.999);
}

#[test]
fn the_same_reset_without_a_witness_passes_for_the_hosts_own() {
    let mut wire = Wire::new(&ALL);
    wire.handshake();
    wire.exchange();
    seen_at_the_tap(&mut wire, flags("RA").window(502));
    assert_eq!(only(&wire).origin, Origin::Endpoint);
}

#[test]
fn silence_counts_only_where_it_was_listened_to_without_loss_and_is_sworn_to() {
    let spoil: [fn(&mut Wire); 4] = [
        |wire| wire.testimony("server").watches[0].lost = 1,
        |wire| wire.testimony("server").watches[0].oath = Oath::Nothing,
        |wire| wire.testimony("server").watches.clear(),
        |wire| {
            let watch = &mut wire.testimony("server").watches[0];
            watch.until = watch.from.plus(11 * SECOND);
        },
    ];
    for spoil in spoil {
        let mut wire = open(TapPlace::Elsewhere);
        spoil(&mut wire);
        seen_at_the_tap(&mut wire, flags("RA").window(502));
        let report = only(&wire);
        assert_eq!(report.origin, Origin::Endpoint);
        assert!(!tells(&report));
    }
}

#[test]
fn an_old_kernel_swears_only_to_resets_of_a_socket() {
    let judged = |segment| {
        let mut wire = open(TapPlace::Elsewhere);
        wire.testimony("server").watches[0].oath = Oath::WithSocket;
        seen_at_the_tap(&mut wire, segment);
        only(&wire).origin
    };
    assert_eq!(judged(flags("RA").window(502)), Origin::Middlebox);
    assert_eq!(judged(flags("R")), Origin::Endpoint);
}

#[test]
fn a_span_that_goes_on_in_another_is_one_and_a_gap_between_them_is_none() {
    let judged = |gap| {
        let mut wire = open(TapPlace::Elsewhere);
        seen_at_the_tap(&mut wire, flags("RA").window(502));
        let seen = wire.latest("server").time;
        let watches = &mut wire.testimony("server").watches;
        let mut later = watches[0];
        watches[0].until = seen.plus(-100 * MILLISECOND);
        later.from = watches[0].until.plus(gap);
        watches.push(later);
        only(&wire).origin
    };
    assert_eq!(judged(1), Origin::Middlebox);
    assert_eq!(judged(2), Origin::Endpoint);
}

#[test]
fn the_hosts_own_packet_filter_is_told_apart_on_its_own_interface() {
    let report = only(&rejected(TapPlace::OwnInterface, 64));
    assert_eq!(report.origin, Origin::Endpoint);
    assert_eq!(report.cause, Cause::HostFirewallReject);
    assert!(tells(&report));
}

#[test]
fn behind_a_bridge_a_filter_and_its_imitator_cannot_be_told_apart() {
    let report = only(&rejected(TapPlace::Elsewhere, 64));
    assert_eq!(report.origin, Origin::Undetermined);
    assert!(report.decide.is_some());
}

#[test]
fn an_imitator_whose_reset_comes_in_from_outside_is_no_host_firewall() {
    let mut wire = rejected(TapPlace::OwnInterface, 64);
    wire.latest("server").link.direction = Direction::In;
    let report = only(&wire);
    assert_eq!(report.origin, Origin::Middlebox);
    assert_ne!(report.cause, Cause::HostFirewallReject);
}

#[test]
fn an_imitator_with_other_hops_than_its_host_is_found() {
    let report = only(&rejected(TapPlace::Elsewhere, 61));
    assert_eq!(report.origin, Origin::Middlebox);
}

#[test]
fn a_filter_does_not_reject_what_its_host_has_acknowledged() {
    let mut wire = open(TapPlace::Elsewhere);
    wire.send(Side::Client, flags("PA").len(50));
    wire.send(Side::Server, flags("A"));
    wire.send(Side::Server, flags("R"));
    afresh(&mut wire, "server", 64);
    assert_eq!(only(&wire).origin, Origin::Middlebox);
}

#[test]
fn what_leaves_the_own_interface_past_tcp_and_filter_stays_open() {
    let mut wire = open(TapPlace::OwnInterface);
    seen_at_the_tap(&mut wire, flags("RA").window(502));
    wire.latest("server").link.direction = Direction::Out;
    let report = only(&wire);
    assert_eq!(report.origin, Origin::Undetermined);
    assert!(report.decide.is_some());
}

#[test]
fn a_forged_reset_beside_an_honest_one_does_not_borrow_its_statement() {
    let mut wire = open(TapPlace::Elsewhere);
    seen_at_the_tap(&mut wire, flags("RA").window(502));
    wire.wait(10);
    wire.send(Side::Client, flags("PA").len(50));
    wire.says("server", Side::Server, sent("NO_SOCKET", Prompt::Segment));
    wire.send(Side::Server, flags("R"));
    let judged = wire.judge();
    let origins: Vec<Origin> = judged.iter().map(|judged| judged.report.origin).collect();
    assert_eq!(origins, [Origin::Middlebox, Origin::Endpoint]);
}

#[test]
fn a_statement_that_may_belong_to_either_of_two_resets_accuses_nobody() {
    let mut wire = open(TapPlace::Elsewhere);
    wire.send(Side::Server, flags("RA").window(502));
    wire.wait(20);
    wire.says("server", Side::Server, sent("TCP_STATE", Prompt::Itself));
    wire.wait(20);
    wire.send(Side::Server, flags("R"));
    let judged = wire.judge();
    assert!(
        judged
            .iter()
            .all(|judged| judged.report.origin == Origin::Endpoint)
    );
}

#[test]
fn a_kernel_that_accepted_a_reset_settles_whether_it_was_effective() {
    let mut wire = open(TapPlace::Elsewhere);
    wire.witness("client", TapPlace::OwnInterface);
    wire.send(Side::Server, flags("RA").window(501));
    wire.says("server", Side::Server, sent("TCP_STATE", Prompt::Itself));
    wire.says("client", Side::Server, Act::Accepted);
    let report = only(&wire);
    assert_eq!(report.effective, Some(true));
    let effect = report
        .evidence
        .iter()
        .filter(|one| one.kind == "kernel_witness");
    assert_eq!(effect.count(), 2);
}

/// A listening socket at the server's port refused something now; the kernel does not say from whom.
fn listener_refuses(wire: &mut Wire) {
    wire.says("server", Side::Server, sent("TCP_FLAGS", Prompt::Segment));
    let said = &mut wire.testimony("server").statements;
    let last = said.last_mut().expect("a statement");
    last.tuple = listeners(last.tuple.src).last().expect("a name");
}

#[test]
fn a_refusal_of_a_listening_socket_is_the_reset_that_leaves_in_that_moment() {
    let mut wire = open(TapPlace::OwnInterface);
    wire.send(Side::Client, flags("PA").len(50));
    listener_refuses(&mut wire);
    wire.send(Side::Server, flags("R"));
    afresh(&mut wire, "server", 64);
    let report = only(&wire);
    assert_eq!(report.origin, Origin::Endpoint);
    assert_eq!(report.cause, Cause::NoSocket);
    assert!(tells(&report));
}

#[test]
fn a_refusal_nearby_leaves_a_reset_without_a_connection_open_and_no_other() {
    let judged = |segment| {
        let mut wire = open(TapPlace::Elsewhere);
        listener_refuses(&mut wire);
        wire.wait(20);
        wire.send(Side::Server, segment);
        only(&wire).origin
    };
    assert_eq!(judged(flags("R")), Origin::Endpoint, "as the packets say");
    assert_eq!(judged(flags("RA").window(502)), Origin::Middlebox);
}

#[test]
fn the_reason_that_a_forged_reset_carries_is_told_as_a_claim() {
    let mut wire = open(TapPlace::Elsewhere);
    seen_at_the_tap(&mut wire, flags("RA").window(502));
    let claim = ResetReason::from_option(&[30, 4, 0x80, 6]);
    for name in ["server", "fw", "client"] {
        wire.latest(name).rst_reason = claim;
    }
    let report = only(&wire);
    let claimed = report
        .evidence
        .iter()
        .find(|one| one.kind == "claimed_reason");
    let text = &claimed.expect("a claim").text;
    assert!(
        text.contains("MPTCP reason 6 (middlebox interference): the forger's claim"),
        "{text}"
    );
    assert_eq!(report.origin, Origin::Middlebox);
}

#[test]
fn a_kernel_speaks_for_a_host_whose_tap_was_not_listening() {
    let mut wire = open(TapPlace::Elsewhere);
    wire.stop("server");
    wire.forge(Side::Server, flags("RA").window(502), "fw");
    let report = only(&wire);
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(between(&report), Some([Some("server"), Some("fw")]));
    assert!(tells(&report));
}

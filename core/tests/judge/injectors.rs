//! What known injectors' RSTs look like, and that honest RSTs look like none of them.

use parallax_core::FlowEvidence;
use parallax_core::digest::{Digest, TcpFlags, Timestamps};
use parallax_core::judge;
use parallax_core::report::{Origin, ResetReport, Side};

use crate::wire::{Segment, Wire, flags};

const HOP: [&str; 1] = ["hop"];

/// A RST whose IP ID the test chooses.
fn numbered(letters: &str, id: u16) -> Segment {
    Segment {
        ip_id: Some(id),
        ..flags(letters)
    }
}

fn dress(evidence: &mut FlowEvidence, change: impl Fn(&mut Digest)) {
    for vantage in &mut evidence.vantages {
        vantage
            .segments
            .iter_mut()
            .filter(|digest| digest.is_rst())
            .for_each(&change);
    }
}

fn reports(evidence: &FlowEvidence) -> Vec<ResetReport> {
    judge::judge_flow(evidence)
        .into_iter()
        .map(|judged| judged.report)
        .collect()
}

/// The ids of the signatures that the evidence names.
fn signatures(evidence: &FlowEvidence) -> Vec<String> {
    let told: Vec<String> = reports(evidence)
        .into_iter()
        .flat_map(|report| report.evidence)
        .filter(|one| one.kind == "injector_signature")
        .map(|one| one.text)
        .collect();
    let named = |id: &String| told.iter().any(|text| text.contains(&format!("({id};")));
    ids().into_iter().filter(named).collect()
}

fn ids() -> Vec<String> {
    include_str!("../../data/injectors.toml")
        .lines()
        .filter_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .collect()
}

fn open() -> Wire {
    let mut wire = Wire::new(&HOP);
    wire.handshake();
    wire.exchange();
    wire
}

fn asked(window: u16) -> Wire {
    let mut wire = open();
    wire.send(Side::Client, flags("PA").len(100).window(window));
    wire
}

fn burst(mut wire: Wire, letters: &str, offsets: [u32; 3], windows: [u16; 3]) -> FlowEvidence {
    let seq = wire.next(Side::Server);
    for (place, offset) in offsets.into_iter().enumerate() {
        let one = numbered(letters, 700 + place as u16)
            .seq(seq.wrapping_add(offset))
            .ttl(50 + place as u8)
            .window(windows[place]);
        wire.forge(Side::Server, one, "hop");
    }
    wire.evidence()
}

/// The firewall between `fw-out` and `hop` rejects what the client sends, as Linux does.
fn rejected(first: Segment) -> FlowEvidence {
    let mut wire = Wire::new(&["client@", "hop", "fw-out", "server@"]);
    wire.neighbour();
    wire.wait(500);
    let syn = first.flags & TcpFlags::SYN.0 != 0;
    if !syn {
        wire.handshake();
        wire.exchange();
    }
    let seq = wire.next(Side::Server);
    wire.send_as_far_as(Side::Client, first, "hop");
    let reset = if syn {
        flags("RA").seq(0).ack(wire.next(Side::Client))
    } else {
        flags("R").seq(seq)
    };
    wire.forge(Side::Server, reset.ttl(64), "hop");
    wire.wait(100);
    wire.evidence()
}

fn forged(id: &str) -> FlowEvidence {
    match id {
        "linux_reject" | "websense" => rejected(flags("PA").len(40)),
        "linux_reject_syn" => rejected(flags("S")),
        "rae_2009" => {
            let mut wire = Wire::new(&HOP);
            let isn = wire.next(Side::Client);
            let syn = Segment {
                ip_id: Some(4711),
                ..flags("S")
            };
            wire.send(Side::Client, syn);
            let reset = numbered("RA", 4711).seq(0).ack(isn).window(502).ttl(46);
            wire.forge(Side::Server, reset, "hop");
            let mut evidence = wire.evidence();
            dress(&mut evidence, |digest| {
                digest.flags = digest.flags.with(TcpFlags::NS);
            });
            evidence
        }
        "reflecting" => {
            let mut wire = open();
            let request = Segment {
                ip_id: Some(4711),
                ..flags("PA")
            };
            wire.send(Side::Client, request.len(70).window(333));
            wire.forge(
                Side::Server,
                numbered("RA", 4711).window(333).ttl(50),
                "hop",
            );
            wire.evidence()
        }
        "gfw_2006" => burst(asked(502), "R", [0, 1460, 4380], [0; 3]),
        "gfw_type_1" => {
            let mut wire = asked(502);
            wire.forge(Side::Server, numbered("R", 9).window(7777).ttl(91), "hop");
            wire.evidence()
        }
        "gfw_type_2" => burst(asked(502), "RA", [0, 1460, 4380], [1100, 1101, 1102]),
        "gfw_2023" => burst(asked(502), "RA", [0; 3], [2100, 2101, 2102]),
        "gfw_2025_syn" => {
            let mut wire = Wire::new(&HOP);
            wire.send(Side::Client, flags("S"));
            burst(wire, "RA", [0; 3], [1980, 1981, 1982])
        }
        "gfw_2025_syn_ack" => {
            let mut wire = Wire::new(&HOP);
            wire.send(Side::Client, flags("S"));
            wire.send(Side::Server, flags("SA"));
            burst(wire, "RA", [0; 3], [3293, 3294, 3295])
        }
        "sandvine" => burst(asked(502), "R", [0, 12_503, 60_000], [0; 3]),
        "tcpkill" | "tcpkill_2_3" => {
            let third = if id == "tcpkill" { 3 } else { 2 };
            let mut evidence = burst(asked(400), "R", [0, 400, 400 * third], [0; 3]);
            dress(&mut evidence, |digest| digest.ip.dont_fragment = false);
            evidence
        }
        other => panic!("no packets for the signature {other}: make some from its description"),
    }
}

#[test]
fn every_signature_fits_packets_made_from_its_description() {
    for id in ids() {
        let found = signatures(&forged(&id));
        assert!(found.contains(&id), "{id}: {found:?}");
    }
}

fn honest() -> Vec<FlowEvidence> {
    let mut no_socket = asked(502);
    let seq = no_socket.next(Side::Server);
    no_socket.send(Side::Server, flags("R").seq(seq));

    let mut late = open();
    late.send(Side::Server, flags("FA"));
    let seq = late.next(Side::Server);
    for _ in 0..4 {
        late.send(Side::Client, flags("PA").len(10));
        late.send(Side::Server, flags("R").seq(seq));
    }

    let mut refused = Wire::new(&HOP);
    refused.send(Side::Client, flags("S"));
    let ack = refused.next(Side::Client);
    refused.send(Side::Server, flags("RA").seq(0).ack(ack));

    let mut evidence: Vec<FlowEvidence> = [no_socket, late, refused]
        .iter()
        .map(Wire::evidence)
        .collect();
    evidence.push(live_abort(0));
    evidence
}

/// A live Linux socket's abort: the window it last told, the socket's IP ID, and timestamps that run on.
fn live_abort(clock_off: i32) -> FlowEvidence {
    let mut wire = asked(502);
    wire.wait(20);
    wire.send(Side::Server, numbered("RA", 9003).window(501));
    let mut evidence = wire.evidence();
    let last = evidence.vantages[0]
        .segments
        .iter()
        .filter_map(|digest| digest.options.timestamps)
        .map(|stamps| stamps.value)
        .max()
        .unwrap();
    dress(&mut evidence, |digest| {
        digest.options.timestamps = Some(Timestamps {
            value: last.wrapping_add_signed(20 + clock_off),
            echo: 0,
        });
    });
    evidence
}

#[test]
fn no_signature_fits_an_honest_linux_reset() {
    for evidence in honest() {
        assert_eq!(signatures(&evidence), [""; 0], "{:#?}", reports(&evidence));
    }
}

#[test]
fn an_honest_linux_reset_never_looks_forged_at_one_vantage() {
    for evidence in honest() {
        for report in reports(&evidence) {
            assert_ne!(report.origin, Origin::Middlebox, "{report:#?}");
        }
    }
}

#[test]
fn a_live_sockets_abort_is_the_endpoints_and_one_off_its_clock_is_not() {
    let origin = |evidence: &FlowEvidence| reports(evidence)[0].origin;
    assert_eq!(origin(&live_abort(0)), Origin::Endpoint);
    assert_ne!(origin(&live_abort(-90_000)), Origin::Endpoint);
}

#[test]
fn a_signature_never_overrules_the_hosts_own_sight() {
    let mut wire = Wire::new(&["client@", "server@"]);
    wire.handshake();
    wire.exchange();
    let request = Segment {
        ip_id: Some(4711),
        ..flags("PA")
    };
    wire.send(Side::Client, request.len(70).window(333));
    wire.send(Side::Server, numbered("RA", 4711).window(333));
    let report = &reports(&wire.evidence())[0];
    assert_eq!(report.origin, Origin::Endpoint);
}

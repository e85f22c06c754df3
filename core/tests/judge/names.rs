//! Connections that wear other names and other numbers at some vantages, and clocks that are set.

use std::net::IpAddr;

use parallax_core::archive::{Archive, Record};
use parallax_core::digest::SackBlock;
use parallax_core::judge;
use parallax_core::report::{Changed, Origin, ResetReport, Side};
use parallax_core::time::SECOND;
use parallax_core::{Digest, Endpoint, FourTuple, TcpSeq};

use crate::wire::{CLIENT, Wire, flags};

/// What a wire's vantages recorded.
fn records(wire: &Wire) -> Vec<Record> {
    wire.evidence()
        .vantages
        .into_iter()
        .map(|at| Record {
            vantage: at.vantage,
            selection: at.selection,
            coverage: at.coverage,
            digests: at.segments,
        })
        .collect()
}

fn judged(records: &[Record]) -> Vec<ResetReport> {
    let judged = Archive::new(records, None).judge();
    judged.into_iter().map(|one| one.report).collect()
}

fn change(record: &mut Record, mut change: impl FnMut(&mut Digest)) {
    record.digests.iter_mut().for_each(&mut change);
}

/// The client's address and port become a translator's.
fn translate(record: &mut Record, port: u16) {
    let client: IpAddr = CLIENT.parse().unwrap();
    let outside = Endpoint::new("203.0.113.1".parse().unwrap(), port);
    change(record, |digest| {
        let FourTuple { src, dst } = &mut digest.tuple;
        for end in [src, dst] {
            if end.addr == client {
                *end = outside;
            }
        }
    });
}

/// A connection with an exchange, and a RST forged between the translator and the server.
fn story() -> Wire {
    let mut wire = Wire::new(&["client@", "inside", "outside", "server@"]);
    wire.handshake();
    wire.exchange();
    wire.wait(300);
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "outside");
    wire
}

#[test]
fn a_translated_connection_is_one_and_its_reset_is_told_once() {
    let mut records = records(&story());
    for record in &mut records[2..] {
        translate(record, 20_001);
    }
    let reports = judged(&records);
    assert_eq!(reports.len(), 1, "{reports:?}");
    let report = &reports[0];
    assert_eq!(report.origin, Origin::Middlebox);
    assert_eq!(
        report.between,
        Some([Some("server".to_owned()), Some("outside".to_owned())])
    );
    assert_eq!(report.seen_at, ["outside", "inside", "client"]);
    assert_eq!(report.dst, "203.0.113.1".parse::<IpAddr>().unwrap());
    let changed: Vec<_> = report
        .changes
        .iter()
        .map(|change| (change.what, change.between.clone()))
        .collect();
    assert_eq!(
        changed,
        [(
            Changed::Addresses,
            ["inside".to_owned(), "outside".to_owned()]
        )]
    );
    let clients: Vec<String> = report
        .names
        .iter()
        .map(|name| name.client.to_string())
        .collect();
    let (inner, outer) = ("192.0.2.10:40000", "203.0.113.1:20001");
    assert_eq!(clients, [inner, inner, outer, outer]);
}

#[test]
fn a_reset_is_explained_also_beside_one_that_is_told_under_another_name() {
    let mut wire = story();
    wire.wait(200);
    // Where only the translator's name is known; the one of before is told under the client's.
    let seq = wire.next(Side::Client);
    wire.forge(Side::Client, flags("R").seq(seq), "outside");
    let mut records = records(&wire);
    for record in &mut records[2..] {
        translate(record, 20_001);
    }
    let archive = Archive::new(&records, None);
    let told: Vec<usize> = archive
        .flows()
        .iter()
        .map(|flow| {
            let evidence = archive.evidence(*flow);
            let judged = judge::judge_flow(&evidence);
            for one in &judged {
                let explained = judge::explain(&evidence, one.report.id);
                assert_eq!(explained.map(|told| told.reset), Some(one.report.clone()));
            }
            judged.len()
        })
        .collect();
    assert_eq!(told, [1, 1], "each under one of the two names");
}

#[test]
fn of_two_connections_that_could_be_meant_none_is_taken() {
    let mut wire = Wire::new(&["client@", "inside", "outside"]);
    wire.send(Side::Client, flags("S"));
    wire.send(Side::Server, flags("RA").seq(0));
    let mut records = records(&wire);
    // Beyond the translator two connections begin with the same number to the same end, and no answer passes.
    let mut twin = records[2].clone();
    records[2].digests.retain(Digest::is_syn);
    twin.digests.retain(Digest::is_syn);
    translate(&mut records[2], 20_001);
    translate(&mut twin, 20_002);
    change(&mut twin, |digest| {
        digest.ip.id = Some(7);
        digest.options.timestamps = None;
    });
    change(&mut records[2], |digest| digest.options.timestamps = None);
    change(&mut records[2], |digest| digest.ip.id = Some(8));
    records[2].digests.extend(twin.digests);
    let reports = judged(&records);
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].names.is_empty(), "{reports:?}");
    let ambiguous = |report: &ResetReport| {
        let kinds = report.evidence.iter().map(|item| item.kind.as_str());
        kinds.filter(|kind| *kind == "ambiguous").count()
    };
    assert_eq!(ambiguous(&reports[0]), 1, "{:?}", reports[0].evidence);
}

/// Numbers of both sides are greater by these from a vantage on.
fn renumber(record: &mut Record, client: u32, server: u32) {
    let from: IpAddr = CLIENT.parse().unwrap();
    change(record, |digest| {
        let (own, peer) = if digest.tuple.src.addr == from {
            (client, server)
        } else {
            (server, client)
        };
        digest.seq = digest.seq.plus(own);
        if digest.acked().is_some() {
            digest.ack = digest.ack.plus(peer);
        }
    });
}

#[test]
fn rewritten_sequence_numbers_are_followed_and_forgotten_sack_blocks_are_told() {
    let mut wire = story();
    wire.send(Side::Client, flags("A"));
    let mut records = records(&wire);
    for record in &mut records {
        let last = record
            .digests
            .iter_mut()
            .rev()
            .find(|digest| !digest.is_rst());
        let digest = last.unwrap();
        digest.options.sack = Some(SackBlock {
            left: digest.ack.plus(1000),
            right: digest.ack.plus(2000),
        });
    }
    let kept: Vec<_> = records[2]
        .digests
        .iter()
        .map(|one| one.options.sack)
        .collect();
    for record in &mut records[2..] {
        renumber(record, 1_000_000_007, 3_000_000_019);
        for (digest, sack) in record.digests.iter_mut().zip(&kept) {
            digest.options.sack = *sack;
        }
    }
    let reports = judged(&records);
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(
        reports[0].between,
        Some([Some("server".to_owned()), Some("outside".to_owned())])
    );
    let change = &reports[0].changes[0];
    assert_eq!(change.what, Changed::SequenceNumbers);
    assert_eq!(change.between, ["inside", "outside"]);
    assert!(
        change.text.contains("not in SACK blocks"),
        "{}",
        change.text
    );
}

#[test]
fn a_clock_that_is_set_in_mid_capture_changes_no_verdict() {
    for step in [-3 * SECOND, 3 * SECOND] {
        let mut wire = Wire::new(&["client@", "inside", "outside", "server@"]);
        wire.handshake();
        for _ in 0..8 {
            wire.exchange();
        }
        let seq = wire.next(Side::Server);
        wire.forge(Side::Server, flags("R").seq(seq), "inside");
        let mut records = records(&wire);
        for place in [0, 2] {
            let record = &mut records[place];
            let middle = record.digests.len() / 2;
            for digest in &mut record.digests[middle..] {
                digest.time = digest.time.plus(step);
            }
            for span in &mut record.coverage {
                span.from = span.from.plus(step.min(0));
                span.until = span.until.plus(step.max(0));
            }
        }
        let reports = judged(&records);
        assert_eq!(reports.len(), 1);
        assert_eq!(
            reports[0].between,
            Some([Some("outside".to_owned()), Some("inside".to_owned())]),
            "{step}: {:?}",
            reports[0].absent_at
        );
    }
}

#[test]
fn a_reset_that_equals_an_honest_one_a_moment_later_is_another() {
    let mut wire = Wire::new(&["client@", "inside", "outside", "server@"]);
    wire.handshake();
    for _ in 0..40 {
        wire.exchange();
    }
    wire.wait(300);
    let seq = wire.next(Side::Server);
    wire.forge(Side::Server, flags("R").seq(seq), "outside");
    wire.send(Side::Client, flags("A"));
    wire.wait(50);
    wire.send(Side::Server, flags("R").seq(seq));
    let mut reports = judged(&records(&wire));
    reports.sort_by_key(|report| report.time);
    let told: Vec<_> = reports.iter().map(|report| report.origin).collect();
    assert_eq!(told, [Origin::Middlebox, Origin::Endpoint], "{reports:?}");
    assert_eq!(reports[0].seq, TcpSeq(seq).0);
    assert_ne!(reports[0].id, reports[1].id);
}

//! Explanations made by hand.

use parallax_core::CaptureTime;
use parallax_core::report::{
    AbsenceReport, Cause, Evidence, Explanation, Ladder, LadderColumn, LadderGap, LadderRow, Mark,
    Origin, ResetReport, SCHEMA, Side, VantageSummary,
};
use parallax_core::vantage::KindName;
use uuid::Uuid;

const NAMES: [&str; 5] = ["client", "gateway", "fw-in", "fw-out", "server"];

fn id(last: u32) -> Uuid {
    format!("019b7cc1-2f00-7000-8000-0000{last:08x}")
        .parse()
        .unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub fn vantage(name: &str) -> VantageSummary {
    VantageSummary {
        name: name.to_owned(),
        kind: if name == "client" {
            KindName::Host
        } else {
            KindName::Hop
        },
        addresses: if name == "client" {
            vec!["192.0.2.7".parse().unwrap()]
        } else {
            Vec::new()
        },
        packets: 812,
        first: Some(CaptureTime::from_nanos(1_767_323_045_000_000_000)),
        last: Some(CaptureTime::from_nanos(1_767_323_105_000_000_000)),
        dropped: 0,
        clock_offset_ns: None,
        unreadable: Vec::new(),
        losses: Vec::new(),
        connected: None,
        sent_octets: None,
        observed_octets: None,
    }
}

fn reset(last: u32) -> ResetReport {
    ResetReport {
        id: id(last),
        time: CaptureTime::from_nanos(1_767_323_045_123_456_789),
        src: "198.51.100.2".parse().unwrap(),
        sport: 8080,
        dst: "192.0.2.7".parse().unwrap(),
        dport: 46420,
        seq: 4_104_860_586,
        ack: None,
        flags: "R".to_owned(),
        count: 1,
        origin: Origin::Endpoint,
        emitter: None,
        between: None,
        at: None,
        lost_between: None,
        seen_at: names(&["server", "fw-out", "fw-in", "gateway", "client"]),
        absent_at: Vec::new(),
        cause: Cause::Unknown,
        root: None,
        confidence: 0.5,
        effective: None,
        idle_ns: None,
        trigger: None,
        decide: None,
        advice: None,
        evidence: Vec::new(),
        path: names(&NAMES),
        clocks: Vec::new(),
        names: Vec::new(),
        changes: Vec::new(),
    }
}

fn absent(vantage: &str, why: Option<&str>) -> AbsenceReport {
    AbsenceReport {
        vantage: vantage.to_owned(),
        attested: why.is_none(),
        why: why.map(str::to_owned),
    }
}

fn reason(kind: &str, vantage: Option<&str>, text: &str) -> Evidence {
    Evidence {
        kind: kind.to_owned(),
        vantage: vantage.map(str::to_owned),
        text: text.to_owned(),
    }
}

fn columns(names: &[&str]) -> Vec<LadderColumn> {
    names
        .iter()
        .map(|name| LadderColumn {
            vantage: (*name).to_owned(),
            kind: if ["client", "server"].contains(name) {
                KindName::Host
            } else {
                KindName::Hop
            },
            host_of: match *name {
                "client" => Some(Side::Client),
                "server" => Some(Side::Server),
                _ => None,
            },
        })
        .collect()
}

/// `+` seen, `x` absent, `?` blind; `!` before them: this reset, `r`: another.
fn row(at_ns: i64, from: Side, label: &str, marks: &str) -> LadderRow {
    LadderRow {
        at_ns,
        from,
        label: label.to_owned(),
        is_reset: marks.starts_with(['!', 'r']),
        is_this: marks.starts_with('!'),
        marks: marks
            .trim_start_matches(['!', 'r'])
            .chars()
            .map(|mark| match mark {
                '+' => Mark::Seen,
                'x' => Mark::Absent,
                _ => Mark::Blind,
            })
            .collect(),
        times: Vec::new(),
    }
}

fn explanation(reset: ResetReport, sentence: &str, ladder: Ladder) -> Explanation {
    Explanation {
        schema: SCHEMA,
        reset,
        sentence: sentence.to_owned(),
        root_sentence: None,
        ladder,
    }
}

fn handshake(marks: &str) -> Vec<LadderRow> {
    vec![
        row(-13_204_118, Side::Client, "S seq 0", marks),
        row(-12_801_000, Side::Server, "SA seq 0 ack 1", marks),
        row(-12_403_777, Side::Client, "A seq 1 ack 1", marks),
    ]
}

/// Forged between fw-out and fw-in, as answer to a request.
pub fn injected() -> Explanation {
    let mut rows = handshake("+++++");
    rows.push(row(
        -1_902_000,
        Side::Client,
        "PA seq 1 ack 1 len 79",
        "++++x",
    ));
    rows.push(row(-212_000, Side::Server, "A seq 1 ack 1", "x+++?"));
    rows.push(row(0, Side::Server, "R seq 1", "!+++xx"));
    rows.push(row(
        12_401_000_000,
        Side::Client,
        "PA seq 80 ack 1 len 12",
        "+++xx",
    ));
    rows.push(row(12_402_000_000, Side::Server, "R seq 1", "rxx+??"));
    let reset = ResetReport {
        origin: Origin::Middlebox,
        between: Some([Some("fw-out".to_owned()), Some("fw-in".to_owned())]),
        seen_at: names(&["fw-in", "gateway", "client"]),
        absent_at: vec![absent("server", None), absent("fw-out", None)],
        cause: Cause::FirewallRejectContent,
        confidence: 0.9979,
        effective: Some(true),
        trigger: Some("PA seq 1 ack 1 len 79 from the client, 1.9 ms before".to_owned()),
        evidence: vec![
            reason(
                "first_sighting",
                Some("fw-in"),
                "\"fw-in\" saw it first of all vantages",
            ),
            reason(
                "attested_absence",
                Some("fw-out"),
                "\"fw-out\" captured before and after, saw 7 of 7 packets of this flow that must \
                 have passed it, and did not see the reset",
            ),
            reason(
                "fingerprint",
                None,
                "TTL 62, while the server's packets arrive there with 59",
            ),
        ],
        ..reset(0x5f2a_9c01)
    };
    let ladder = Ladder {
        columns: columns(&NAMES),
        rows,
        gap: Some(LadderGap {
            left: Some(2),
            right: Some(3),
        }),
    };
    let sentence = "A middlebox between fw-out and fw-in sent this reset in the server's name, \
                    1.9 ms after a request of 79 octets.";
    explanation(reset, sentence, ladder)
}

/// An honest answer, dropped behind fw-out; caused by the injected one.
pub fn lost() -> Explanation {
    let reset = ResetReport {
        emitter: Some(Side::Server),
        at: Some("server".to_owned()),
        lost_between: Some([Some("fw-out".to_owned()), Some("fw-in".to_owned())]),
        seen_at: names(&["server", "fw-out"]),
        absent_at: vec![
            absent("fw-in", None),
            absent("gateway", None),
            absent("client", None),
        ],
        cause: Cause::NoSocket,
        root: Some(id(0x5f2a_9c01)),
        confidence: 0.99997,
        effective: Some(false),
        count: 3,
        ..reset(0x5f2a_9c02)
    };
    let mut rows = handshake("+++++");
    rows.push(row(
        -40_000,
        Side::Client,
        "PA seq 80 ack 1 len 12",
        "+++++",
    ));
    rows.push(row(0, Side::Server, "R seq 1", "!xxx++"));
    let ladder = Ladder {
        columns: columns(&NAMES),
        rows,
        gap: None,
    };
    let mut told = explanation(
        reset,
        "The server sent this reset; it was lost on the way.",
        ladder,
    );
    told.root_sentence = Some("A forged reset had killed the client's connection.".to_owned());
    told
}

/// All that a single hop can say.
pub fn one_vantage() -> Explanation {
    let reset = ResetReport {
        origin: Origin::Undetermined,
        seen_at: names(&["fw-in"]),
        absent_at: vec![absent("server", Some("it began to capture later"))],
        path: names(&["fw-in"]),
        decide: Some("A vantage on the server, or between it and fw-in.".to_owned()),
        ..reset(0x0000_0003)
    };
    let ladder = Ladder {
        columns: columns(&["fw-in"]),
        rows: vec![
            row(-950_000, Side::Client, "S seq 0", "+"),
            row(0, Side::Server, "RA seq 0 ack 1", "!+"),
        ],
        gap: None,
    };
    explanation(reset, "Who sent this reset is open.", ladder)
}

/// A closed port, IPv6.
pub fn refused() -> Explanation {
    let reset = ResetReport {
        src: "2001:db8:2::2".parse().unwrap(),
        dst: "2001:db8:1::2".parse().unwrap(),
        flags: "RA".to_owned(),
        emitter: Some(Side::Server),
        at: Some("server".to_owned()),
        cause: Cause::ClosedPort,
        confidence: 0.98,
        ..reset(0x0000_0004)
    };
    let ladder = Ladder {
        columns: Vec::new(),
        rows: Vec::new(),
        gap: None,
    };
    explanation(reset, "The server refused the connection.", ladder)
}

//! Wireshark's format (draft-ietf-opsawg-pcapng): one interface per vantage, comments for verdict and evidence.

use parallax_core::judge::{Recorded, RecordedPacket};
use parallax_core::plain::plain;
use parallax_core::report::{Explanation, LadderColumn, ResetReport};
use parallax_core::vantage::KindName;

use super::packet::rebuild;
use super::{PROGRAM, interfaces};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const COMMENT: u16 = 1;
const NAME: u16 = 2;
const DESCRIPTION: u16 = 3;
const PROGRAM_NAME: u16 = 4;
const RESOLUTION: u16 = 9;
/// Packets begin with their IP header.
const RAW_IP: u16 = 101;
/// Octets of a comment at most: its length has 16 bits.
const TEXT_MAX: usize = 60_000;

/// The packets of a reset's connection as each vantage recorded them, by its own clock.
pub fn write(explanation: &Explanation, recorded: &[Recorded]) -> Vec<u8> {
    let recorded = interfaces(recorded);
    let mut file = Vec::new();
    section(&mut file, explanation);
    for vantage in recorded {
        interface(&mut file, explanation, &vantage.vantage);
    }
    let packets = recorded.iter().zip(0_u32..);
    let mut packets: Vec<(u32, &Recorded, &RecordedPacket)> = packets
        .flat_map(|(at, number)| at.packets.iter().map(move |packet| (number, at, packet)))
        .collect();
    packets.sort_by_key(|(number, _, packet)| (packet.digest.time, *number));
    for (number, at, recorded) in packets {
        packet(&mut file, explanation, number, &at.vantage, recorded);
    }
    file
}

/// A block with its length at both ends.
fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = (body.len() + 12) as u32;
    file.extend(kind.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(body);
    file.extend(length.to_le_bytes());
}

fn padded(body: &mut Vec<u8>, octets: &[u8]) {
    body.extend(octets);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

fn text(body: &mut Vec<u8>, code: u16, text: &str) {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    option(body, code, &text.as_bytes()[..end]);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

fn section(file: &mut Vec<u8>, explanation: &Explanation) {
    let mut body = Vec::new();
    body.extend(0x1a2b_3c4d_u32.to_le_bytes());
    body.extend(1_u16.to_le_bytes());
    body.extend(0_u16.to_le_bytes());
    body.extend(u64::MAX.to_le_bytes());
    text(&mut body, COMMENT, &verdict(explanation));
    text(&mut body, PROGRAM_NAME, PROGRAM);
    end_of_options(&mut body);
    block(file, SECTION, &body);
}

/// Verdict and evidence, a line each.
fn verdict(explanation: &Explanation) -> String {
    let reset = &explanation.reset;
    let mut lines = vec![
        plain(&explanation.sentence),
        format!("Reset {}, cause {}", reset.id, reset.cause.as_str()),
    ];
    for (number, reason) in (1..).zip(&reset.evidence) {
        lines.push(format!(
            "{number}. {}: {}",
            plain(&reason.kind),
            plain(&reason.text)
        ));
    }
    if let Some(decide) = &reset.decide {
        lines.push(format!("What would decide it: {}", plain(decide)));
    }
    lines.push("Packets are rebuilt from digests: headers and lengths are true, payload is absent. Times are by each vantage's own clock.".to_owned());
    lines.join("\n")
}

fn interface(file: &mut Vec<u8>, explanation: &Explanation, vantage: &str) {
    let mut body = Vec::new();
    body.extend(RAW_IP.to_le_bytes());
    body.extend(0_u16.to_le_bytes());
    // No limit: what is missing was never kept.
    body.extend(0_u32.to_le_bytes());
    text(&mut body, NAME, &plain(vantage));
    let columns = &explanation.ladder.columns;
    let column = columns.iter().find(|column| column.vantage == vantage);
    text(
        &mut body,
        DESCRIPTION,
        &description(&explanation.reset, column, vantage),
    );
    // Nanoseconds.
    option(&mut body, RESOLUTION, &[9]);
    end_of_options(&mut body);
    block(file, INTERFACE, &body);
}

fn description(reset: &ResetReport, column: Option<&LadderColumn>, vantage: &str) -> String {
    let kind = column.map_or("", |column| match column.kind {
        KindName::Host => "host",
        KindName::Hop => "hop",
    });
    let clock = reset.clocks.iter().find(|clock| clock.vantage == vantage);
    let clock = clock.map_or_else(String::new, |clock| {
        format!(
            "; its clock is {} ns ahead of the first vantage's, within {} ns",
            clock.offset_ns, clock.error_ns
        )
    });
    format!("Parallax vantage, {kind}{clock}")
}

fn packet(
    file: &mut Vec<u8>,
    explanation: &Explanation,
    number: u32,
    vantage: &str,
    recorded: &RecordedPacket,
) {
    let rebuilt = rebuild(&recorded.digest);
    let time = recorded.digest.time.nanos().cast_unsigned();
    let mut body = Vec::new();
    body.extend(number.to_le_bytes());
    body.extend(((time >> 32) as u32).to_le_bytes());
    body.extend((time as u32).to_le_bytes());
    body.extend((rebuilt.headers.len() as u32).to_le_bytes());
    body.extend(rebuilt.length.to_le_bytes());
    padded(&mut body, &rebuilt.headers);
    if recorded.is_this {
        let here = explanation.reset.evidence.iter();
        let here = here.filter(|reason| reason.vantage.as_deref() == Some(vantage));
        let mut lines = vec![plain(&explanation.sentence)];
        lines
            .extend(here.map(|reason| format!("{}: {}", plain(&reason.kind), plain(&reason.text))));
        text(&mut body, COMMENT, &lines.join("\n"));
        end_of_options(&mut body);
    }
    block(file, PACKET, &body);
}

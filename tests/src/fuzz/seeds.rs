//! Inputs to begin with: small and whole.

use etherparse::PacketBuilder;
use parallax_core::decode::{LinkType, RawPacket, decode};
use parallax_core::{CaptureTime, Digest};
use parallax_proto::batch;
use parallax_proto::packed::Packer;
use parallax_proto::v1::{
    AgentMessage, Beat, Hello, Loss, RecallAnswer, Skip, agent_message::Message,
};
use prost::Message as _;

use crate::simulation::chance::Chance;

fn frame(rst: bool, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64)
        .tcp(40_000, 443, 1000, 64_000)
        .ack(77);
    let builder = if rst { builder.rst() } else { builder.syn() };
    let builder = builder
        .options(&[
            etherparse::TcpOptionElement::MaximumSegmentSize(1460),
            etherparse::TcpOptionElement::WindowScale(7),
            etherparse::TcpOptionElement::Timestamp(1, 2),
        ])
        .expect("three options fit");
    let mut octets = Vec::new();
    builder
        .write(&mut octets, payload)
        .expect("a vector takes all");
    octets
}

/// A frame within VXLAN, and one over IPv6.
fn others() -> [Vec<u8>; 2] {
    let inner = frame(true, b"");
    let mut vxlan = vec![8, 0, 0, 0, 0, 0, 1, 0];
    vxlan.extend(&inner);
    let mut outer = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 8], [192, 0, 2, 9], 64)
        .udp(5000, 4789)
        .write(&mut outer, &vxlan)
        .expect("a vector takes all");
    let mut six = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv6([1; 16], [2; 16], 64)
        .tcp(40_000, 443, 9, 100)
        .rst()
        .write(&mut six, b"")
        .expect("a vector takes all");
    [outer, six]
}

/// A link type's number, then a packet.
pub fn packets() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    let frames = [frame(true, b""), frame(false, b"GET / HTTP/1.0")];
    for frame in frames.into_iter().chain(others()) {
        let sll = [&[0; 14][..], &frame[12..]].concat();
        let sll2 = [&frame[12..14], &[0; 18], &frame[14..]].concat();
        let null = [&[2, 0, 0, 0], &frame[14..]].concat();
        for (link, data) in [
            (0, &frame),
            (1, &sll),
            (2, &sll2),
            (3, &frame[14..].to_vec()),
            (4, &null),
        ] {
            inputs.push([&[link], data.as_slice()].concat());
        }
    }
    inputs
}

/// pcap in both byte orders, and pcapng.
pub fn files() -> Vec<Vec<u8>> {
    let frames = [frame(true, b""), frame(false, b"x")];
    let pcap = |number: fn(u32) -> [u8; 4], short: fn(u16) -> [u8; 2]| {
        let mut file = number(0xa1b2_3c4d).to_vec();
        file.extend([short(2), short(4)].concat());
        file.extend([0, 0, 65_535, 1].map(number).concat());
        for frame in &frames {
            let length = frame.len() as u32;
            file.extend([1, 2, length, length].map(number).concat());
            file.extend(frame);
        }
        file
    };
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let length = (padded + 12) as u32;
        let mut block = [kind.to_le_bytes(), length.to_le_bytes()].concat();
        block.extend(body);
        block.resize(padded + 8, 0);
        block.extend(length.to_le_bytes());
        block
    };
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    let interface = [1, 0, 0, 0, 0, 0, 4, 0];
    let mut packet = Vec::new();
    for number in [0, 1, 2, frames[0].len() as u32, frames[0].len() as u32] {
        packet.extend(number.to_le_bytes());
    }
    packet.extend(&frames[0]);
    let pcapng = [
        block(0x0a0d_0d0a, &section),
        block(1, &interface),
        block(6, &packet),
    ];
    vec![
        pcap(u32::to_le_bytes, u16::to_le_bytes),
        pcap(u32::to_be_bytes, u16::to_be_bytes),
        pcapng.concat(),
    ]
}

fn digests() -> Vec<Digest> {
    let data = frame(true, b"");
    let more = frame(false, b"some payload");
    let read = |data: &[u8], time: i64| {
        decode(&RawPacket {
            time: CaptureTime::from_nanos(time),
            link: LinkType::Ethernet,
            original_len: data.len() as u32,
            interface: 0,
            data,
        })
    };
    [read(&more, 5), read(&data, 9)]
        .into_iter()
        .flatten()
        .collect()
}

/// What agents say.
pub fn messages() -> Vec<Vec<u8>> {
    let said = [
        Message::Batch(batch::encode(7, &digests())),
        Message::Hello(Hello {
            vantage: "fw-in".to_owned(),
            run_id: vec![7; 16],
            ..Hello::default()
        }),
        Message::Beat(Beat {
            from: 1,
            until: 9,
            received: 4,
            ..Beat::default()
        }),
        Message::Loss(Loss::default()),
        Message::Skip(Skip {
            first_number: 1,
            next_number: 5,
        }),
        Message::RecallAnswer(RecallAnswer::default()),
        Message::Batch(batch::encode_in_columns(7, &digests())),
    ];
    let whole = said.map(|message| AgentMessage {
        message: Some(message),
    });
    let packed = Packer::new().map(|mut packer| packer.pack(whole[0].clone()));
    let all = whole.iter().chain(&packed);
    all.map(AgentMessage::encode_to_vec).collect()
}

/// Octets that evidence is made of.
pub fn cases() -> Vec<Vec<u8>> {
    let chance = Chance::new(7);
    let mut of = |length: u64| (0..length).map(|_| chance.next() as u8).collect();
    [40, 200, 900, 2500, 5000].map(&mut of).to_vec()
}

/// Parameters of pages and questions.
pub fn queries() -> Vec<Vec<u8>> {
    let texts = [
        "since=2026-01-02T03:04:05Z&until=10m&address=192.0.2.1&port=443&vantage=fw-in",
        "origin=middlebox&cause=injected&between=fw-out,fw-in&limit=50&at=web1&lost=a,b",
        "after=1800000000000000000,0197&since=1h30m&q=%00&lang=de&group=cause",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

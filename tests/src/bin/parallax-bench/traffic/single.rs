//! Captures of one vantage: the mix, a flood, an elephant.

use std::io;
use std::path::Path;

use super::Plan;
use super::capture::Capture;
use super::frame::{Frame, Name};
use super::packet::{ACK, Maker, Options, Packet, SYN, Side, Stamps};
use super::story::Story;
use crate::random::Random;

/// Hops from the client, and from the server, to the middle of the path.
const HOPS: [u8; 2] = [3, 7];

const MICRO: u64 = 1_000;

/// Writes the mix as the middle of the path sees it.
pub fn write_mix(path: &Path, plan: Plan) -> io::Result<()> {
    let mut capture = Capture::create(path)?;
    for told in Story::new(plan) {
        let ttl = ttl_at_middle(&told.packet);
        let frame = Frame::of(&told.packet, Name::Translated, ttl);
        capture.write(told.at, &frame)?;
    }
    capture.finish().map(drop)
}

const fn ttl_at_middle(packet: &Packet) -> u8 {
    match packet.maker {
        Maker::End => packet.ttl - HOPS[packet.from.index()],
        Maker::Box(_) => packet.ttl - 1,
    }
}

/// Writes SYNs, each from another address and port.
pub fn write_flood(path: &Path, packets: u32, seed: u64) -> io::Result<()> {
    let mut random = Random::new(seed);
    let mut capture = Capture::create(path)?;
    for number in 0..packets {
        let stamps = Stamps {
            value: random.number(),
            echo: 0,
        };
        let packet = Packet {
            flags: SYN,
            seq: random.number(),
            ip_id: random.next() as u16,
            options: Options::Opening(stamps),
            ..bare(Side::Client)
        };
        let mut frame = Frame::of(&packet, Name::Translated, 64 - HOPS[0]);
        frame.set_client(number);
        capture.write(u64::from(number) * 10 * MICRO, &frame)?;
    }
    capture.finish().map(drop)
}

/// Writes one connection's data, every second segment acknowledged; its sequence numbers wrap.
pub fn write_elephant(path: &Path, packets: u32, seed: u64) -> io::Result<()> {
    const DATA: u16 = 1448;
    let mut random = Random::new(seed);
    let mut capture = Capture::create(path)?;
    let mut sent = u32::MAX - 1_000_000;
    let request = random.number();
    for number in 0..packets {
        let at = u64::from(number) * 10 * MICRO;
        let clock = (at / 1_000_000) as u32;
        let stamps = Options::Stamps(Stamps {
            value: clock,
            echo: clock,
        });
        let packet = if number % 3 == 2 {
            Packet {
                flags: ACK,
                seq: request,
                ack: sent,
                options: stamps,
                ..bare(Side::Client)
            }
        } else {
            let packet = Packet {
                flags: ACK,
                seq: sent,
                ack: request,
                len: DATA,
                options: stamps,
                ip_id: number as u16,
                ..bare(Side::Server)
            };
            sent = sent.wrapping_add(u32::from(DATA));
            packet
        };
        let ttl = ttl_at_middle(&packet);
        capture.write(at, &Frame::of(&packet, Name::Translated, ttl))?;
    }
    capture.finish().map(drop)
}

/// A packet of connection 0 that says nothing yet.
const fn bare(from: Side) -> Packet {
    Packet {
        connection: 0,
        from,
        maker: Maker::End,
        flags: 0,
        seq: 0,
        ack: 0,
        len: 0,
        window: 502,
        ttl: 64,
        ip_id: 0,
        options: Options::None,
    }
}

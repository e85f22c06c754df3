//! One connection in the making.

use super::packet::{ACK, FIN, Maker, Options, PSH, Packet, RST, SYN, Side, Stamps};
use crate::random::Random;

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;

/// Segments of a handshake, and of an ending by FIN: a connection has no fewer packets.
pub const LEAST_PACKETS: u32 = 7;

/// Payload of a segment of an answer.
const DATA: u16 = 1448;

/// One connection in so many is aborted by one of its ends.
const ABORTED: u64 = 100;
/// One in so many is ended by a box.
const INJECTED: u64 = 16;
/// One data segment in so many is sent again.
const REPEATED: u64 = 200;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Abort(Side),
    /// By the box behind the vantage of this index, in the name of this end, or of both one after the other.
    Injected {
        behind: usize,
        named: Side,
        both: bool,
    },
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Opening(Side, u8),
    Segment(Side, u8, u16),
    /// The same segment once more.
    Again(Packet),
    Forged(usize, Side),
}

impl Act {
    const fn side(&self) -> Side {
        match self {
            Self::Opening(side, _) | Self::Segment(side, ..) | Self::Forged(_, side) => *side,
            Self::Again(packet) => packet.from,
        }
    }
}

/// A connection, of which packet by packet is told, each with the time at the middle of the path.
#[derive(Debug)]
pub struct Conversation {
    number: u32,
    random: Random,
    end: End,
    left: u32,
    step: u32,
    /// Segments left of the answer that is being sent.
    burst: u32,
    seq: [u32; 2],
    ip_id: [u16; 2],
    stamp: [u32; 2],
    act: Act,
    /// When the next packet passes the middle, nanoseconds since the start.
    pub due: u64,
    /// From the middle to the client's and to the server's outermost vantage, one way, nanoseconds.
    pub delay: [u64; 2],
}

impl Conversation {
    /// Connection `number` of a seed, which begins at `due` and has `packets` packets.
    pub fn new(seed: u64, number: u32, packets: u32, due: u64) -> Self {
        let mut random = Random::of(seed, u64::from(number));
        Self {
            number,
            end: End::any(&mut random),
            left: packets.max(LEAST_PACKETS),
            step: 0,
            burst: 0,
            seq: [random.number(), random.number()],
            ip_id: [random.next() as u16, random.next() as u16],
            stamp: [random.number(), random.number()],
            act: Act::Opening(Side::Client, SYN),
            due,
            delay: [
                2 * MILLI + random.below(20 * MILLI),
                2 * MILLI + random.below(60 * MILLI),
            ],
            random,
        }
    }

    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// The packet that is due, and prepares the next one.
    pub fn packet(&mut self) -> Packet {
        let now = self.due;
        let packet = match self.act {
            Act::Opening(side, flags) => self.opening(side, flags, now),
            Act::Segment(side, flags, len) => self.segment(side, flags, len, now),
            Act::Again(packet) => packet,
            Act::Forged(behind, side) => self.forged(behind, side),
        };
        self.left -= 1;
        self.step += 1;
        if self.left > 0 {
            let next = self.choose(&packet);
            self.due += self.gap(packet.from, &next);
            self.act = next;
        }
        packet
    }

    /// Nanoseconds until the next packet: who answers must have got what it answers first, at every vantage.
    fn gap(&mut self, from: Side, next: &Act) -> u64 {
        let soon = 20 * MICRO + self.random.below(400) * MICRO;
        let side = next.side();
        match next {
            Act::Forged(..) => soon,
            _ if side == from => soon,
            Act::Segment(Side::Client, flags, _) if flags & PSH != 0 => {
                2 * self.delay[0] + self.random.below(2_000) * MILLI + MILLI
            }
            _ => 2 * self.delay[side.index()] + soon + MILLI,
        }
    }

    /// Handshake, then requests that are answered in bursts of which every second segment is acknowledged, then
    /// the end.
    fn choose(&mut self, before: &Packet) -> Act {
        match self.step {
            1 => return Act::Opening(Side::Server, SYN | ACK),
            2 => return Act::Segment(Side::Client, ACK, 0),
            _ => {}
        }
        if let Some(act) = self.ending() {
            return act;
        }
        if before.len == DATA && self.random.one_in(REPEATED) {
            return Act::Again(*before);
        }
        if self.burst == 0 {
            self.burst = 2 + 3 * self.random.below(8) as u32;
            return Act::Segment(Side::Client, PSH | ACK, 60 + self.random.below(700) as u16);
        }
        self.burst -= 1;
        if self.burst.is_multiple_of(3) {
            Act::Segment(Side::Client, ACK, 0)
        } else {
            Act::Segment(Side::Server, ACK, DATA)
        }
    }

    /// What belongs to the ending, where it has come to that.
    fn ending(&self) -> Option<Act> {
        match (self.end, self.left) {
            (End::Fin, 3) => Some(Act::Segment(Side::Client, FIN | ACK, 0)),
            (End::Fin, 2) => Some(Act::Segment(Side::Server, FIN | ACK, 0)),
            (End::Fin, 1) => Some(Act::Segment(Side::Client, ACK, 0)),
            (End::Abort(side), 1) => Some(Act::Segment(side, RST | ACK, 0)),
            (
                End::Injected {
                    behind,
                    named,
                    both: true,
                },
                2,
            ) => Some(Act::Forged(behind, named.other())),
            (End::Injected { behind, named, .. }, 1) => Some(Act::Forged(behind, named)),
            _ => None,
        }
    }

    fn opening(&mut self, from: Side, flags: u8, now: u64) -> Packet {
        let mut packet = self.segment(from, flags, 0, now);
        if let Options::Stamps(stamps) = packet.options {
            packet.options = Options::Opening(stamps);
        }
        packet
    }

    fn segment(&mut self, from: Side, flags: u8, len: u16, now: u64) -> Packet {
        let (own, peer) = (from.index(), from.other().index());
        let acks = flags & ACK != 0;
        let clock = (now / MILLI) as u32;
        let packet = Packet {
            connection: self.number,
            from,
            maker: Maker::End,
            flags,
            seq: self.seq[own],
            ack: if acks { self.seq[peer] } else { 0 },
            len,
            window: 502,
            ttl: 64,
            ip_id: self.ip_id[own],
            options: Options::Stamps(Stamps {
                value: self.stamp[own].wrapping_add(clock),
                echo: if acks {
                    self.stamp[peer].wrapping_add(clock)
                } else {
                    0
                },
            }),
        };
        let marks = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        self.seq[own] = self.seq[own].wrapping_add(u32::from(len) + marks);
        self.ip_id[own] = self.ip_id[own].wrapping_add(1);
        packet
    }

    /// A RST in the name of `from`, as boxes make it: no options, window 0, a TTL of its own.
    fn forged(&mut self, behind: usize, from: Side) -> Packet {
        Packet {
            connection: self.number,
            from,
            maker: Maker::Box(behind),
            flags: RST,
            seq: self.seq[from.index()],
            ack: 0,
            len: 0,
            window: 0,
            ttl: [64, 128, 255][self.random.below(3) as usize] - self.random.below(12) as u8,
            ip_id: self.random.next() as u16,
            options: Options::None,
        }
    }
}

impl End {
    fn any(random: &mut Random) -> Self {
        let side = if random.one_in(2) {
            Side::Client
        } else {
            Side::Server
        };
        if random.one_in(INJECTED) {
            Self::Injected {
                behind: random.below(2) as usize,
                named: side,
                both: random.one_in(2),
            }
        } else if random.one_in(ABORTED) {
            Self::Abort(side)
        } else {
            Self::Fin
        }
    }
}

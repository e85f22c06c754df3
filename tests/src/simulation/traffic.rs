//! What passes the vantages: small stories with resets whose origin is known.

use std::net::Ipv4Addr;
use std::time::Duration;

use etherparse::PacketBuilder;
use parallax_core::digest::TcpFlags;
use parallax_core::{Selection, Vantage, VantageKind};

use super::chance::Chance;

/// Different stories.
pub const STORIES: u64 = 12;
/// Client, hop, server.
pub const VANTAGES: usize = 3;
/// How long connections begin.
const OPENINGS: u64 = 8_000_000;
/// When nothing passes any more and agents are stopped; questions speak of two seconds after a reset.
pub const END: Duration = Duration::from_secs(16);

const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [198, 51, 100, 1];
/// One hop, microseconds.
const HOP: u64 = 700;

/// Who made a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    Client,
    Server,
    /// In the server's name, between hop and server.
    Forger,
}

/// A packet as one vantage sees it.
#[derive(Debug, Clone)]
pub struct Frame {
    pub at: Duration,
    /// From the IP header on.
    pub octets: Vec<u8>,
}

/// How a vantage watches.
#[derive(Debug, Clone)]
pub struct Watcher {
    pub vantage: Vantage,
    pub selection: Selection,
    /// Its clock minus the true one, nanoseconds.
    pub skew: i64,
    /// In order of time.
    pub frames: Vec<Frame>,
}

/// What passes, and whose resets are whose.
#[derive(Debug)]
pub struct Story {
    pub vantages: Vec<Watcher>,
    /// The client's port of each connection with a reset, and who made it.
    pub resets: Vec<(u16, Maker)>,
}

/// A connection as it is told.
struct Connection<'a> {
    story: &'a mut Story,
    port: u16,
    /// Microseconds.
    now: u64,
    numbers: [u32; 2],
    id: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

impl Story {
    pub fn of(story: u64) -> Self {
        let chance = Chance::new(story ^ 0x7AFF);
        let host = |address: [u8; 4]| VantageKind::Host {
            addresses: vec![Ipv4Addr::from(address).into()],
        };
        let kinds = [
            ("client", host(CLIENT)),
            ("hop", VantageKind::Hop),
            ("server", host(SERVER)),
        ];
        let mut told = Self {
            vantages: kinds
                .into_iter()
                .map(|(name, kind)| Watcher {
                    vantage: Vantage {
                        name: name.to_owned(),
                        kind,
                    },
                    selection: if chance.one_in(4) {
                        Selection::All
                    } else {
                        Selection::Context
                    },
                    skew: chance.within(&(0..400_000_000)).cast_signed() - 200_000_000,
                    frames: Vec::new(),
                })
                .collect(),
            resets: Vec::new(),
        };
        for number in 0..4 + chance.below(5) {
            told.connection(&chance, 40_000 + number as u16);
        }
        for watcher in &mut told.vantages {
            watcher.frames.sort_by_key(|frame| frame.at);
        }
        told
    }

    fn connection(&mut self, chance: &Chance, port: u16) {
        let mut connection = Connection {
            story: self,
            port,
            now: chance.within(&(1_000_000..OPENINGS)),
            numbers: [chance.next() as u32, chance.next() as u32],
            id: chance.next() as u16,
        };
        connection.opens();
        for _ in 0..chance.within(&(1..12)) {
            connection.now += chance.within(&(1_000..150_000));
            let from = if chance.one_in(2) {
                End::Client
            } else {
                End::Server
            };
            connection.says(from, chance.within(&(20..1_400)) as u32);
        }
        connection.now += 20_000;
        match chance.below(4) {
            0 => connection.closes(),
            1 => connection.resets(Maker::Client),
            2 => connection.resets(Maker::Server),
            _ => connection.resets(Maker::Forger),
        }
    }
}

impl Connection<'_> {
    fn opens(&mut self) {
        let [client, server] = self.numbers;
        self.passes(End::Client, TcpFlags::SYN, (client, 0), 0);
        self.numbers[0] = client.wrapping_add(1);
        self.now += 4 * HOP;
        let flags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);
        self.passes(End::Server, flags, (server, self.numbers[0]), 0);
        self.numbers[1] = server.wrapping_add(1);
        self.now += 4 * HOP;
        let [client, server] = self.numbers;
        self.passes(End::Client, TcpFlags::ACK, (client, server), 0);
    }

    /// A segment with data, and its acknowledgement.
    fn says(&mut self, from: End, length: u32) {
        self.passes(from, TcpFlags::ACK, self.numbers_of(from), length);
        let index = usize::from(from == End::Server);
        self.numbers[index] = self.numbers[index].wrapping_add(length);
        self.now += 4 * HOP;
        let to = other(from);
        self.passes(to, TcpFlags::ACK, self.numbers_of(to), 0);
    }

    fn closes(&mut self) {
        let fin = TcpFlags(TcpFlags::FIN.0 | TcpFlags::ACK.0);
        for end in [End::Client, End::Server] {
            self.passes(end, fin, self.numbers_of(end), 0);
            let index = usize::from(end == End::Server);
            self.numbers[index] = self.numbers[index].wrapping_add(1);
            self.now += 5 * HOP;
        }
        self.passes(End::Client, TcpFlags::ACK, self.numbers_of(End::Client), 0);
    }

    fn resets(&mut self, maker: Maker) {
        let flags = TcpFlags(TcpFlags::RST.0 | TcpFlags::ACK.0);
        match maker {
            Maker::Client => self.passes(End::Client, flags, self.numbers_of(End::Client), 0),
            Maker::Server => self.passes(End::Server, flags, self.numbers_of(End::Server), 0),
            Maker::Forger => {
                // The request gets as far as the hop; the answer begins behind it.
                let numbers = self.numbers_of(End::Client);
                self.seen(End::Client, TcpFlags::ACK, numbers, 300, &[0, 1]);
                self.numbers[0] = self.numbers[0].wrapping_add(300);
                self.now += 3 * HOP;
                let numbers = self.numbers_of(End::Server);
                self.seen(End::Server, TcpFlags::RST, (numbers.0, 0), 0, &[1, 0]);
            }
        }
        self.story.resets.push((self.port, maker));
    }

    fn numbers_of(&self, end: End) -> (u32, u32) {
        match end {
            End::Client => (self.numbers[0], self.numbers[1]),
            End::Server => (self.numbers[1], self.numbers[0]),
        }
    }

    fn passes(&mut self, from: End, flags: TcpFlags, numbers: (u32, u32), length: u32) {
        let way: &[usize] = match from {
            End::Client => &[0, 1, 2],
            End::Server => &[2, 1, 0],
        };
        self.seen(from, flags, numbers, length, way);
    }

    /// A packet passes these vantages, one hop after another.
    fn seen(
        &mut self,
        from: End,
        flags: TcpFlags,
        (seq, ack): (u32, u32),
        length: u32,
        way: &[usize],
    ) {
        self.id = self.id.wrapping_add(1);
        let (source, destination, ports) = match from {
            End::Client => (CLIENT, SERVER, (self.port, 443)),
            End::Server => (SERVER, CLIENT, (443, self.port)),
        };
        let payload: Vec<u8> = (0..length)
            .map(|place| (seq.wrapping_add(place) ^ u32::from(self.port)) as u8)
            .collect();
        for (hops, vantage) in way.iter().enumerate() {
            let mut builder = PacketBuilder::ipv4(source, destination, 64 - hops as u8)
                .tcp(ports.0, ports.1, seq, 64_000);
            if flags.has(TcpFlags::SYN) {
                builder = builder.syn();
            }
            if flags.has(TcpFlags::FIN) {
                builder = builder.fin();
            }
            if flags.has(TcpFlags::RST) {
                builder = builder.rst();
            }
            if flags.has(TcpFlags::ACK) {
                builder = builder.ack(ack);
            }
            let mut octets = Vec::with_capacity(builder.size(payload.len()));
            // A vector takes everything.
            let _ = builder.write(&mut octets, &payload);
            octets[4..6].copy_from_slice(&self.id.to_be_bytes());
            self.story.vantages[*vantage].frames.push(Frame {
                at: Duration::from_micros(self.now + HOP * hops as u64),
                octets,
            });
        }
    }
}

const fn other(end: End) -> End {
    match end {
        End::Client => End::Server,
        End::Server => End::Client,
    }
}

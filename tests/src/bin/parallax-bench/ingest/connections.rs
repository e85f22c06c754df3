//! Segments to store, made as they are needed: so many connections at once, of about a hundred segments each, with
//! payloads that differ, as vantages under `--segments all` ship them.

use parallax_core::digest::{Digest, IpFields, LinkFields, TcpFlags, TcpOptions, Timestamps};
use parallax_core::{CaptureTime, Endpoint, FourTuple, TcpSeq};

/// A small generator (splitmix64): the same numbers on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Time between two segments of all connections together, on average: 100,000 a second.
const BETWEEN_NS: u64 = 10_000;

const FIN: TcpFlags = TcpFlags::FIN;
const SYN: TcpFlags = TcpFlags::SYN;
const RST: TcpFlags = TcpFlags::RST;
const PSH: TcpFlags = TcpFlags::PSH;
const ACK: TcpFlags = TcpFlags::ACK;

struct Connection {
    number: u32,
    client: FourTuple,
    left: u64,
    step: u32,
    seq: [u32; 2],
    ids: [u16; 2],
    stamps: [u32; 2],
    burst: u64,
}

impl Connection {
    fn new(number: u32, random: &mut Random) -> Self {
        let high = number / 60_000;
        let addr = std::net::Ipv4Addr::new(
            198,
            18 + (high >> 16 & 1) as u8,
            (high >> 8) as u8,
            high as u8,
        );
        let server = std::net::Ipv4Addr::new(203, 0, 113, 1 + (number % 50) as u8);
        Self {
            number,
            client: FourTuple::new(
                Endpoint::new(addr.into(), 1024 + (number % 60_000) as u16),
                Endpoint::new(server.into(), 443),
            ),
            left: 60 + random.below(80),
            step: 0,
            seq: [random.next() as u32, random.next() as u32],
            ids: [random.next() as u16, random.next() as u16],
            stamps: [random.next() as u32, random.next() as u32],
            burst: 0,
        }
    }

    /// Handshake, requests answered in bursts that are acknowledged every second segment, then FINs, or a RST in one
    /// connection of a hundred.
    fn segment(&mut self, time: i64, random: &mut Random) -> Digest {
        self.left -= 1;
        self.step += 1;
        let (side, flags, len) = match (self.step, self.left) {
            (1, _) => (0, SYN, 0),
            (2, _) => (1, SYN.with(ACK), 0),
            (3, _) => (0, ACK, 0),
            (_, 0) if self.ends_with_reset() => (1, RST.with(ACK), 0),
            (_, 0) => (1, FIN.with(ACK), 0),
            (_, 1) => (0, FIN.with(ACK), 0),
            _ => self.exchange(random),
        };
        let digest = self.digest(time, side, flags, len, random);
        self.seq[side] = digest.seq_end().0;
        digest
    }

    fn ends_with_reset(&self) -> bool {
        self.number.is_multiple_of(100)
    }

    fn exchange(&mut self, random: &mut Random) -> (usize, TcpFlags, u32) {
        if self.burst == 0 {
            self.burst = 2 + 3 * random.below(6);
            return (0, PSH.with(ACK), 60 + random.below(700) as u32);
        }
        self.burst -= 1;
        if self.burst.is_multiple_of(3) {
            (0, ACK, 0)
        } else {
            (1, ACK, 1448)
        }
    }

    fn digest(
        &mut self,
        time: i64,
        side: usize,
        flags: TcpFlags,
        payload_len: u32,
        random: &mut Random,
    ) -> Digest {
        let millis = (time / 1_000_000) as u32;
        self.ids[side] = self.ids[side].wrapping_add(1);
        let acks = flags.has(ACK);
        let stamp = |side: usize| self.stamps[side].wrapping_add(millis);
        let echo = if acks {
            stamp(1 - side).wrapping_sub(1 + random.below(20) as u32)
        } else {
            0
        };
        let open = flags.has(SYN);
        Digest {
            time: CaptureTime::from_nanos(time),
            tuple: if side == 0 {
                self.client
            } else {
                self.client.reversed()
            },
            seq: TcpSeq(self.seq[side]),
            ack: TcpSeq(if acks { self.seq[1 - side] } else { 0 }),
            flags,
            window: 502 - random.below(3) as u16,
            payload_len,
            payload_hash: (payload_len > 0).then(|| random.next() | 1),
            options: TcpOptions {
                mss: open.then_some(1460),
                window_scale: open.then_some(7),
                sack_permitted: open,
                timestamps: Some(Timestamps {
                    value: stamp(side),
                    echo,
                }),
                order: if open { 0x3_1842 } else { 0x811 },
                ..TcpOptions::default()
            },
            rst_reason: None,
            ip: IpFields {
                ttl: if side == 0 { 61 } else { 57 },
                id: Some(self.ids[side]),
                dont_fragment: true,
                ..IpFields::default()
            },
            link: LinkFields {
                source: Some([2, 0, 0, 0, 0, 1 + side as u8]),
                ..LinkFields::default()
            },
        }
    }
}

/// Connections without end.
pub struct Connections {
    random: Random,
    open: Vec<Connection>,
    next: u32,
    time: i64,
    /// Flows that ended with a reset, by hash.
    pub reset: Vec<i64>,
}

impl Connections {
    /// So many at once, from a time on.
    pub fn new(at_once: u32, from: CaptureTime) -> Self {
        let mut random = Random(1);
        Self {
            open: (0..at_once)
                .map(|number| Connection::new(number, &mut random))
                .collect(),
            random,
            next: at_once,
            time: from.nanos(),
            reset: Vec::new(),
        }
    }

    /// The next segments, in the order of capture.
    pub fn take(&mut self, count: usize) -> Vec<Digest> {
        (0..count).map(|_| self.segment()).collect()
    }

    fn segment(&mut self) -> Digest {
        self.time += self.random.below(2 * BETWEEN_NS) as i64;
        let index = self.random.below(self.open.len() as u64) as usize;
        let digest = self.open[index].segment(self.time, &mut self.random);
        if self.open[index].left == 0 {
            if self.open[index].ends_with_reset() {
                self.reset.push(digest.tuple.flow().hash().cast_signed());
            }
            self.open[index] = Connection::new(self.next, &mut self.random);
            self.next += 1;
        }
        digest
    }
}

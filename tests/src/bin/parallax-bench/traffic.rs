//! Captures to measure with: seeded, so that every run reads the same packets.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Octets kept of each packet, as an agent or `tcpdump -s 96` would.
const SNAPLEN: usize = 96;
/// 2026-01-01T00:00:00Z in microseconds.
const EPOCH: u64 = 1_767_225_600_000_000;

/// A small generator (splitmix64): the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// One connection in the making.
struct Connection {
    number: u32,
    left: u32,
    seq: [u32; 2],
    step: u32,
    burst: u32,
}

/// A packet's header values.
struct Packet {
    connection: u32,
    from_server: bool,
    flags: u8,
    seq: u32,
    ack: u32,
    len: u16,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

impl Connection {
    fn new(number: u32, packets: u32, random: &mut Random) -> Self {
        Self {
            number,
            left: packets,
            seq: [random.next() as u32, random.next() as u32],
            step: 0,
            burst: 0,
        }
    }

    /// The next packet: handshake, then requests answered in bursts that are acknowledged every second
    /// segment, then FINs, or a RST in one connection of a hundred.
    fn packet(&mut self, random: &mut Random) -> Packet {
        self.left -= 1;
        let step = self.step;
        self.step += 1;
        let (from_server, flags, len) = match (step, self.left) {
            (0, _) => (false, SYN, 0),
            (1, _) => (true, SYN | ACK, 0),
            (2, _) => (false, ACK, 0),
            (_, 0) if self.number.is_multiple_of(100) => (true, RST | ACK, 0),
            (_, 0) => (true, FIN | ACK, 0),
            (_, 1) => (false, FIN | ACK, 0),
            _ => self.exchange(random),
        };
        let side = usize::from(from_server);
        let packet = Packet {
            connection: self.number,
            from_server,
            flags,
            seq: self.seq[side],
            ack: if flags & ACK == 0 {
                0
            } else {
                self.seq[1 - side]
            },
            len,
        };
        let opens_or_closes = u32::from(flags & (SYN | FIN) != 0);
        self.seq[side] = self.seq[side].wrapping_add(u32::from(len) + opens_or_closes);
        packet
    }

    fn exchange(&mut self, random: &mut Random) -> (bool, u8, u16) {
        if self.burst == 0 {
            self.burst = 2 + 3 * random.below(6) as u32;
            return (false, PSH | ACK, 60 + random.below(700) as u16);
        }
        self.burst -= 1;
        if self.burst.is_multiple_of(3) {
            (false, ACK, 0)
        } else {
            (true, ACK, 1448)
        }
    }
}

/// Writes `packets` packets of `connections` interleaved connections as a pcap file.
pub fn write_mix(path: &Path, packets: u32, connections: u32) -> io::Result<()> {
    let mut random = Random(1);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    write_header(&mut file)?;
    let each = packets / connections;
    let mut due: BinaryHeap<std::cmp::Reverse<(u64, u32)>> = BinaryHeap::new();
    let mut open: Vec<Connection> = (0..connections)
        .map(|number| {
            due.push(std::cmp::Reverse((random.below(60_000_000), number)));
            Connection::new(number, each.max(6), &mut random)
        })
        .collect();
    while let Some(std::cmp::Reverse((at, number))) = due.pop() {
        let connection = &mut open[number as usize];
        let packet = connection.packet(&mut random);
        write_packet(&mut file, EPOCH + at, &packet)?;
        if connection.left > 0 {
            due.push(std::cmp::Reverse((at + 20 + random.below(4000), number)));
        }
    }
    file.flush()
}

/// Writes `packets` SYNs, each from another address and port.
pub fn write_flood(path: &Path, packets: u32) -> io::Result<()> {
    let mut random = Random(2);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    write_header(&mut file)?;
    for number in 0..packets {
        let packet = Packet {
            connection: number,
            from_server: false,
            flags: SYN,
            seq: random.next() as u32,
            ack: 0,
            len: 0,
        };
        write_packet(&mut file, EPOCH + u64::from(number) * 10, &packet)?;
    }
    file.flush()
}

fn write_header(file: &mut impl Write) -> io::Result<()> {
    file.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
    file.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
    file.write_all(&(SNAPLEN as u32).to_le_bytes())?;
    file.write_all(&1_u32.to_le_bytes())
}

/// Ethernet, IPv4 and TCP with timestamps; the payload is zeros, cut by the snaplen.
fn write_packet(file: &mut impl Write, micros: u64, packet: &Packet) -> io::Result<()> {
    const HEADERS: usize = 14 + 20 + 32;
    let mut frame = [0_u8; SNAPLEN];
    let whole = HEADERS + usize::from(packet.len);
    let kept = whole.min(SNAPLEN);
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    ipv4(&mut frame[14..34], packet, whole - 14);
    tcp(&mut frame[34..66], packet, micros);
    file.write_all(&((micros / 1_000_000) as u32).to_le_bytes())?;
    file.write_all(&((micros % 1_000_000) as u32).to_le_bytes())?;
    file.write_all(&(kept as u32).to_le_bytes())?;
    file.write_all(&(whole as u32).to_le_bytes())?;
    file.write_all(&frame[..kept])
}

/// Clients in 198.18.0.0/15, the range for benchmarks (RFC 2544), one server in 203.0.113.0/24.
fn ipv4(header: &mut [u8], packet: &Packet, total: usize) {
    let high = packet.connection / 40_000;
    let client = [
        198,
        18 + (high >> 16 & 1) as u8,
        (high >> 8) as u8,
        high as u8,
    ];
    let server = [203, 0, 113, 7];
    let (src, dst) = if packet.from_server {
        (server, client)
    } else {
        (client, server)
    };
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(total as u16).to_be_bytes());
    header[4..6].copy_from_slice(&(packet.seq as u16).to_be_bytes());
    header[6] = 0x40;
    header[8] = if packet.from_server { 57 } else { 61 };
    header[9] = 6;
    header[12..16].copy_from_slice(&src);
    header[16..20].copy_from_slice(&dst);
}

fn tcp(header: &mut [u8], packet: &Packet, micros: u64) {
    let client = 1024 + (packet.connection % 40_000) as u16;
    let (src, dst) = if packet.from_server {
        (443, client)
    } else {
        (client, 443)
    };
    header[0..2].copy_from_slice(&src.to_be_bytes());
    header[2..4].copy_from_slice(&dst.to_be_bytes());
    header[4..8].copy_from_slice(&packet.seq.to_be_bytes());
    header[8..12].copy_from_slice(&packet.ack.to_be_bytes());
    header[12] = 8 << 4;
    header[13] = packet.flags;
    header[14..16].copy_from_slice(&502_u16.to_be_bytes());
    header[20..24].copy_from_slice(&[1, 1, 8, 10]);
    header[24..28].copy_from_slice(&((micros / 1000) as u32).to_be_bytes());
}

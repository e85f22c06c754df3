//! What each agent of a fleet sees, and which resets there are.
//!
//! Four agents watch one path: client, before a firewall, behind it, server. Every path has connections of its own,
//! ten segments each, at even distances. What happens on one follows from the seed, so that its four agents need not
//! talk to each other.

use std::net::{IpAddr, Ipv4Addr};

use parallax_core::digest::{Digest, IpFields, LinkFields, TcpFlags, TcpOptions, Timestamps};
use parallax_core::time::MILLISECOND;
use parallax_core::{CaptureTime, Endpoint, FourTuple, TcpSeq, Vantage, VantageKind};

use crate::random::Random;
use crate::traffic::Side;

/// The vantages of one path, client side first.
pub const PLACES: [&str; 4] = ["client", "fw-in", "fw-out", "server"];

/// Segments of a connection that ends well.
pub const SEGMENTS: u32 = 10;

/// From one vantage to the next.
const HOP: i64 = MILLISECOND;
const PORTS: u32 = 60_000;
const LEAST_PORT: u32 = 1_024;
const SERVER_PORT: u16 = 443;

/// One path and the clock of its connections.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    pub number: u32,
    pub seed: u64,
    /// Nanoseconds between the starts of two connections.
    pub interval: i64,
    /// One connection in so many ends with a reset.
    pub reset_one_in: u64,
}

/// Names a reset: on a path, the connection that it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub path: u32,
    pub port: u16,
}

/// Who made a connection's reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The server; all four vantages see it.
    Server,
    /// The firewall in the server's name: the client and `fw-in` see it.
    Firewall,
}

/// One segment where it passes.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    pub digest: Digest,
    /// It is this connection's reset.
    pub reset: Option<(Key, Truth)>,
}

/// A connection in the making, in the eyes of one vantage.
struct Telling<'a> {
    place: usize,
    tuple: FourTuple,
    seq: [u32; 2],
    stamp: u32,
    ip_id: u16,
    /// Passes the middle of the path next.
    at: i64,
    out: &'a mut Vec<Sight>,
}

impl Path {
    /// The vantage at a place, as the agent there introduces itself.
    pub fn vantage(&self, place: usize) -> Vantage {
        let host = |address| VantageKind::Host {
            addresses: vec![address],
        };
        Vantage {
            name: format!("p{:03}-{}", self.number, PLACES[place]),
            kind: match place {
                0 => host(self.client()),
                3 => host(self.server()),
                _ => VantageKind::Hop,
            },
        }
    }

    fn client(&self) -> IpAddr {
        Ipv4Addr::from(u32::from_be_bytes([10, 0, 0, 1]) + self.number).into()
    }

    fn server(&self) -> IpAddr {
        Ipv4Addr::from(u32::from_be_bytes([10, 128, 0, 1]) + self.number).into()
    }

    /// The path of which this is the client's address.
    pub fn of_client(address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(v4) => u32::from(v4).checked_sub(u32::from_be_bytes([10, 0, 0, 1])),
            IpAddr::V6(_) => None,
        }
    }

    /// How connection `number` of this path ends, if not well.
    pub fn ends(&self, number: u32) -> Option<Truth> {
        let mut random = self.random(number);
        if !random.one_in(self.reset_one_in) {
            return None;
        }
        Some(if random.one_in(2) {
            Truth::Server
        } else {
            Truth::Firewall
        })
    }

    fn random(&self, number: u32) -> Random {
        Random::of(
            self.seed,
            (u64::from(self.number) << 32) | u64::from(number),
        )
    }

    /// Appends what the vantage at `place` sees of connection `number`, which begins at `start`.
    pub fn tell(&self, place: usize, number: u32, start: i64, out: &mut Vec<Sight>) {
        let port = (LEAST_PORT + number % PORTS) as u16;
        let mut random = self.random(number);
        random.next();
        random.next();
        let mut telling = Telling {
            place,
            tuple: FourTuple::new(
                Endpoint::new(self.client(), port),
                Endpoint::new(self.server(), SERVER_PORT),
            ),
            seq: [random.number(), random.number()],
            stamp: random.number(),
            ip_id: random.next() as u16,
            at: start,
            out,
        };
        let key = Key {
            path: self.number,
            port,
        };
        telling.all(self.ends(number).map(|truth| (key, truth)));
    }
}

const SYN_ACK: TcpFlags = TcpFlags::SYN.with(TcpFlags::ACK);
const FIN_ACK: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);
const PSH_ACK: TcpFlags = TcpFlags::PSH.with(TcpFlags::ACK);
const RST_ACK: TcpFlags = TcpFlags::RST.with(TcpFlags::ACK);

impl Telling<'_> {
    fn all(&mut self, reset: Option<(Key, Truth)>) {
        self.segment(Side::Client, TcpFlags::SYN, 0);
        self.segment(Side::Server, SYN_ACK, 0);
        self.segment(Side::Client, TcpFlags::ACK, 0);
        match reset {
            None => self.ends_well(),
            Some((key, Truth::Server)) => {
                self.segment(Side::Client, PSH_ACK, 300);
                self.segment(Side::Server, RST_ACK, 0);
                self.mark((key, Truth::Server));
            }
            Some((key, Truth::Firewall)) => self.is_forbidden((key, Truth::Firewall)),
        }
    }

    fn ends_well(&mut self) {
        self.segment(Side::Client, PSH_ACK, 300);
        self.segment(Side::Server, TcpFlags::ACK, 1448);
        self.segment(Side::Server, PSH_ACK, 700);
        self.segment(Side::Client, TcpFlags::ACK, 0);
        self.segment(Side::Client, FIN_ACK, 0);
        self.segment(Side::Server, FIN_ACK, 0);
        self.segment(Side::Client, TcpFlags::ACK, 0);
    }

    /// The firewall keeps the request and answers with a RST in the server's name.
    fn is_forbidden(&mut self, reset: (Key, Truth)) {
        let before = self.out.len();
        self.segment(Side::Client, PSH_ACK, 300);
        let firewall = self.digest(Side::Server, TcpFlags::RST, 0);
        self.pass();
        if self.place > 1 {
            self.out.truncate(before);
            return;
        }
        self.out.push(Sight {
            digest: Digest {
                ack: TcpSeq(0),
                window: 0,
                options: TcpOptions::default(),
                ip: IpFields {
                    ttl: 254 + self.place as u8 - 1,
                    id: Some(0),
                    ..firewall.ip
                },
                ..firewall
            },
            reset: Some(reset),
        });
    }

    /// The last segment is the reset.
    fn mark(&mut self, reset: (Key, Truth)) {
        if let Some(last) = self.out.last_mut() {
            last.reset = Some(reset);
        }
    }

    fn segment(&mut self, from: Side, flags: TcpFlags, len: u32) {
        let digest = self.digest(from, flags, len);
        let own = &mut self.seq[from.index()];
        *own = own.wrapping_add(digest.seq_len());
        self.ip_id = self.ip_id.wrapping_add(1);
        self.out.push(Sight {
            digest,
            reset: None,
        });
        self.pass();
    }

    /// The next segment comes when this one has reached the other end.
    fn pass(&mut self) {
        self.at += 4 * HOP;
    }

    fn digest(&self, from: Side, flags: TcpFlags, len: u32) -> Digest {
        let hops = match from {
            Side::Client => self.place,
            Side::Server => PLACES.len() - 1 - self.place,
        };
        let acks = flags.has(TcpFlags::ACK);
        let payload = Random::of(u64::from(self.seq[from.index()]), u64::from(self.stamp)).next();
        Digest {
            time: CaptureTime::from_nanos(self.at + hops as i64 * HOP),
            tuple: match from {
                Side::Client => self.tuple,
                Side::Server => self.tuple.reversed(),
            },
            seq: TcpSeq(self.seq[from.index()]),
            ack: TcpSeq(if acks {
                self.seq[from.other().index()]
            } else {
                0
            }),
            flags,
            window: 502,
            payload_len: len,
            payload_hash: (len > 0).then_some(payload | 1),
            options: self.options(flags),
            rst_reason: None,
            ip: IpFields {
                ttl: 64 - hops as u8,
                id: Some(self.ip_id),
                dont_fragment: true,
                ..IpFields::default()
            },
            link: LinkFields::default(),
        }
    }

    /// Those of Linux.
    fn options(&self, flags: TcpFlags) -> TcpOptions {
        let stamps = TcpOptions {
            timestamps: Some(Timestamps {
                value: self.stamp,
                echo: if flags.has(TcpFlags::ACK) {
                    self.stamp
                } else {
                    0
                },
            }),
            order: 0x811,
            ..TcpOptions::default()
        };
        if flags.has(TcpFlags::SYN) {
            return TcpOptions {
                mss: Some(1460),
                window_scale: Some(7),
                sack_permitted: true,
                order: 0x0003_1842,
                ..stamps
            };
        }
        stamps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: Path = Path {
        number: 3,
        seed: 1,
        interval: 100 * MILLISECOND,
        reset_one_in: 4,
    };

    fn sights(place: usize, number: u32) -> Vec<Sight> {
        let mut sights = Vec::new();
        PATH.tell(place, number, 1_000_000_000, &mut sights);
        sights
    }

    fn first(truth: Option<Truth>) -> u32 {
        (0..1_000)
            .find(|number| PATH.ends(*number) == truth)
            .unwrap()
    }

    #[test]
    fn a_good_connection_is_the_same_packets_at_all_four() {
        let number = first(None);
        let at_client = sights(0, number);
        assert_eq!(at_client.len(), SEGMENTS as usize);
        for place in 1..4 {
            let there = sights(place, number);
            let seqs = |sights: &[Sight]| -> Vec<_> {
                let of = |sight: &Sight| (sight.digest.tuple, sight.digest.seq, sight.digest.ip.id);
                sights.iter().map(of).collect()
            };
            assert_eq!(seqs(&at_client), seqs(&there));
        }
    }

    #[test]
    fn a_firewall_is_seen_before_it_only_and_its_reason_too() {
        let number = first(Some(Truth::Firewall));
        for place in 0..2 {
            let there = sights(place, number);
            assert!(there.last().unwrap().reset.is_some());
            assert!(there.last().unwrap().digest.is_rst());
            assert_eq!(there.len(), 5);
        }
        for place in 2..4 {
            assert_eq!(sights(place, number).len(), 3);
        }
    }

    #[test]
    fn a_server_is_seen_everywhere() {
        let number = first(Some(Truth::Server));
        for place in 0..4 {
            let last = *sights(place, number).last().unwrap();
            assert_eq!(last.reset.unwrap().1, Truth::Server);
            assert_eq!(Path::of_client(last.digest.tuple.dst.addr), Some(3));
        }
    }

    #[test]
    fn what_a_vantage_sees_is_in_the_order_of_time() {
        for number in 0..100 {
            for place in 0..4 {
                let there = sights(place, number);
                assert!(there.is_sorted_by_key(|sight| sight.digest.time));
            }
        }
    }
}

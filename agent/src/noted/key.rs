//! A flow as the agent's memories know it: its ends in order, in few words, and a hash of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parallax_core::{Endpoint, Flow, FourTuple, Way};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// Words of a key that say something; the others are zero.
    pub const fn words(self) -> usize {
        match self {
            Self::V4 => 3,
            Self::V6 => 9,
        }
    }
}

/// Both ports, then the lower end's address, then the higher end's.
pub(crate) type Words = [u32; 9];

/// Both ends of a flow, ordered as [`Flow`] orders them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowKey {
    pub words: Words,
    pub family: Family,
}

/// The odd constants of xxh64: any with bits set throughout would do.
const MIX: [u64; 3] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
];

/// Both halves of the product.
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
}

/// A flow's key, its [hash](FlowKey::hash), and the way that a segment goes.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    pub key: FlowKey,
    pub hash: u64,
    pub way: Way,
}

impl Keyed {
    pub const BLANK: Self = Self {
        key: FlowKey {
            words: [0; 9],
            family: Family::V4,
        },
        hash: 0,
        way: Way::LowToHigh,
    };

    /// Writes in place: a copy would be read in larger parts than it was written a moment before, which
    /// stalls the processor.
    #[inline]
    pub fn set(&mut self, tuple: &FourTuple) {
        match (&tuple.src.addr, &tuple.dst.addr) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let end = |addr: &Ipv4Addr, port| u64::from(addr.to_bits()) << 16 | u64::from(port);
                self.set_v4(end(from, tuple.src.port), end(to, tuple.dst.port));
            }
            _ => self.set_v6(tuple),
        }
    }

    /// As [`Self::set`], of a segment over IPv4: from an address and port to others.
    #[inline]
    pub fn set_usual(&mut self, src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16)) {
        let end = |(addr, port): (Ipv4Addr, u16)| u64::from(addr.to_bits()) << 16 | u64::from(port);
        self.set_v4(end(src), end(dst));
    }

    /// The same over IPv6.
    #[inline]
    pub fn set_usual_v6(&mut self, src: (Ipv6Addr, u16), dst: (Ipv6Addr, u16)) {
        let (src, dst) = ((src.0.to_bits(), src.1), (dst.0.to_bits(), dst.1));
        let rises = src <= dst;
        let (low, high) = if rises { (src, dst) } else { (dst, src) };
        let word = |bits: u128, shift: u32| (bits >> shift) as u32;
        self.key.words = [
            ports(low.1, high.1),
            word(low.0, 96),
            word(low.0, 64),
            word(low.0, 32),
            word(low.0, 0),
            word(high.0, 96),
            word(high.0, 64),
            word(high.0, 32),
            word(high.0, 0),
        ];
        self.key.family = Family::V6;
        self.way = [Way::HighToLow, Way::LowToHigh][usize::from(rises)];
        self.hash = hash_v6(ports(low.1, high.1), low.0, high.0);
    }

    /// Ends as one number each: which is lower is chance, and a branch on it would go wrong half the time.
    #[inline]
    fn set_v4(&mut self, src: u64, dst: u64) {
        let (low, high) = (src.min(dst), src.max(dst));
        let ports = ports(low as u16, high as u16);
        let (low, high) = ((low >> 16) as u32, (high >> 16) as u32);
        self.way = [Way::HighToLow, Way::LowToHigh][usize::from(src <= dst)];
        self.hash = hash_v4(ports, low, high);
        self.key.words = [ports, low, high, 0, 0, 0, 0, 0, 0];
        self.key.family = Family::V4;
    }

    #[inline(never)]
    fn set_v6(&mut self, tuple: &FourTuple) {
        let flow = tuple.flow();
        let [low, high] = [flow.low(), flow.high()];
        self.key.words[0] = ports(low.port, high.port);
        for (part, end) in self.key.words[1..].chunks_exact_mut(4).zip([low, high]) {
            let bits = bits(end.addr);
            for (word, shift) in part.iter_mut().zip([96, 64, 32, 0]) {
                *word = (bits >> shift) as u32;
            }
        }
        self.key.family = Family::V6;
        self.way = tuple.way();
        self.hash = self.key.hash();
    }
}

/// Twice: one product is nearly linear in either of its sides, and rows of ports would fall into rows.
#[inline]
fn mixed(addresses: u64, ports: u32) -> u64 {
    let once = fold(addresses ^ MIX[0], u64::from(ports) ^ MIX[1]);
    fold(once, MIX[2])
}

#[inline]
fn hash_v4(ports: u32, low: u32, high: u32) -> u64 {
    mixed(u64::from(low) << 32 | u64::from(high), ports)
}

#[inline]
fn hash_v6(ports: u32, low: u128, high: u128) -> u64 {
    let halves = |bits: u128| ((bits >> 64) as u64, bits as u64);
    let ((a, b), (c, d)) = (halves(low), halves(high));
    let low = fold(a ^ MIX[0], b ^ MIX[1]);
    let both = fold(low ^ c, d ^ MIX[2]);
    mixed(both, ports)
}

impl FlowKey {
    pub fn of(tuple: FourTuple) -> (Self, Way) {
        let mut keyed = Keyed::BLANK;
        keyed.set(&tuple);
        (keyed.key, keyed.way)
    }

    pub fn of_flow(flow: Flow) -> Self {
        Self::of(flow.tuple(Way::LowToHigh)).0
    }

    #[inline]
    pub fn is(&self, words: &Words, family: Family) -> bool {
        let differ = self.words.iter().zip(words);
        let differ = differ.fold(0, |differ, (one, other)| differ | (one ^ other));
        differ == 0 && self.family == family
    }

    /// For tables of this process only: neither stored nor sent, unlike [`Flow::hash`].
    pub fn hash(&self) -> u64 {
        let words = &self.words;
        let pair = |at: usize| u64::from(words[at]) << 32 | u64::from(words[at + 1]);
        match self.family {
            Family::V4 => hash_v4(words[0], words[1], words[2]),
            Family::V6 => {
                let bits = |at| u128::from(pair(at)) << 64 | u128::from(pair(at + 2));
                hash_v6(words[0], bits(1), bits(5))
            }
        }
    }

    /// Source and destination of a segment that goes this way.
    pub fn tuple(&self, way: Way) -> FourTuple {
        let [low_port, high_port] = [(self.words[0] >> 16) as u16, self.words[0] as u16];
        let (low, high) = match self.family {
            Family::V4 => (v4(self.words[1]), v4(self.words[2])),
            Family::V6 => (v6(&self.words[1..5]), v6(&self.words[5..])),
        };
        let there = FourTuple::new(Endpoint::new(low, low_port), Endpoint::new(high, high_port));
        match way {
            Way::LowToHigh => there,
            Way::HighToLow => there.reversed(),
        }
    }
}

fn ports(low: u16, high: u16) -> u32 {
    u32::from(low) << 16 | u32::from(high)
}

/// A packet has one family; ends of two, which no packet has, are told apart all the same.
fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn v4(word: u32) -> IpAddr {
    Ipv4Addr::from_bits(word).into()
}

fn v6(words: &[u32]) -> IpAddr {
    let bits = words
        .iter()
        .fold(0, |bits, word| bits << 32 | u128::from(*word));
    Ipv6Addr::from_bits(bits).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(addr: &str, port: u16) -> Endpoint {
        Endpoint::new(addr.parse().expect("an address"), port)
    }

    #[test]
    fn a_key_gives_back_the_segment_s_ends_and_is_one_for_both_directions() {
        let ends = [
            (end("192.0.2.1", 1), end("198.51.100.9", 2)),
            (end("192.0.2.1", 9), end("192.0.2.1", 2)),
            (end("2001:db8::1", 443), end("2001:db8::2", 7)),
            (end("::ffff:192.0.2.1", 1), end("::ffff:198.51.100.9", 2)),
        ];
        let keys: Vec<FlowKey> = ends
            .iter()
            .map(|(one, other)| {
                let tuple = FourTuple::new(*one, *other);
                let (key, way) = FlowKey::of(tuple);
                let (back, opposite) = FlowKey::of(tuple.reversed());
                assert_eq!((back, opposite), (key, way.opposite()));
                assert_eq!((key.tuple(way), way), (tuple, tuple.way()));
                assert_eq!(FlowKey::of_flow(tuple.flow()), key);
                key
            })
            .collect();
        assert_ne!(keys[0], keys[3], "a mapped address is another");
    }

    #[test]
    fn hashes_of_flows_that_differ_in_one_bit_fall_apart() {
        let base = FourTuple::new(end("10.20.0.0", 1024), end("198.18.0.0", 80));
        let hashes: std::collections::HashSet<u16> = (0..1 << 14)
            .map(|number: u32| {
                let mut tuple = base;
                tuple.src.addr = v4(0x0a14_0000 + (number >> 7));
                tuple.src.port = (number & 127) as u16;
                FlowKey::of(tuple).0.hash() as u16
            })
            .collect();
        // Of 2^14 balls thrown into 2^16 urns some 14,500 lie alone or first.
        assert!((14_200..14_800).contains(&hashes.len()), "{}", hashes.len());
    }
}

//! 4-tuples: as a packet carries them, and as both directions share them.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// An address and a TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    pub addr: IpAddr,
    pub port: u16,
}

impl Endpoint {
    pub const fn new(addr: IpAddr, port: u16) -> Self {
        Self { addr, port }
    }
}

/// As one number where there is room for it: maps by endpoint and flow are asked for every packet.
impl Hash for Endpoint {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.addr {
            IpAddr::V4(addr) => state.write_u64(as_number(addr, self.port)),
            IpAddr::V6(addr) => {
                state.write_u128(addr.to_bits());
                state.write_u16(self.port);
            }
        }
    }
}

/// In the order of endpoints.
#[inline]
fn as_number(addr: Ipv4Addr, port: u16) -> u64 {
    u64::from(addr.to_bits()) << 16 | u64::from(port)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.addr, self.port).fmt(f)
    }
}

/// Source and destination of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FourTuple {
    pub src: Endpoint,
    pub dst: Endpoint,
}

/// Which of a flow's two directions a packet travels, by the order of its endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    LowToHigh,
    HighToLow,
}

impl Way {
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::LowToHigh => Self::HighToLow,
            Self::HighToLow => Self::LowToHigh,
        }
    }
}

impl FourTuple {
    pub const fn new(src: Endpoint, dst: Endpoint) -> Self {
        Self { src, dst }
    }

    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
        }
    }

    #[inline]
    pub fn flow(self) -> Flow {
        match self.way() {
            Way::LowToHigh => Flow {
                low: self.src,
                high: self.dst,
            },
            Way::HighToLow => Flow {
                low: self.dst,
                high: self.src,
            },
        }
    }

    /// The hash of [`Self::flow`] by a hasher. Which end is the lower one is chance, and a branch on it goes wrong half
    /// of the time; here is none.
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    pub fn flow_hash(&self, hashing: &impl BuildHasher) -> u64 {
        match (self.src.addr, self.dst.addr) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let (src, dst) = (as_number(src, self.src.port), as_number(dst, self.dst.port));
                let mut state = hashing.build_hasher();
                state.write_u64(src.min(dst));
                state.write_u64(src.max(dst));
                state.finish()
            }
            _ => hashing.hash_one(self.flow()),
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "asked of every packet, and smaller than the call"
    )]
    #[inline(always)]
    pub fn way(self) -> Way {
        // The general comparison takes three times as long.
        let rises = match (self.src.addr, self.dst.addr) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                (src.to_bits(), self.src.port) <= (dst.to_bits(), self.dst.port)
            }
            _ => self.src <= self.dst,
        };
        if rises {
            Way::LowToHigh
        } else {
            Way::HighToLow
        }
    }
}

impl fmt::Display for FourTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.src, self.dst)
    }
}

/// A 4-tuple without direction: the same value for both directions of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    low: Endpoint,
    high: Endpoint,
}

impl Flow {
    /// The flow between two endpoints, in either order.
    pub fn between(one: Endpoint, other: Endpoint) -> Self {
        FourTuple::new(one, other).flow()
    }

    pub const fn low(self) -> Endpoint {
        self.low
    }

    pub const fn high(self) -> Endpoint {
        self.high
    }

    pub const fn tuple(self, way: Way) -> FourTuple {
        match way {
            Way::LowToHigh => FourTuple::new(self.low, self.high),
            Way::HighToLow => FourTuple::new(self.high, self.low),
        }
    }

    /// xxh3-64 of addresses and ports: the same on every machine and in every version, so that it
    /// can be stored and sent.
    pub fn hash(self) -> u64 {
        let mut bytes = [0_u8; 36];
        for (half, endpoint) in bytes.chunks_exact_mut(18).zip([self.low, self.high]) {
            let addr = match endpoint.addr {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            half[..16].copy_from_slice(&addr.octets());
            half[16..].copy_from_slice(&endpoint.port.to_be_bytes());
        }
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use hashbrown::DefaultHashBuilder;
    use proptest::prelude::*;

    use super::*;

    fn tuple() -> FourTuple {
        FourTuple::new(
            Endpoint::new("10.1.0.2".parse().unwrap(), 40000),
            Endpoint::new("10.2.0.2".parse().unwrap(), 80),
        )
    }

    proptest! {
        #[test]
        fn a_flow_goes_from_its_lower_end(one in endpoints(), other in endpoints()) {
            let tuple = FourTuple::new(one, other);
            prop_assert_eq!(tuple.way() == Way::LowToHigh, one <= other);
            prop_assert!(tuple.flow().low() <= tuple.flow().high());
            prop_assert_eq!(tuple.flow().tuple(tuple.way()), tuple);
        }

        #[test]
        fn a_flow_has_one_hash(one in endpoints(), other in endpoints()) {
            let hashing = DefaultHashBuilder::default();
            let tuple = FourTuple::new(one, other);
            prop_assert_eq!(tuple.flow_hash(&hashing), hashing.hash_one(tuple.flow()));
        }

        #[test]
        fn equal_ends_have_equal_hashes(one in endpoints(), other in endpoints()) {
            let hashing = DefaultHashBuilder::default();
            let same = hashing.hash_one(one) == hashing.hash_one(other);
            prop_assert_eq!(one == other, same);
        }
    }

    fn endpoints() -> impl Strategy<Value = Endpoint> {
        let addr = prop_oneof![
            (0..3_u8, any::<bool>()).prop_map(|(last, high)| {
                IpAddr::from([if high { 200 } else { 9 }, 0, 0, last])
            }),
            (0..3_u16).prop_map(|last| IpAddr::from([0, 0, 0, 0, 0, 0, 0x0900, last])),
        ];
        (addr, 0..3_u16).prop_map(|(addr, port)| Endpoint::new(addr, port))
    }

    #[test]
    fn both_directions_share_one_flow() {
        let (there, back) = (tuple(), tuple().reversed());
        assert_eq!(there.flow(), back.flow());
        assert_ne!(there.way(), back.way());
        assert_eq!(there.flow().tuple(back.way()), back);
    }

    #[test]
    fn the_flow_hash_never_changes() {
        assert_eq!(tuple().flow().hash(), tuple().reversed().flow().hash());
        // Stored and sent: a change here breaks every database.
        assert_eq!(tuple().flow().hash(), 4_930_222_067_094_103_970);
    }
}

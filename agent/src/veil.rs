//! Pseudonyms: addresses that leave this host are replaced, the same ones by the same, neighbours by neighbours.
//!
//! The construction is Crypto-PAn's (Xu, Fan, Ammar, Moon: Prefix-preserving IP address anonymization, 2002) over AES-128: each
//! bit of an address is flipped or not by a bit that follows from the key and all bits before it. So two addresses with
//! a common prefix of n bits have pseudonyms with a common prefix of n bits, and different ones stay different. The pad,
//! which fills the block behind the prefix, is the second half of the key itself. The hash of a payload's first octets is
//! keyed, too: without the key nobody can try texts against it. Agents with the same key say the same, so
//! joins hold; with different keys nothing joins.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use parallax_core::{Digest, Endpoint, FourTuple};
use ring::aead::quic::{AES_128, HeaderProtectionKey};
use thiserror::Error;

/// Octets of a key file: an AES-128 key and the pad.
pub const KEY_OCTETS: usize = 32;
/// Addresses whose pseudonyms are remembered.
const KNOWN_MAX: usize = 65_536;

/// Why a key is none.
#[derive(Debug, Error)]
pub enum VeilError {
    #[error("cannot read the key for pseudonyms {}: {source}; name another with --pseudonym-key", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "the key for pseudonyms {} has {octets} octets, not {KEY_OCTETS}; make one with `head -c {KEY_OCTETS} /dev/urandom`",
        path.display()
    )]
    Length { path: PathBuf, octets: usize },
}

/// Replaces addresses.
pub struct Veil {
    key: HeaderProtectionKey,
    octets: [u8; KEY_OCTETS],
    known: HashMap<IpAddr, IpAddr>,
}

/// A key does not show in logs.
impl std::fmt::Debug for Veil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Veil")
    }
}

impl Clone for Veil {
    fn clone(&self) -> Self {
        Self::new(self.octets)
    }
}

impl Veil {
    /// By the key in this file.
    pub fn read(path: &Path) -> Result<Self, VeilError> {
        let octets = std::fs::read(path).map_err(|source| VeilError::Read {
            path: path.to_owned(),
            source,
        })?;
        let count = octets.len();
        let key = octets.try_into().map_err(|_| VeilError::Length {
            path: path.to_owned(),
            octets: count,
        })?;
        Ok(Self::new(key))
    }

    pub fn new(octets: [u8; KEY_OCTETS]) -> Self {
        let key = HeaderProtectionKey::new(&AES_128, &octets[..16]);
        Self {
            // 16 octets are what AES-128 takes.
            key: key.unwrap_or_else(|_| unreachable!("AES-128 has a key of 16 octets")),
            octets,
            known: HashMap::new(),
        }
    }

    /// The first octets of the AES block of these.
    fn block(&self, input: [u8; 16]) -> [u8; 5] {
        // 16 octets are what it takes (RFC 9001, 5.4.3: AES in electronic codebook mode).
        self.key.new_mask(&input).unwrap_or_default()
    }

    fn pad(&self) -> u128 {
        let mut pad = [0; 16];
        pad.copy_from_slice(&self.octets[16..]);
        u128::from_be_bytes(pad)
    }

    /// `bits` leading bits of a block, flipped by what is before each.
    fn flipped(&self, address: u128, bits: u32) -> u128 {
        let pad = self.pad();
        let mut flips: u128 = 0;
        for bit in 0..bits {
            let before = !u128::MAX.checked_shr(bit).unwrap_or(0);
            let input = address & before | pad & !before;
            let first = self.block(input.to_be_bytes())[0] >> 7;
            flips |= u128::from(first) << (127 - bit);
        }
        address ^ flips
    }

    /// The pseudonym of an address; no address stays none.
    pub fn address(&mut self, address: IpAddr) -> IpAddr {
        if address.is_unspecified() {
            return address;
        }
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        let pseudonym = match address {
            IpAddr::V4(v4) => {
                let flipped = self.flipped(u128::from(u32::from(v4)) << 96, 32);
                IpAddr::V4(Ipv4Addr::from((flipped >> 96) as u32))
            }
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(self.flipped(v6.into(), 128))),
        };
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(address, pseudonym);
        pseudonym
    }

    pub fn tuple(&mut self, tuple: FourTuple) -> FourTuple {
        let mut end = |end: Endpoint| Endpoint::new(self.address(end.addr), end.port);
        FourTuple::new(end(tuple.src), end(tuple.dst))
    }

    /// Replaces all that tells of an address or a payload.
    pub fn digest(&mut self, digest: &mut Digest) {
        digest.tuple = self.tuple(digest.tuple);
        let tunnel = digest.link.tunnel.as_mut();
        if let Some(ends) = tunnel.and_then(|tunnel| tunnel.ends.as_mut()) {
            ends.src = self.address(ends.src);
            ends.dst = self.address(ends.dst);
        }
        if let Some(hash) = &mut digest.payload_hash {
            *hash = self.keyed(*hash);
        }
        // The vendor's number of a neighbour's interface is an address as well.
        digest.link.source = None;
    }

    fn keyed(&self, hash: u64) -> u64 {
        let half = |which: u64| {
            let input = u128::from(hash) << 64 | u128::from(which);
            let [a, b, c, d, _] = self.block((input ^ self.pad()).to_be_bytes());
            u64::from(u32::from_be_bytes([a, b, c, d]))
        };
        half(1) << 32 | half(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veil() -> Veil {
        let mut key = [0; KEY_OCTETS];
        for (index, octet) in key.iter_mut().enumerate() {
            *octet = index as u8 * 7 + 1;
        }
        Veil::new(key)
    }

    fn common(one: IpAddr, other: IpAddr) -> u32 {
        let bits = |address| match address {
            IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
            IpAddr::V6(v6) => v6.into(),
        };
        (bits(one) ^ bits(other)).leading_zeros()
    }

    #[test]
    fn prefixes_survive_and_addresses_stay_apart() {
        let mut veil = veil();
        let all = [
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.129",
            "192.0.3.1",
            "198.51.100.7",
            "10.0.0.1",
        ];
        let all: Vec<IpAddr> = all.iter().map(|text| text.parse().unwrap()).collect();
        let v6 = ["2001:db8::1", "2001:db8::2", "2001:db8:1::1", "fe80::1"];
        let v6: Vec<IpAddr> = v6.iter().map(|text| text.parse().unwrap()).collect();
        for family in [all, v6] {
            for one in &family {
                let pseudonym = veil.address(*one);
                assert_ne!(pseudonym, *one);
                assert_eq!(veil.address(*one), pseudonym);
                for other in &family {
                    let both = common(pseudonym, veil.address(*other));
                    assert_eq!(both, common(*one, *other), "{one} and {other}");
                }
            }
        }
    }

    #[test]
    fn the_same_key_says_the_same_and_another_something_else() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let same = veil().address(address);
        assert_eq!(veil().clone().address(address), same);
        assert_ne!(Veil::new([9; KEY_OCTETS]).address(address), same);
        assert_eq!(veil().keyed(5), veil().keyed(5));
        assert_ne!(veil().keyed(5), veil().keyed(6));
        assert_ne!(Veil::new([9; KEY_OCTETS]).keyed(5), veil().keyed(5));
    }
}

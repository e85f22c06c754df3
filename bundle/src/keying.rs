//! What hides values in a bundle: equal values become equal pseudonyms under one key, and nobody without the key
//! can tell which values they were.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parallax_core::digest::Digest;
use parallax_core::flow::{Endpoint, Flow, FourTuple};
use parallax_core::tunnel::{Tunnel, TunnelEnds};
use ring::{digest, hmac};

use crate::hex;

/// A key that two companies share for one comparison.
#[derive(Clone)]
pub struct Key(hmac::Key);

/// Why a key file is refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "a key file holds 16 to 4096 octets, this one {0}; make one with `head -c 32 /dev/urandom > FILE`"
)]
pub struct KeyFileError(usize);

impl Key {
    /// The key that is made of a key file's octets: SHA-256 over a label and all of them.
    pub fn of_file(octets: &[u8]) -> Result<[u8; 32], KeyFileError> {
        if !(16..=KEY_FILE_MAX).contains(&octets.len()) {
            return Err(KeyFileError(octets.len()));
        }
        let mut labelled = b"parallax bundle key 1\n".to_vec();
        labelled.extend_from_slice(octets);
        let mut key = [0; 32];
        key.copy_from_slice(digest::digest(&digest::SHA256, &labelled).as_ref());
        Ok(key)
    }

    pub fn new(octets: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, octets))
    }

    /// By which two bundles of one key are known; it tells nothing else of the key.
    pub fn check(&self) -> String {
        hex(&self.mac("check", &[])[..8])
    }

    /// HMAC-SHA-256 over a label, a zero octet and the value.
    fn mac(&self, label: &str, value: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(label.as_bytes());
        context.update(&[0]);
        context.update(value);
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }

    /// A keyed permutation of numbers of `2 * half` bits (Luby and Rackoff, four rounds): two values never become
    /// one.
    fn permute(&self, label: &str, half: u32, value: u32) -> u32 {
        let mask = (1_u32 << half) - 1;
        let (mut left, mut right) = (value >> half & mask, value & mask);
        for round in 0..4_u8 {
            let mut input = vec![round];
            input.extend_from_slice(&right.to_be_bytes());
            let mac = self.mac(label, &input);
            let drawn = u32::from_be_bytes([mac[0], mac[1], mac[2], mac[3]]) & mask;
            (left, right) = (right, left ^ drawn);
        }
        left << half | right
    }

    /// An IPv4 address becomes one of 240.0.0.0/4, an IPv6 address one of `fc00::/8`: nobody has those. No address
    /// stays none.
    pub fn addr(&self, addr: IpAddr) -> IpAddr {
        match addr {
            addr if addr.is_unspecified() => addr,
            IpAddr::V4(addr) => {
                // 32 bits do not fit in 28; of a handful of addresses two become one once in millions of bundles.
                let bits = addr.to_bits();
                let mac = self.mac("ipv4", &bits.to_be_bytes());
                let drawn = u32::from_be_bytes([mac[0], mac[1], mac[2], mac[3]]);
                IpAddr::V4(Ipv4Addr::from_bits(0xf000_0000 | drawn >> 4))
            }
            IpAddr::V6(addr) => {
                let mut octets = [0; 16];
                octets.copy_from_slice(&self.mac("ipv6", &addr.octets())[..16]);
                octets[0] = 0xfc;
                IpAddr::V6(Ipv6Addr::from(octets))
            }
        }
    }

    /// A port stays below 32768, or not below: which end is the server's shows in that where no handshake was
    /// seen. Port 0 stays.
    pub fn port(&self, port: u16) -> u16 {
        const HALF: u32 = 0x8000;
        if port == 0 {
            return 0;
        }
        let upper = u32::from(port) & HALF;
        let mut lower = u32::from(port) & !HALF;
        // Of 16 bits; walked along until it is one of 15, and none (cycle walking: Black and Rogaway, 2002).
        loop {
            lower = self.permute("port", 8, lower);
            if lower < HALF && (lower | upper) != 0 {
                return (lower | upper) as u16;
            }
        }
    }

    pub fn endpoint(&self, endpoint: Endpoint) -> Endpoint {
        Endpoint::new(self.addr(endpoint.addr), self.port(endpoint.port))
    }

    pub fn tuple(&self, tuple: FourTuple) -> FourTuple {
        FourTuple::new(self.endpoint(tuple.src), self.endpoint(tuple.dst))
    }

    pub fn flow(&self, flow: Flow) -> Flow {
        Flow::between(self.endpoint(flow.low()), self.endpoint(flow.high()))
    }

    fn number<const LENGTH: usize>(&self, label: &str, value: &[u8]) -> [u8; LENGTH] {
        let mut number = [0; LENGTH];
        number.copy_from_slice(&self.mac(label, value)[..LENGTH]);
        number
    }

    fn tunnel(&self, tunnel: Tunnel) -> Tunnel {
        let id = |id: u32| u32::from_be_bytes(self.number("tunnel", &id.to_be_bytes()));
        Tunnel {
            ends: tunnel.ends.map(|ends| TunnelEnds {
                src: self.addr(ends.src),
                dst: self.addr(ends.dst),
            }),
            id: tunnel.id.map(id),
            ..tunnel
        }
    }

    /// A digest whose addresses, ports, payload hash, link addresses, VLANs and tunnel are pseudonyms.
    #[must_use]
    pub fn digest(&self, digest: &Digest) -> Digest {
        let mut keyed = *digest;
        keyed.tuple = self.tuple(digest.tuple);
        let hash = |hash: u64| u64::from_be_bytes(self.number("payload", &hash.to_be_bytes()));
        keyed.payload_hash = digest.payload_hash.map(hash);
        keyed.link.source = digest.link.source.map(|mac| self.number("link", &mac));
        let vlan = |id: u16| u16::from_be_bytes(self.number("vlan", &id.to_be_bytes())) & 0xfff;
        keyed.link.vlans = digest.link.vlans.map(|id| id.map(vlan));
        keyed.link.tunnel = digest.link.tunnel.map(|tunnel| self.tunnel(tunnel));
        keyed
    }
}

/// The longest key file that is read, octets.
pub const KEY_FILE_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn key(text: &str) -> Key {
        Key::new(&Key::of_file(text.as_bytes()).unwrap())
    }

    #[test]
    fn no_two_ports_become_one_and_halves_stay_apart() {
        let key = key("a key of the test");
        let ports: HashSet<u16> = (1..=u16::MAX).map(|port| key.port(port)).collect();
        assert_eq!(ports.len(), 65_535);
        for port in [1, 80, 32_767, 32_768, 65_535] {
            assert_eq!(key.port(port) < 32_768, port < 32_768, "{port}");
        }
    }

    #[test]
    fn equal_values_stay_equal_under_one_key_and_tell_nothing_under_another() {
        let (one, other) = (key("a key of the test"), key("another key of it"));
        for addr in ["192.0.2.1", "2001:db8::1"] {
            let addr: IpAddr = addr.parse().unwrap();
            assert_eq!(one.addr(addr), one.addr(addr));
            assert_ne!(one.addr(addr), other.addr(addr));
            assert_ne!(one.addr(addr), addr);
            assert_eq!(one.addr(addr).is_ipv4(), addr.is_ipv4());
        }
        assert_ne!(one.check(), other.check());
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        assert_eq!(one.addr(nobody), nobody);
    }

    #[test]
    fn a_short_key_file_is_refused() {
        assert!(Key::of_file(&[7; 15]).is_err());
        assert!(Key::of_file(&[7; 4097]).is_err());
        assert!(Key::of_file(&[7; 16]).is_ok());
    }
}

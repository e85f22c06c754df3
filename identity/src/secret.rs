//! Secrets that are shown once and kept as hashes.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use crate::IdentityError;

/// Octets of a secret: not to be guessed, so that a plain hash of it may be kept.
pub const OCTETS: usize = 24;

/// What begins a person's token.
const PERSON: &str = "plxu_";

/// A new secret.
pub fn new() -> Result<[u8; OCTETS], IdentityError> {
    let mut secret = [0; OCTETS];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| IdentityError::Randomness)?;
    Ok(secret)
}

/// A person's new token for the HTTP API.
pub fn for_person() -> Result<String, IdentityError> {
    Ok(format!("{PERSON}{}", hex(&new()?)))
}

/// What is kept of a secret, or of a token's text: its SHA-256.
pub fn hash(secret: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret).as_ref());
    hash
}

/// Lower-case hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    use std::fmt::Write;
    octets.iter().fold(String::new(), |mut text, octet| {
        // A string takes what it is given.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// The octets of so many hexadecimal digits.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut octets = [0; N];
    for (index, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(octets)
}

/// The octets of standard base64 (RFC 4648), padded.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut octets = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for four in digits.as_bytes().chunks(4) {
        let mut bits = 0;
        for index in 0..4 {
            let value = match four.get(index).copied() {
                Some(digit @ b'A'..=b'Z') => digit - b'A',
                Some(digit @ b'a'..=b'z') => digit - b'a' + 26,
                Some(digit @ b'0'..=b'9') => digit - b'0' + 52,
                Some(b'+') => 62,
                Some(b'/') => 63,
                Some(_) => return None,
                None => 0,
            };
            bits = bits << 6 | u32::from(value);
        }
        octets.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_hexadecimal_are_read_and_nothing_else() {
        assert_eq!(unbase64("am9lOmFiYw==").unwrap(), b"joe:abc");
        assert_eq!(unbase64("YWJj").unwrap(), b"abc");
        assert_eq!(unbase64("").unwrap(), b"");
        for bad in ["a", "====", "ab!=", "YWJ"] {
            assert_eq!(unbase64(bad), None, "{bad}");
        }
        assert_eq!(unhex::<2>(&hex(&[1, 0xab])), Some([1, 0xab]));
        assert_eq!(unhex::<1>("+1"), None);
        assert_eq!(unhex::<2>("zz00"), None);
    }
}

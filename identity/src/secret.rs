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
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut octets = [0; N];
    for (index, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(octets)
}

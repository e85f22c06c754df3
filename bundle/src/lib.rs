//! Evidence bundles: what one company's vantages recorded of one reset's connection, to be judged together with
//! what another company's recorded of it. `docs/BUNDLE.md` says what a bundle discloses.
//!
//! [`body`] is what a bundle tells, [`keying`] what hides addresses, ports and payload hashes in it, [`sealed`] its
//! signature and its file, [`both`] the judge over two of them. No I/O, no clock.

pub mod body;
pub mod both;
pub mod keying;
pub mod sealed;

/// The word by which a bundle is known.
pub const FORMAT: &str = "parallax-evidence-bundle";
/// The version of its shape.
pub const VERSION: u32 = 1;

/// Octets as hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |octet: &u8| [octet >> 4, octet & 15].map(|half| DIGITS[usize::from(half)]);
    octets.iter().flat_map(digits).map(char::from).collect()
}

/// Hexadecimal digits to octets; `None` for anything else, or for another count of octets.
pub fn unhex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let mut octets = [0; LENGTH];
    if text.len() != LENGTH * 2 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(octets)
}

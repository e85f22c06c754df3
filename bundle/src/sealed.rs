//! A bundle's file: two lines of JSON, the body and its seal. The seal signs the first line's octets.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::body::{Body, BodyError};
use crate::{FORMAT, VERSION, hex, unhex};

/// The longest bundle that is read, octets.
pub const OCTETS_MAX: u64 = 64 << 20;

const ALGORITHM: &str = "Ed25519";

/// A collector's key, by which others know that a bundle is its own.
pub struct Signer(Ed25519KeyPair);

/// A public key: who signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

/// Who made a bundle and what it tells.
#[derive(Debug, Clone)]
pub struct Opened {
    pub signer: PublicKey,
    pub body: Body,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    algorithm: String,
    /// Hexadecimal.
    public_key: String,
    /// Hexadecimal; over [`FORMAT`], a slash, the version, a line feed, and the line before this one without its
    /// end.
    signature: String,
}

/// Why a bundle is not taken.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("it is longer than {OCTETS_MAX} octets")]
    Long,
    #[error("it is no evidence bundle, or cut: a bundle is two lines, body and seal")]
    Cut,
    #[error("its seal cannot be read ({0})")]
    Seal(String),
    #[error(
        "its signature does not fit: it was altered after it was signed, or signed by somebody else"
    )]
    Altered,
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl Signer {
    /// The key of 32 octets of chance (RFC 8032, 5.1.5); `None` where the library refuses them.
    pub fn new(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    pub fn public(&self) -> PublicKey {
        let mut octets = [0; 32];
        octets.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(octets)
    }

    /// A bundle's file.
    ///
    /// # Errors
    /// What writing JSON says; nothing is known to cause it.
    pub fn seal(&self, body: &Body) -> Result<Vec<u8>, serde_json::Error> {
        let mut file = serde_json::to_vec(body)?;
        let signature = self.0.sign(&signed(&file));
        let seal = Seal {
            algorithm: ALGORITHM.to_owned(),
            public_key: self.public().to_string(),
            signature: hex(signature.as_ref()),
        };
        file.push(b'\n');
        serde_json::to_writer(&mut file, &seal)?;
        file.push(b'\n');
        Ok(file)
    }
}

/// Reads a bundle whose signature fits.
pub fn open(file: &[u8]) -> Result<Opened, OpenError> {
    if file.len() as u64 > OCTETS_MAX {
        return Err(OpenError::Long);
    }
    let text = file.strip_suffix(b"\n").ok_or(OpenError::Cut)?;
    let end = text
        .iter()
        .position(|octet| *octet == b'\n')
        .ok_or(OpenError::Cut)?;
    let (line, seal) = (&text[..end], &text[end + 1..]);
    let seal: Seal =
        serde_json::from_slice(seal).map_err(|error| OpenError::Seal(error.to_string()))?;
    if seal.algorithm != ALGORITHM {
        return Err(OpenError::Seal(format!("it is not of {ALGORITHM}")));
    }
    let signer: PublicKey = seal.public_key.parse().map_err(OpenError::Seal)?;
    let signature: [u8; 64] = unhex(&seal.signature)
        .ok_or_else(|| OpenError::Seal("its signature is none".to_owned()))?;
    UnparsedPublicKey::new(&ED25519, signer.0)
        .verify(&signed(line), &signature)
        .map_err(|_| OpenError::Altered)?;
    Ok(Opened {
        signer,
        body: Body::read(line)?,
    })
}

/// What is signed: no signature of anything else is one of a bundle.
fn signed(line: &[u8]) -> Vec<u8> {
    let mut signed = format!("{FORMAT}/{VERSION}\n").into_bytes();
    signed.extend_from_slice(line);
    signed
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl std::str::FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        unhex(text)
            .map(Self)
            .ok_or_else(|| "a public key is 64 hexadecimal digits".to_owned())
    }
}

//! Enrolment tokens: a secret that is good once, and the fingerprint of the authority to trust meanwhile.

use std::fmt;
use std::str::FromStr;

use crate::secret::{OCTETS, hash, hex, unhex};
use crate::{IdentityError, secret};

/// What begins an enrolment token.
const MARK: &str = "plxe";

/// As an operator hands it over: `plxe_SECRET_FINGERPRINT`, in hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: [u8; OCTETS],
    /// SHA-256 of the authority's certificate in DER.
    authority: [u8; 32],
}

impl Token {
    /// A new one, for whoever trusts this authority.
    pub fn new(authority: [u8; 32]) -> Result<Self, IdentityError> {
        Ok(Self {
            secret: secret::new()?,
            authority,
        })
    }

    /// What the collector keeps, and compares.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.secret)
    }

    pub fn authority(&self) -> [u8; 32] {
        self.authority
    }

    pub fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}_{}_{}", hex(&self.secret), hex(&self.authority))
    }
}

/// A secret does not show in logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({MARK}_…_{})", hex(&self.authority))
    }
}

impl FromStr for Token {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let mut parts = text.trim().split('_');
        let read = (|| {
            let mark = parts.next()?;
            let token = Self {
                secret: unhex(parts.next()?)?,
                authority: unhex(parts.next()?)?,
            };
            (mark == MARK && parts.next().is_none()).then_some(token)
        })();
        read.ok_or_else(|| {
            // Its beginning is enough to recognise what was pasted.
            let shown: String = text.trim().chars().take(8).collect();
            IdentityError::Token(format!("{shown}…"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_hides_its_secret() {
        let token = Token::new([7; 32]).unwrap();
        let text = token.to_string();
        assert_eq!(text.parse::<Token>().unwrap(), token);
        assert!(!format!("{token:?}").contains(&hex(token.secret())));
        for bad in [
            "",
            "plxe_00_00",
            &text[1..],
            &format!("{text}_"),
            "plxe_ü_ü",
        ] {
            assert!(bad.parse::<Token>().is_err(), "{bad}");
        }
    }
}

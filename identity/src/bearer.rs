//! Whom a certificate names.

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::IdentityError;

/// Before a vantage's name, percent-encoded, in a certificate's alternative names.
const VANTAGE: &str = "parallax://vantage/";
/// Names every vantage.
const ANY: &str = "*";

/// Who bears a certificate that was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The common name, for people.
    pub subject: String,
    /// Vantages that it may write for.
    pub vantages: Vec<String>,
    /// First and last second in which it is good.
    pub from: i64,
    pub until: i64,
}

impl Bearer {
    /// Reads the first certificate of a PEM file: whose it is.
    ///
    /// # Errors
    /// Names the file: it cannot be read, or holds no certificate.
    pub fn read_file(path: &std::path::Path) -> Result<Self, IdentityError> {
        let all = crate::files::certificates(path)?;
        all.first().map_or_else(
            || {
                Err(IdentityError::Empty {
                    path: path.to_owned(),
                    what: "certificate",
                })
            },
            |first| Self::read(first),
        )
    }

    /// Reads a certificate in DER.
    pub fn read(der: &[u8]) -> Result<Self, IdentityError> {
        let bad = |error: &dyn std::fmt::Display| IdentityError::Certificate(error.to_string());
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| bad(&error))?;
        let subject = certificate
            .subject()
            .iter_common_name()
            .find_map(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned();
        let names = certificate
            .subject_alternative_name()
            .map_err(|error| bad(&error))?;
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let vantages = names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => decoded(uri.strip_prefix(VANTAGE)?),
            _ => None,
        });
        Ok(Self {
            subject,
            vantages: vantages.collect(),
            from: certificate.validity().not_before.timestamp(),
            until: certificate.validity().not_after.timestamp(),
        })
    }

    /// Whether it may write for this vantage.
    pub fn speaks_for(&self, vantage: &str) -> bool {
        self.vantages
            .iter()
            .any(|named| named == ANY || named == vantage)
    }
}

/// The alternative name of a vantage.
pub(crate) fn uri(vantage: &str) -> String {
    use std::fmt::Write;
    let mut text = VANTAGE.to_owned();
    for octet in vantage.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~*".contains(&octet) {
            text.push(char::from(octet));
        } else {
            // A string takes what it is given.
            let _ = write!(text, "%{octet:02X}");
        }
    }
    text
}

fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(more.get(..2)?).ok()?;
            octets.push(u8::from_str_radix(digits, 16).ok()?);
            rest = more.get(2..)?;
        } else {
            octets.push(*first);
            rest = more;
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_survives_the_way_through_an_address() {
        for name in ["fw-in", "Firewall, inside", "防火墙", "a/b%20?", "*"] {
            let uri = uri(name);
            assert!(uri.is_ascii());
            assert_eq!(decoded(uri.strip_prefix(VANTAGE).unwrap()).unwrap(), name);
        }
        assert_eq!(decoded("%4"), None);
        assert_eq!(decoded("%zz"), None);
        assert_eq!(decoded("%ff"), None);
    }
}

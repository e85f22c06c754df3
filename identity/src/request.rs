//! A certificate request: a new key of the requester's own, which it never shows.

use rcgen::{CertificateParams, KeyPair};

use crate::IdentityError;

/// A key with the request for its certificate.
pub struct Request {
    key: KeyPair,
    der: Vec<u8>,
}

impl Request {
    /// With a new key (ECDSA, P-256). Whom the certificate names is the authority's to say.
    pub fn new() -> Result<Self, IdentityError> {
        let failed = |source| IdentityError::Make {
            what: "a certificate request",
            source,
        };
        let key = KeyPair::generate().map_err(failed)?;
        let request = CertificateParams::default()
            .serialize_request(&key)
            .map_err(failed)?;
        Ok(Self {
            der: request.der().to_vec(),
            key,
        })
    }

    /// PKCS #10, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Key and certificates in one PEM text.
    pub fn pem_with(&self, chain: &[Vec<u8>]) -> String {
        let mut text = self.key.serialize_pem();
        for certificate in chain {
            text.push_str(&crate::authority::pem(certificate));
        }
        text
    }
}

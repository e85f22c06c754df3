//! The authority that agents and collector of one installation trust.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::files::{self, CA, CA_KEY, COLLECTOR, COLLECTOR_KEY, Readers, There};
use crate::{IdentityError, bearer, secret};

const DAY: u64 = 86_400;
/// An authority's life.
const CA_DAYS: u64 = 3650;
/// A collector's certificate's life: `parallax pki server` makes another.
pub const SERVER_DAYS: u64 = 825;
/// A certificate is good from so long before it was made: clocks differ.
const BEFORE: u64 = 300;

/// Certificate and key of an authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// DER.
    certificate: Vec<u8>,
}

/// A certificate with its key, PEM.
pub struct Issued {
    /// The authority's certificate is behind it.
    pub chain: String,
    pub key: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a new one in `folder`: [`CA`], and [`CA_KEY`] for its owner only.
    pub fn create(folder: &Path, now: u64) -> Result<Self, IdentityError> {
        let failed = |source| IdentityError::Make {
            what: "an authority",
            source,
        };
        std::fs::create_dir_all(folder).map_err(|source| IdentityError::Write {
            path: folder.to_owned(),
            source,
        })?;
        for name in [CA, CA_KEY] {
            let path = folder.join(name);
            if path.exists() {
                return Err(IdentityError::There { path });
            }
        }
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = lasting(now, CA_DAYS * DAY);
        // Two authorities must not be taken for one while they are exchanged.
        let short = secret::hex(&secret::new()?[..4]);
        params.distinguished_name = named(&format!("Parallax authority {short}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(failed)?;
        files::write(
            &folder.join(CA_KEY),
            key.serialize_pem().as_bytes(),
            Readers::Owner,
            There::Kept,
        )?;
        files::write(
            &folder.join(CA),
            certificate.pem().as_bytes(),
            Readers::All,
            There::Kept,
        )?;
        Ok(Self {
            certificate: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Reads one from its two files; of several certificates the first is the authority's.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let text = files::read(key)?;
        let text = String::from_utf8(text).map_err(|error| files::unfit(key, &error))?;
        let pair = KeyPair::from_pem(&text).map_err(|error| files::unfit(key, &error))?;
        let all = files::certificates(certificate)?;
        let first = all.into_iter().next().ok_or_else(|| IdentityError::Empty {
            path: certificate.to_owned(),
            what: "certificate",
        })?;
        let issuer = Issuer::from_ca_cert_der(&first, pair)
            .map_err(|error| files::unfit(certificate, &error))?;
        Ok(Self {
            issuer,
            certificate: first.to_vec(),
        })
    }

    /// DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        secret::hash(&self.certificate)
    }

    /// A collector's certificate for these host names and addresses.
    pub fn server(&self, names: &[String], now: u64) -> Result<Issued, IdentityError> {
        let failed = |source| IdentityError::Make {
            what: "the collector's certificate",
            source,
        };
        let mut params = lasting(now, SERVER_DAYS * DAY);
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(
                    name.clone()
                        .try_into()
                        .map_err(|_| IdentityError::ServerName(name.clone()))?,
                ),
            });
        }
        params.distinguished_name = named("parallax-collector");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Issued {
            chain: certificate.pem() + &pem(&self.certificate),
            key: key.serialize_pem(),
        })
    }

    /// Writes a collector's certificate and key into `folder`, in place of those that are there.
    pub fn write_server(
        &self,
        folder: &Path,
        names: &[String],
        now: u64,
    ) -> Result<(), IdentityError> {
        let issued = self.server(names, now)?;
        files::write(
            &folder.join(COLLECTOR_KEY),
            issued.key.as_bytes(),
            Readers::Owner,
            There::Replaced,
        )?;
        files::write(
            &folder.join(COLLECTOR),
            issued.chain.as_bytes(),
            Readers::All,
            There::Replaced,
        )
    }

    /// The certificate, in DER, of whoever made this request: an agent of these vantages, for `life` seconds. Of the request
    /// nothing counts but its key.
    pub fn sign(
        &self,
        request: &[u8],
        vantages: &[String],
        now: u64,
        life: u64,
    ) -> Result<Vec<u8>, IdentityError> {
        let mut asked = CertificateSigningRequestParams::from_der(&request.to_vec().into())
            .map_err(IdentityError::Request)?;
        let mut params = lasting(now, life);
        for vantage in vantages {
            let uri = bearer::uri(vantage);
            params.subject_alt_names.push(SanType::URI(
                uri.try_into().map_err(IdentityError::Request)?,
            ));
        }
        // RFC 5280: at most 64 characters.
        let subject: String = vantages.join(",").chars().take(64).collect();
        params.distinguished_name = named(&subject);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        asked.params = params;
        let signed = asked.signed_by(&self.issuer);
        let signed = signed.map_err(|source| IdentityError::Make {
            what: "an agent's certificate",
            source,
        })?;
        Ok(signed.der().to_vec())
    }
}

/// Good from a little before `now` for `life` seconds.
fn lasting(now: u64, life: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now.saturating_sub(BEFORE));
    params.not_after = epoch + Duration::from_secs(now.saturating_add(life));
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut full = DistinguishedName::new();
    full.push(DnType::CommonName, name);
    full
}

/// Certificates, given in DER, in one PEM text.
pub fn pem_of(certificates: &[Vec<u8>]) -> String {
    certificates.iter().map(|one| pem(one)).collect()
}

/// A certificate in PEM (RFC 7468).
pub(crate) fn pem(certificate: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in certificate.chunks(48) {
        for three in line.chunks(3) {
            let octet = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
            let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
            for index in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * index) & 63) as usize];
                text.push(if index <= three.len() {
                    char::from(digit)
                } else {
                    '='
                });
            }
        }
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::{Bearer, Request};

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn an_authority_outlives_its_maker_and_signs_for_the_vantages_it_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let made = Authority::create(folder.path(), NOW).unwrap();
        let read = Authority::read(&folder.path().join(CA), &folder.path().join(CA_KEY)).unwrap();
        assert_eq!(made.fingerprint(), read.fingerprint());
        let again = Authority::create(folder.path(), NOW).unwrap_err();
        assert!(matches!(again, IdentityError::There { .. }), "{again}");
        let request = Request::new().unwrap();
        let vantages = ["fw-in".to_owned(), "fw out".to_owned()];
        let signed = read.sign(request.der(), &vantages, NOW, 3600).unwrap();
        let bearer = Bearer::read(&signed).unwrap();
        assert_eq!(bearer.vantages, vantages);
        assert_eq!(bearer.subject, "fw-in,fw out");
        assert_eq!(bearer.until, (NOW + 3600) as i64);
        assert!(bearer.speaks_for("fw out") && !bearer.speaks_for("client"));
        let pem = request.pem_with(std::slice::from_ref(&signed));
        assert_eq!(
            CertificateDer::from_pem_slice(pem.as_bytes())
                .unwrap()
                .as_ref(),
            signed
        );
    }

    #[test]
    fn a_request_that_was_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(folder.path(), NOW).unwrap();
        let mut request = Request::new().unwrap().der().to_vec();
        let middle = request.len() / 2;
        request[middle] ^= 1;
        let sign = |request: &[u8]| authority.sign(request, &["a".to_owned()], NOW, 60);
        assert!(matches!(sign(&request), Err(IdentityError::Request(_))));
        assert!(matches!(sign(b"nonsense"), Err(IdentityError::Request(_))));
    }
}

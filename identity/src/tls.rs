//! TLS of the files: rustls with ring, TLS 1.2 and 1.3.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tracing::{info, warn};

use crate::files::{self, Stamp};
use crate::{IdentityError, secret};

/// gRPC and HTTP/1.1, whichever the client prefers (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Where a server finds itself, and whom it trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// Its certificate, with what is between it and its authority; PEM.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Authorities of its clients; several while one is exchanged for another.
    pub authorities: PathBuf,
}

impl ServerFiles {
    fn paths(&self) -> [&PathBuf; 3] {
        [&self.certificate, &self.key, &self.authorities]
    }

    fn config(&self) -> Result<ServerConfig, IdentityError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots(&self.authorities)?),
            provider(),
        )
        // Who has no certificate yet may enrol; what needs one is refused where it is asked.
        .allow_unauthenticated()
        .build()
        .map_err(|error| files::unfit(&self.authorities, &error))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                files::certificates(&self.certificate)?,
                files::key(&self.key)?,
            )
            .map_err(|error| files::unfit(&self.certificate, &error))?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }
}

/// A server's TLS, which follows its files.
#[derive(Debug)]
pub struct ServerTls {
    files: ServerFiles,
    current: Mutex<(Stamp, Arc<ServerConfig>)>,
}

impl ServerTls {
    /// Reads the files; they must do now.
    pub fn open(files: ServerFiles) -> Result<Self, IdentityError> {
        let stamp = Stamp::of(files.paths());
        let config = Arc::new(files.config()?);
        Ok(Self {
            files,
            current: Mutex::new((stamp, config)),
        })
    }

    /// The configuration for the next handshake: read anew if a file changed. Files that do not do are told once, and the
    /// last that did go on.
    pub fn config(&self) -> Arc<ServerConfig> {
        let stamp = Stamp::of(self.files.paths());
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != stamp {
            current.0 = stamp;
            match self.files.config() {
                Ok(config) => {
                    info!(certificate = %self.files.certificate.display(), "certificates were read anew");
                    current.1 = Arc::new(config);
                }
                Err(error) => warn!("certificates stay as they were: {error}"),
            }
        }
        Arc::clone(&current.1)
    }
}

impl ServerTls {
    /// The authorities as their file has them now, DER.
    pub fn authorities(&self) -> Result<Vec<Vec<u8>>, IdentityError> {
        let all = files::certificates(&self.files.authorities)?;
        Ok(all.iter().map(|one| one.to_vec()).collect())
    }
}

fn roots(path: &Path) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| files::unfit(path, &error))?;
    }
    Ok(roots)
}

/// Whom a client trusts, and who it says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The collector's authorities; PEM.
    pub authorities: PathBuf,
    /// Its own certificate and key; may be one file.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl ClientFiles {
    /// Reads the files as they are now: ask at each connection.
    pub fn config(&self) -> Result<ClientConfig, IdentityError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(&self.authorities)?);
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(files::certificates(certificate)?, files::key(key)?)
                .map_err(|error| files::unfit(certificate, &error))?,
        };
        config.alpn_protocols = vec![PROTOCOLS[0].to_vec()];
        Ok(config)
    }

    /// The client's own certificate, DER.
    pub fn certificate(&self) -> Result<Option<Vec<u8>>, IdentityError> {
        let Some((certificate, _)) = &self.own else {
            return Ok(None);
        };
        let all = files::certificates(certificate)?;
        Ok(all.first().map(|first| first.to_vec()))
    }
}

/// For a client that knows of its collector's authority but the fingerprint: what the collector shows must lead to it.
pub fn pinned(authority: [u8; 32]) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned {
            authority,
            provider: provider(),
        }))
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOLS[0].to_vec()];
    Ok(config)
}

/// Finds the authority in what the server shows, then checks as ever.
#[derive(Debug)]
struct Pinned {
    authority: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let root = between
            .iter()
            .find(|shown| secret::hash(shown) == self.authority)
            .ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(server, between, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

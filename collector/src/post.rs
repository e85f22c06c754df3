//! A body to a URL that the operator named, and whether it was taken.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, StatusCode};
use serde_json::Value;
use thiserror::Error;
use url::Url;

/// How long an attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Characters shown of what was answered.
const SHOWN: usize = 200;
/// Octets read of what was answered.
const READ_MAX: usize = 64 << 10;

/// Authorities, beside the system's, whose certificates are believed.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Vec<Certificate>);

/// Why a file of authorities is of no use.
#[derive(Debug, Error)]
pub enum AuthoritiesError {
    #[error("cannot read the authorities {}: {source}; name another file with --outbound-ca", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} holds no certificate (PEM); name another file with --outbound-ca", path.display())]
    Empty { path: PathBuf },
}

impl Authorities {
    /// The certificates of a file of PEM blocks.
    pub fn read(path: &Path) -> Result<Self, AuthoritiesError> {
        let text = std::fs::read(path).map_err(|source| AuthoritiesError::Read {
            path: path.to_owned(),
            source,
        })?;
        match Certificate::from_pem_bundle(&text) {
            Ok(all) if !all.is_empty() => Ok(Self(all)),
            _ => Err(AuthoritiesError::Empty {
                path: path.to_owned(),
            }),
        }
    }
}

/// Sends over HTTP or HTTPS.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    client: reqwest::Client,
}

/// Why something was not taken, without the URL, which may hold a secret.
#[derive(Debug)]
pub(crate) enum Untaken {
    /// Nobody answered, or somebody else.
    Unreached(String),
    /// What was answered, with its first words.
    Refused(StatusCode, String),
}

impl std::fmt::Display for Untaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreached(reason) => f.write_str(reason),
            Self::Refused(status, said) => {
                f.write_str(format!("it answered {status} {said}").trim_end())
            }
        }
    }
}

impl Post {
    pub fn new(authorities: &Authorities) -> Result<Self, String> {
        // Another part of the program may have done so before: then that one counts, it is the same.
        let _known = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .timeout(PATIENCE)
            // A redirected POST arrives as a GET, or elsewhere than the operator said.
            .redirect(Policy::none())
            .user_agent(concat!("parallax-collector/", env!("CARGO_PKG_VERSION")));
        let builder = match authorities.0.as_slice() {
            [] => builder,
            own => builder.tls_certs_merge(own.iter().cloned()),
        };
        builder
            .build()
            .map(|client| Self { client })
            .map_err(|error| innermost(&error))
    }

    /// Posts JSON.
    pub async fn json(&self, url: &Url, body: &Value) -> Result<(), Untaken> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.to_string().into_bytes();
        self.octets(url, headers, body).await.map(drop)
    }

    /// Posts octets; returns the beginning of what was answered.
    pub async fn octets(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, Untaken> {
        let unreached = |error: reqwest::Error| Untaken::Unreached(innermost(&error.without_url()));
        let request = self.client.post(url.clone()).headers(headers).body(body);
        let mut answer = request.send().await.map_err(unreached)?;
        let status = answer.status();
        let mut said = Vec::new();
        while said.len() < READ_MAX {
            match answer.chunk().await {
                Ok(Some(part)) => said.extend_from_slice(&part),
                Ok(None) => break,
                // The status says enough.
                Err(_) if !status.is_success() => break,
                Err(error) => return Err(unreached(error)),
            }
        }
        if status.is_success() {
            return Ok(said);
        }
        let said = String::from_utf8_lossy(&said);
        let said: String = said.trim().chars().take(SHOWN).collect();
        Err(Untaken::Refused(status, parallax_core::plain::plain(&said)))
    }
}

/// What it comes down to.
fn innermost(error: &reqwest::Error) -> String {
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        last = inner.to_string();
        source = inner.source();
    }
    if last.contains("UnknownIssuer") {
        last.push_str("; name the authority of its certificate with --outbound-ca");
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tls_is_there_and_an_error_tells_no_secret() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It hangs up in the middle of the handshake.
        std::thread::spawn(move || listener.accept().map(drop));
        let url: Url = format!("https://joe:geheim@{address}/geheim")
            .parse()
            .unwrap();
        let post = Post::new(&Authorities::default()).unwrap();
        let reason = post.json(&url, &Value::Null).await.unwrap_err().to_string();
        assert!(!reason.is_empty() && !reason.contains("geheim"), "{reason}");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no certificate").unwrap();
        let error = Authorities::read(file.path()).unwrap_err().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
        let error = Authorities::read(Path::new("/nowhere")).unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
    }
}

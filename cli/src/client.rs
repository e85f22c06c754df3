//! Questions to a collector over HTTP.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parallax_core::report::admin::{AuditDocument, PeopleDocument, Secret};
use parallax_core::report::{Document, Explanation, PolicyDocument, SCHEMA};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use uuid::Uuid;

use crate::args::Collector;

/// How long the collector may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take altogether.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
/// The longest answer that is read: some 500,000 resets.
const ANSWER_OCTETS_MAX: u64 = 1 << 30;
/// How much of an error's body is read.
const ERROR_OCTETS_MAX: u64 = 64 * 1024;

/// Why a collector did not answer a question.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "cannot reach the collector at {url}: {reason}; start it with `parallax-collector serve` or name another with --collector"
    )]
    Unreachable { url: String, reason: String },
    #[error("a token for {url} could be read by everybody on the way; use https:// with --ca")]
    TokenInTheOpen { url: String },
    #[error("cannot trust the authorities in {}: {reason}; name the collector's ca.pem with --ca", path.display())]
    Authorities { path: PathBuf, reason: String },
    #[error("the collector at {url} refused ({status}): {reason}")]
    Refused {
        url: String,
        status: u16,
        reason: String,
    },
    #[error(
        "{url} answered with something that is not Parallax's JSON ({reason}); check that --collector names a parallax-collector"
    )]
    NotParallax { url: String, reason: String },
    #[error(
        "the collector at {url} writes documents of schema {theirs}, this program reads {SCHEMA}: use one version of both"
    )]
    OtherSchema { url: String, theirs: u32 },
}

/// A collector's base URL: `http[s]://HOST[:PORT]`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorUrl(String);

impl CollectorUrl {
    /// Refuses what this program cannot speak to.
    pub fn parse(text: &str) -> Result<Self, String> {
        let base = text.trim_end_matches('/');
        let host = base
            .strip_prefix("http://")
            .or_else(|| base.strip_prefix("https://"));
        let host = host.unwrap_or_default();
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/?#@".contains(c);
        let uri: Option<ureq::http::Uri> = format!("{base}/").parse().ok();
        // `Uri` takes any text for a port.
        let port = host.rsplit_once(':').map(|(_, port)| port);
        let port_is_one =
            port.is_none_or(|port| port.ends_with(']') || port.parse::<u16>().is_ok());
        if host.is_empty() || host.contains(odd) || uri.is_none() || !port_is_one {
            return Err("expected http://HOST:PORT or https://HOST:PORT".to_owned());
        }
        Ok(Self(base.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_tls(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Whether nobody but the collector sees what is said.
    fn is_private(&self) -> bool {
        let uri: Option<ureq::http::Uri> = self.0.parse().ok();
        let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let here = host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
        self.is_tls() || here || host == "localhost"
    }
}

/// Where Debian and others keep the authorities that everybody trusts.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

fn tls(authorities: Option<&Path>) -> Result<TlsConfig, ClientError> {
    let path = authorities.unwrap_or(Path::new(SYSTEM));
    let bad = |reason: String| ClientError::Authorities {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let mut roots = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(root) = item.map_err(|error| bad(error.to_string()))? {
            roots.push(root);
        }
    }
    if roots.is_empty() {
        return Err(bad("it has no certificate".to_owned()));
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

/// Shows a token with every question.
struct Bearing(String);

impl Middleware for Bearing {
    fn handle(
        &self,
        mut request: ureq::http::Request<ureq::SendBody>,
        next: MiddlewareNext,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        if let Ok(value) = self.0.parse() {
            request.headers_mut().insert("authorization", value);
        }
        next.handle(request)
    }
}

/// A collector to ask.
pub struct Client {
    base: CollectorUrl,
    agent: ureq::Agent,
}

impl Client {
    /// Refuses what would show a token to others, and authorities that cannot be read.
    pub fn new(to: &Collector) -> Result<Self, ClientError> {
        let base = to.url.clone();
        let token = to.token.clone().filter(|token| !token.is_empty());
        if token.is_some() && !base.is_private() {
            return Err(ClientError::TokenInTheOpen {
                url: base.as_str().to_owned(),
            });
        }
        let builder = ureq::Agent::config_builder()
            // A proxy of the environment must not see what is meant for the loopback.
            .proxy(None)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("parallax/", env!("CARGO_PKG_VERSION")));
        let builder = if base.is_tls() {
            builder.tls_config(tls(to.ca.as_deref())?)
        } else {
            builder
        };
        let builder = match token {
            Some(token) => builder.middleware(Bearing(format!("Bearer {token}"))),
            None => builder,
        };
        Ok(Self {
            base,
            agent: builder.build().new_agent(),
        })
    }

    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    /// `GET /v1/resets` with these filters.
    pub fn resets(&self, filters: &[(&str, String)]) -> Result<Document, ClientError> {
        self.ask("/v1/resets", filters)
    }

    /// `GET /v1/vantages`.
    pub fn vantages(&self) -> Result<Document, ClientError> {
        self.ask("/v1/vantages", &[])
    }

    /// `GET /v1/policy`.
    pub fn policy(&self) -> Result<PolicyDocument, ClientError> {
        self.ask("/v1/policy", &[])
    }

    /// `PUT /v1/policy`: `segments` of one vantage, or of all that have none of their own; `None`: what the
    /// agents were started with.
    pub fn set_policy(
        &self,
        vantage: Option<&str>,
        segments: Option<&str>,
    ) -> Result<PolicyDocument, ClientError> {
        let order = serde_json::json!({ "vantage": vantage.unwrap_or(""), "segments": segments });
        let answer = self
            .agent
            .put(format!("{}/v1/policy", self.url()))
            .header("accept", "application/json")
            .config()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build()
            .send_json(order)
            .map_err(|error| self.unreachable(&error))?;
        self.read(answer)
    }

    /// `POST /v1/tokens`: good for so many seconds.
    pub fn make_token(&self, vantages: &[String], good_for: u64) -> Result<Secret, ClientError> {
        let wanted = serde_json::json!({ "vantages": vantages, "good_for": good_for });
        self.post("/v1/tokens", wanted)
    }

    /// `GET /v1/people`.
    pub fn people(&self) -> Result<PeopleDocument, ClientError> {
        self.ask("/v1/people", &[])
    }

    /// `POST /v1/people`.
    pub fn add_person(&self, name: &str, role: &str) -> Result<Secret, ClientError> {
        self.post(
            "/v1/people",
            serde_json::json!({ "name": name, "role": role }),
        )
    }

    /// `DELETE /v1/people/{name}`.
    pub fn remove_person(&self, name: &str) -> Result<PeopleDocument, ClientError> {
        let name = name.bytes().fold(String::new(), |mut encoded, octet| {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{octet:02X}");
            encoded
        });
        let answer = self
            .agent
            .delete(format!("{}/v1/people/{name}", self.url()))
            .header("accept", "application/json")
            .config()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build()
            .call()
            .map_err(|error| self.unreachable(&error))?;
        self.read(answer)
    }

    /// `GET /v1/audit`.
    pub fn audit(&self, before: Option<i64>, limit: u16) -> Result<AuditDocument, ClientError> {
        let before = before.map(|before| ("before", before.to_string()));
        let filters: Vec<(&str, String)> = before
            .into_iter()
            .chain([("limit", limit.to_string())])
            .collect();
        self.ask("/v1/audit", &filters)
    }

    fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: serde_json::Value,
    ) -> Result<T, ClientError> {
        let answer = self
            .agent
            .post(format!("{}{path}", self.url()))
            .header("accept", "application/json")
            .config()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build()
            .send_json(body)
            .map_err(|error| self.unreachable(&error))?;
        self.read(answer)
    }

    /// `GET /v1/resets/{id}`.
    pub fn explanation(&self, id: Uuid) -> Result<Explanation, ClientError> {
        self.ask(&format!("/v1/resets/{id}"), &[])
    }

    /// `GET /v1/resets/{id}/export`: the file's octets.
    pub fn export(&self, id: Uuid, format: &str) -> Result<Vec<u8>, ClientError> {
        let answer = self
            .agent
            .get(format!("{}/v1/resets/{id}/export", self.url()))
            .query("format", format)
            .config()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build()
            .call()
            .map_err(|error| self.unreachable(&error))?;
        let mut answer = self.accepted(answer)?;
        octets(answer.body_mut(), ANSWER_OCTETS_MAX).map_err(|error| self.unreachable(&error))
    }

    /// `POST /v1/resets/{id}/bundle`: the file's octets.
    pub fn bundle(&self, id: Uuid, key: &[u8; 32]) -> Result<Vec<u8>, ClientError> {
        let order = serde_json::json!({ "key": parallax_bundle::hex(key) });
        self.bundle_of(&format!("/v1/resets/{id}/bundle"), order)
    }

    /// `POST /v1/bundle`: the file's octets.
    pub fn connection_bundle(
        &self,
        ends: [SocketAddr; 2],
        at: jiff::Timestamp,
        key: &[u8; 32],
    ) -> Result<Vec<u8>, ClientError> {
        let order = serde_json::json!({
            "key": parallax_bundle::hex(key), "ends": ends, "at": at.to_string() });
        self.bundle_of("/v1/bundle", order)
    }

    fn bundle_of(&self, path: &str, order: serde_json::Value) -> Result<Vec<u8>, ClientError> {
        let answer = self
            .agent
            .post(format!("{}{path}", self.url()))
            .config()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build()
            .send_json(order)
            .map_err(|error| self.unreachable(&error))?;
        let mut answer = self.accepted(answer)?;
        octets(answer.body_mut(), ANSWER_OCTETS_MAX).map_err(|error| self.unreachable(&error))
    }

    /// `GET /v1/watch`: server-sent events, without end.
    pub fn watch(&self) -> Result<ureq::BodyReader<'static>, ClientError> {
        let answer = self
            .agent
            .get(format!("{}/v1/watch", self.url()))
            .header("accept", "text/event-stream")
            .config()
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .build()
            .call()
            .map_err(|error| self.unreachable(&error))?;
        let (head, body) = self.accepted(answer)?.into_parts();
        let kind = head.headers.get("content-type");
        let events = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !events {
            return Err(self.not_parallax("no event stream"));
        }
        Ok(body.into_with_config().limit(u64::MAX).reader())
    }

    fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        filters: &[(&str, String)],
    ) -> Result<T, ClientError> {
        let mut request = self.agent.get(format!("{}{path}", self.url()));
        for (name, value) in filters {
            request = request.query(name, value);
        }
        let answer = request
            .header("accept", "application/json")
            .config()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build()
            .call()
            .map_err(|error| self.unreachable(&error))?;
        self.read(answer)
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: ureq::http::Response<ureq::Body>,
    ) -> Result<T, ClientError> {
        let mut answer = self.accepted(answer)?;
        let octets = octets(answer.body_mut(), ANSWER_OCTETS_MAX)
            .map_err(|error| self.unreachable(&error))?;
        self.parse(&octets)
    }

    fn parse<T: DeserializeOwned>(&self, octets: &[u8]) -> Result<T, ClientError> {
        let version: Version = serde_json::from_slice(octets)
            .map_err(|error| self.not_parallax(&error.to_string()))?;
        if version.schema != SCHEMA {
            return Err(ClientError::OtherSchema {
                url: self.url().to_owned(),
                theirs: version.schema,
            });
        }
        serde_json::from_slice(octets).map_err(|error| self.not_parallax(&error.to_string()))
    }

    /// The answer, unless its status says that there is none.
    fn accepted(
        &self,
        mut answer: ureq::http::Response<ureq::Body>,
    ) -> Result<ureq::http::Response<ureq::Body>, ClientError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = octets(answer.body_mut(), ERROR_OCTETS_MAX).unwrap_or_default();
        let reason = serde_json::from_slice::<Refusal>(&body).map_or_else(
            |_| {
                let words = status.canonical_reason().unwrap_or("no reason given");
                format!("{words}; check that --collector names a parallax-collector")
            },
            |refusal| refusal.error,
        );
        Err(ClientError::Refused {
            url: self.url().to_owned(),
            status: status.as_u16(),
            reason,
        })
    }

    fn unreachable(&self, error: &ureq::Error) -> ClientError {
        ClientError::Unreachable {
            url: self.url().to_owned(),
            reason: reason(error),
        }
    }

    fn not_parallax(&self, reason: &str) -> ClientError {
        ClientError::NotParallax {
            url: self.url().to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// The body of an error answer.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// What every document of the API bears.
#[derive(Deserialize)]
struct Version {
    schema: u32,
}

fn octets(body: &mut ureq::Body, most: u64) -> Result<Vec<u8>, ureq::Error> {
    body.with_config().limit(most).read_to_vec()
}

/// The cause in words that a user knows.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
            io::ErrorKind::UnexpectedEof => "it closed the connection in mid-answer".to_owned(),
            _ => error.to_string(),
        },
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::ConnectionFailed => "connection failed".to_owned(),
        ureq::Error::Protocol(_) => "it does not speak HTTP".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_to_a_host_is_accepted() {
        for good in [
            "http://127.0.0.1:7600",
            "http://[2001:db8::1]:7600/",
            "http://db",
            "https://db:1",
        ] {
            assert!(CollectorUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "ftp://db:1",
            "https://",
            "127.0.0.1:7600",
            "http://",
            "http://a/b",
            "http://a b",
            "http://a:b",
        ] {
            assert!(CollectorUrl::parse(bad).is_err(), "{bad}");
        }
        let private = |url: &str| CollectorUrl::parse(url).unwrap().is_private();
        assert!(private("https://db") && private("http://[::1]:7600"));
        assert!(!private("http://192.0.2.1") && !private("http://db"));
    }
}

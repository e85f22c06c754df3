//! Settings of a live run: flag over environment over file over default.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use parallax_core::sampling::SelectionError;
use parallax_core::{Selection, Vantage, VantageKind};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::commands::log::LogFormat;
use crate::trust::TrustArgs;
use crate::witness::Wanted;

/// Where a collector listens unless somebody says otherwise.
pub const DEFAULT_COLLECTOR: &str = "http://127.0.0.1:7600";

/// A vantage's name: 1 to 128 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct VantageName(String);

/// Why a text is no vantage's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    #[error("a vantage's name has at least one character")]
    Empty,
    #[error("a vantage's name has at most 128 characters, not {0}")]
    TooLong(usize),
    #[error("a vantage's name has no control characters")]
    Control,
}

impl VantageName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VantageName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        match name.chars().count() {
            0 => Err(NameError::Empty),
            count if count > 128 => Err(NameError::TooLong(count)),
            _ if name.chars().any(char::is_control) => Err(NameError::Control),
            _ => Ok(Self(name)),
        }
    }
}

impl FromStr for VantageName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        name.to_owned().try_into()
    }
}

/// The vantage of these settings: a host if it has addresses.
pub fn vantage(name: &VantageName, addresses: &[IpAddr]) -> Vantage {
    Vantage {
        name: name.as_str().to_owned(),
        kind: if addresses.is_empty() {
            VantageKind::Hop
        } else {
            VantageKind::Host {
                addresses: addresses.to_vec(),
            }
        },
    }
}

/// Which segments are shipped: `context`, `sampled:1/N` or `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Segments(pub Selection);

impl FromStr for Segments {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        text.parse().map(Self)
    }
}

impl TryFrom<String> for Segments {
    type Error = SelectionError;

    fn try_from(text: String) -> Result<Self, SelectionError> {
        text.parse()
    }
}

impl fmt::Display for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Segments> for Selection {
    fn from(segments: Segments) -> Self {
        segments.0
    }
}

/// What a configuration file may say; the names are those of the flags.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    pub vantage: Option<VantageName>,
    pub host: Option<Vec<IpAddr>>,
    pub interface: Option<Vec<String>>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub collector: Option<Vec<String>>,
    pub filter: Option<String>,
    #[serde(rename = "no-tunnels")]
    pub no_tunnels: Option<bool>,
    pub snaplen: Option<u32>,
    pub threads: Option<u32>,
    pub buffer: Option<u32>,
    pub promiscuous: Option<bool>,
    pub segments: Option<Segments>,
    pub memory: Option<u32>,
    #[serde(rename = "recall-memory")]
    pub recall_memory: Option<u32>,
    pub outbox: Option<u32>,
    #[serde(rename = "state-dir")]
    pub state_dir: Option<PathBuf>,
    #[serde(rename = "spool-memory")]
    pub spool_memory: Option<u32>,
    #[serde(rename = "spool-disk")]
    pub spool_disk: Option<u32>,
    pub grace: Option<f64>,
    pub write: Option<PathBuf>,
    pub witness: Option<Wanted>,
    #[serde(rename = "witness-rate")]
    pub witness_rate: Option<u32>,
    #[serde(rename = "pseudonym-key")]
    pub pseudonym_key: Option<PathBuf>,
    pub user: Option<String>,
    pub identity: Option<PathBuf>,
    #[serde(rename = "tls-cert")]
    pub tls_cert: Option<PathBuf>,
    #[serde(rename = "tls-key")]
    pub tls_key: Option<PathBuf>,
    #[serde(rename = "tls-ca")]
    pub tls_ca: Option<PathBuf>,
    #[serde(rename = "require-identity")]
    pub require_identity: Option<bool>,
    #[serde(rename = "insecure-plaintext")]
    pub insecure_plaintext: Option<bool>,
    pub metrics: Option<SocketAddr>,
    #[serde(rename = "log-format")]
    pub log_format: Option<LogFormat>,
}

/// One text, or several in an array.
fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    Ok(Some(match Texts::deserialize(deserializer)? {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    }))
}

/// Why a configuration file is of no use.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}: {source}; name another with --config", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("configuration file {}, line {line}: {reason}; correct it there", path.display())]
    Wrong {
        path: PathBuf,
        line: usize,
        reason: String,
    },
}

/// What a configuration file names, without a look at what it says.
///
/// # Errors
/// When it cannot be read, or is no TOML.
pub fn table(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

impl ConfigFile {
    /// What it says of identities.
    pub fn trust(&self) -> TrustArgs {
        TrustArgs {
            identity: self.identity.clone(),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            tls_ca: self.tls_ca.clone(),
            require_identity: self.require_identity,
            insecure_plaintext: self.insecure_plaintext,
        }
    }

    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        parse(path, text)
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        ConfigError::Wrong {
            path: path.to_owned(),
            line: text.as_bytes()[..at].split(|octet| *octet == b'\n').count(),
            reason: error.message().lines().collect::<Vec<_>>().join(" "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, String> {
        ConfigFile::parse(Path::new("agent.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_names_one_collector_or_several() {
        let one = parse("collector = 'http://192.0.2.1:7600'").unwrap();
        assert_eq!(one.collector.unwrap().len(), 1);
        let two = parse("collector = ['http://192.0.2.1:7600', 'http://192.0.2.2:7600']");
        assert_eq!(two.unwrap().collector.unwrap().len(), 2);
    }

    #[test]
    fn a_file_says_what_the_flags_say() {
        let config = parse(
            "vantage = 'fw-in'\nhost = ['192.0.2.1', '2001:db8::1']\ninterface = ['eth0']\n\
             segments = 'all'\nthreads = 2\ngrace = 1.5\npromiscuous = true\nno-tunnels = true\n\
             metrics = '127.0.0.1:7690'\nlog-format = 'json'\n",
        );
        let config = config.unwrap();
        assert_eq!(config.vantage.unwrap().as_str(), "fw-in");
        assert_eq!(config.host.unwrap().len(), 2);
        assert_eq!(config.segments, Some(Segments(Selection::All)));
        assert_eq!(config.threads, Some(2));
        assert_eq!(config.grace, Some(1.5));
        assert_eq!(config.promiscuous, Some(true));
        assert_eq!(config.no_tunnels, Some(true));
        assert_eq!(config.metrics, "127.0.0.1:7690".parse().ok());
        assert_eq!(config.log_format, Some(LogFormat::Json));
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_its_line() {
        let error = parse("vantage = 'a'\n\ninterfaces = ['eth0']\n").unwrap_err();
        assert!(
            error.starts_with("configuration file agent.toml, line 3: unknown field `interfaces`"),
            "{error}"
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_an_error_that_names_its_line() {
        for text in [
            "\nsnaplen = 'much'",
            "\nvantage = ''",
            "\nhost = ['x']",
            "\nlog-format = 'xml'",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("line 2: "), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_name_has_1_to_128_characters_and_no_control_characters() {
        assert_eq!("".parse::<VantageName>(), Err(NameError::Empty));
        assert_eq!("a\nb".parse::<VantageName>(), Err(NameError::Control));
        assert_eq!(
            "ü".repeat(129).parse::<VantageName>(),
            Err(NameError::TooLong(129))
        );
        assert!("ü".repeat(128).parse::<VantageName>().is_ok());
        assert!("Firewall, inside".parse::<VantageName>().is_ok());
    }
}

//! Whom the agent trusts, and as whom it speaks: TLS towards the collector.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use parallax_identity::files;
use parallax_identity::tls::ClientFiles;
use tonic::transport::Uri;
use tracing::warn;

/// The folder in a state directory where an identity is looked for unasked.
const IN_STATE: &str = "identity";

/// Where certificates are.
#[derive(Debug, Clone, Default, Args, PartialEq, Eq)]
pub struct TrustArgs {
    /// Directory that `parallax enroll` made: whom to trust, and the certificate, which renews itself [default: identity
    /// in --state-dir, if it is there]
    #[arg(long, env = "PARALLAX_IDENTITY", value_name = "DIR", conflicts_with_all = ["tls_cert", "tls_key", "tls_ca"])]
    pub identity: Option<PathBuf>,
    /// Show this certificate (PEM); it names the agent's vantages
    #[arg(long, env = "PARALLAX_TLS_CERT", value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    pub tls_cert: Option<PathBuf>,
    /// Its key
    #[arg(
        long,
        env = "PARALLAX_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
    /// The collector's authorities
    #[arg(long, env = "PARALLAX_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Refuse to speak to a collector on another machine without TLS
    #[arg(long, env = "PARALLAX_REQUIRE_IDENTITY", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub require_identity: Option<bool>,
    /// Speak to a collector on another machine without TLS although there is an identity
    #[arg(long, env = "PARALLAX_INSECURE_PLAINTEXT", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub insecure_plaintext: Option<bool>,
}

impl TrustArgs {
    /// These, and where they say nothing the others.
    #[must_use]
    pub fn over(self, other: &Self) -> Self {
        // Files belong together.
        let own = self.identity.is_some() || self.tls_cert.is_some() || self.tls_ca.is_some();
        let from = if own { self.clone() } else { other.clone() };
        Self {
            require_identity: self.require_identity.or(other.require_identity),
            insecure_plaintext: self.insecure_plaintext.or(other.insecure_plaintext),
            ..from
        }
    }

    /// What they come to.
    pub fn settled(self, state_dir: Option<&Path>) -> Trust {
        let in_state = || {
            let folder = state_dir?.join(IN_STATE);
            folder.join(files::AGENT).exists().then_some(folder)
        };
        let brought = self.tls_ca.is_some();
        let folder = self.identity.or_else(|| in_state().filter(|_| !brought));
        let files = match (&folder, self.tls_ca) {
            (Some(folder), _) => Some(ClientFiles {
                authorities: folder.join(files::CA),
                own: Some((folder.join(files::AGENT), folder.join(files::AGENT))),
            }),
            (None, Some(authorities)) => Some(ClientFiles {
                authorities,
                own: self.tls_cert.zip(self.tls_key),
            }),
            (None, None) => None,
        };
        Trust {
            files,
            folder,
            plain: match (self.insecure_plaintext, self.require_identity) {
                (Some(true), _) => Plain::Allowed,
                (_, Some(true)) => Plain::Refused,
                _ => Plain::Warned,
            },
        }
    }
}

/// Whom to trust and as whom to speak.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    pub files: Option<ClientFiles>,
    /// Where a certificate that is renewed is written.
    pub folder: Option<PathBuf>,
    pub plain: Plain,
}

/// What becomes of a collector on another machine that is to be spoken to without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plain {
    Allowed,
    /// Refused where there is an identity.
    #[default]
    Warned,
    Refused,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    Plain,
    Tls,
}

impl Trust {
    /// How to speak to this address, or why not.
    pub fn speech(&self, uri: &Uri) -> Result<Speech, String> {
        match uri.scheme_str() {
            Some("https") if self.files.is_none() => Err(
                "there is no identity to speak TLS with; get one with `parallax enroll` and name it with --identity"
                    .to_owned(),
            ),
            Some("https") => Ok(Speech::Tls),
            Some("http") if is_local(uri) || self.plain == Plain::Allowed => Ok(Speech::Plain),
            Some("http") if self.plain == Plain::Refused => Err(
                "http:// to another machine is refused, as --require-identity says; use https:// with --identity"
                    .to_owned(),
            ),
            Some("http") if self.files.is_some() => Err(
                "http:// would not use this agent's identity; use https://, or say --insecure-plaintext"
                    .to_owned(),
            ),
            Some("http") => {
                warn!(
                    "without TLS: whoever is between here and {uri} can read and change what this agent says; \
                     `parallax enroll` gives it an identity, --require-identity refuses to go without"
                );
                Ok(Speech::Plain)
            }
            _ => Err("it does not begin with http:// or https://".to_owned()),
        }
    }
}

/// Whether the address is this machine's loopback.
fn is_local(uri: &Uri) -> bool {
    let host = host(uri);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The host; an IPv6 address stands in brackets in a URL.
pub(crate) fn host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_speech_leaves_this_machine_only_where_nothing_better_is_set_up() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let (here, there) = (uri("http://127.0.0.1:7600"), uri("http://192.0.2.1:7600"));
        let bare = Trust::default();
        assert_eq!(bare.speech(&there), Ok(Speech::Plain));
        assert!(bare.speech(&uri("https://192.0.2.1:7600")).is_err());
        let named = TrustArgs {
            identity: Some("/identity".into()),
            ..TrustArgs::default()
        };
        let with = named.clone().settled(None);
        assert!(
            with.speech(&there)
                .unwrap_err()
                .contains("--insecure-plaintext")
        );
        assert_eq!(with.speech(&here), Ok(Speech::Plain));
        assert_eq!(with.speech(&uri("https://[2001:db8::1]")), Ok(Speech::Tls));
        let strict = TrustArgs {
            require_identity: Some(true),
            ..TrustArgs::default()
        };
        assert!(strict.settled(None).speech(&there).is_err());
        let open = TrustArgs {
            insecure_plaintext: Some(true),
            ..TrustArgs::default()
        };
        assert_eq!(
            open.over(&named).settled(None).speech(&there),
            Ok(Speech::Plain)
        );
    }
}

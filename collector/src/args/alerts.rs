//! Whom to tell when a place begins to inject.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use parallax_collector::herald::{QUIET, Settings};
use parallax_collector::post::{Authorities, AuthoritiesError};
use url::Url;

#[derive(Debug, Args)]
#[command(next_help_heading = "Alerts")]
pub struct AlertArgs {
    /// POST a JSON object here when a place begins to forge resets; may be given more than once
    #[arg(long, value_name = "URL", env = "PARALLAX_WEBHOOK", hide_env_values = true, value_delimiter = ',',
          value_parser = web)]
    pub webhook: Vec<Url>,
    /// Keep this Alertmanager told of places that forge resets: its base address, as Prometheus takes it
    #[arg(long, value_name = "URL", env = "PARALLAX_ALERTMANAGER", hide_env_values = true, value_delimiter = ',',
          value_parser = web)]
    pub alertmanager: Vec<Url>,
    /// Seconds without a forged reset after which a place is quiet, and told again when it begins again
    #[arg(long, value_name = "SECONDS", env = "PARALLAX_ALERT_QUIET", default_value_t = QUIET.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    pub alert_quiet: u64,
    /// Where people reach the pages, for links in what is told [default: the address of --http]
    #[arg(long, value_name = "URL", env = "PARALLAX_PUBLIC_URL", value_parser = web)]
    pub public_url: Option<Url>,
}

impl AlertArgs {
    /// What the herald works with; it believes these authorities beside the system's.
    pub fn settings(self, authorities: Authorities) -> Settings {
        Settings {
            webhooks: self.webhook,
            alertmanagers: self.alertmanager,
            quiet: Duration::from_secs(self.alert_quiet),
            pages: self.public_url,
            authorities,
        }
    }
}

/// Whom the collector believes where it is the one who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Alerts and traces")]
pub struct OutboundArgs {
    /// Authorities (PEM), beside the system's, of the certificates of webhooks, Alertmanagers and the receiver of traces
    #[arg(long, value_name = "FILE", env = "PARALLAX_OUTBOUND_CA")]
    pub outbound_ca: Option<PathBuf>,
}

impl OutboundArgs {
    pub fn authorities(&self) -> Result<Authorities, AuthoritiesError> {
        let file = self.outbound_ca.as_deref();
        file.map_or_else(|| Ok(Authorities::default()), Authorities::read)
    }
}

/// An address of the web.
pub(super) fn web(text: &str) -> Result<Url, String> {
    let url: Url = text
        .parse()
        .map_err(|error| format!("{error}; expected for instance https://alerts.example/hook"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("{other}: is neither http nor https")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_taken() {
        assert!(web("https://joe:secret@hooks.example/x?y").is_ok());
        assert!(web("hooks.example").is_err());
        assert!(web("file:///etc/passwd").is_err());
    }
}

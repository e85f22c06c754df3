//! Commands about who may do what: the authority, agents' certificates, people, the audit.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Args, Subcommand};
use parallax_identity::IdentityError;
use parallax_identity::token::Token;

use super::{Collector, vantage_name};
use crate::client::CollectorUrl;
use crate::output::Format;

/// What is done with the authority.
#[derive(Debug, Subcommand)]
pub enum PkiAct {
    /// Make an authority and the collector's certificate in a directory
    ///
    /// It holds ca.pem (whom to trust), ca.key (mode 0600: keep it safe), collector.pem and collector.key.
    #[command(after_help = "\
Examples:
  parallax pki init /etc/parallax/pki --name collector.example.net,192.0.2.1")]
    Init(PkiServerArgs),
    /// Make another certificate for the collector, which takes it up while it runs
    #[command(after_help = "\
Examples:
  parallax pki server /etc/parallax/pki --name collector.example.net,198.51.100.1")]
    Server(PkiServerArgs),
}

/// Where the authority is, and what the collector is called.
#[derive(Debug, Args)]
pub struct PkiServerArgs {
    /// The directory
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Host names and addresses by which the collector is reached; localhost is always among them
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub name: Vec<String>,
}

/// Get an agent's certificate against a one-time token
///
/// The collector is known by the fingerprint in the token, so nothing else needs to be copied. The key is made here
/// and never leaves this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax enroll --collector https://192.0.2.1:7600 --token plxe_… --identity /var/lib/parallax-agent/identity
  parallax-agent run --identity /var/lib/parallax-agent/identity --collector https://192.0.2.1:7600 …")]
pub struct EnrollArgs {
    /// What `parallax token create` printed
    #[arg(long, env = "PARALLAX_ENROLL_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = ValueParser::new(enrol_token))]
    pub token: Token,
    /// The collector's address for agents
    #[arg(long, env = "PARALLAX_COLLECTOR", value_name = "URL", value_parser = ValueParser::new(CollectorUrl::parse))]
    pub collector: CollectorUrl,
    /// The directory to make; give it to the user that the agent runs as
    #[arg(long, env = "PARALLAX_IDENTITY", value_name = "DIR")]
    pub identity: PathBuf,
}

fn enrol_token(text: &str) -> Result<Token, String> {
    text.parse()
        .map_err(|error: IdentityError| error.to_string())
}

/// What is done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenAct {
    Create(TokenArgs),
}

/// Make a token, good once, with which an agent enrols for its vantages; prints it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax token create --vantage fw-in
  parallax token create --vantage fw-in,fw-out --good-for 24h
  parallax token create --vantage '*'      # every vantage: for whoever replays capture files")]
pub struct TokenArgs {
    /// The vantages that the agent may write for
    #[arg(long, required = true, value_name = "NAME,…", value_delimiter = ',', value_parser = ValueParser::new(vantage_name))]
    pub vantage: Vec<String>,
    /// How long the token may be used: 10m, 1h, 2d; a month at most
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = ValueParser::new(span))]
    pub good_for: u64,
    #[command(flatten)]
    pub collector: Collector,
}

/// Seconds of a span such as 1h30m.
fn span(text: &str) -> Result<u64, String> {
    let seconds = crate::when::span_seconds(text).and_then(|seconds| u64::try_from(seconds).ok());
    seconds
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "expected a span such as 10m, 1h30m or 2d".to_owned())
}

/// What is done with people.
#[derive(Debug, Subcommand)]
pub enum UserAct {
    Add(UserAddArgs),
    /// List people and their roles
    List {
        #[command(flatten)]
        collector: Collector,
    },
    /// Remove a person: the token is good no more
    Remove {
        /// Whom
        name: String,
        #[command(flatten)]
        collector: Collector,
    },
}

/// Add a person, or give one another role; prints a new token, once
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax user add joe --role operator
  PARALLAX_TOKEN=plxu_… parallax resets --collector https://192.0.2.1:7600 --ca ca.pem")]
pub struct UserAddArgs {
    /// Whom: 1 to 128 characters
    pub name: String,
    /// viewer (reads), operator (changes what agents ship too) or admin (people, tokens and the audit too)
    #[arg(long, value_name = "ROLE", value_parser = PossibleValuesParser::new(["viewer", "operator", "admin"]))]
    pub role: String,
    #[command(flatten)]
    pub collector: Collector,
}

/// Print who was refused what, and who did what an administrator does; newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax audit
  parallax audit --limit 1000 --format json | jq '.entries[] | select(.outcome == \"refused\")'")]
pub struct AuditArgs {
    /// Entries, 10,000 at most
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub limit: u16,
    /// Only entries before the one with this id
    #[arg(long, value_name = "ID")]
    pub before: Option<i64>,
    #[command(flatten)]
    pub collector: Collector,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

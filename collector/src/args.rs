//! The command line.

#![allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "these comments are the text of --help"
)]

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use ipnet::IpNet;
use parallax_collector::gate::{self, Demand, Proxies, TlsSettings};
use parallax_collector::signing::FILE;
use parallax_collector::store::Role;
use parallax_core::Selection;
use parallax_identity::files;
use parallax_identity::tls::ServerFiles;

use crate::log::LogFormat;

mod alerts;
mod traces;

pub use alerts::{AlertArgs, OutboundArgs};
pub use traces::{TraceArgs, trace_headers};

/// Receives digests from agents, joins them in Postgres, and judges where resets came from.
#[derive(Debug, Parser)]
#[command(
    name = "parallax-collector",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// How standard error is written
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        env = "PARALLAX_LOG_FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector
    ///
    /// Without --database-url it runs a PostgreSQL of its own in the data directory, from the
    /// installed binaries (14 or later). It stops with the collector.
    #[command(after_help = "Examples:
  parallax-collector serve
  parallax-collector serve --grpc 192.0.2.1:7600 --data-dir /var/lib/parallax
  parallax-collector serve --database-url postgres://parallax@192.0.2.9/parallax
  parallax-collector serve --path client,fw-in,fw-out,server
  parallax-collector serve --grpc 192.0.2.1:7600 --pki /etc/parallax/pki

Agents and the CLI can use either address. Logs go to standard error; PARALLAX_LOG=debug shows more.")]
    Serve(Box<ServeArgs>),
    /// Bring the database's schema up to date and stop
    #[command(after_help = "Examples:
  parallax-collector migrate --database-url postgres://parallax@192.0.2.9/parallax
  parallax-collector migrate --distributed --database-url postgres://parallax@coordinator/parallax")]
    Migrate(MigrateArgs),
    /// Remove everything of an address: segments, statements of kernels, verdicts
    #[command(after_help = "Examples:
  parallax-collector erase 192.0.2.7

Works beside a running collector. Agents may still hold segments of it in memory or spool.")]
    Erase(EraseArgs),
    /// Add, list or remove people who may use the HTTP API and the pages
    #[command(after_help = "Examples:
  parallax-collector user add joe --role operator
  parallax-collector user list
  parallax-collector user remove joe

Works beside a running collector. `parallax user` does the same over HTTP.")]
    User {
        #[command(subcommand)]
        act: UserAct,
    },
    /// Print the public key that this collector signs evidence bundles with
    ///
    /// It is made at the first start, or now. Give it to those who are to trust your bundles.
    #[command(after_help = "Examples:
  parallax-collector key
  parallax-collector key --data-dir /var/lib/parallax")]
    Key(KeyArgs),
    /// Print a shell's completion script
    #[command(after_help = "Examples:
  parallax-collector completion bash > /etc/bash_completion.d/parallax-collector")]
    Completion {
        /// The shell to complete for
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// File with these options, as TOML
    #[arg(long, value_name = "FILE", env = "PARALLAX_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print the settings in effect and where each comes from, and stop; exit status 2 if they are wrong
    #[arg(long)]
    pub check_config: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Where agents connect; port 0 takes a free one, '' leaves it out
    #[arg(
        long,
        value_name = "ADDR",
        env = "PARALLAX_GRPC",
        default_value = "127.0.0.1:7600"
    )]
    pub grpc: Listen,
    /// Where people and programs ask
    #[arg(
        long,
        value_name = "ADDR",
        env = "PARALLAX_HTTP",
        default_value = "127.0.0.1:7680"
    )]
    pub http: Listen,
    /// The vantages from the client side to the server side; without it the path is inferred
    #[arg(
        long,
        value_name = "NAME,…",
        env = "PARALLAX_PATH",
        value_delimiter = ','
    )]
    pub path: Vec<String>,
    /// What agents ship: context, sampled:1/N or all; without it what was set before, or what each agent was
    /// started with. PUT /v1/policy changes it while they run
    #[arg(long, value_name = "WHICH", env = "PARALLAX_SEGMENTS")]
    pub segments: Option<Selection>,
    /// Drop segments that were captured more than so many days ago; verdicts stay. Without it everything is kept
    #[arg(long, value_name = "DAYS", env = "PARALLAX_RETENTION", value_parser = clap::value_parser!(u16).range(1..))]
    pub retention: Option<u16>,
    /// Drop the oldest days of segments while the database is larger than this; today and yesterday stay
    #[arg(long, value_name = "GIB", env = "PARALLAX_RETENTION_SIZE", value_parser = clap::value_parser!(u32).range(1..))]
    pub retention_size: Option<u32>,
    #[command(flatten)]
    pub gate: GateArgs,
    #[command(flatten)]
    pub alerts: AlertArgs,
    #[command(flatten)]
    pub traces: TraceArgs,
    #[command(flatten)]
    pub outbound: OutboundArgs,
    #[command(flatten)]
    pub signing: SigningArgs,
}

/// Who may come in.
#[derive(Debug, Args)]
pub struct GateArgs {
    /// Speak TLS with the certificates that `parallax pki init DIR` made, and let agents enrol
    #[arg(long, value_name = "DIR", env = "PARALLAX_PKI", conflicts_with_all = ["tls_cert", "tls_key", "tls_ca"])]
    pub pki: Option<PathBuf>,
    /// Speak TLS with this certificate (PEM, with what is between it and its authority)
    #[arg(long, value_name = "FILE", env = "PARALLAX_TLS_CERT", requires_all = ["tls_key", "tls_ca"])]
    pub tls_cert: Option<PathBuf>,
    /// Its key
    #[arg(
        long,
        value_name = "FILE",
        env = "PARALLAX_TLS_KEY",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
    /// The authorities of agents' certificates
    #[arg(
        long,
        value_name = "FILE",
        env = "PARALLAX_TLS_CA",
        requires = "tls_cert"
    )]
    pub tls_ca: Option<PathBuf>,
    /// Hours that an agent's certificate is good for; it is renewed after two thirds of them
    #[arg(long, value_name = "HOURS", env = "PARALLAX_CERTIFICATE_LIFE", default_value = "168",
          value_parser = clap::value_parser!(u32).range(1..=87_600))]
    pub certificate_life: u32,
    /// Refuse to listen for other machines without TLS, and let nobody from there in without a role
    #[arg(
        long,
        env = "PARALLAX_REQUIRE_IDENTITY",
        conflicts_with = "insecure_plaintext"
    )]
    pub require_identity: bool,
    /// Let other machines in without TLS although there is TLS: whoever reaches the port can write for any vantage
    #[arg(long, env = "PARALLAX_INSECURE_PLAINTEXT")]
    pub insecure_plaintext: bool,
    /// Networks of reverse proxies whose --role-header counts
    #[arg(long, value_name = "CIDR,…", env = "PARALLAX_TRUSTED_PROXY", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,
    /// The header in which a trusted proxy says viewer, operator or admin
    #[arg(long, value_name = "NAME", env = "PARALLAX_ROLE_HEADER", default_value = "x-parallax-role", value_parser = header_name)]
    pub role_header: String,
}

impl GateArgs {
    pub fn settings(self) -> gate::Settings {
        let life = u64::from(self.certificate_life) * 3600;
        let own = self.pki.map(|folder| TlsSettings {
            files: ServerFiles {
                certificate: folder.join(files::COLLECTOR),
                key: folder.join(files::COLLECTOR_KEY),
                authorities: folder.join(files::CA),
            },
            authority_key: Some(folder.join(files::CA_KEY)).filter(|key| key.exists()),
            life,
        });
        let brought = self.tls_cert.zip(self.tls_key).zip(self.tls_ca);
        let brought = brought.map(|((certificate, key), authorities)| TlsSettings {
            files: ServerFiles {
                certificate,
                key,
                authorities,
            },
            authority_key: None,
            life,
        });
        gate::Settings {
            tls: own.or(brought),
            demand: match (self.require_identity, self.insecure_plaintext) {
                (true, _) => Demand::Identity,
                (false, true) => Demand::Nothing,
                (false, false) => Demand::AsSetUp,
            },
            proxies: Proxies {
                addresses: self.trusted_proxy,
                header: self.role_header,
            },
        }
    }
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let one = |_| text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(one)
        .map_err(|_| "expected a network or address, for instance 192.0.2.0/24".to_owned())
}

fn header_name(text: &str) -> Result<String, String> {
    let name: axum::http::HeaderName = text
        .parse()
        .map_err(|_| "expected a header's name".to_owned())?;
    Ok(name.as_str().to_owned())
}

#[derive(Debug, Args)]
pub struct EraseArgs {
    /// Whose: IPv4 or IPv6; with pseudonyms, the pseudonym
    pub address: std::net::IpAddr,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// What is done with people.
#[derive(Debug, Subcommand)]
pub enum UserAct {
    /// Add a person, or give one another role; prints a new token, once
    Add {
        /// Whom: 1 to 128 characters
        name: String,
        /// viewer (reads), operator (changes what agents ship too) or admin (people, tokens and the audit too)
        #[arg(long, value_name = "ROLE")]
        role: Role,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List people and their roles
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Remove a person: the token is good no more
    Remove {
        /// Whom
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The data directory of the collector [default: $XDG_STATE_HOME/parallax, as root /var/lib/parallax]
    #[arg(
        long,
        value_name = "DIR",
        env = "PARALLAX_DATA_DIR",
        conflicts_with = "signing_key"
    )]
    pub data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub signing: SigningArgs,
}

#[derive(Debug, Args)]
pub struct SigningArgs {
    /// The key that evidence bundles are signed with; made where there is none [default: signing-key in the data
    /// directory]
    #[arg(long, value_name = "FILE", env = "PARALLAX_SIGNING_KEY")]
    pub signing_key: Option<PathBuf>,
}

impl SigningArgs {
    /// The key's file; `None`: there is no directory to keep it in.
    pub fn file(self, data_dir: Option<&Path>) -> Option<PathBuf> {
        let folder = || data_dir.map(Path::to_owned).or_else(default_data_dir);
        self.signing_key.or_else(|| Some(folder()?.join(FILE)))
    }
}

#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Distribute the tables that grow with the segments over the nodes of a Citus cluster; the database is its
    /// coordinator's
    #[arg(long)]
    pub distributed: bool,
}

#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// A PostgreSQL that you run, 14 or later: postgres://USER@HOST/DATABASE
    #[arg(
        long,
        value_name = "URL",
        env = "PARALLAX_DATABASE_URL",
        hide_env_values = true
    )]
    pub database_url: Option<String>,
    /// Where the private PostgreSQL lives [default: $XDG_STATE_HOME/parallax, as root /var/lib/parallax]
    #[arg(
        long,
        value_name = "DIR",
        env = "PARALLAX_DATA_DIR",
        conflicts_with = "database_url"
    )]
    pub data_dir: Option<PathBuf>,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub Option<SocketAddr>);

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self(Some(address)));
        }
        let mut resolved = text.to_socket_addrs().map_err(|_| {
            "expected HOST:PORT, for instance 127.0.0.1:7600 or [::]:7600".to_owned()
        })?;
        resolved
            .next()
            .map(|address| Self(Some(address)))
            .ok_or_else(|| "the name has no address".to_owned())
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |address| address.fmt(formatter))
    }
}

impl ServeArgs {
    /// The addresses to listen on, each once, in the order of gRPC and HTTP.
    pub fn listen(&self) -> Vec<SocketAddr> {
        let mut listen: Vec<SocketAddr> =
            [self.grpc.0, self.http.0].into_iter().flatten().collect();
        // Two free ports are two addresses.
        if listen.len() == 2 && listen[0] == listen[1] && listen[0].port() != 0 {
            listen.pop();
        }
        listen
    }
}

/// The data directory where none is named: the state directory of the XDG base directories, for
/// root the system's.
pub fn default_data_dir() -> Option<PathBuf> {
    if nix::unistd::Uid::effective().is_root() {
        return Some(PathBuf::from("/var/lib/parallax"));
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
        .map(|state| state.join("parallax"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_address_for_both_is_listened_on_once() {
        let parse = |grpc: &str, http: &str| {
            let cli = Cli::try_parse_from([
                "parallax-collector",
                "serve",
                "--grpc",
                grpc,
                "--http",
                http,
            ]);
            match cli.unwrap().command {
                Command::Serve(args) => args.listen().len(),
                _ => 0,
            }
        };
        assert_eq!(parse("127.0.0.1:7600", "127.0.0.1:7600"), 1);
        assert_eq!(parse("127.0.0.1:0", "127.0.0.1:0"), 2);
        assert_eq!(parse("", "127.0.0.1:7680"), 1);
    }
}

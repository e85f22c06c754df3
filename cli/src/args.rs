//! The command line.

mod bundle;
mod identity;
mod values;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;
use parallax_core::report::{Cause, Origin};

use crate::client::CollectorUrl;
use crate::ids::TypedId;
use crate::output::{Color, Format};
pub use bundle::{BundleArgs, CompareArgs};
pub use identity::{
    AuditArgs, EnrollArgs, PkiAct, PkiServerArgs, TokenAct, TokenArgs, UserAct, UserAddArgs,
};
pub use values::{Between, Host, Input, Ordered, Wanted};
use values::{between, host, input, ordered, vantage_name, wanted};

/// Where did that reset come from?
///
/// Looks at the same TCP packets from several places and says which host sent a RST, between which
/// two vantages a middlebox forged it, or where it got lost.
#[derive(Debug, Parser)]
#[command(name = "parallax", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN",
        display_order = 900,
        hide_possible_values = true,
        help = "When to colour: auto (on a terminal, unless NO_COLOR is set), always or never"
    )]
    pub color: Color,
}

const EXAMPLES: &str = "\
Examples:
  parallax analyze client=client.pcap fw=fw.pcapng server=server.pcap.gz
  parallax resets --since 10m --origin middlebox
  parallax explain 5f2a9c01

Exit status: 0 done, 1 failed, 2 wrong usage; with --exit-code 10 when a middlebox's reset was found.";

#[derive(Debug, Subcommand)]
pub enum Command {
    Analyze(AnalyzeArgs),
    Resets(ResetsArgs),
    Explain(ExplainArgs),
    Export(ExportArgs),
    Bundle(BundleArgs),
    Compare(CompareArgs),
    Vantages(VantagesArgs),
    Watch(WatchArgs),
    Top(TopArgs),
    Policy(PolicyArgs),
    Doctor(DoctorArgs),
    /// Make the authority that agents and collector trust
    #[command(after_help = "\
Examples:
  parallax pki init /etc/parallax/pki --name collector.example.net,192.0.2.1
  parallax pki server /etc/parallax/pki --name collector.example.net,198.51.100.1")]
    Pki {
        #[command(subcommand)]
        act: PkiAct,
    },
    Enroll(EnrollArgs),
    /// Make tokens with which agents enrol
    #[command(after_help = "\
Examples:
  parallax token create --vantage fw-in")]
    Token {
        #[command(subcommand)]
        act: TokenAct,
    },
    /// Add, list or remove people who may ask the collector
    #[command(after_help = "\
Examples:
  parallax user add joe --role operator
  parallax user remove joe")]
    User {
        #[command(subcommand)]
        act: UserAct,
    },
    Audit(AuditArgs),
    /// Print the completion script of a shell
    #[command(after_help = "\
Examples:
  parallax completion bash > /etc/bash_completion.d/parallax
  parallax completion zsh > ~/.zfunc/_parallax")]
    Completion {
        /// Which shell
        shell: Shell,
    },
}

/// Judge the resets in capture files, without any server
///
/// Reads pcap and pcapng, plain or gzipped. A name given to several files is one vantage with
/// several captures. The order of the files breaks ties when the path is inferred: client side
/// first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax analyze client=client.pcap fw-in=in.pcap fw-out=out.pcap server=server.pcap
  parallax analyze --path client,fw,server --host client=192.0.2.7 --host server=198.51.100.2 \\
      client=c.pcap fw=fw-monday.pcap fw=fw-tuesday.pcap server=s.pcapng.gz
  tcpdump -w - tcp | parallax analyze --explain all here=-")]
pub struct AnalyzeArgs {
    /// The vantages from the client side to the server side
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = ValueParser::new(vantage_name))]
    pub path: Vec<String>,
    /// The vantage runs on the endpoint with these addresses; can be given for several vantages
    #[arg(long, value_name = "NAME=ADDR[,ADDR…]", value_parser = ValueParser::new(host))]
    pub host: Vec<Host>,
    /// Explain resets with their ladder of packets: an id's beginning or end, or "all"
    #[arg(long, value_name = "ID|all", value_parser = ValueParser::new(wanted))]
    pub explain: Option<Wanted>,
    #[command(flatten)]
    pub show: Show,
    #[command(flatten)]
    pub status: Status,
    /// Capture files, each with its vantage's name; "-" is standard input
    #[arg(required = true, value_name = "NAME=FILE", value_parser = ValueParser::new(input))]
    pub inputs: Vec<Input>,
}

/// List resets with their verdicts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax resets --since 10m
  parallax resets --origin middlebox --between fw-out,fw-in
  parallax resets --address 192.0.2.7 --port 443 --since 2026-01-02T03:00:00Z --format json
  parallax resets --since 1h --origin middlebox --exit-code || page-someone")]
pub struct ResetsArgs {
    /// Only resets since then: RFC 3339, or a span before now such as 10m, 1h30m, 2d
    #[arg(long, value_name = "TIME", value_parser = ValueParser::new(crate::when::parse))]
    pub since: Option<Timestamp>,
    /// Only resets until then: RFC 3339, or a span before now
    #[arg(long, value_name = "TIME", value_parser = ValueParser::new(crate::when::parse))]
    pub until: Option<Timestamp>,
    /// Only resets from or to this address
    #[arg(long, value_name = "ADDR")]
    pub address: Option<IpAddr>,
    /// Only resets from or to this port
    #[arg(long)]
    pub port: Option<u16>,
    /// Only resets that this vantage saw
    #[arg(long, value_name = "NAME")]
    pub vantage: Option<String>,
    /// Only resets of this origin
    #[arg(long, value_parser = PossibleValuesParser::new(ORIGINS.map(Origin::as_str)))]
    pub origin: Option<String>,
    /// Only resets of this cause
    #[arg(long, value_parser = PossibleValuesParser::new(Cause::ALL.map(Cause::as_str)), hide_possible_values = true)]
    pub cause: Option<String>,
    /// Only resets born between these two vantages
    #[arg(long, value_name = "A,B", value_parser = ValueParser::new(between))]
    pub between: Option<Between>,
    /// At most so many, the newest
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    #[command(flatten)]
    pub collector: Collector,
    #[command(flatten)]
    pub show: Show,
    #[command(flatten)]
    pub status: Status,
}

const ORIGINS: [Origin; 3] = [Origin::Endpoint, Origin::Middlebox, Origin::Undetermined];

/// Tell one reset in full: verdict, packets at each vantage, evidence
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax explain 5f2a9c01
  parallax explain 019b7cc1-2f00-7000-8000-0000bbbbbbbb --format json")]
pub struct ExplainArgs {
    /// The reset's id, or its beginning or end as far as no other has the same
    #[arg(value_parser = ValueParser::new(TypedId::parse))]
    pub id: TypedId,
    #[command(flatten)]
    pub collector: Collector,
    #[command(flatten)]
    pub show: Show,
    #[command(flatten)]
    pub status: Status,
}

/// Write one reset's evidence to a file to hand over
///
/// pcapng opens in Wireshark: an interface per vantage, the verdict as comments, headers rebuilt
/// from digests, no payload.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax export 5f2a9c01 -o reset.pcapng
  parallax export 5f2a9c01 --format html -o reset.html
  parallax export 5f2a9c01 --format json -o - | jq .sentence
  parallax export 5f2a9c01 --format bundle --key-file shared.key -o ours.bundle")]
pub struct ExportArgs {
    /// The reset's id, or its beginning or end as far as no other has the same
    #[arg(value_parser = ValueParser::new(TypedId::parse))]
    pub id: TypedId,
    #[arg(
        long,
        value_enum,
        default_value = "pcapng",
        value_name = "FORMAT",
        hide_possible_values = true,
        help = "pcapng for Wireshark, html as a report that needs nothing else, json, or bundle to compare with another company's"
    )]
    pub format: ExportFormat,
    /// The key that both companies share, for a bundle: 16 to 4096 octets of chance
    #[arg(long, value_name = "FILE", required_if_eq("format", "bundle"))]
    pub key_file: Option<PathBuf>,
    #[arg(
        short,
        long,
        value_name = "FILE",
        help = "Where to write; - is standard output"
    )]
    pub output: PathBuf,
    #[command(flatten)]
    pub collector: Collector,
}

/// What an export is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Pcapng,
    Html,
    Json,
    Bundle,
}

impl ExportFormat {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pcapng => "pcapng",
            Self::Html => "html",
            Self::Json => "json",
            Self::Bundle => "bundle",
        }
    }
}

/// List the vantages with what they captured and lost
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax vantages
  parallax vantages --collector http://192.0.2.1:7600 --format json")]
pub struct VantagesArgs {
    #[command(flatten)]
    pub collector: Collector,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Find what is wrong on this machine, and say how to mend it
///
/// Looks at what the options name, and at the clock. Run it as the user that the agent or the collector runs as.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax doctor --interface eth0 --collector http://192.0.2.10:7600 --state-dir /var/lib/parallax-agent
  parallax doctor --agent-config /etc/parallax/agent.toml --interface eth0
  parallax doctor --collector-config /etc/parallax/collector.toml --data-dir /var/lib/parallax
  parallax doctor --database-url postgres://parallax@192.0.2.9/parallax --format json

Exit status: 0 nothing is wrong (there may be warnings), 1 something is.")]
pub struct DoctorArgs {
    /// Interfaces that an agent is to capture on, and the right to do so
    #[arg(short, long, value_name = "IF", value_delimiter = ',')]
    pub interface: Vec<String>,
    /// Collectors that must answer
    #[arg(long, value_name = "URL", value_delimiter = ',', value_parser = ValueParser::new(CollectorUrl::parse))]
    pub collector: Vec<CollectorUrl>,
    /// Authorities to trust for https:// [default: the system's]
    #[arg(long, env = "PARALLAX_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Who asks: a token of `parallax user add`
    #[arg(
        long = "as",
        env = "PARALLAX_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<String>,
    /// A Postgres that must answer
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// An agent's directory: rights and room
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// A collector's directory: rights, room, and a database server to run in it
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// An agent's configuration file, as parallax-agent reads it
    #[arg(long, value_name = "FILE")]
    pub agent_config: Option<PathBuf>,
    /// A collector's configuration file, as parallax-collector reads it
    #[arg(long, value_name = "FILE")]
    pub collector_config: Option<PathBuf>,
    /// A certificate that must be good, an agent's or a collector's; an agent's in --state-dir is looked at unasked
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Its key, which only its user may read
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Print verdicts as they come, a line each, until interrupted
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax watch
  parallax watch --format json | jq -r 'select(.origin == \"middlebox\") | .id'")]
pub struct WatchArgs {
    #[command(flatten)]
    pub collector: Collector,
    /// Text for people or JSON lines for programs
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Watch on a live screen: places, causes, newest resets with their ladder, vantages
///
/// Arrows move, tab changes the pane, enter opens, q quits, ? tells all keys. Where the collector goes away
/// the screen stays and follows again when it is back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax top
  parallax top --collector http://192.0.2.1:7680 --limit 5000")]
pub struct TopArgs {
    /// Show at most so many resets, the newest
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    #[command(flatten)]
    pub collector: Collector,
    /// Draw with ASCII only (the default where the locale is not UTF-8)
    #[arg(long)]
    pub ascii: bool,
}

/// Show or change which segments running agents ship
///
/// RSTs with their context, SYNs and FINs travel always. Connected agents follow within seconds, others when
/// they connect.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax policy
  parallax policy sampled:1/256
  parallax policy all --vantage fw-in
  parallax policy own --vantage fw-in")]
pub struct PolicyArgs {
    /// From now on: context, sampled:1/N (and one segment in N, the same at every vantage), all, or own
    /// (what the agent was started with); without it nothing is changed
    #[arg(value_name = "SEGMENTS", value_parser = ValueParser::new(ordered))]
    pub segments: Option<Ordered>,
    /// Only this vantage; without it, all that have no policy of their own
    #[arg(long, value_name = "NAME", requires = "segments", value_parser = ValueParser::new(vantage_name))]
    pub vantage: Option<String>,
    #[command(flatten)]
    pub collector: Collector,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Which collector to ask.
#[derive(Debug, Args)]
pub struct Collector {
    /// The collector's address, either of its ports
    #[arg(
        long = "collector",
        env = "PARALLAX_COLLECTOR",
        default_value = "http://127.0.0.1:7600",
        value_name = "URL",
        value_parser = ValueParser::new(CollectorUrl::parse)
    )]
    pub url: CollectorUrl,
    /// Authorities to trust for https:// [default: the system's]
    #[arg(long, env = "PARALLAX_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Who asks: a token of `parallax user add`
    #[arg(
        long = "as",
        env = "PARALLAX_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<String>,
}

/// How to show the answer.
#[derive(Debug, Args)]
pub struct Show {
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Draw with ASCII only (the default where the locale is not UTF-8)
    #[arg(long)]
    pub ascii: bool,
}

/// What the exit status says.
#[derive(Debug, Args)]
pub struct Status {
    /// Exit with 10 when a middlebox's reset was found
    #[arg(long)]
    pub exit_code: bool,
}

//! The command line of a run.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use crate::config::{Segments, VantageName};
use crate::trust::TrustArgs;
use crate::witness::Wanted;

const COLLECTOR_HELP: &str = "The collector; several on one database may be given: where one is lost, the next takes over \
    [default: http://127.0.0.1:7600]";

const NO_TUNNELS_HELP: &str = "Capture no tunnels; otherwise packets of VXLAN, GENEVE, GRE, IP in IP, GTP-U, MPLS and PPPoE \
    are captured and looked through to the TCP inside";

/// Capture on interfaces and stream to a collector
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Each option may also stand in the configuration file, under its own name, or in the environment as
PARALLAX_NAME; the command line goes before the environment, and that before the file.

Examples:
  parallax-agent run --vantage fw-in --interface eth0 --collector http://192.0.2.10:7600
  parallax-agent run --vantage web1 --host 192.0.2.1,2001:db8::1 --interface eth0,eth1 --filter 'port 443'
  parallax-agent run --vantage web1 --host 192.0.2.1,172.17.0.2 --interface eth0 --witness on
  parallax-agent run --config /etc/parallax/agent.toml

The kernel witness reads tcp:tcp_send_reset and tcp:tcp_receive_reset from a trace instance of its own. It hears
all network namespaces of the machine: name the addresses of its containers with --host too.")]
pub struct RunArgs {
    /// Name of the vantage: 1 to 128 characters
    #[arg(long, env = "PARALLAX_VANTAGE", value_name = "NAME")]
    pub(super) vantage: Option<VantageName>,
    /// Addresses of the host that the agent runs on; without any it is a hop
    #[arg(
        long,
        env = "PARALLAX_HOST",
        value_name = "ADDR",
        value_delimiter = ','
    )]
    pub(super) host: Option<Vec<IpAddr>>,
    /// Interfaces to capture on; may be given more than once
    #[arg(
        short,
        long,
        env = "PARALLAX_INTERFACE",
        value_name = "IF",
        value_delimiter = ','
    )]
    pub(super) interface: Option<Vec<String>>,
    /// The collector's address
    #[arg(long, help = COLLECTOR_HELP, env = "PARALLAX_COLLECTOR", value_name = "URL", value_delimiter = ',')]
    pub(super) collector: Option<Vec<String>>,
    /// File with these options, as TOML
    #[arg(long, env = "PARALLAX_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print the settings in effect and where each comes from, and stop; exit status 2 if they are wrong
    #[arg(long)]
    pub(super) check_config: bool,
    /// Capture only packets that match this too, as in pcap-filter(7); of a tunnel's packet the outer
    /// header counts
    #[arg(long, env = "PARALLAX_FILTER", value_name = "EXPRESSION")]
    pub(super) filter: Option<String>,
    #[arg(long, help = NO_TUNNELS_HELP, env = "PARALLAX_NO_TUNNELS", value_name = "BOOL", num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    pub(super) no_tunnels: Option<bool>,
    /// Octets kept of each packet [default: 192]
    #[arg(long, env = "PARALLAX_SNAPLEN", value_name = "OCTETS")]
    pub(super) snaplen: Option<u32>,
    /// Capture threads, which share the packets of each interface, its buffer and the memories [default: 1]
    #[arg(long, env = "PARALLAX_THREADS", value_name = "COUNT")]
    pub(super) threads: Option<u32>,
    /// Kernel buffer for each interface, in MiB [default: 16]
    #[arg(long, env = "PARALLAX_BUFFER", value_name = "MIB")]
    pub(super) buffer: Option<u32>,
    /// Capture also what is not addressed to this machine
    #[arg(long, env = "PARALLAX_PROMISCUOUS", value_name = "BOOL", num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    pub(super) promiscuous: Option<bool>,
    /// Which segments to ship: context (SYN, FIN and RST always, the rest around a RST), sampled:1/N (and a
    /// sample of the rest, the same at every vantage) or all; the collector may order another [default: context]
    #[arg(long, env = "PARALLAX_SEGMENTS", value_name = "WHICH")]
    pub(super) segments: Option<Segments>,
    /// Flow memory in MiB [default: 128]
    #[arg(long, env = "PARALLAX_MEMORY", value_name = "MIB")]
    pub(super) memory: Option<u32>,
    /// Memory of all segments for the collector's questions, in MiB [default: 64]
    #[arg(long, env = "PARALLAX_RECALL_MEMORY", value_name = "MIB")]
    pub(super) recall_memory: Option<u32>,
    /// Digests kept while the collector is away [default: 262144]
    #[arg(long, env = "PARALLAX_OUTBOX", value_name = "DIGESTS")]
    pub(super) outbox: Option<u32>,
    /// Directory in which what the collector has not acknowledged outlives this agent; nothing is written
    /// elsewhere
    #[arg(long, env = "PARALLAX_STATE_DIR", value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Memory for what the collector has not acknowledged, in MiB, instead of --outbox
    #[arg(long, env = "PARALLAX_SPOOL_MEMORY", value_name = "MIB")]
    pub(super) spool_memory: Option<u32>,
    /// Room on disk for it under --state-dir, in MiB [default: 256]; when it is full, the oldest digests
    /// go first, RSTs and what is near to them last, and each loss is counted
    #[arg(long, env = "PARALLAX_SPOOL_DISK", value_name = "MIB")]
    pub(super) spool_disk: Option<u32>,
    /// Seconds after a RST in which everything in its flow is shipped [default: 2]
    #[arg(long, env = "PARALLAX_GRACE", value_name = "SECONDS")]
    pub(super) grace: Option<f64>,
    /// Keep the captured packets in this file too (pcap)
    #[arg(long, env = "PARALLAX_WRITE", value_name = "FILE")]
    pub(super) write: Option<PathBuf>,
    /// Ask the kernel which resets it sent and accepted (Linux, as root) [default: auto]
    #[arg(long, env = "PARALLAX_WITNESS", value_enum)]
    pub(super) witness: Option<Wanted>,
    /// Statements of the kernel kept a second; more count as lost [default: 5000]
    #[arg(long, env = "PARALLAX_WITNESS_RATE", value_name = "STATEMENTS")]
    pub(super) witness_rate: Option<u32>,
    /// Replace addresses by pseudonyms that keep prefixes, and key payload hashes, with the 32 octets in this file: the
    /// same ones at every agent
    #[arg(long, env = "PARALLAX_PSEUDONYM_KEY", value_name = "FILE")]
    pub(super) pseudonym_key: Option<PathBuf>,
    /// As root: the user to become once everything is open; it gets the state and identity directories
    /// [default: parallax, or nobody]
    #[arg(long, env = "PARALLAX_USER", value_name = "NAME")]
    pub(super) user: Option<String>,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
    /// Serve numbers for Prometheus here, at /metrics, for instance 127.0.0.1:7690; port 0 takes a free one
    #[arg(long, env = "PARALLAX_METRICS", value_name = "ADDR")]
    pub(super) metrics: Option<SocketAddr>,
}

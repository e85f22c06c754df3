//! `parallax-agent run`: captures on interfaces and streams what matters.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args};
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest, Selection};
use parallax_proto::v1::{CaptureSource, Hello};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::sync::watch::channel as watch_channel;
use tracing::info;

use super::{log, refuse_usage};
use crate::capture::live::{LiveCapture, LiveOptions, Promiscuous, Stop, Tunnels};
use crate::clock;
use crate::config::{self, ConfigError, ConfigFile, DEFAULT_COLLECTOR, Segments, VantageName};
use crate::confine::{Needs, confine};
use crate::enrol;
use crate::handover::Handover;
use crate::memory::{Grace, Memory};
use crate::merge;
use crate::recall::{Desk, Ring};
use crate::scrape::Scrape;
use crate::spool::{Spool, StateDir, StateError};
use crate::stream::{Delivery, Feed, Identity, Order, Pressure, Progress};
use crate::trust::{Trust, TrustArgs};
use crate::veil::{Veil, VeilError};
use crate::witness::{Wanted, Witness, WitnessOptions};

mod effective;
mod standing;
mod steps;
mod threads;
mod watch;
mod words;

use threads::Threads;
use words::{links, report};

/// Chunks between the capture thread and the stream.
const CHUNKS: usize = 64;

/// Orders of the collector that wait for the capture thread.
const ORDERS: usize = 256;

/// The kernel bounds a group of sockets; one interface feeds fewer threads than this.
const THREADS_MAX: u32 = 64;

/// How long the last digests have to arrive after the end of the capture.
const DRAIN: Duration = Duration::from_secs(5);

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
    vantage: Option<VantageName>,
    /// Addresses of the host that the agent runs on; without any it is a hop
    #[arg(
        long,
        env = "PARALLAX_HOST",
        value_name = "ADDR",
        value_delimiter = ','
    )]
    host: Option<Vec<IpAddr>>,
    /// Interfaces to capture on; may be given more than once
    #[arg(
        short,
        long,
        env = "PARALLAX_INTERFACE",
        value_name = "IF",
        value_delimiter = ','
    )]
    interface: Option<Vec<String>>,
    /// The collector's address
    #[arg(long, help = COLLECTOR_HELP, env = "PARALLAX_COLLECTOR", value_name = "URL", value_delimiter = ',')]
    collector: Option<Vec<String>>,
    /// File with these options, as TOML
    #[arg(long, env = "PARALLAX_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings in effect and where each comes from, and stop; exit status 2 if they are wrong
    #[arg(long)]
    check_config: bool,
    /// Capture only packets that match this too, as in pcap-filter(7); of a tunnel's packet the outer
    /// header counts
    #[arg(long, env = "PARALLAX_FILTER", value_name = "EXPRESSION")]
    filter: Option<String>,
    #[arg(long, help = NO_TUNNELS_HELP, env = "PARALLAX_NO_TUNNELS", value_name = "BOOL", num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    no_tunnels: Option<bool>,
    /// Octets kept of each packet [default: 192]
    #[arg(long, env = "PARALLAX_SNAPLEN", value_name = "OCTETS")]
    snaplen: Option<u32>,
    /// Capture threads, which share the packets of each interface, its buffer and the memories [default: 1]
    #[arg(long, env = "PARALLAX_THREADS", value_name = "COUNT")]
    threads: Option<u32>,
    /// Kernel buffer for each interface, in MiB [default: 16]
    #[arg(long, env = "PARALLAX_BUFFER", value_name = "MIB")]
    buffer: Option<u32>,
    /// Capture also what is not addressed to this machine
    #[arg(long, env = "PARALLAX_PROMISCUOUS", value_name = "BOOL", num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    promiscuous: Option<bool>,
    /// Which segments to ship: context (SYN, FIN and RST always, the rest around a RST), sampled:1/N (and a
    /// sample of the rest, the same at every vantage) or all; the collector may order another [default: context]
    #[arg(long, env = "PARALLAX_SEGMENTS", value_name = "WHICH")]
    segments: Option<Segments>,
    /// Flow memory in MiB [default: 128]
    #[arg(long, env = "PARALLAX_MEMORY", value_name = "MIB")]
    memory: Option<u32>,
    /// Memory of all segments for the collector's questions, in MiB [default: 64]
    #[arg(long, env = "PARALLAX_RECALL_MEMORY", value_name = "MIB")]
    recall_memory: Option<u32>,
    /// Digests kept while the collector is away [default: 262144]
    #[arg(long, env = "PARALLAX_OUTBOX", value_name = "DIGESTS")]
    outbox: Option<u32>,
    /// Directory in which what the collector has not acknowledged outlives this agent; nothing is written
    /// elsewhere
    #[arg(long, env = "PARALLAX_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Memory for what the collector has not acknowledged, in MiB, instead of --outbox
    #[arg(long, env = "PARALLAX_SPOOL_MEMORY", value_name = "MIB")]
    spool_memory: Option<u32>,
    /// Room on disk for it under --state-dir, in MiB [default: 256]; when it is full, the oldest digests
    /// go first, RSTs and what is near to them last, and each loss is counted
    #[arg(long, env = "PARALLAX_SPOOL_DISK", value_name = "MIB")]
    spool_disk: Option<u32>,
    /// Seconds after a RST in which everything in its flow is shipped [default: 2]
    #[arg(long, env = "PARALLAX_GRACE", value_name = "SECONDS")]
    grace: Option<f64>,
    /// Keep the captured packets in this file too (pcap)
    #[arg(long, env = "PARALLAX_WRITE", value_name = "FILE")]
    write: Option<PathBuf>,
    /// Ask the kernel which resets it sent and accepted (Linux, as root) [default: auto]
    #[arg(long, env = "PARALLAX_WITNESS", value_enum)]
    witness: Option<Wanted>,
    /// Statements of the kernel kept a second; more count as lost [default: 5000]
    #[arg(long, env = "PARALLAX_WITNESS_RATE", value_name = "STATEMENTS")]
    witness_rate: Option<u32>,
    /// Replace addresses by pseudonyms that keep prefixes, and key payload hashes, with the 32 octets in this file: the
    /// same ones at every agent
    #[arg(long, env = "PARALLAX_PSEUDONYM_KEY", value_name = "FILE")]
    pseudonym_key: Option<PathBuf>,
    /// As root: the user to become once everything is open; it gets the state and identity directories
    /// [default: parallax, or nobody]
    #[arg(long, env = "PARALLAX_USER", value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Serve numbers for Prometheus here, at /metrics, for instance 127.0.0.1:7690; port 0 takes a free one
    #[arg(long, env = "PARALLAX_METRICS", value_name = "ADDR")]
    metrics: Option<SocketAddr>,
}

/// The settings of a run, complete.
#[derive(Debug, Clone, PartialEq)]
struct Settings {
    vantage: VantageName,
    host: Vec<IpAddr>,
    interfaces: Vec<String>,
    collectors: Vec<String>,
    filter: Option<String>,
    no_tunnels: bool,
    snaplen: u32,
    threads: u32,
    buffer: u32,
    promiscuous: bool,
    segments: Segments,
    memory: u32,
    recall_memory: u32,
    outbox: u32,
    state_dir: Option<PathBuf>,
    spool_memory: Option<u32>,
    spool_disk: u32,
    grace: f64,
    write: Option<PathBuf>,
    witness: Wanted,
    witness_rate: u32,
    pseudonym_key: Option<PathBuf>,
    user: Option<String>,
    trust: Trust,
    metrics: Option<SocketAddr>,
}

/// Why settings cannot be run with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum Unfit {
    #[error("{0} is required, on the command line or in the configuration file")]
    Missing(&'static str),
    #[error("{name} is {value}, not within {least} and {most}")]
    OutOfRange {
        name: &'static str,
        value: String,
        least: u32,
        most: u32,
    },
}

/// Refuses a number outside its range.
fn within(name: &'static str, value: f64, least: u32, most: u32) -> Result<(), Unfit> {
    if value >= f64::from(least) && value <= f64::from(most) {
        return Ok(());
    }
    Err(Unfit::OutOfRange {
        name,
        value: value.to_string(),
        least,
        most,
    })
}

impl Settings {
    fn over(args: RunArgs, file: ConfigFile) -> Result<Self, Unfit> {
        let trust = args.trust.over(&file.trust());
        let interfaces = args.interface.or(file.interface).unwrap_or_default();
        if interfaces.is_empty() {
            return Err(Unfit::Missing("--interface <IF>"));
        }
        let vantage = args.vantage.or(file.vantage);
        let state_dir = args.state_dir.or(file.state_dir);
        let trust = trust.settled(state_dir.as_deref());
        let settings = Self {
            vantage: vantage.ok_or(Unfit::Missing("--vantage <NAME>"))?,
            host: args.host.or(file.host).unwrap_or_default(),
            interfaces,
            collectors: args
                .collector
                .or(file.collector)
                .filter(|collectors| !collectors.is_empty())
                .unwrap_or_else(|| vec![DEFAULT_COLLECTOR.to_owned()]),
            filter: args.filter.or(file.filter),
            no_tunnels: args.no_tunnels.or(file.no_tunnels).unwrap_or(false),
            snaplen: args.snaplen.or(file.snaplen).unwrap_or(192),
            threads: args.threads.or(file.threads).unwrap_or(1),
            buffer: args.buffer.or(file.buffer).unwrap_or(16),
            promiscuous: args.promiscuous.or(file.promiscuous).unwrap_or(false),
            segments: args
                .segments
                .or(file.segments)
                .unwrap_or(Segments(Selection::Context)),
            memory: args.memory.or(file.memory).unwrap_or(128),
            recall_memory: args.recall_memory.or(file.recall_memory).unwrap_or(64),
            outbox: args.outbox.or(file.outbox).unwrap_or(1 << 18),
            state_dir,
            spool_memory: args.spool_memory.or(file.spool_memory),
            spool_disk: args.spool_disk.or(file.spool_disk).unwrap_or(256),
            grace: args.grace.or(file.grace).unwrap_or(2.0),
            write: args.write.or(file.write),
            witness: args.witness.or(file.witness).unwrap_or(Wanted::Auto),
            witness_rate: args.witness_rate.or(file.witness_rate).unwrap_or(5000),
            pseudonym_key: args.pseudonym_key.or(file.pseudonym_key),
            user: args.user.or(file.user),
            trust,
            metrics: args.metrics.or(file.metrics),
        };
        settings.check()?;
        Ok(settings)
    }

    fn live_options(&self) -> LiveOptions {
        LiveOptions {
            interfaces: self.interfaces.clone(),
            filter: self.filter.clone(),
            tunnels: if self.no_tunnels {
                Tunnels::Left
            } else {
                Tunnels::Taken
            },
            snaplen: self.snaplen,
            buffer_size: self.buffer << 20,
            promiscuous: if self.promiscuous {
                Promiscuous::On
            } else {
                Promiscuous::Off
            },
            write: self.write.clone(),
        }
    }

    fn flow_memory(&self) -> Memory {
        let grace = Grace {
            nanos: (self.grace * SECOND as f64) as i64,
            ..Grace::default()
        };
        Memory::new(self.share(self.memory), self.segments.into(), grace)
    }

    fn desk(&self, since: CaptureTime) -> Desk {
        Desk::new(Ring::new(self.share(self.recall_memory)), since)
    }

    /// One thread's octets of these MiB.
    fn share(&self, mebibytes: u32) -> usize {
        ((mebibytes as usize) << 20) / self.threads as usize
    }

    fn handover(
        &self,
        feed: mpsc::Sender<Feed>,
        since: CaptureTime,
        (to, veil): (&Delivery, Option<&Veil>),
    ) -> Handover {
        let handover = Handover::new(self.flow_memory(), feed)
            .veiled(veil.cloned())
            .with_desk(self.desk(since))
            .with_meter(Arc::clone(&to.meter));
        if self.threads > 1 {
            handover.of_a_part()
        } else {
            handover
        }
    }

    fn delivery(
        &self,
        (filter, veil): (&str, Option<&Veil>),
        since: CaptureTime,
        orders: SyncSender<Order>,
    ) -> Result<Delivery, StateError> {
        let mut veil = veil.cloned();
        let host = self.host.iter().map(|address| match &mut veil {
            Some(veil) => veil.address(*address),
            None => *address,
        });
        let host: Vec<IpAddr> = host.collect();
        // A filter may name addresses.
        let filter = if veil.is_some() { "" } else { filter };
        let identity = Identity {
            vantage: config::vantage(&self.vantage, &host),
            source: CaptureSource::Live,
            selection: self.segments.into(),
            interfaces: self.interfaces.clone(),
            filter: filter.to_owned(),
            snaplen: self.snaplen,
        };
        let hello = identity.hello();
        Ok(Delivery {
            collectors: self.collectors.clone(),
            trust: self.trust.clone(),
            orders: Some(orders),
            meter: Arc::default(),
            outside: crate::stream::Outside::default(),
            spool: self.spool(&hello, since)?,
            hello,
            pressure: Pressure::Lose { drain: DRAIN },
            outbox: self.digests_in_memory(),
        })
    }

    fn digests_in_memory(&self) -> usize {
        self.spool_memory.map_or(self.outbox as usize, |mebibytes| {
            ((mebibytes as usize) << 20) / size_of::<Digest>()
        })
    }

    fn spool(&self, hello: &Hello, since: CaptureTime) -> Result<Spool, StateError> {
        let Some(path) = &self.state_dir else {
            return Ok(Spool::default());
        };
        let state = StateDir::open(path, u64::from(self.spool_disk) << 20)?;
        let left = state.left(since)?;
        Ok(Spool {
            journal: Some(state.begin(hello, since)?),
            left,
            state: Some(state),
        })
    }

    /// What is still to be opened.
    fn needs(&self, witness: bool) -> Needs {
        let folders = [&self.state_dir, &self.trust.folder];
        let files = self.trust.files.iter().flat_map(|files| {
            let own = files.own.iter().flat_map(|(own, key)| [own, key]);
            own.chain([&files.authorities])
        });
        Needs {
            user: self.user.clone(),
            witness,
            folders: folders.into_iter().flatten().cloned().collect(),
            files: files.cloned().collect(),
        }
    }

    fn veil(&self) -> Result<Option<Veil>, VeilError> {
        self.pseudonym_key.as_deref().map(Veil::read).transpose()
    }

    fn witness(&self, veil: Option<Veil>) -> WitnessOptions {
        WitnessOptions {
            wanted: self.witness,
            host: self.host.clone(),
            rate: self.witness_rate,
            veil,
        }
    }

    fn check(&self) -> Result<(), Unfit> {
        within("--snaplen", self.snaplen.into(), 64, 262_144)?;
        within("--threads", self.threads.into(), 1, THREADS_MAX)?;
        within("--buffer", self.buffer.into(), 1, 1024)?;
        // A MiB for each thread at least.
        within("--memory", self.memory.into(), self.threads, 65_536)?;
        within(
            "--recall-memory",
            self.recall_memory.into(),
            self.threads,
            16_384,
        )?;
        within("--outbox", self.outbox.into(), 1024, 1 << 28)?;
        within(
            "--spool-memory",
            self.spool_memory.unwrap_or(1).into(),
            1,
            65_536,
        )?;
        within("--spool-disk", self.spool_disk.into(), 2, 1 << 20)?;
        within("--witness-rate", self.witness_rate.into(), 1, 1_000_000)?;
        within("--grace", self.grace, 0, 3600)
    }
}

/// Whether the settings are only to be looked at.
pub fn only_checks(args: &RunArgs) -> bool {
    args.check_config
}

/// Prints the settings in effect; a wrong one ends the process with status 2.
pub fn check_config(args: RunArgs, matches: &ArgMatches) {
    let refuse = |error: &dyn std::fmt::Display| -> ! {
        eprintln!("parallax-agent: {error}");
        std::process::exit(2)
    };
    let table = match args.config.as_deref().map(config::table).transpose() {
        Ok(table) => table.unwrap_or_default(),
        Err(error) => refuse(&error),
    };
    match settings(args) {
        Ok(settings) => print!("{}", effective::tell(&settings, matches, &table)),
        Err(error) => refuse(&error),
    }
}

/// Runs `parallax-agent run`: until a signal, a lost interface, or a collector that refuses.
pub fn run(args: RunArgs) -> anyhow::Result<()> {
    let settings = settings(args)?;
    // Before the capture: what fails in a moment must not first disturb an interface.
    let scrape = settings.metrics.map(Scrape::bind).transpose()?;
    let veil = settings.veil()?;
    let count = settings.threads as usize;
    let (lives, stop) = LiveCapture::open_several(&settings.live_options(), count)?;
    let since = clock::wall();
    let named = lives
        .first()
        .map(|live| (links(live), live.filter().to_owned()));
    let (links, filter) = named.unwrap_or_default();
    log::say(&format!(
        "capturing on {links} as vantage {:?}",
        settings.vantage.as_str()
    ));
    let (orders, given) = sync_channel(ORDERS);
    let delivery = settings.delivery((&filter, veil.as_ref()), since, orders)?;
    let (feed, receiver) = mpsc::channel(CHUNKS);
    let (feeds, told) = threads::feeds(count, &feed);
    let witness = match feeds.first() {
        Some(first) => Witness::start(&settings.witness(veil.clone()), first.clone())?,
        None => None,
    };
    // Everything is open; from here on there are other threads.
    confine(&settings.needs(witness.is_some()))?;
    let mut handovers: Vec<Handover> = feeds
        .into_iter()
        .map(|feed| settings.handover(feed, since, (&delivery, veil.as_ref())))
        .collect();
    for loss in standing::losses(&settings, since) {
        handovers
            .iter_mut()
            .take(1)
            .for_each(|first| first.lost(loss.clone()));
    }
    let given = threads::orders(count, given)?;
    let parts = lives.into_iter().zip(handovers).zip(given);
    let parts = parts.map(|((live, handover), given)| (live, handover, given));
    let own = (since, settings.segments.into());
    let capturing = Threads::start(parts.collect(), own, &stop, witness)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    if let Some(scrape) = scrape {
        runtime.spawn(scrape.serve(Arc::clone(&delivery.meter), settings.vantage.as_str()));
    }
    let merging = (count > 1).then(|| runtime.spawn(merge::run(told, feed.clone())));
    drop(feed);
    let renewing = settings.trust.folder.clone().map(|folder| {
        let trust = settings.trust.clone();
        runtime.spawn(enrol::keep_renewed(
            settings.collectors.clone(),
            trust,
            folder,
        ))
    });
    let delivered = runtime.block_on(deliver(delivery, receiver, &stop));
    // Ends also what still speaks into the feed.
    for beside in [merging, renewing].into_iter().flatten() {
        beside.abort();
    }
    drop(runtime);
    stop.stop();
    let captured = capturing.join()?;
    let delivered = delivered?;
    report(&captured, delivered);
    captured.error.map_or(Ok(()), |error| Err(error.into()))
}

/// Delivers until the capture ends; the first signal ends the capture, the second the process.
async fn deliver(
    delivery: Delivery,
    receiver: mpsc::Receiver<Feed>,
    stop: &Stop,
) -> anyhow::Result<Progress> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let (tell, _) = watch_channel(Progress::default());
    let delivering = delivery.run(receiver, tell);
    tokio::pin!(delivering);
    let mut asked_before = false;
    loop {
        tokio::select! {
            delivered = &mut delivering => return Ok(delivered?),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if asked_before {
            std::process::exit(1);
        }
        asked_before = true;
        info!("stopping: handing over what is left; once more to stop at once");
        stop.stop();
    }
}

fn settings(args: RunArgs) -> Result<Settings, ConfigError> {
    let file = match &args.config {
        Some(path) => ConfigFile::read(path)?,
        None => ConfigFile::default(),
    };
    Ok(Settings::over(args, file).unwrap_or_else(|unfit| {
        let kind = match &unfit {
            Unfit::Missing(_) => ErrorKind::MissingRequiredArgument,
            Unfit::OutOfRange { .. } => ErrorKind::ValueValidation,
        };
        refuse_usage(kind, &unfit.to_string())
    }))
}

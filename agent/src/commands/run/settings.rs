//! What a run is to do, from command line, environment and file, and what that makes of its parts.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest, Selection};
use parallax_proto::v1::{CaptureSource, Hello};
use thiserror::Error;
use tokio::sync::mpsc;

use super::RunArgs;
use super::log::LogFormat;
use crate::capture::live::{LiveOptions, Promiscuous, Tunnels};
use crate::config::{self, ConfigFile, DEFAULT_COLLECTOR, Segments, VantageName};
use crate::confine::Needs;
use crate::handover::Handover;
use crate::memory::{Grace, Memory};
use crate::recall::{Desk, Ring};
use crate::spool::{Spool, StateDir, StateError};
use crate::stream::{Delivery, Feed, Identity, Order, Pressure};
use crate::trust::{Trust, TrustArgs};
use crate::veil::{Veil, VeilError};
use crate::witness::{Wanted, WitnessOptions};

/// The kernel bounds a group of sockets; one interface feeds fewer threads than this.
const THREADS_MAX: u32 = 64;

/// How long the last digests have to arrive after the end of the capture.
const DRAIN: Duration = Duration::from_secs(5);

/// The settings of a run, complete.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) vantage: VantageName,
    pub(super) host: Vec<IpAddr>,
    pub(super) interfaces: Vec<String>,
    pub(super) collectors: Vec<String>,
    pub(super) filter: Option<String>,
    pub(super) no_tunnels: bool,
    pub(super) snaplen: u32,
    pub(super) threads: u32,
    pub(super) buffer: u32,
    pub(super) promiscuous: bool,
    pub(super) segments: Segments,
    pub(super) memory: u32,
    pub(super) recall_memory: u32,
    pub(super) outbox: u32,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) spool_memory: Option<u32>,
    pub(super) spool_disk: u32,
    pub(super) grace: f64,
    pub(super) write: Option<PathBuf>,
    pub(super) witness: Wanted,
    pub(super) witness_rate: u32,
    pub(super) pseudonym_key: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) trust: Trust,
    /// Where `trust` comes from.
    pub(super) said: TrustArgs,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) log_format: LogFormat,
}

/// Why settings cannot be run with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unfit {
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
    pub(super) fn over(args: RunArgs, file: ConfigFile) -> Result<Self, Unfit> {
        let mut said = args.trust.over(&file.trust());
        said.require_identity.get_or_insert(false);
        said.insecure_plaintext.get_or_insert(false);
        let interfaces = args.interface.or(file.interface).unwrap_or_default();
        if interfaces.is_empty() {
            return Err(Unfit::Missing("--interface <IF>"));
        }
        let vantage = args.vantage.or(file.vantage);
        let state_dir = args.state_dir.or(file.state_dir);
        let trust = said.clone().settled(state_dir.as_deref());
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
            said,
            metrics: args.metrics.or(file.metrics),
            log_format: file.log_format.unwrap_or_default(),
        };
        settings.check()?;
        Ok(settings)
    }

    pub(super) fn live_options(&self) -> LiveOptions {
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

    pub(super) fn handover(
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

    pub(super) fn delivery(
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
    pub(super) fn needs(&self, witness: bool) -> Needs {
        let folders = [&self.state_dir, &self.trust.folder];
        let files = self.trust.files.iter().flat_map(|files| {
            let own = files.own.iter().flat_map(|(own, key)| [own, key]);
            own.chain([&files.authorities])
        });
        Needs {
            user: self.user.clone(),
            witness,
            folders: folders.into_iter().flatten().cloned().collect(),
            files: files.cloned().chain(self.statistics()).collect(),
        }
    }

    /// Where the kernel tells what interfaces lost, which libpcap reads for promiscuous captures.
    fn statistics(&self) -> impl Iterator<Item = PathBuf> {
        let read = self.interfaces.iter().filter(|_| self.promiscuous);
        read.filter_map(|name| {
            std::fs::canonicalize(Path::new("/sys/class/net").join(name).join("statistics")).ok()
        })
    }

    pub(super) fn veil(&self) -> Result<Option<Veil>, VeilError> {
        self.pseudonym_key.as_deref().map(Veil::read).transpose()
    }

    pub(super) fn witness(&self, veil: Option<Veil>) -> WitnessOptions {
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

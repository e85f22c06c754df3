//! `parallax-agent replay`: streams a capture file as if it were captured now.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use parallax_core::{Digest, LossRecord, Selection};
use parallax_proto::v1::CaptureSource;
use tokio::sync::{mpsc, watch};

use super::log;
use crate::capture::file::{FileError, FileReader, FileSummary};
use crate::config::{self, DEFAULT_COLLECTOR, Segments, VantageName};
use crate::memory::{Grace, Memory};
use crate::noted::Noted;
use crate::outbox::Span;
use crate::spool::Spool;
use crate::stream::{Delivery, FEED_MAX, Feed, Identity, Pressure, Progress};
use crate::trust::TrustArgs;

/// Stream a capture file to a collector
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax-agent replay --vantage client --host 192.0.2.1 --file client.pcap
  zcat fw.pcapng.gz | parallax-agent replay --vantage fw-in --file - --collector http://192.0.2.10:7600")]
pub struct ReplayArgs {
    /// Name of the vantage that the file was captured at
    #[arg(long, env = "PARALLAX_VANTAGE", value_name = "NAME")]
    vantage: VantageName,
    /// Addresses of the host that the vantage runs on; without any it is a hop
    #[arg(
        long,
        env = "PARALLAX_HOST",
        value_name = "ADDR",
        value_delimiter = ','
    )]
    host: Vec<IpAddr>,
    /// Capture file: pcap or pcapng, plain or gzipped; - is standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The collector
    #[arg(long, env = "PARALLAX_COLLECTOR", value_name = "URL", default_value = DEFAULT_COLLECTOR)]
    collector: String,
    /// Which segments to ship: context, sampled:1/N or all
    #[arg(long, env = "PARALLAX_SEGMENTS", value_name = "WHICH", default_value_t = Segments(Selection::All))]
    segments: Segments,
    /// Flow memory in MiB, with --segments context
    #[arg(long, env = "PARALLAX_MEMORY", value_name = "MIB", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(1..))]
    memory: u32,
    #[command(flatten)]
    trust: TrustArgs,
    /// Seconds without a collector before giving up
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    connect_timeout: u64,
}

/// Digests that wait for the collector at most.
const OUTBOX: usize = 1 << 18;

/// Chunks between reader and stream.
const CHUNKS: usize = 4;

/// Runs `parallax-agent replay`.
pub fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let reader = FileReader::open(&args.file)?;
    let bar = progress_bar(&reader);
    let delivery = delivery(args, reader.name());
    let octets = (args.memory as usize) << 20;
    let memory = Memory::new(octets, args.segments.into(), Grace::default());
    let (feed, receiver) = mpsc::channel(CHUNKS);
    let reading = {
        let bar = bar.clone();
        std::thread::spawn(move || read(reader, memory, &feed, &bar))
    };
    let (tell, _) = watch::channel(Progress::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let delivered = runtime.block_on(delivery.run(receiver, tell));
    bar.finish_and_clear();
    let delivered = delivered?;
    let read = reading.join().map_err(|_| anyhow!("reading failed"))?;
    report(args, &read, delivered)
}

fn delivery(args: &ReplayArgs, file: &str) -> Delivery {
    let identity = Identity {
        vantage: config::vantage(&args.vantage, &args.host),
        source: CaptureSource::File,
        selection: args.segments.into(),
        interfaces: vec![file.to_owned()],
        filter: String::new(),
        snaplen: 0,
    };
    Delivery {
        collectors: vec![args.collector.clone()],
        orders: None,
        meter: Arc::default(),
        trust: args.trust.clone().settled(None),
        outside: crate::stream::Outside::default(),
        hello: identity.hello(),
        pressure: Pressure::Block {
            give_up: Duration::from_secs(args.connect_timeout),
        },
        outbox: OUTBOX,
        spool: Spool::default(),
    }
}

/// What reading came to: what was read, and why no more.
struct Read {
    summary: FileSummary,
    error: Option<FileError>,
}

/// Reads to the end and feeds the stream, which may make it wait. The file's coverage is told at
/// its end: pcapng says only there how many packets its capture lost.
fn read(
    mut reader: FileReader,
    mut memory: Memory,
    feed: &mpsc::Sender<Feed>,
    bar: &ProgressBar,
) -> Read {
    let mut chunk = Vec::with_capacity(FEED_MAX);
    let error = loop {
        match reader.next_digest() {
            Ok(Some(digest)) => {
                memory.observe(&Noted::of(&digest), &mut chunk);
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        // A reset brings its context along: leave room for it.
        if chunk.len() >= FEED_MAX / 2 {
            bar.set_position(reader.progress().read);
            if feed
                .blocking_send(Feed::Digests(spent(&mut chunk)))
                .is_err()
            {
                break None;
            }
        }
    };
    let summary = reader.summary();
    let _ = feed.blocking_send(Feed::Digests(chunk));
    if let Some(coverage) = summary.coverage {
        let unread = summary.unread;
        if let Some(loss) = LossRecord::unreadable(&coverage, &unread) {
            let _ = feed.blocking_send(Feed::Lost(loss));
        }
        let epoch = 0;
        let _ = feed.blocking_send(Feed::Watched(Span {
            coverage,
            unread,
            epoch,
        }));
    }
    Read { summary, error }
}

/// The full chunk, in exchange for an empty one.
fn spent(chunk: &mut Vec<Digest>) -> Vec<Digest> {
    std::mem::replace(chunk, Vec::with_capacity(FEED_MAX))
}

fn progress_bar(reader: &FileReader) -> ProgressBar {
    let (bar, template) = match reader.progress().total {
        Some(total) => (
            ProgressBar::new(total),
            "{msg} {wide_bar} {bytes}/{total_bytes} {eta}",
        ),
        None => (ProgressBar::no_length(), "{msg} {spinner} {bytes}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(reader.name().to_owned())
}

fn report(args: &ReplayArgs, read: &Read, delivered: Progress) -> anyhow::Result<()> {
    let summary = &read.summary;
    for warning in &summary.warnings {
        log::caution(&warning.to_string());
    }
    let reasons: Vec<String> = summary
        .unread
        .iter()
        .map(|(reason, count)| format!(" {count} {}", reason.as_str()))
        .collect();
    println!(
        "{} as {}: {} packets, {} digests sent, {} committed, {} unread{}{}, {} warnings",
        summary.file,
        args.vantage.as_str(),
        summary.packets,
        delivered.numbered,
        delivered.committed,
        summary.unread.total(),
        if reasons.is_empty() { "" } else { ":" },
        reasons.concat(),
        summary.warnings.len(),
    );
    if let Some(error) = &read.error {
        return Err(anyhow!("{error}"));
    }
    if delivered.committed < delivered.numbered {
        let missing = delivered.numbered - delivered.committed;
        return Err(anyhow!(
            "the collector at {} did not confirm {missing} digests; replay the file again",
            args.collector
        ));
    }
    Ok(())
}

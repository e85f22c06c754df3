//! `parallax-agent run`: captures on interfaces and streams what matters.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use anyhow::Context as _;
use clap::ArgMatches;
use clap::error::ErrorKind;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::sync::watch::channel as watch_channel;
use tracing::info;

use super::{log, refuse_usage};
use crate::capture::live::{LiveCapture, Stop};
use crate::clock;
use crate::config::{self, ConfigError, ConfigFile};
use crate::confine::confine;
use crate::enrol;
use crate::handover::Handover;
use crate::merge;
use crate::scrape::Scrape;
use crate::stream::{Delivery, Feed, Progress};
use crate::witness::Witness;

mod args;
mod effective;
mod outage;
mod settings;
mod standing;
mod steps;
mod threads;
mod watch;
mod words;

pub use args::RunArgs;
use settings::{Settings, Unfit};
use threads::Threads;
use words::{links, report};

/// Chunks between the capture thread and the stream.
const CHUNKS: usize = 64;

/// Orders of the collector that wait for the capture thread.
const ORDERS: usize = 256;

/// Whether the settings are only to be looked at.
pub fn only_checks(args: &RunArgs) -> bool {
    args.check_config
}

/// What the configuration file says of standard error.
pub fn log_format(args: &RunArgs) -> Option<log::LogFormat> {
    ConfigFile::read(args.config.as_deref()?).ok()?.log_format
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
        Ok(mut settings) => {
            settings.log_format = log::format();
            print!("{}", effective::tell(&settings, matches, &table));
        }
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

//! The kernel witness: what this host's kernel says of RSTs that its TCP sent and accepted.
//!
//! A trace instance of our own, with the events `tcp:tcp_send_reset` and `tcp:tcp_receive_reset`, is read as text
//! in a thread of its own. One kernel has one trace: all network namespaces of the host are heard.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parallax_core::testimony::{Oath, Statement, Watch, oath_of};
use thiserror::Error;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::confine::confine_witness;
use crate::stream::Feed;
use crate::veil::Veil;

mod addresses;
mod clock;
mod listening;
mod pipe;
mod tracefs;

use listening::Listening;
use tracefs::Instance;

/// What the witness heard since its last report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub statements: Vec<Statement>,
    /// It grows from report to report as long as nothing is lost.
    pub watch: Option<Watch>,
    /// The kernel's release.
    pub kernel: Arc<str>,
}

/// Why there is no witness.
#[derive(Debug, Error)]
pub enum WitnessError {
    #[error("only a host vantage has a kernel witness: say whose host this is with --host")]
    NoHost,
    #[error("tracefs is not at {tried} and cannot be mounted there: {source}")]
    NoTracefs {
        tried: &'static str,
        source: std::io::Error,
    },
    #[error("this kernel has no event tcp:{0}; Linux has it from 4.16 on")]
    NoEvent(&'static str),
    #[error("cannot {what} {path}: {source}")]
    Trace {
        what: &'static str,
        path: String,
        source: std::io::Error,
    },
    #[error("the kernel knows none of the trace clocks tai and mono")]
    NoClock,
    #[error("cannot start the witness's thread: {0}")]
    Thread(std::io::Error),
}

/// Whether there is to be a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// At a host vantage, where the kernel and our rights allow it
    Auto,
    /// Without it the agent does not start
    On,
    Off,
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// What to listen for.
#[derive(Debug, Clone)]
pub struct WitnessOptions {
    pub wanted: Wanted,
    /// The host's addresses; other hosts' resets are not told.
    pub host: Vec<IpAddr>,
    /// Statements a second; what is above is counted as lost.
    pub rate: u32,
    /// Replaces addresses in what is told.
    pub veil: Option<Veil>,
}

/// A listening witness; it ends with this value.
#[derive(Debug)]
pub struct Witness {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Starts a witness, if one is wanted. Without the right or the event it says so and gives none.
    ///
    /// # Errors
    /// A witness that must be, and cannot.
    pub fn start(
        options: &WitnessOptions,
        feed: mpsc::Sender<Feed>,
    ) -> Result<Option<Self>, WitnessError> {
        if options.wanted == Wanted::Off
            || (options.wanted == Wanted::Auto && options.host.is_empty())
        {
            return Ok(None);
        }
        match Self::listen(options, feed) {
            Ok(witness) => Ok(Some(witness)),
            Err(error) if options.wanted == Wanted::On => Err(error),
            Err(error) => {
                warn!("no kernel witness: {error}; verdicts rest on packets alone");
                Ok(None)
            }
        }
    }

    fn listen(options: &WitnessOptions, feed: mpsc::Sender<Feed>) -> Result<Self, WitnessError> {
        if options.host.is_empty() {
            return Err(WitnessError::NoHost);
        }
        let instance = Instance::create()?;
        let oath = oath_of(instance.format());
        let kernel = kernel();
        match oath {
            Oath::Everything => info!("kernel witness: Linux {kernel}, every reset of its TCP"),
            Oath::WithSocket | Oath::Nothing => info!(
                "kernel witness: Linux {kernel}, without resets that need no socket and those of TIME_WAIT"
            ),
        }
        let stop = Arc::new(AtomicBool::new(false));
        let mut listening = Listening::new(instance, oath, kernel, options, feed);
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("witness".to_owned())
            .spawn(move || {
                confine_witness();
                while !told.load(Ordering::Acquire) && listening.turn() {}
                listening.end();
            })
            .map_err(WitnessError::Thread)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // Its panic has been told by the panic hook; the instance is gone by unwinding.
            let _panic = thread.join();
        }
    }
}

/// The kernel's release, for people.
fn kernel() -> Arc<str> {
    let release = nix::sys::utsname::uname()
        .ok()
        .and_then(|name| name.release().to_str().map(str::to_owned))
        .unwrap_or_default();
    release
        .chars()
        .filter(|letter| !letter.is_control())
        .take(128)
        .collect::<String>()
        .into()
}

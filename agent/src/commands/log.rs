//! What is said on standard error: sentences for people, or each line a JSON object for programs.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use clap::ValueEnum;
use serde::Deserialize;
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// How standard error is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Sentences
    #[default]
    Text,
    /// One JSON object a line: timestamp, level, target, fields
    Json,
}

/// Once for the process.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

impl LogFormat {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// How it is written.
pub(super) fn format() -> LogFormat {
    FORMAT.get().copied().unwrap_or_default()
}

/// Begins to log.
pub(super) fn start(verbose: bool, format: LogFormat) {
    let default = if verbose {
        "info,parallax_agent=debug"
    } else {
        "warn,parallax_agent=info"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let format = *FORMAT.get_or_init(|| format);
    if format == LogFormat::Json {
        std::panic::set_hook(Box::new(|panic| error!("{panic}")));
        return log.json().init();
    }
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    log.with_ansi(std::io::stderr().is_terminal() && !plain)
        .with_target(verbose)
        .init();
}

/// A line that people or programs wait for.
pub(crate) fn say(line: &str) {
    if is_json() {
        info!("{line}");
    } else {
        eprintln!("{line}");
    }
}

/// What people should know about the input.
pub(super) fn caution(line: &str) {
    if is_json() {
        warn!("{line}");
    } else {
        eprintln!("warning: {line}");
    }
}

/// The last words.
pub(super) fn give_up(line: &str) {
    if is_json() {
        error!("{line}");
    } else {
        eprintln!("parallax-agent: {line}");
    }
}

//! What the program says on standard error: sentences for people, or each line a JSON object for programs.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use clap::ValueEnum;
use parallax_collector::traces::TARGET;
use tracing::{error, info};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// How standard error is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// Sentences
    #[default]
    Text,
    /// One JSON object a line: timestamp, level, target, fields
    Json,
}

/// Once for the process.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// What hears of everything that is said, or of spans.
pub type Listener = Box<dyn Layer<Registry> + Send + Sync>;

/// Begins to log, and to make spans where somebody hears them.
pub fn start(format: LogFormat, spans: Option<Listener>) {
    let filter = EnvFilter::try_from_env("PARALLAX_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,parallax_collector=info,parallax_identity=info"));
    // Spans are for their receiver only, whatever is asked of the log.
    let filter = match format!("{TARGET}=off").parse() {
        Ok(none) => filter.add_directive(none),
        Err(_) => filter,
    };
    let log = fmt::layer().with_writer(std::io::stderr);
    let format = *FORMAT.get_or_init(|| format);
    let log = if format == LogFormat::Json {
        std::panic::set_hook(Box::new(|panic| error!("{panic}")));
        log.json().with_filter(filter).boxed()
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = std::io::stderr().is_terminal() && !plain;
        let log = log.with_ansi(colours).with_target(false);
        log.with_filter(filter).boxed()
    };
    let listeners: Vec<Listener> = std::iter::once(log).chain(spans).collect();
    tracing_subscriber::registry().with(listeners).init();
}

/// The one line that programs wait for.
pub fn announce(grpc: Option<String>, http: Option<String>) {
    if is_json() {
        info!(grpc, http, "parallax-collector ready");
        return;
    }
    let told =
        |name: &str, url: Option<String>| url.map_or(String::new(), |url| format!(" {name} {url}"));
    let (grpc, http) = (told("grpc", grpc), told("http", http));
    say(&format!("parallax-collector ready:{grpc}{http}\n"));
}

/// The last words.
pub fn give_up(error: &anyhow::Error) {
    if is_json() {
        error!("{error}");
    } else {
        say(&format!("parallax-collector: {error}\n"));
    }
}

/// One write, so that the line is never torn; without standard error there is nobody to tell.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(line.as_bytes());
}

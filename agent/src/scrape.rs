//! The agent's numbers over HTTP, as text for Prometheus.
//!
//! The numbers are read when somebody asks: between two requests this costs nothing.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::{Recorder, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parallax_core::plain::plain;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::commands::log;
use crate::meter::Meter;

/// Connections at once; more wait. Whoever holds them all must not use up the agent's files.
const CONNECTIONS: usize = 16;

/// How long one may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait after a connection could not be taken: the machine has no files left.
const RESPITE: Duration = Duration::from_millis(200);

const PACKETS: &str = "parallax_agent_packets_total";
const DROPPED: &str = "parallax_agent_packets_dropped_total";
const NUMBERED: &str = "parallax_agent_digests_numbered_total";
const COMMITTED: &str = "parallax_agent_digests_committed_total";
const LOST: &str = "parallax_agent_digests_lost_total";
const OBSERVED: &str = "parallax_agent_octets_observed_total";
const SENT: &str = "parallax_agent_octets_sent_total";
const ANSWERS: &str = "parallax_agent_recall_answers_total";
const KEPT: &str = "parallax_agent_digests_kept";
const KEPT_LIMIT: &str = "parallax_agent_digests_kept_limit";
const SPOOL: &str = "parallax_agent_spool_octets";
const SPOOL_LIMIT: &str = "parallax_agent_spool_limit_octets";
const CONNECTED: &str = "parallax_agent_connected";

/// Why the numbers cannot be served.
#[derive(Debug, Error)]
pub enum ScrapeError {
    #[error("port {port} of {ip} is in use; stop what listens there, or choose another address with --metrics", ip = .0.ip(), port = .0.port())]
    InUse(SocketAddr),
    #[error(
        "cannot listen on {address} for --metrics: {source}; choose an address of this machine"
    )]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
}

/// Where the numbers are served.
#[derive(Debug)]
pub struct Scrape {
    listener: TcpListener,
    address: SocketAddr,
}

impl Scrape {
    /// Listens on an address, and says so on standard error.
    pub fn bind(address: SocketAddr) -> Result<Self, ScrapeError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ScrapeError::InUse(address),
            _ => ScrapeError::Listen { address, source },
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        log::say(&format!("metrics at http://{address}/metrics"));
        Ok(Self { listener, address })
    }

    /// Answers until it is dropped. The vantage's name stands at each number.
    pub fn serve(self, meter: Arc<Meter>, vantage: &str) -> impl Future<Output = ()> + use<> {
        let page = Arc::new(Page::new(meter, vantage));
        async move {
            match tokio::net::TcpListener::from_std(self.listener) {
                Ok(listener) => accept(listener, page).await,
                Err(error) => warn!("no metrics at {}: {error}", self.address),
            }
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, page: Arc<Page>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    // It is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!("no connection for metrics: {error}");
                tokio::time::sleep(RESPITE).await;
                continue;
            }
        };
        let page = Arc::clone(&page);
        tokio::spawn(async move {
            if tokio::time::timeout(PATIENCE, converse(stream, &page))
                .await
                .is_err()
            {
                debug!("a connection for metrics took too long");
            }
            drop(slot);
        });
    }
}

async fn converse(stream: TcpStream, page: &Page) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, page)) }),
        );
    if let Err(error) = serving.await {
        debug!("a connection for metrics: {error}");
    }
}

fn answer(request: &Request<Incoming>, page: &Page) -> Response<String> {
    let text = |status: StatusCode, text: &str| {
        let mut response = Response::new(text.to_owned());
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    };
    if request.uri().path() != "/metrics" {
        return text(StatusCode::NOT_FOUND, "nothing here; there is /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        refusal
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    let mut response = Response::new(page.render());
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

/// The numbers as text.
struct Page {
    meter: Arc<Meter>,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Page {
    fn new(meter: Arc<Meter>, vantage: &str) -> Self {
        let recorder = PrometheusBuilder::new()
            .add_global_label("vantage", plain(vantage))
            .build_recorder();
        let handle = recorder.handle();
        let page = Self {
            meter,
            recorder,
            handle,
        };
        page.with_recorder(describe);
        page
    }

    fn with_recorder(&self, work: impl FnOnce()) {
        let recorder: &dyn Recorder = &self.recorder;
        with_local_recorder(recorder, work);
    }

    fn render(&self) -> String {
        self.with_recorder(|| record(&self.meter));
        self.handle.render()
    }
}

fn record(meter: &Meter) {
    let levels = meter.levels();
    for (name, value) in [
        (PACKETS, meter.packets()),
        (DROPPED, meter.dropped()),
        (NUMBERED, levels.numbered),
        (COMMITTED, levels.committed),
        (LOST, meter.lost()),
        (OBSERVED, meter.observed()),
        (SENT, meter.sent()),
        (ANSWERS, meter.answers()),
    ] {
        counter!(name).absolute(value);
    }
    for (name, value) in [
        (KEPT, levels.in_memory),
        (KEPT_LIMIT, levels.memory_limit),
        (SPOOL, levels.spool),
        (SPOOL_LIMIT, levels.spool_limit),
        (CONNECTED, u64::from(meter.is_connected())),
    ] {
        gauge!(name).set(value as f64);
    }
}

fn describe() {
    describe_counter!(PACKETS, "Packets captured");
    describe_counter!(DROPPED, "Packets that kernel or interface lost");
    describe_counter!(
        NUMBERED,
        "Digests taken in and numbered, to be stored by the collector"
    );
    describe_counter!(
        COMMITTED,
        "Digests that the collector has in durable storage"
    );
    describe_counter!(
        LOST,
        "Digests given up for want of room, on their way or in memory and on disk"
    );
    describe_counter!(OBSERVED, "Octets of captured packets, as on the wire");
    describe_counter!(SENT, "Octets written to collectors");
    describe_counter!(ANSWERS, "Questions of the collector that memory answered");
    describe_gauge!(KEPT, "Digests in memory that the collector has not stored");
    describe_gauge!(KEPT_LIMIT, "Digests that find room in memory");
    describe_gauge!(
        SPOOL,
        "Octets on disk that the collector has not acknowledged; 0 without a state directory"
    );
    describe_gauge!(
        SPOOL_LIMIT,
        "Octets that this run may have on disk; 0 without a state directory"
    );
    describe_gauge!(CONNECTED, "1 while a collector takes what this agent sends");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_markup_quotes_and_hidden_marks_stays_one_label_on_one_line() {
        let meter = Arc::new(Meter::default());
        meter.add_packets(3, 1);
        let page = Page::new(meter, "\"} 1\nx{a=\"\\<b>\u{202e}");
        let text = page.render();
        let numbers = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let lines: Vec<&str> = numbers.collect();
        assert_eq!(lines.len(), 13, "{text}");
        let label = r#"{vantage="\"} 1\\u{a}x{a=\"\\<b>\\u{202e}"} "#;
        for line in &lines {
            assert!(line.contains(label), "{line}");
            assert!(line.starts_with("parallax_agent_"), "{line}");
        }
        let packets = format!("{PACKETS}{label}3");
        assert!(lines.contains(&packets.as_str()), "{text}");
    }

    #[test]
    fn an_address_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Scrape::bind(address).unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {} of 127.0.0.1 is in use", address.port())));
    }
}

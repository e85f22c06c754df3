//! What the collector counts, for Prometheus. One set for the process.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parallax_core::plain::plain;
use parallax_core::report::ResetReport;
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Coverage};
use tokio_util::sync::CancellationToken;

const PACKETS: &str = "parallax_packets_total";
const DROPPED: &str = "parallax_packets_dropped_total";
const DIGESTS: &str = "parallax_digests_stored_total";
const STORING: &str = "parallax_store_seconds";
const VERDICTS: &str = "parallax_verdicts_total";
const LATENCY: &str = "parallax_verdict_latency_seconds";
const CONNECTED: &str = "parallax_vantages_connected";

/// Upper ends of buckets, in seconds.
const BUCKETS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];
/// A verdict on what is older is no answer to something that just happened.
const FRESH: i64 = 120 * SECOND;
/// Characters of a vantage's name in a label.
const NAME: usize = 128;
/// How often what was observed is put into its buckets.
const UPKEEP: Duration = Duration::from_secs(5);

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Begins to count.
pub fn start(stop: CancellationToken) {
    let handle = HANDLE.get_or_init(|| {
        let seconds = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &BUCKETS);
        let installed = builder.and_then(PrometheusBuilder::install_recorder);
        let handle =
            installed.map_err(|error| tracing::warn!("nothing is counted for /metrics: {error}"));
        describe();
        handle.ok()
    });
    let Some(handle) = handle.clone() else { return };
    tokio::spawn(async move {
        let mut turns = tokio::time::interval(UPKEEP);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = turns.tick() => handle.run_upkeep(),
            }
        }
    });
}

fn describe() {
    describe_counter!(PACKETS, "Packets that agents captured, as their beats told");
    describe_counter!(DROPPED, "Packets that agents lost between wire and digest");
    describe_counter!(DIGESTS, "Digests written to the database");
    describe_histogram!(
        STORING,
        Unit::Seconds,
        "How long one transaction of digests took"
    );
    describe_counter!(
        VERDICTS,
        "Verdicts that were new or changed, by what they say"
    );
    describe_histogram!(
        LATENCY,
        Unit::Seconds,
        "From the first sighting, by its vantage's clock, to a verdict that is new or changed; of resets younger than two minutes"
    );
    describe_gauge!(
        CONNECTED,
        "Vantages whose agents are connected to this collector"
    );
    for counted in [PACKETS, DROPPED, DIGESTS] {
        counter!(counted).increment(0);
    }
}

/// Text for Prometheus; empty before the start.
pub fn render() -> String {
    let handle = HANDLE.get().and_then(Option::as_ref);
    handle.map_or_else(String::new, PrometheusHandle::render)
}

pub fn connected(vantages: usize) {
    gauge!(CONNECTED).set(vantages as f64);
}

/// A transaction stored this many digests.
pub fn stored(digests: u64, took: Duration) {
    counter!(DIGESTS).increment(digests);
    histogram!(STORING).record(took.as_secs_f64());
}

/// What runs watched, now that it is stored.
pub fn watched(spans: impl Iterator<Item = Coverage>) {
    for span in spans {
        counter!(PACKETS).increment(span.received);
        counter!(DROPPED).increment(span.dropped);
    }
}

/// A verdict is new or changed.
pub fn verdict(report: &ResetReport, now: CaptureTime) {
    let place = |end: usize| {
        let ends = report.between.as_ref();
        let name = ends
            .and_then(|ends| ends[end].as_deref())
            .unwrap_or_default();
        plain(&name.chars().take(NAME).collect::<String>())
    };
    counter!(
        VERDICTS,
        "origin" => report.origin.as_str(),
        "cause" => report.cause.as_str(),
        "from" => place(0),
        "to" => place(1),
    )
    .increment(1);
    let age = now.since(report.time);
    if (0..FRESH).contains(&age) {
        histogram!(LATENCY).record(age as f64 / SECOND as f64);
    }
}

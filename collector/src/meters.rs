//! What the collector counts, for Prometheus. One set for the process.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parallax_core::report::{Origin, ResetReport};
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Coverage, LossCause, LossOf, LossRecord, Strength};
use tokio_util::sync::CancellationToken;

mod places;

use crate::store::Settled;
use places::{Place, Places};

const PACKETS: &str = "parallax_packets_total";
const DROPPED: &str = "parallax_packets_dropped_total";
const LOST: &str = "parallax_lost_total";
const DIGESTS: &str = "parallax_digests_stored_total";
const WAITING: &str = "parallax_digests_waiting";
const STORING: &str = "parallax_store_seconds";
const NOT_STORED: &str = "parallax_store_failures_total";
const ASKED: &str = "parallax_recall_questions_total";
const ANSWERED: &str = "parallax_recall_answers_total";
const DOCKET: &str = "parallax_flows_waiting";
const LAG: &str = "parallax_judge_lag_seconds";
const JUDGED: &str = "parallax_flows_judged_total";
const JOINING: &str = "parallax_join_seconds";
const JUDGING: &str = "parallax_judge_seconds";
const WRITING: &str = "parallax_write_verdicts_seconds";
const VERDICTS: &str = "parallax_verdicts_total";
const SETTLED: &str = "parallax_resets_settled_total";
const LATENCY: &str = "parallax_verdict_latency_seconds";
const CONNECTED: &str = "parallax_vantages_connected";
const NOTIFIED: &str = "parallax_notifications_total";
const DATABASE: &str = "parallax_database_up";
const SPANS: &str = "parallax_spans_total";

/// Upper ends of buckets, in seconds.
const BUCKETS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];
/// A verdict on what is older is no answer to something that just happened.
const FRESH: i64 = 120 * SECOND;
/// How often what was observed is put into its buckets.
const UPKEEP: Duration = Duration::from_secs(5);

static PLACES: Places = Places::new();

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
    describe_counter!(
        LOST,
        "Packets and digests that agents certainly lost, by cause and by what they were"
    );
    describe_counter!(DIGESTS, "Digests written to the database");
    describe_gauge!(WAITING, "Digests that came and are not written yet");
    describe_seconds(STORING, "How long one transaction of digests took");
    describe_counter!(NOT_STORED, "Transactions of digests that failed");
    describe_counter!(ASKED, "Questions to agents about what they remember");
    describe_counter!(ANSWERED, "Answers of agents that were stored");
    describe_gauge!(DOCKET, "Flows that are to be judged, now or within seconds");
    describe_gauge!(LAG, Unit::Seconds, "How long the first flow is overdue");
    describe_counter!(JUDGED, "Flows judged; one is judged several times");
    describe_seconds(
        JOINING,
        "How long gathering all evidence of a batch of flows took",
    );
    describe_seconds(JUDGING, "How long judging a batch of flows took");
    describe_seconds(
        WRITING,
        "How long writing the verdicts of a batch of flows took",
    );
    describe_counter!(
        VERDICTS,
        "Verdicts that were new or changed, by what they say"
    );
    describe_counter!(
        SETTLED,
        "Resets whose verdict settled, by what it says; again only where it changed since"
    );
    describe_seconds(
        LATENCY,
        "From the first sighting, by its vantage's clock, to a verdict that is new or changed; of resets younger than two minutes",
    );
    describe_gauge!(
        CONNECTED,
        "Vantages whose agents are connected to this collector"
    );
    describe_counter!(
        NOTIFIED,
        "What webhooks and Alertmanagers were told of places that inject: sent, failed and to be tried again, or lost"
    );
    describe_counter!(
        SPANS,
        "Spans for the receiver of traces: sent, or lost for want of room or because they were refused"
    );
    describe_gauge!(
        DATABASE,
        "1 while the database answers; asked every two seconds"
    );
    for counted in [
        PACKETS, DROPPED, DIGESTS, NOT_STORED, ASKED, ANSWERED, JUDGED,
    ] {
        counter!(counted).increment(0);
    }
    for kind in ["webhook", "alertmanager"] {
        for what in [Notification::Sent, Notification::Failed, Notification::Lost] {
            notified(kind, what, 0);
        }
    }
    spans_sent(0);
    spans_lost(0);
    // What is counted for the first time would otherwise not look like a rise.
    for (cause, of) in [
        (LossCause::Kernel, LossOf::Packets),
        (LossCause::Interface, LossOf::Packets),
        (LossCause::Ring, LossOf::Packets),
        (LossCause::Spool, LossOf::Segments),
        (LossCause::Spool, LossOf::Context),
        (LossCause::Spool, LossOf::Resets),
        (LossCause::SpoolDamaged, LossOf::Resets),
    ] {
        counter!(LOST, "cause" => cause.as_str(), "of" => of.as_str()).increment(0);
    }
}

fn describe_seconds(name: &'static str, meaning: &'static str) {
    describe_histogram!(name, Unit::Seconds, meaning);
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

/// What agents say they lost, now that it is stored. One that is told again after a reconnect counts again.
pub fn lost(losses: &[LossRecord]) {
    for loss in losses {
        if let (Strength::Certain, Some(count)) = (loss.strength, loss.count) {
            counter!(LOST, "cause" => loss.cause.as_str(), "of" => loss.of.as_str())
                .increment(count);
        }
    }
}

/// So many digests wait for the database, beside others.
pub fn queued(digests: usize) {
    gauge!(WAITING).increment(digests as f64);
}

/// So many wait no longer.
pub fn unqueued(digests: usize) {
    gauge!(WAITING).decrement(digests as f64);
}

/// A transaction of digests failed.
pub fn not_stored() {
    counter!(NOT_STORED).increment(1);
}

/// Agents were asked so many questions.
pub fn asked(questions: usize) {
    counter!(ASKED).increment(questions as u64);
}

/// Agents' answers were stored.
pub fn answered(answers: usize) {
    counter!(ANSWERED).increment(answers as u64);
}

/// So many flows are to be judged; the first should have been for so long.
pub fn docket(flows: usize, late: Duration) {
    gauge!(DOCKET).set(flows as f64);
    gauge!(LAG).set(late.as_secs_f64());
}

/// All evidence of so many flows was gathered.
pub fn joined(flows: usize, took: Duration) {
    counter!(JUDGED).increment(flows as u64);
    histogram!(JOINING).record(took.as_secs_f64());
}

/// A batch of flows was judged.
pub fn judged(took: Duration) {
    histogram!(JUDGING).record(took.as_secs_f64());
}

/// A batch of verdicts was written.
pub fn written(took: Duration) {
    histogram!(WRITING).record(took.as_secs_f64());
}

/// What became of telling somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    Sent,
    /// To be tried again.
    Failed,
    Lost,
}

impl Notification {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// Sinks of this kind were told, or not.
pub fn notified(kind: &'static str, what: Notification, count: u64) {
    counter!(NOTIFIED, "sink" => kind, "outcome" => what.as_str()).increment(count);
}

/// The receiver of traces took so many spans.
pub fn spans_sent(spans: u64) {
    counter!(SPANS, "outcome" => "sent").increment(spans);
}

/// So many spans never reach it.
pub fn spans_lost(spans: u64) {
    counter!(SPANS, "outcome" => "lost").increment(spans);
}

/// Whether the database answers.
pub fn database(answers: bool) {
    gauge!(DATABASE).set(f64::from(u8::from(answers)));
}

/// A verdict is new or changed.
pub fn verdict(report: &ResetReport, now: CaptureTime) {
    let ends = report.between.as_ref();
    let ends = ends.map_or([None, None], |[a, b]| [a.as_deref(), b.as_deref()]);
    let origin = report.origin.as_str();
    let place = place(origin, ends, report.at.as_deref());
    counter!(
        VERDICTS,
        "origin" => origin,
        "cause" => report.cause.as_str(),
        "from" => place.from,
        "to" => place.to,
        "at" => place.at,
    )
    .increment(1);
    let age = now.since(report.time);
    if (0..FRESH).contains(&age) {
        histogram!(LATENCY).record(age as f64 / SECOND as f64);
    }
}

/// Verdicts settled.
pub fn settled(settled: &Settled) {
    let ends = [settled.between_a.as_deref(), settled.between_b.as_deref()];
    let place = place(&settled.origin, ends, settled.emitted_at.as_deref());
    counter!(
        SETTLED,
        "origin" => settled.origin.clone(),
        "cause" => settled.cause.clone(),
        "from" => place.from,
        "to" => place.to,
        "at" => place.at,
    )
    .increment(settled.resets.unsigned_abs());
}

fn place(origin: &str, ends: [Option<&str>; 2], at: Option<&str>) -> Place {
    PLACES.bounded(if origin == Origin::Middlebox.as_str() {
        Place::between(ends)
    } else {
        Place::at(at)
    })
}

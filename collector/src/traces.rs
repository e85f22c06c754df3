//! Traces: what the collector does, as spans for a receiver of OpenTelemetry that the operator names (`--otlp`).
//!
//! All spans have one target, which nothing but [`begin`]'s layer enables: without a receiver none is made. Each says
//! counts and times; no address, no payload, no question of a person is in one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};
use tokio::sync::mpsc;
use tracing::field::Empty;
use tracing::{Level, Span, info_span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry};
use url::Url;
use uuid::Uuid;

use crate::meters;

mod receiver;
mod request;

pub use receiver::Sending;
pub(crate) use request::trace as trace_request;

/// The target of every span.
pub const TARGET: &str = "parallax::trace";
/// Spans that wait for the receiver at most; those that find no room are lost, and counted.
const WAITING_MAX: usize = 4096;
/// Characters of a name in a span.
const NAME_MAX: usize = 128;

/// Where a span that ended is put.
#[derive(Debug)]
struct Entrance {
    queue: mpsc::Sender<SpanData>,
    lost: Arc<AtomicU64>,
}

impl SpanProcessor for Entrance {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.try_send(span).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            meters::spans_lost(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Begins to make spans: a layer for the log, and what sends them once it is run. `receiver` is the base address of
/// a receiver of OTLP over HTTP; `headers` goes with each request to it.
pub fn begin(
    receiver: &Url,
    headers: BTreeMap<String, String>,
) -> (Box<dyn Layer<Registry> + Send + Sync>, Sending) {
    let (queue, waiting) = mpsc::channel(WAITING_MAX);
    let lost = Arc::new(AtomicU64::new(0));
    let resource = resource();
    let entrance = Entrance {
        queue,
        lost: Arc::clone(&lost),
    };
    let provider = SdkTracerProvider::builder()
        .with_span_processor(entrance)
        .with_resource(resource.clone())
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("parallax-collector"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(Targets::new().with_target(TARGET, Level::INFO));
    let sending = Sending::new(receiver, headers, &resource, waiting, lost);
    (layer.boxed(), sending)
}

/// Who speaks. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are heard.
fn resource() -> Resource {
    let mut resource = Resource::builder().with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
    ]);
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("parallax-collector");
    }
    resource.build()
}

/// Whether spans are made.
pub(crate) fn are_made() -> bool {
    tracing::span_enabled!(target: TARGET, Level::INFO)
}

/// What a span is about went wrong.
pub(crate) fn failed(span: &Span, why: &dyn fmt::Display) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", why.to_string());
}

/// The life of an agent's stream, from its Hello on; it is told when it ends.
pub(crate) fn agent_stream() -> Span {
    info_span!(
        target: TARGET,
        "agent stream",
        parallax.vantage = Empty,
        parallax.run = Empty,
        parallax.digests = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Whose stream it is.
pub(crate) fn is_of(span: &Span, vantage: &str, run: Uuid) {
    if !span.is_disabled() {
        let name: String = vantage.chars().take(NAME_MAX).collect();
        span.record("parallax.vantage", parallax_core::plain::plain(&name));
        span.record("parallax.run", run.to_string());
    }
}

/// A transaction of digests that streams handed over in so many portions.
pub(crate) fn load(portions: usize, digests: usize) -> Span {
    info_span!(
        target: TARGET,
        "load",
        parallax.portions = portions,
        parallax.digests = digests,
        parallax.rows = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// A batch of flows before the judge.
pub(crate) fn sitting(flows: usize) -> Span {
    info_span!(
        target: TARGET,
        parent: None,
        "judge batch",
        parallax.flows = flows,
        parallax.flows_taken = Empty,
        parallax.resets = Empty,
        parallax.verdicts_changed = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// A part of a batch's judging.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Which flows are this collector's.
    Claim,
    Gather,
    Judge,
    Write,
}

impl Step {
    /// A span within the current one.
    pub fn span(self) -> Span {
        match self {
            Self::Claim => info_span!(target: TARGET, "claim"),
            Self::Gather => info_span!(target: TARGET, "gather"),
            Self::Judge => info_span!(target: TARGET, "judge"),
            Self::Write => info_span!(target: TARGET, "write"),
        }
    }
}

/// Bringing the database's schema up to date, at a start.
pub(crate) fn migration() -> Span {
    info_span!(
        target: TARGET,
        "migrate",
        parallax.schema = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

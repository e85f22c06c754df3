//! Sends spans in batches. A receiver that is away costs a bounded queue and nobody's time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use crate::meters;
use crate::post::{Authorities, Post, Untaken};

/// Spans of one request.
const BATCH: usize = 512;
/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_secs(1);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What sends spans; [`run`](Self::run) does.
#[derive(Debug)]
pub struct Sending {
    url: Url,
    headers: HeaderMap,
    resource: ResourceAttributesWithSchema,
    waiting: mpsc::Receiver<SpanData>,
    /// Spans that found no room, or were given up, since it was said last.
    lost: Arc<AtomicU64>,
}

impl Sending {
    pub(super) fn new(
        receiver: &Url,
        headers: BTreeMap<String, String>,
        resource: &Resource,
        waiting: mpsc::Receiver<SpanData>,
        lost: Arc<AtomicU64>,
    ) -> Self {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                all.insert(name, value);
            }
        }
        all.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        Self {
            url: traces_url(receiver),
            headers: all,
            resource: resource.into(),
            waiting,
            lost,
        }
    }

    /// Sends until `stop`, then once what is left.
    pub async fn run(mut self, authorities: Authorities, stop: CancellationToken) {
        let name = self.url.origin().ascii_serialization();
        let post = match Post::new(&authorities) {
            Ok(post) => post,
            Err(error) => return warn!("{name} gets no traces: {error}"),
        };
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                taken = self.waiting.recv_many(&mut batch, BATCH) => if taken == 0 { break },
            }
            if batch.len() < BATCH {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(LINGER) => {}
                }
                self.fill(&mut batch);
            }
            self.deliver(&post, &name, std::mem::take(&mut batch), &stop)
                .await;
        }
        loop {
            self.fill(&mut batch);
            if batch.is_empty() {
                break;
            }
            self.deliver(&post, &name, std::mem::take(&mut batch), &stop)
                .await;
        }
        self.say_losses(&name);
    }

    /// Takes what is there.
    fn fill(&mut self, batch: &mut Vec<SpanData>) {
        while batch.len() < BATCH
            && let Ok(span) = self.waiting.try_recv()
        {
            batch.push(span);
        }
    }

    /// Sends a batch, again and again while the receiver is away; when all is to stop, once.
    async fn deliver(
        &self,
        post: &Post,
        name: &str,
        batch: Vec<SpanData>,
        stop: &CancellationToken,
    ) {
        let spans = batch.len() as u64;
        let body = self.body(batch);
        let mut pause = Duration::from_secs(1);
        let mut said = false;
        loop {
            let sent = post.octets(&self.url, self.headers.clone(), body.clone());
            let untaken = match sent.await {
                Ok(answer) => {
                    self.taken(name, spans, &answer);
                    if said {
                        info!("{name} takes traces again");
                    }
                    return self.say_losses(name);
                }
                Err(untaken) => untaken,
            };
            if stop.is_cancelled() || !may_be_taken_later(&untaken) {
                self.give_up(spans);
                warn!("{name} did not take {spans} spans: {untaken}");
                return;
            }
            if !said {
                said = true;
                warn!("{name} does not take traces, and is tried again: {untaken}");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn body(&self, batch: Vec<SpanData>) -> Vec<u8> {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    /// A receiver may take a part only; an answer that cannot be read says nothing.
    fn taken(&self, name: &str, spans: u64, answer: &[u8]) {
        let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
        let partial = answer.partial_success.unwrap_or_default();
        let refused = u64::try_from(partial.rejected_spans)
            .unwrap_or(0)
            .min(spans);
        meters::spans_sent(spans - refused);
        if refused > 0 {
            self.give_up(refused);
            let said: String = partial.error_message.chars().take(200).collect();
            let said = parallax_core::plain::plain(&said);
            warn!("{name} refused {refused} of {spans} spans: {said}");
        }
    }

    fn give_up(&self, spans: u64) {
        self.lost.fetch_add(spans, Ordering::Relaxed);
        meters::spans_lost(spans);
    }

    fn say_losses(&self, name: &str) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            warn!(lost, "{lost} spans never reached {name}");
        }
    }
}

/// OTLP 1.10, "OTLP/HTTP request": the signal's path behind the base address.
fn traces_url(receiver: &Url) -> Url {
    let mut url = receiver.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["v1", "traces"]);
    }
    url
}

/// OTLP, "Retryable response codes"; who was not reached may be there later.
fn may_be_taken_later(untaken: &Untaken) -> bool {
    match untaken {
        Untaken::Unreached(_) => true,
        Untaken::Refused(status, _) => matches!(
            *status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_traces_is_put_behind_the_base_address() {
        for (base, whole) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            (
                "https://a.example/otlp/",
                "https://a.example/otlp/v1/traces",
            ),
        ] {
            assert_eq!(traces_url(&base.parse().unwrap()).as_str(), whole);
        }
    }

    #[test]
    fn what_is_refused_for_good_is_not_tried_again() {
        let refused = |code: u16| {
            may_be_taken_later(&Untaken::Refused(
                StatusCode::from_u16(code).unwrap(),
                String::new(),
            ))
        };
        assert!([429, 502, 503, 504].into_iter().all(refused));
        assert!(![400, 401, 404, 413, 500].into_iter().any(refused));
    }
}

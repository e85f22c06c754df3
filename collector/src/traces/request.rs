//! A span for each HTTP request and gRPC call, until the last octet of its answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::TARGET;

/// The word by which a call's trailers, or an answer's headers, say how it went.
const GRPC_STATUS: &str = "grpc-status";
/// Octets of the longest method that is known (CONNECT, OPTIONS).
const METHOD_MAX: usize = 7;

/// A middleware around everything else.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    let span = begin(&request);
    let caller = TraceContextPropagator::new().extract(&Headers(request.headers()));
    // Refused only for a span that is not made.
    let _ = span.set_parent(caller);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    note_grpc(&span, response.headers());
    response.map(|body| Body::new(Traced { body, span }))
}

fn begin(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(MatchedPath::as_str);
    let method = request.method().as_str();
    let method = if method.len() <= METHOD_MAX {
        method
    } else {
        "_OTHER"
    };
    if is_grpc(request.headers()) {
        let (service, call) = called(request.uri().path());
        return info_span!(
            target: TARGET,
            parent: None,
            "call",
            otel.name = format!("{service}/{call}"),
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = call,
            rpc.grpc.status_code = Empty,
            http.response.status_code = Empty,
            otel.status_code = Empty,
        );
    }
    info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        rpc.grpc.status_code = Empty,
        http.response.status_code = Empty,
        otel.status_code = Empty,
    )
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Service and method of a call; names that nobody serves are not told.
fn called(path: &str) -> (&str, &str) {
    const MOST: usize = 64;
    let plain = |name: &str| {
        let letters = |octet: u8| octet.is_ascii_alphanumeric() || b"._".contains(&octet);
        name.len() <= MOST && name.bytes().all(letters)
    };
    let (service, call) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or_default();
    if plain(service) && plain(call) {
        (service, call)
    } else {
        ("(unknown)", "(unknown)")
    }
}

fn note_grpc(span: &Span, headers: &HeaderMap) {
    let said = headers.get(GRPC_STATUS).map(HeaderValue::to_str);
    let Some(code) = said.and_then(|said| said.ok()?.parse::<u16>().ok()) else {
        return;
    };
    span.record("rpc.grpc.status_code", code);
    // Semantic conventions of RPC: of a server's answers these are its own faults.
    if [2, 4, 12, 13, 14, 15].contains(&code) {
        span.record("otel.status_code", "ERROR");
    }
}

/// Where a caller says of which trace its request is (W3C Trace Context).
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(header::HeaderName::as_str).collect()
    }
}

/// An answer on its way; the span ends with it.
struct Traced {
    body: Body,
    span: Span,
}

impl HttpBody for Traced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            note_grpc(&self.span, trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_named_unless_its_name_is_nonsense() {
        assert_eq!(
            called("/parallax.v1.Query/ListResets"),
            ("parallax.v1.Query", "ListResets")
        );
        for odd in ["/", "/x", "/a/<b>", &format!("/a/{}", "x".repeat(65))] {
            let (service, call) = called(odd);
            assert!(!service.contains('<') && call.len() <= 64, "{odd}");
        }
    }
}

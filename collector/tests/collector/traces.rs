//! Traces, as a receiver of OTLP over HTTP gets them from the program; and a receiver that is away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use parallax_core::report::Document;
use parallax_proto::v1::ListResetsRequest;
use parallax_proto::v1::query_client::QueryClient;
use prost::Message as _;

use crate::agent::{Agent, hello};
use crate::digests::refused;
use crate::process::{Running, command, folder, started, until};
use crate::server::get;

/// Spans with whom they are of, as they came.
type Received = Arc<Mutex<Vec<(Resource, Span)>>>;

/// A receiver that is overloaded at first, and wants a secret.
async fn receiver() -> (String, Received) {
    let received = Received::default();
    let noted = Arc::clone(&received);
    let overloaded = Arc::new(Mutex::new(true));
    let take = move |headers: HeaderMap, body: Bytes| {
        let status = if headers["authorization"] != "Bearer a b" {
            StatusCode::UNAUTHORIZED
        } else if std::mem::take(&mut *overloaded.lock().unwrap()) {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            let told = ExportTraceServiceRequest::decode(body).unwrap();
            let mut all = noted.lock().unwrap();
            for of_resource in told.resource_spans {
                let resource = of_resource.resource.unwrap();
                let spans = of_resource.scope_spans.into_iter();
                all.extend(
                    spans
                        .flat_map(|scope| scope.spans)
                        .map(|span| (resource.clone(), span)),
                );
            }
            StatusCode::OK
        };
        std::future::ready(status)
    };
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/otlp/", socket.local_addr().unwrap());
    let router = Router::new().route("/otlp/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(socket, router).await });
    (url, received)
}

async fn traced(folder: &tempfile::TempDir, url: &str) -> Running {
    let mut command = command(&folder.path().join("data"));
    command
        .args(["--otlp", url])
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20a%20b")
        .env("NO_PROXY", "*");
    tokio::task::spawn_blocking(|| started(command))
        .await
        .unwrap()
}

async fn ask(url: String) -> (u16, String) {
    tokio::task::spawn_blocking(move || get(&url))
        .await
        .unwrap()
}

fn value(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    let value = found.and_then(|found| found.value.as_ref()?.value.clone());
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_spans_of_requests_calls_streams_loads_and_judging() {
    let folder = folder();
    let (url, received) = receiver().await;
    let collector = traced(&folder, &url).await;
    let (agent, _) = Agent::connect_to(collector.url.clone(), hello("fw-in", 1))
        .await
        .unwrap();
    let digests = refused(40000, 0);
    agent.send(0, &digests).await;
    agent.goodbye().await;
    for turn in 0.. {
        let (_, body) = ask(format!("{}/v1/resets", collector.url)).await;
        let found: Document = serde_json::from_str(&body).unwrap();
        if !found.resets.is_empty() {
            break;
        }
        assert!(turn < 400, "the reset was not judged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let with_parent = format!("{}/v1/resets/nonsense", collector.url);
    let refused = tokio::task::spawn_blocking(move || {
        let asked = ureq::get(&with_parent)
            .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
            .call();
        asked.unwrap_err().to_string()
    });
    assert!(refused.await.unwrap().contains("400"));
    let mut query = QueryClient::connect(collector.url.clone()).await.unwrap();
    query
        .list_resets(ListResetsRequest::default())
        .await
        .unwrap();
    drop(query);
    for turn in 0.. {
        if !received.lock().unwrap().is_empty() {
            break;
        }
        assert!(turn < 400, "nothing came: {}", collector.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = tokio::task::spawn_blocking(move || collector.stop(Signal::SIGINT));
    assert!(status.await.unwrap().success());

    let received = std::mem::take(&mut *received.lock().unwrap());
    let (resource, _) = &received[0];
    assert_eq!(
        value(&resource.attributes, "service.name"),
        "parallax-collector"
    );
    let spans: Vec<Span> = received.into_iter().map(|(_, span)| span).collect();
    let mut by_name: BTreeMap<&str, &Span> = BTreeMap::new();
    for span in &spans {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        by_name.insert(&span.name, span);
    }
    let about = |name: &str, attribute: &str| {
        let span = by_name.get(name);
        let span = span.unwrap_or_else(|| panic!("no {name} among {:?}", by_name.keys()));
        value(&span.attributes, attribute)
    };
    assert!(about("migrate", "parallax.schema").parse::<u32>().unwrap() > 50);
    assert_eq!(about("agent stream", "parallax.vantage"), "fw-in");
    assert_eq!(
        about("agent stream", "parallax.digests"),
        digests.len().to_string()
    );
    let loads = spans.iter().filter(|span| span.name == "load");
    let rows = loads.map(|load| value(&load.attributes, "parallax.rows"));
    let rows: usize = rows.map(|rows| rows.parse::<usize>().unwrap()).sum();
    assert_eq!(rows, digests.len());
    let verdict = spans.iter().find(|span| {
        span.name == "judge batch" && value(&span.attributes, "parallax.resets") == "1"
    });
    let verdict = verdict.expect("a batch with the reset");
    assert_eq!(value(&verdict.attributes, "parallax.flows_taken"), "1");
    for step in ["claim", "gather", "judge", "write"] {
        let within = |span: &&Span| span.name == step && span.parent_span_id == verdict.span_id;
        assert_eq!(spans.iter().filter(within).count(), 1, "{step}");
    }
    assert_eq!(about("GET /v1/resets", "http.response.status_code"), "200");
    let refused = by_name["GET /v1/resets/{id}"];
    assert_eq!(
        value(&refused.attributes, "http.response.status_code"),
        "400"
    );
    let trace = parallax_bundle::hex(&refused.trace_id);
    assert_eq!(trace, TRACE, "the caller's trace goes on");
    assert_eq!(
        about("parallax.v1.Query/ListResets", "rpc.grpc.status_code"),
        "0"
    );
    assert_eq!(about("parallax.v1.Ingest/Stream", "rpc.system"), "grpc");
    let told = format!("{spans:?}");
    assert!(!told.contains("192.0.2.") && !told.contains("nonsense"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_costs_counted_spans_and_nothing_else() {
    let folder = folder();
    // Nobody listens there.
    let collector = traced(&folder, "http://127.0.0.1:1").await;
    // The spans of its start are being sent, again and again, however fast this machine is: all later ones wait.
    until("the spans of its start are refused", || {
        collector.said().contains("does not take traces")
    });
    let asking = (0..4).map(|_| {
        let url = format!("{}/healthz", collector.url);
        tokio::task::spawn_blocking(move || {
            let agent = ureq::Agent::new_with_defaults();
            for _ in 0..1500 {
                assert_eq!(agent.get(&url).call().unwrap().status(), 200);
            }
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        asked.await.unwrap();
    }
    let (agent, _) = Agent::connect_to(collector.url.clone(), hello("fw-in", 1))
        .await
        .unwrap();
    let digests = refused(40000, 0);
    agent.send(0, &digests).await;
    assert_eq!(agent.goodbye().await, digests.len() as u64);
    let (_, metrics) = ask(format!("{}/metrics", collector.url)).await;
    let lost = metrics
        .lines()
        .find_map(|line| line.strip_prefix("parallax_spans_total{outcome=\"lost\"} "));
    let lost: u64 = lost.unwrap().parse().unwrap();
    // 4,096 wait. Beside the 6,000 answers there are an agent's stream, a load and its judging.
    let answers = 6000 - 4096;
    assert!((answers..=answers + 100).contains(&lost), "{lost}");
    let said = collector.said();
    assert_eq!(said.matches("does not take traces").count(), 1, "{said}");
    let status = tokio::task::spawn_blocking(move || collector.stop(Signal::SIGINT));
    assert!(status.await.unwrap().success());
}

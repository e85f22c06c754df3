//! The gRPC query service, reflection and health, asked by real clients.

use std::time::Duration;

use parallax_collector::store::Store;
use parallax_core::report::{Document, Explanation};
use parallax_proto::v1::query_client::QueryClient;
use parallax_proto::v1::{
    Between, GetResetRequest, ListResetsRequest, ListVantagesRequest, Origin, Reset,
    WatchResetsRequest,
};
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::agent::{Agent, hello};
use crate::digests::{at, refused};
use crate::many::fill;
use crate::server::{Collector, cut_off, database, plain_database};

async fn channel(collector: &Collector) -> Channel {
    Channel::from_shared(collector.url())
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn documents(collector: &Collector, path: &str) -> Document {
    let (status, body) = collector.get(path).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn pages_of_resets_are_those_of_the_http_api() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    fill(&store, 50).await;
    let collector = Collector::start(database).await;
    let mut client = QueryClient::new(channel(&collector).await);
    let mut told: Vec<Reset> = Vec::new();
    let mut token = String::new();
    loop {
        let asked = ListResetsRequest {
            page_size: 20,
            page_token: token,
            ..ListResetsRequest::default()
        };
        let page = client.list_resets(asked).await.unwrap().into_inner();
        assert!(page.resets.len() <= 20);
        told.extend(page.resets);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let document = documents(&collector, "/v1/resets").await;
    let newest_first: Vec<String> = document
        .resets
        .iter()
        .rev()
        .map(|reset| reset.id.to_string())
        .collect();
    let ids: Vec<String> = told.iter().map(|reset| reset.id.clone()).collect();
    assert_eq!(ids, newest_first);
    let last = document.resets.last().unwrap();
    assert_eq!(told[0].seq, last.seq);
    assert_eq!(told[0].cause, last.cause.as_str());
    assert_eq!(told[0].time, last.time.nanos());
    let forged = ListResetsRequest {
        origin: Origin::Middlebox.into(),
        ..ListResetsRequest::default()
    };
    let found = client.list_resets(forged).await.unwrap().into_inner();
    let same = documents(&collector, "/v1/resets?origin=middlebox").await;
    assert_eq!(found.resets.len(), same.resets.len());
    assert!(!found.resets.is_empty());
    collector.stop().await;
}

#[tokio::test]
async fn nonsense_is_refused_by_its_fields_name() {
    let collector = Collector::start(database().await).await;
    let mut client = QueryClient::new(channel(&collector).await);
    let any = ListResetsRequest::default;
    for (asked, field) in [
        (
            ListResetsRequest {
                address: Some(vec![1; 5]),
                ..any()
            },
            "address",
        ),
        (
            ListResetsRequest {
                port: Some(65_536),
                ..any()
            },
            "port",
        ),
        (
            ListResetsRequest {
                cause: Some("no\0ne".to_owned()),
                ..any()
            },
            "cause",
        ),
        (
            ListResetsRequest {
                vantage: Some("\0".to_owned()),
                ..any()
            },
            "vantage",
        ),
        (
            ListResetsRequest {
                origin: 77,
                ..any()
            },
            "origin",
        ),
        (
            ListResetsRequest {
                page_size: u32::MAX,
                ..any()
            },
            "page_size",
        ),
        (
            ListResetsRequest {
                page_token: "x".to_owned(),
                ..any()
            },
            "page_token",
        ),
        (
            ListResetsRequest {
                between: Some(Between {
                    from: Some("\0".to_owned()),
                    to: None,
                }),
                ..any()
            },
            "between",
        ),
    ] {
        let refused = client.list_resets(asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().starts_with(field), "{refused}");
    }
    for (id, code) in [
        ("x", Code::InvalidArgument),
        ("00000000-0000-7000-8000-00000000ffff", Code::NotFound),
    ] {
        let asked = GetResetRequest { id: id.to_owned() };
        assert_eq!(client.get_reset(asked).await.unwrap_err().code(), code);
    }
    // Times at the ends of their range are times.
    let ends = ListResetsRequest {
        since: Some(i64::MIN),
        until: Some(i64::MAX),
        ..any()
    };
    assert!(client.list_resets(ends).await.is_ok());
    collector.stop().await;
}

#[tokio::test]
async fn a_verdict_is_watched_and_told_in_full() {
    let collector = Collector::start(database().await).await;
    let mut client = QueryClient::new(channel(&collector).await);
    let stream = client.watch_resets(WatchResetsRequest {}).await.unwrap();
    let mut stream = stream.into_inner();
    let (mut agent, _) = Agent::connect(&collector, hello("client", 1))
        .await
        .unwrap();
    agent.send(0, &refused(40000, 1)).await;
    agent.beat(at(-500).nanos(), at(500).nanos(), 2).await;
    agent.committed(2).await;
    let next = tokio::time::timeout(Duration::from_secs(8), stream.next()).await;
    let watched = next.unwrap().unwrap().unwrap().reset.unwrap();
    let asked = GetResetRequest {
        id: watched.id.clone(),
    };
    let told = client.get_reset(asked).await.unwrap().into_inner();
    assert_eq!(told.reset.as_ref().unwrap().id, watched.id);
    assert!(told.sentence.contains("RST"), "{}", told.sentence);
    let explanation: Explanation = serde_json::from_str(&told.explanation_json).unwrap();
    assert_eq!(explanation.reset.id.to_string(), watched.id);
    let vantages = client.list_vantages(ListVantagesRequest {}).await.unwrap();
    let vantages = vantages.into_inner().vantages;
    assert_eq!((vantages.len(), vantages[0].name.as_str()), (1, "client"));
    assert!(vantages[0].connected);
    // A watcher does not hold up the end.
    collector.stop().await;
    let end = stream.next().await;
    assert!(end.is_none_or(|end| end.is_err()));
}

#[tokio::test]
async fn reflection_tells_every_service_and_its_file() {
    let collector = Collector::start(database().await).await;
    let mut client = ServerReflectionClient::new(channel(&collector).await);
    let asked = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("parallax.v1.Query.ListResets".to_owned()),
    ];
    let asked = asked.map(|asked| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(asked),
    });
    let answers = client
        .server_reflection_info(tokio_stream::iter(asked))
        .await;
    let answers: Vec<_> = answers.unwrap().into_inner().collect().await;
    let mut answers = answers
        .into_iter()
        .map(|answer| answer.unwrap().message_response.unwrap());
    let Some(MessageResponse::ListServicesResponse(services)) = answers.next() else {
        panic!("no services");
    };
    let names: Vec<String> = services.service.into_iter().map(|one| one.name).collect();
    for service in [
        "parallax.v1.Ingest",
        "parallax.v1.Query",
        "grpc.health.v1.Health",
    ] {
        assert!(names.iter().any(|name| name == service), "{names:?}");
    }
    let Some(MessageResponse::FileDescriptorResponse(files)) = answers.next() else {
        panic!("no file");
    };
    let text = String::from_utf8_lossy(&files.file_descriptor_proto[0]).into_owned();
    assert!(text.contains("ListResetsRequest"));
    collector.stop().await;
}

#[tokio::test]
async fn health_is_serving_only_while_the_database_answers() {
    let target = plain_database().await;
    let collector = Collector::start(target.clone()).await;
    let mut client = HealthClient::new(channel(&collector).await);
    for service in ["", "parallax.v1.Query", "parallax.v1.Ingest"] {
        until(&mut client, service, ServingStatus::Serving).await;
    }
    let store = Store::open(&target).await.unwrap();
    let name: (String,) = sqlx::query_as("SELECT current_database()")
        .fetch_one(store.pool())
        .await
        .unwrap();
    store.close().await;
    cut_off(&name.0).await;
    until(&mut client, "parallax.v1.Query", ServingStatus::NotServing).await;
    until(&mut client, "", ServingStatus::NotServing).await;
    let (status, _) = collector.get("/healthz").await;
    assert_eq!(status, 503);
    collector.stop().await;
}

async fn until(client: &mut HealthClient<Channel>, service: &str, wanted: ServingStatus) {
    for _ in 0..500 {
        let asked = HealthCheckRequest {
            service: service.to_owned(),
        };
        let told = client
            .check(asked)
            .await
            .map(|told| told.into_inner().status);
        if told.is_ok_and(|status| status == i32::from(wanted)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{service:?} never was {wanted:?}");
}

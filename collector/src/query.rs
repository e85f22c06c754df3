//! The gRPC query service: the HTTP API's answers as messages.

use std::pin::Pin;

use axum::Router;
use parallax_core::judge;
use parallax_proto::v1::query_server::{Query, QueryServer};
use parallax_proto::v1::{
    GetResetRequest, GetResetResponse, ListResetsRequest, ListResetsResponse, ListVantagesRequest,
    ListVantagesResponse, WatchResetsRequest, WatchResetsResponse,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::http::told::{Untold, told};
use crate::http::{Api, answer};
use crate::store::StoreError;

mod health;
mod question;
mod words;

/// Verdicts that wait for a slow reader.
const WAITING: usize = 16;

/// Answers from what the HTTP API answers from.
pub struct QueryService {
    api: Api,
}

impl QueryService {
    pub fn server(api: Api) -> QueryServer<Self> {
        QueryServer::new(Self { api })
    }
}

/// The query service, health and reflection (of either version that clients ask for).
pub fn routes(api: &Api) -> Router {
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(health::tell(reporter, api.store.clone(), api.stop.clone()));
    let mut routes = Router::new()
        .route_service(
            "/parallax.v1.Query/{*method}",
            QueryService::server(api.clone()),
        )
        .route_service("/grpc.health.v1.Health/{*method}", health);
    let describe = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(parallax_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    match (describe().build_v1(), describe().build_v1alpha()) {
        (Ok(now), Ok(before)) => {
            routes = routes
                .route_service("/grpc.reflection.v1.ServerReflection/{*method}", now)
                .route_service(
                    "/grpc.reflection.v1alpha.ServerReflection/{*method}",
                    before,
                );
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(
                "there is no reflection: the built-in descriptors cannot be read: {error}"
            );
        }
    }
    routes
}

type Verdicts = Pin<Box<dyn Stream<Item = Result<WatchResetsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Query for QueryService {
    async fn list_resets(
        &self,
        request: Request<ListResetsRequest>,
    ) -> Result<Response<ListResetsResponse>, Status> {
        let filters = question::filters(request.into_inner())?;
        let page = self
            .api
            .store
            .page(&filters)
            .await
            .map_err(|error| failed(&error))?;
        Ok(Response::new(ListResetsResponse {
            resets: page.resets.iter().map(words::reset).collect(),
            next_page_token: page.next.map_or_else(String::new, |next| next.to_string()),
        }))
    }

    async fn get_reset(
        &self,
        request: Request<GetResetRequest>,
    ) -> Result<Response<GetResetResponse>, Status> {
        let id: Uuid = request
            .into_inner()
            .id
            .parse()
            .map_err(|_| Status::invalid_argument("id: expected a UUID"))?;
        let told = told(&self.api, id, move |evidence| judge::explain(evidence, id)).await;
        let explanation = told.map_err(|untold| match untold {
            Untold::Unknown => Status::not_found(format!("no reset has the id {id}")),
            Untold::Store(error) => failed(&error),
            Untold::Judge => {
                Status::internal("the judge failed on this reset; the collector's log says why")
            }
        })?;
        let json = serde_json::to_string(&explanation).map_err(|error| {
            tracing::error!("a reset cannot be written: {error}");
            Status::internal("the collector failed to write this reset; its log says why")
        })?;
        Ok(Response::new(GetResetResponse {
            reset: Some(words::reset(&explanation.reset)),
            sentence: explanation.sentence,
            root_sentence: explanation.root_sentence.unwrap_or_default(),
            explanation_json: json,
        }))
    }

    type WatchResetsStream = Verdicts;

    async fn watch_resets(
        &self,
        _request: Request<WatchResetsRequest>,
    ) -> Result<Response<Verdicts>, Status> {
        let mut verdicts = self.api.watchers.subscribe();
        let stop = self.api.stop.clone();
        let (sender, stream) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let verdict = tokio::select! {
                    () = stop.cancelled() => Err(Status::unavailable("the collector stops")),
                    () = sender.closed() => return,
                    verdict = verdicts.recv() => match verdict {
                        Ok(report) => Ok(WatchResetsResponse { reset: Some(words::reset(&report)) }),
                        Err(RecvError::Lagged(missed)) => Err(Status::data_loss(format!(
                            "{missed} verdicts were left out for a slow reader: list them, and watch again"
                        ))),
                        Err(RecvError::Closed) => return,
                    },
                };
                let ends = verdict.is_err();
                if sender.send(verdict).await.is_err() || ends {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn list_vantages(
        &self,
        _request: Request<ListVantagesRequest>,
    ) -> Result<Response<ListVantagesResponse>, Status> {
        let document = answer(&self.api, None)
            .await
            .map_err(|error| failed(&error))?;
        Ok(Response::new(ListVantagesResponse {
            vantages: document.vantages.into_iter().map(words::vantage).collect(),
        }))
    }
}

/// Strangers get a sentence, the log gets the chain.
fn failed(error: &StoreError) -> Status {
    tracing::error!("a question was not answered: {error}");
    if error.is_refusal() {
        Status::internal("the collector failed on this question; its log says why")
    } else {
        Status::unavailable("the collector's database does not answer; try again later")
    }
}

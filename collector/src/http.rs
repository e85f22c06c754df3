//! The HTTP/JSON API.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router};
use parallax_bundle::sealed::Signer;
use parallax_core::judge;
use parallax_core::report::{Connection, Document, Explanation, LossAt};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit::Audit;
use crate::export;
use crate::gate::Identities;
use crate::ingest::Registry;
use crate::judging::Watchers;
use crate::meters;
use crate::store::{Filters, Store, StoreError};
use crate::web::{self, Shell};

mod admin;
mod bundle;
pub(crate) mod filters;
mod policy;
pub(crate) mod told;
mod watch;

use filters::{LossQuestion, Question};
use told::{Untold, told};

/// What the API answers from.
#[derive(Clone)]
pub struct Api {
    pub store: Store,
    pub registry: Registry,
    /// The configured path, client side first.
    pub path: Arc<Vec<String>>,
    pub watchers: Watchers,
    pub audit: Audit,
    pub identities: Identities,
    /// Signs bundles; `None`: it could neither be read nor made.
    pub signer: Option<Arc<Signer>>,
    /// Ends the streams of watchers.
    pub stop: CancellationToken,
}

/// The routes of the API; `openapi.json` tells each of them.
fn table() -> Vec<(&'static str, MethodRouter<Api>)> {
    vec![
        ("/v1/resets", get(resets)),
        ("/v1/resets/{id}", get(explain)),
        ("/v1/resets/{id}/export", get(export::export)),
        ("/v1/resets/{id}/bundle", post(bundle::bundle)),
        ("/v1/bundle", post(bundle::connection)),
        ("/v1/key", get(bundle::key)),
        ("/v1/connections/{id}", get(connection)),
        ("/v1/vantages", get(vantages)),
        ("/v1/losses", get(losses)),
        ("/v1/watch", get(watch::watch)),
        ("/v1/policy", get(policy::show).put(policy::set)),
        ("/v1/audit", get(admin::audit)),
        ("/v1/tokens", post(admin::make_token)),
        ("/v1/people", get(admin::people).post(admin::add_person)),
        ("/v1/people/{name}", delete(admin::remove_person)),
        ("/v1/openapi.json", get(openapi)),
        ("/healthz", get(health)),
        ("/metrics", get(metrics)),
    ]
}

/// The API and the pages.
pub fn routes(api: Api) -> Router {
    let routes = table().into_iter();
    let routes = routes.fold(Router::new(), |all, (path, route)| all.route(path, route));
    routes
        .merge(web::routes())
        .fallback(nothing_here)
        .with_state(api)
}

/// What the API is, in the terms of `OpenAPI` 3.1.
const OPENAPI: &str = include_str!("http/openapi.json");

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

/// The text format of Prometheus, 0.0.4.
async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";
    meters::connected(api.registry.names().len());
    ([(header::CONTENT_TYPE, KIND)], meters::render())
}

/// A refusal as `{"error": "one line"}`.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: String,
}

#[derive(Serialize)]
struct RefusalBody {
    error: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = RefusalBody { error: self.error };
        (self.status, Json(body)).into_response()
    }
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
        }
    }
}

/// Strangers get a sentence, the log gets the chain.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!("a question was not answered: {error}");
        if error.is_refusal() {
            Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the collector failed on this question; its log says why",
            )
        } else {
            Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the collector's database does not answer; try again later",
            )
        }
    }
}

async fn resets(
    State(api): State<Api>,
    question: Result<Query<Question>, QueryRejection>,
) -> Result<Json<Document>, Refusal> {
    let Query(question) = question
        .map_err(|rejection| Refusal::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let filters = question
        .filters()
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let document = answer(&api, Some(&filters)).await?;
    Ok(Json(document))
}

async fn vantages(State(api): State<Api>) -> Result<Json<Document>, Refusal> {
    Ok(Json(answer(&api, None).await?))
}

/// The document of these filters. An agent may be connected to another collector.
pub(crate) async fn answer(api: &Api, filters: Option<&Filters>) -> Result<Document, StoreError> {
    let anywhere = api.store.connected().await?;
    let connected =
        |name: &str| api.registry.is_connected(name) || anywhere.iter().any(|there| there == name);
    api.store.document(filters, &api.path, connected).await
}

async fn losses(
    State(api): State<Api>,
    question: Result<Query<LossQuestion>, QueryRejection>,
) -> Result<Json<Vec<LossAt>>, Refusal> {
    let Query(question) = question
        .map_err(|rejection| Refusal::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let filters = question
        .filters()
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let vantage = filters.vantage.as_deref();
    let losses = api
        .store
        .losses(filters.since, filters.until, vantage, filters.limit)
        .await?;
    Ok(Json(losses))
}

async fn explain(State(api): State<Api>, Id(id): Id) -> Result<Json<Explanation>, Refusal> {
    let told = told(&api, id, move |evidence| judge::explain(evidence, id)).await;
    told.map(Json).map_err(|untold| refused(untold, id))
}

async fn connection(State(api): State<Api>, Id(id): Id) -> Result<Json<Connection>, Refusal> {
    let told = told(&api, id, move |evidence| judge::connection(evidence, id)).await;
    told.map(Json).map_err(|untold| refused(untold, id))
}

/// The id of a reset in a path; what is none is refused in the API's own words.
pub(crate) struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let bad = |error: String| Refusal::new(StatusCode::BAD_REQUEST, error);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| bad(rejection.body_text()))?;
        text.parse().map(Self).map_err(|_| {
            let text: String = text.chars().take(100).collect();
            bad(format!("{text:?} is no id of a reset"))
        })
    }
}

pub(crate) fn refused(untold: Untold, id: Uuid) -> Refusal {
    match untold {
        Untold::Unknown => Refusal::new(StatusCode::NOT_FOUND, format!("no reset has the id {id}")),
        Untold::Store(error) => error.into(),
        Untold::Judge => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the judge failed on this reset; the collector's log says why",
        ),
    }
}

async fn health(State(api): State<Api>) -> Result<&'static str, Refusal> {
    if api.store.is_alive().await {
        Ok("ok")
    } else {
        Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the database does not answer",
        ))
    }
}

/// People get a page, programs get JSON.
async fn nothing_here(shell: Shell, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT);
    let html = accepted.is_some_and(|kinds| kinds.as_bytes().starts_with(b"text/html"));
    if html {
        return web::nothing_here(&shell).into_response();
    }
    let refusal = Refusal::new(
        StatusCode::NOT_FOUND,
        "nothing here; there are /v1/resets, /v1/resets/{id}, /v1/resets/{id}/export, /v1/resets/{id}/bundle, /v1/bundle, /v1/key, /v1/connections/{id}, /v1/vantages, /v1/losses, /v1/watch, /v1/policy, /v1/audit, /v1/tokens, /v1/people, /v1/people/{name}, /v1/openapi.json, /healthz and /metrics",
    );
    refusal.into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_openapi_document_tells_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let told: BTreeSet<&str> = document["paths"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let served: BTreeSet<&str> = table().into_iter().map(|(path, _)| path).collect();
        assert_eq!(told, served);
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}

//! The HTTP/JSON API.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parallax_core::judge;
use parallax_core::report::{Document, Explanation, LossAt};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::ingest::Registry;
use crate::judging::Watchers;
use crate::store::{Filters, Store, StoreError};

mod filters;
mod policy;
mod watch;

use filters::{LossQuestion, Question};

/// What the API answers from.
#[derive(Clone)]
pub struct Api {
    pub store: Store,
    pub registry: Registry,
    /// The configured path, client side first.
    pub path: Arc<Vec<String>>,
    pub watchers: Watchers,
    /// Ends the streams of watchers.
    pub stop: CancellationToken,
}

/// The routes of the API.
pub fn routes(api: Api) -> Router {
    Router::new()
        .route("/v1/resets", get(resets))
        .route("/v1/resets/{id}", get(explain))
        .route("/v1/vantages", get(vantages))
        .route("/v1/losses", get(losses))
        .route("/v1/watch", get(watch::watch))
        .route("/v1/policy", get(policy::show).put(policy::set))
        .route("/healthz", get(health))
        .fallback(nothing_here)
        .with_state(api)
}

/// A refusal as `{"error": "one line"}`.
#[derive(Debug)]
struct Refusal {
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
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
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
async fn answer(api: &Api, filters: Option<&Filters>) -> Result<Document, StoreError> {
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

async fn explain(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Explanation>, Refusal> {
    let id: Uuid = id.parse().map_err(|_| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("{id:?} is no id of a reset"),
        )
    })?;
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, format!("no reset has the id {id}"));
    let ask = api.store.find_reset(id).await?.ok_or_else(unknown)?;
    let gathered = api.store.gather(&[ask], &api.path).await?;
    for gathered in gathered {
        let evidence = gathered.evidence.map_err(StoreError::from)?;
        let told = tokio::task::spawn_blocking(move || {
            evidence
                .iter()
                .find_map(|evidence| judge::explain(evidence, id))
        });
        let told = told.await.map_err(|error| {
            tracing::error!("the judge failed on reset {id}: {error}");
            Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the judge failed on this reset; the collector's log says why",
            )
        })?;
        if let Some(explanation) = told {
            return Ok(Json(explanation));
        }
    }
    Err(unknown())
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

async fn nothing_here() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "nothing here; there are /v1/resets, /v1/resets/{id}, /v1/vantages, /v1/losses, /v1/watch, /v1/policy and /healthz",
    )
}

//! Evidence bundles, and the key by which others know them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parallax_bundle::body::Body;
use parallax_bundle::keying::Key;
use parallax_bundle::sealed::Signer;
use parallax_bundle::unhex;
use parallax_core::report::SCHEMA;
use parallax_core::{Endpoint, Flow};
use serde::{Deserialize, Serialize};

use super::filters::moment;
use super::told::told;
use super::{Api, Id, Refusal, refused};
use crate::store::StoreError;

/// What a bundle is made with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// 32 octets in hexadecimal, made of the key file that both sides share.
    key: String,
}

/// A connection whose evidence is wanted, because the other side saw its reset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedConnection {
    /// As in [`Wanted`].
    key: String,
    /// Its two ends, address and port, in either order.
    ends: [String; 2],
    /// About when its reset was, RFC 3339.
    at: String,
}

/// A public key, for those who are to trust it.
#[derive(Debug, Serialize)]
pub(super) struct KeyDocument {
    schema: u32,
    algorithm: &'static str,
    public_key: String,
}

pub(super) async fn key(State(api): State<Api>) -> Result<Json<KeyDocument>, Refusal> {
    Ok(Json(KeyDocument {
        schema: SCHEMA,
        algorithm: "Ed25519",
        public_key: signer(&api)?.public().to_string(),
    }))
}

fn signer(api: &Api) -> Result<Arc<Signer>, Refusal> {
    api.signer.clone().ok_or_else(|| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "this collector has no signing key; its log says why",
        )
    })
}

/// The evidence of one reset, keyed and signed.
pub(super) async fn bundle(
    State(api): State<Api>,
    Id(id): Id,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(wanted) = wanted.map_err(|rejection| bad(rejection.body_text()))?;
    let key = key_of(&wanted.key)?;
    let signer = signer(&api)?;
    let body = told(&api, id, move |evidence| {
        Body::of(evidence, id, &key, super::super::export::PROGRAM)
    });
    sealed(&signer, &body.await.map_err(|untold| refused(untold, id))?)
}

/// The evidence of one connection around a moment, keyed and signed, whether or not a reset of it was seen here.
pub(super) async fn connection(
    State(api): State<Api>,
    wanted: Result<Json<WantedConnection>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(wanted) = wanted.map_err(|rejection| bad(rejection.body_text()))?;
    let key = key_of(&wanted.key)?;
    let signer = signer(&api)?;
    let [one, other] = wanted.ends.each_ref().map(|text| end(text));
    let (one, other) = (one?, other?);
    if one == other {
        return Err(bad("ends: they are one and the same"));
    }
    let flow = Flow::between(one, other);
    let at = moment(&wanted.at).ok_or_else(|| bad("at: expected RFC 3339"))?;
    let mut evidence = Vec::new();
    for gathered in api.store.gather_around(flow, at, &api.path).await? {
        evidence.extend(gathered.evidence.map_err(StoreError::from)?);
    }
    let told = tokio::task::spawn_blocking(move || {
        let bodies = evidence.iter();
        let mut bodies = bodies
            .filter_map(|evidence| Body::around(evidence, at, &key, super::super::export::PROGRAM));
        bodies.next()
    });
    let body = told.await.map_err(|error| {
        tracing::error!("a bundle cannot be gathered: {error}");
        not_written()
    })?;
    let unknown = || {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "no vantage of this collector recorded anything of that connection around then",
        )
    };
    sealed(&signer, &body.ok_or_else(unknown)?)
}

fn bad(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error)
}

fn key_of(text: &str) -> Result<Key, Refusal> {
    let octets = unhex(text).ok_or_else(|| bad("key: expected 64 hexadecimal digits"))?;
    Ok(Key::new(&octets))
}

fn end(text: &str) -> Result<Endpoint, Refusal> {
    let end: SocketAddr = text
        .parse()
        .map_err(|_| bad("ends: expected ADDRESS:PORT, or [ADDRESS]:PORT of IPv6"))?;
    Ok(Endpoint::new(end.ip(), end.port()))
}

fn not_written() -> Refusal {
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the collector failed to write this bundle; its log says why",
    )
}

fn sealed(signer: &Signer, body: &Body) -> Result<Response, Refusal> {
    let file = signer.seal(body).map_err(|error| {
        tracing::error!("a bundle cannot be written: {error}");
        not_written()
    })?;
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind)], file).into_response())
}

//! Evidence bundles, and the key by which others know them.

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
use serde::{Deserialize, Serialize};

use super::told::told;
use super::{Api, Id, Refusal, refused};

/// What a bundle is made with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// 32 octets in hexadecimal, made of the key file that both sides share.
    key: String,
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
    let bad = |error: String| Refusal::new(StatusCode::BAD_REQUEST, error);
    let Json(wanted) = wanted.map_err(|rejection| bad(rejection.body_text()))?;
    let key =
        unhex(&wanted.key).ok_or_else(|| bad("key: expected 64 hexadecimal digits".to_owned()))?;
    let signer = signer(&api)?;
    let key = Key::new(&key);
    let body = told(&api, id, move |evidence| {
        Body::of(evidence, id, &key, super::super::export::PROGRAM)
    });
    let body = body.await.map_err(|untold| refused(untold, id))?;
    let file = signer.seal(&body).map_err(|error| {
        tracing::error!("a bundle cannot be written: {error}");
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the collector failed to write this bundle; its log says why",
        )
    })?;
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind)], file).into_response())
}

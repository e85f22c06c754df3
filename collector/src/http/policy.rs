//! What agents are told to ship: shown, and changed while they run.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use parallax_core::Selection;
use parallax_core::report::{PolicyDocument, SCHEMA};
use serde::Deserialize;

use super::{Api, Refusal, admin};
use crate::gate::Caller;

/// Characters of a vantage's name, as the protocol bounds them.
const NAME_MAX: usize = 128;

/// A change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Absent: every vantage that has none of its own.
    #[serde(default)]
    vantage: String,
    /// `context`, `sampled:1/N`, `all`; null: what the agent was started with. It must be said: a body that only names
    /// a vantage is a mistake.
    #[serde(deserialize_with = "Option::deserialize")]
    segments: Option<String>,
}

pub(super) async fn show(State(api): State<Api>) -> Result<Json<PolicyDocument>, Refusal> {
    let mut policies = api.store.policies().await?.by_vantage;
    Ok(Json(PolicyDocument {
        schema: SCHEMA,
        segments: policies.remove("").map(|selection| selection.to_string()),
        vantages: policies
            .into_iter()
            .map(|(vantage, selection)| (vantage, selection.to_string()))
            .collect(),
    }))
}

pub(super) async fn set(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Json<PolicyDocument>, Refusal> {
    let Json(wanted) =
        wanted.map_err(|rejection| Refusal::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let bad = |error: &dyn std::fmt::Display| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("segments: {error}"))
    };
    let selection = wanted
        .segments
        .map(|text| text.parse::<Selection>())
        .transpose()
        .map_err(|error| bad(&error))?;
    if wanted.vantage.contains('\0') {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "vantage: no vantage has a zero octet in its name",
        ));
    }
    if wanted.vantage.chars().count() > NAME_MAX {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("vantage: no vantage has a name of more than {NAME_MAX} characters"),
        ));
    }
    let told = selection.map_or_else(|| "own".to_owned(), |selection| selection.to_string());
    let object = match wanted.vantage.as_str() {
        "" => told,
        vantage => format!("{told} for {vantage}"),
    };
    let act = admin::act(&caller, "set the policy", object);
    api.store
        .set_policy(&wanted.vantage, selection, Some(&act))
        .await?;
    show(State(api)).await
}

//! What administrators do: people, tokens for enrolment, the audit.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use parallax_core::report::SCHEMA;
use parallax_core::report::admin::{AuditDocument, AuditEntry, PeopleDocument, Person, Secret};
use parallax_identity::token::Token;
use parallax_identity::{IdentityError, secret};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Api, Refusal};
use crate::gate::Caller;
use crate::store::{Entry, Role};

/// The longest name of a vantage or a person, in characters.
const NAME_MAX: usize = 128;
/// How long an enrolment token may be good: a month.
const GOOD_FOR_MAX: u64 = 31 * 86_400;
const ROWS: u16 = 100;
const ROWS_MAX: u16 = 10_000;

fn bad(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error)
}

fn no_secret(error: &IdentityError) -> Refusal {
    tracing::error!("{error}");
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "no secret could be made; the collector's log says why",
    )
}

fn json<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refusal> {
    let Json(body) = body.map_err(|rejection| bad(rejection.body_text()))?;
    Ok(body)
}

fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let characters = name.chars().count();
    if (1..=NAME_MAX).contains(&characters) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(bad(format!(
        "{what}: a name has 1 to {NAME_MAX} characters, none of them a control character"
    )))
}

/// What somebody does, for the audit.
pub(super) fn act(caller: &Caller, act: &str, object: String) -> Entry {
    Entry::done(caller.who.clone(), Some(caller.from), act, object)
}

/// In JSON Schema 280.0 is an integer too.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    let float = || {
        let float = number.as_f64()?;
        let is_whole = float.fract() == 0.0 && (0.0..1e15).contains(&float);
        is_whole.then_some(float as u64)
    };
    let read = number.as_u64().or_else(float);
    read.ok_or_else(|| D::Error::custom(format!("good_for: expected a whole number, not {number}")))
}

/// A token to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedToken {
    /// `*`: any.
    vantages: Vec<String>,
    /// Seconds.
    #[serde(deserialize_with = "whole")]
    good_for: u64,
}

pub(super) async fn make_token(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Json<WantedToken>, JsonRejection>,
) -> Result<Json<Secret>, Refusal> {
    let wanted = json(wanted)?;
    let Some(signing) = &api.identities.signing else {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "this collector has no authority's key to sign certificates with; start it with --pki",
        ));
    };
    if !(1..=64).contains(&wanted.vantages.len()) {
        return Err(bad("vantages: name 1 to 64"));
    }
    for name in &wanted.vantages {
        check_name("vantages", name)?;
    }
    if !(1..=GOOD_FOR_MAX).contains(&wanted.good_for) {
        return Err(bad(format!("good_for: 1 to {GOOD_FOR_MAX} seconds")));
    }
    let token = Token::new(signing.authority.fingerprint()).map_err(|error| no_secret(&error))?;
    let act = act(&caller, "make a token", wanted.vantages.join(", "));
    let good_for = Duration::from_secs(wanted.good_for);
    api.store
        .add_token(&token.hash(), &wanted.vantages, good_for, &act)
        .await?;
    Ok(Json(Secret {
        schema: SCHEMA,
        secret: token.to_string(),
    }))
}

pub(super) async fn people(State(api): State<Api>) -> Result<Json<PeopleDocument>, Refusal> {
    let people = api.store.people().await?.into_iter();
    Ok(Json(PeopleDocument {
        schema: SCHEMA,
        people: people
            .map(|(name, role)| Person {
                name,
                role: role.word().to_owned(),
            })
            .collect(),
    }))
}

/// A person to be added.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedPerson {
    name: String,
    role: String,
}

pub(super) async fn add_person(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Json<WantedPerson>, JsonRejection>,
) -> Result<Json<Secret>, Refusal> {
    let wanted = json(wanted)?;
    check_name("name", &wanted.name)?;
    let role: Role = wanted
        .role
        .parse()
        .map_err(|error| bad(format!("role: {error}")))?;
    let token = secret::for_person().map_err(|error| no_secret(&error))?;
    let object = format!("{} as {}", wanted.name, role.word());
    let act = act(&caller, "add a person", object);
    let hash = secret::hash(token.as_bytes());
    api.store
        .set_person(&wanted.name, role, &hash, &act)
        .await?;
    Ok(Json(Secret {
        schema: SCHEMA,
        secret: token,
    }))
}

pub(super) async fn remove_person(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<PeopleDocument>, Refusal> {
    // Postgres's text holds no zero octet.
    check_name("name", &name)?;
    let act = act(&caller, "remove a person", name.clone());
    if !api.store.remove_person(&name, &act).await? {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "nobody has that name; GET /v1/people lists them",
        ));
    }
    people(State(api)).await
}

/// Which rows of the audit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuestion {
    before: Option<i64>,
    limit: Option<u16>,
}

pub(super) async fn audit(
    State(api): State<Api>,
    question: Result<Query<AuditQuestion>, QueryRejection>,
) -> Result<Json<AuditDocument>, Refusal> {
    let Query(question) = question.map_err(|rejection| bad(rejection.body_text()))?;
    let limit = question.limit.unwrap_or(ROWS);
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(bad(format!("limit: 1 to {ROWS_MAX}")));
    }
    if question.before.is_some_and(i64::is_negative) {
        return Err(bad("before: no entry has such an id"));
    }
    let rows = api.store.audit(question.before, limit).await?;
    let time = |micros| Timestamp::from_microsecond(micros).unwrap_or_default();
    let entry = |(id, at, last, who, from, act, object, outcome, reason, count): (
        i64,
        i64,
        i64,
        String,
        Option<IpAddr>,
        String,
        String,
        String,
        String,
        i64,
    )| AuditEntry {
        id,
        time: time(at).to_string(),
        last: time(last).to_string(),
        who,
        from,
        act,
        object,
        outcome,
        reason,
        count: count.unsigned_abs(),
    };
    Ok(Json(AuditDocument {
        schema: SCHEMA,
        entries: rows.into_iter().map(entry).collect(),
    }))
}

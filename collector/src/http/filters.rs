//! Query parameters to filters.

use std::net::IpAddr;

use parallax_core::CaptureTime;
use parallax_core::report::{Cause, Origin};
use serde::Deserialize;
use thiserror::Error;

use crate::store::{Cursor, Filters, Place};

/// Resets in an answer, unless asked otherwise.
const LIMIT_DEFAULT: u32 = 1000;
const LIMIT_MAX: u32 = 100_000;

/// The parameters of `GET /v1/resets`, as text.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    since: Option<String>,
    until: Option<String>,
    address: Option<String>,
    port: Option<String>,
    vantage: Option<String>,
    origin: Option<String>,
    cause: Option<String>,
    between: Option<String>,
    at: Option<String>,
    lost: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

/// The parameters of `GET /v1/losses`, as text.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LossQuestion {
    since: Option<String>,
    until: Option<String>,
    vantage: Option<String>,
    limit: Option<String>,
}

impl LossQuestion {
    /// Those filters that losses have.
    pub fn filters(self) -> Result<Filters, FilterError> {
        let question = Question {
            since: self.since,
            until: self.until,
            vantage: self.vantage,
            limit: self.limit,
            ..Question::default()
        };
        question.filters()
    }
}

#[derive(Debug, PartialEq, Eq, Error)]
#[error("{parameter}={value:?} cannot be read: expected {expected}")]
pub struct FilterError {
    pub parameter: &'static str,
    value: String,
    expected: &'static str,
}

impl Question {
    /// With whatever `get` knows of each parameter.
    pub fn of(get: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            since: get("since"),
            until: get("until"),
            address: get("address"),
            port: get("port"),
            vantage: get("vantage"),
            origin: get("origin"),
            cause: get("cause"),
            between: get("between"),
            at: get("at"),
            lost: get("lost"),
            after: get("after"),
            limit: get("limit"),
        }
    }

    pub fn filters(&self) -> Result<Filters, FilterError> {
        let time = "a time such as 2026-01-02T03:04:05Z";
        Ok(Filters {
            since: read("since", self.since.as_deref(), time, moment)?,
            until: read("until", self.until.as_deref(), time, moment)?,
            address: read("address", self.address.as_deref(), "an IP address", address)?,
            port: read("port", self.port.as_deref(), "a port, 0 to 65535", |text| {
                text.parse().ok()
            })?,
            vantage: read("vantage", self.vantage.as_deref(), "a name", name)?,
            origin: read(
                "origin",
                self.origin.as_deref(),
                "endpoint, middlebox or undetermined",
                origin,
            )?,
            cause: read(
                "cause",
                self.cause.as_deref(),
                "one of the README's causes",
                cause,
            )?,
            between: read(
                "between",
                self.between.as_deref(),
                "two vantages, A,B",
                place,
            )?,
            at: read("at", self.at.as_deref(), "a name", name)?,
            lost: read("lost", self.lost.as_deref(), "two vantages, A,B", place)?,
            after: read(
                "after",
                self.after.as_deref(),
                "what \"next\" of an answer says",
                Cursor::read,
            )?,
            limit: read(
                "limit",
                self.limit.as_deref(),
                "a number from 1 to 100000",
                limit,
            )?
            .unwrap_or(LIMIT_DEFAULT),
        })
    }
}

fn read<T>(
    parameter: &'static str,
    value: Option<&str>,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, FilterError> {
    let Some(value) = value else {
        return Ok(None);
    };
    match parse(value) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(FilterError {
            parameter,
            value: value.chars().take(100).collect(),
            expected,
        }),
    }
}

pub(super) fn moment(text: &str) -> Option<CaptureTime> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    let nanos = i64::try_from(stamp.as_nanosecond()).ok()?;
    Some(CaptureTime::from_nanos(nanos))
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Postgres's text holds no zero octet.
fn name(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| text.to_owned())
}

fn origin(text: &str) -> Option<&'static str> {
    [Origin::Endpoint, Origin::Middlebox, Origin::Undetermined]
        .map(Origin::as_str)
        .into_iter()
        .find(|word| *word == text)
}

fn cause(text: &str) -> Option<&'static str> {
    Cause::ALL
        .map(Cause::as_str)
        .into_iter()
        .find(|word| *word == text)
}

/// `A,B`; names that hold a comma are parted by the unit separator (U+001F), which no name holds.
fn place(text: &str) -> Option<Place> {
    let (a, b) = text.split_once('\u{1f}').or_else(|| text.split_once(','))?;
    Some(Place(name(a)?, name(b)?))
}

fn limit(text: &str) -> Option<u32> {
    let limit = text.parse().ok()?;
    (1..=LIMIT_MAX).contains(&limit).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_cannot_be_read_is_named() {
        let question = Question {
            port: Some("70000".to_owned()),
            ..Question::default()
        };
        let refused = question.filters().unwrap_err().to_string();
        assert!(refused.contains("port=\"70000\""), "{refused}");
        for bad in ["nowhere", "a"] {
            let question = Question {
                between: Some(bad.to_owned()),
                ..Question::default()
            };
            assert!(question.filters().is_err());
        }
    }

    #[test]
    fn without_parameters_the_newest_thousand_are_asked_for() {
        let filters = Question::default().filters().unwrap();
        assert_eq!(filters.limit, LIMIT_DEFAULT);
        assert_eq!(filters.since, None);
    }
}

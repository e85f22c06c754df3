//! Evidence to hand over: a reset's packets for Wireshark, its page as one file, its document.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parallax_core::judge::{self, Recorded};
use parallax_core::report::Explanation;
use serde::Deserialize;

use crate::http::told::told;
use crate::http::{Api, Id, Refusal, refused};
use crate::web::{Report, Shell};

mod packet;
mod pcapng;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    format: Option<String>,
    lang: Option<String>,
}

/// One reset as a file.
pub async fn export(
    State(api): State<Api>,
    shell: Shell,
    Id(id): Id,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refusal> {
    let bad = |error: String| Refusal::new(StatusCode::BAD_REQUEST, error);
    let Query(wanted) = wanted.map_err(|rejection| bad(rejection.body_text()))?;
    let format = wanted.format.as_deref().unwrap_or("pcapng");
    if !["pcapng", "html", "json"].contains(&format) {
        let format: String = format.chars().take(100).collect();
        return Err(bad(format!(
            "format={format:?} cannot be read: expected pcapng, html or json"
        )));
    }
    // What is known is read by the shell.
    if let Some(lang) = wanted
        .lang
        .filter(|lang| !["en", "zh"].contains(&lang.as_str()))
    {
        let lang: String = lang.chars().take(100).collect();
        return Err(bad(format!(
            "lang={lang:?} cannot be read: expected en or zh"
        )));
    }
    let found = told(&api, id, move |evidence| {
        Some((
            judge::explain(evidence, id)?,
            judge::recorded(evidence, id)?,
        ))
    });
    let (explanation, recorded) = found.await.map_err(|untold| refused(untold, id))?;
    let (kind, octets) = match format {
        "pcapng" => (
            "application/octet-stream",
            pcapng::write(&explanation, &recorded),
        ),
        "html" => ("text/html; charset=utf-8", html(&shell, &explanation)?),
        _ => ("application/json", json(&explanation)?),
    };
    let name = format!("attachment; filename=\"parallax-{id}.{format}\"");
    let name = HeaderValue::try_from(name).map_err(|_| failed())?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, name),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    Ok((headers, octets).into_response())
}

fn failed() -> Refusal {
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the collector failed to write this file; its log says why",
    )
}

fn html(shell: &Shell, explanation: &Explanation) -> Result<Vec<u8>, Refusal> {
    let page = Report::new(shell, explanation).render().map_err(|error| {
        tracing::error!("a report cannot be rendered: {error}");
        failed()
    })?;
    Ok(page.into_bytes())
}

fn json(explanation: &Explanation) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec_pretty(explanation).map_err(|error| {
        tracing::error!("a report cannot be written: {error}");
        failed()
    })
}

/// The name of what wrote a file.
pub(crate) const PROGRAM: &str = concat!("parallax-collector ", env!("CARGO_PKG_VERSION"));

/// Vantages in a file at most, as a guard against nonsense.
fn interfaces(recorded: &[Recorded]) -> &[Recorded] {
    const MOST: usize = 4096;
    &recorded[..recorded.len().min(MOST)]
}

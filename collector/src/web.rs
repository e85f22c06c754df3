//! The pages: rendered here, complete without a script, and livelier with one.
//!
//! They show what the API answers. Whatever comes from outside (names, texts of evidence) is made
//! [`plain`](parallax_core::plain::plain) and escaped by the templates.

use askama::Template;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::http::Api;
use crate::store::StoreError;

mod assets;
mod chart;
mod chinese;
mod connection;
mod groups;
mod ladder;
mod lang;
mod list;
mod map;
mod path;
mod query;
mod report;
mod reset;
mod vantages;
mod visitor;
mod words;

pub use lang::Lang;
pub use report::Report;
pub use visitor::Shell;

/// The routes of the pages.
pub fn routes() -> Router<Api> {
    Router::new()
        .route("/", get(list::show))
        .route("/resets/{id}", get(reset::show))
        .route("/connections/{id}", get(connection::show))
        .route("/path", get(path::show))
        .route("/vantages", get(vantages::show))
        .route("/assets/{file}", get(assets::serve))
        .layer(middleware::from_fn(guarded))
}

/// Nothing but what this collector serves may be loaded, run, framed or sent anywhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

async fn guarded(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page that could not be shown, and why.
pub struct Trouble {
    status: StatusCode,
    shell: Shell,
    words: String,
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage<'a> {
    shell: &'a Shell,
    status: u16,
    words: &'a str,
}

impl Trouble {
    fn new(shell: &Shell, status: StatusCode, words: impl Into<String>) -> Self {
        Self {
            status,
            shell: shell.clone(),
            words: words.into(),
        }
    }

    /// Strangers get a sentence, the log gets the chain.
    fn of_store(shell: &Shell) -> impl Fn(StoreError) -> Self {
        move |error| {
            tracing::error!("a page was not shown: {error}");
            let t = shell.lang;
            if error.is_refusal() {
                let words = t.say(
                    "The collector failed on this question; its log says why.",
                    "采集器未能回答这个问题，原因见其日志。",
                );
                Self::new(shell, StatusCode::INTERNAL_SERVER_ERROR, words)
            } else {
                let words = t.say(
                    "The collector's database does not answer; try again later.",
                    "采集器的数据库没有应答，请稍后再试。",
                );
                Self::new(shell, StatusCode::SERVICE_UNAVAILABLE, words)
            }
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let page = TroublePage {
            shell: &self.shell,
            status: self.status.as_u16(),
            words: &self.words,
        };
        let mut response = render(&self.shell, &page);
        if response.status() == StatusCode::OK {
            *response.status_mut() = self.status;
        }
        response
    }
}

/// Nothing is at this address.
pub fn nothing_here(shell: &Shell) -> Trouble {
    let words = shell.lang.say("There is no such page.", "没有这个页面。");
    Trouble::new(shell, StatusCode::NOT_FOUND, words)
}

/// A page as a response, with the visitor's language kept.
fn render(shell: &Shell, page: &impl Template) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!("a page cannot be rendered: {error}");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_LANGUAGE,
        HeaderValue::from_static(shell.lang.tag()),
    );
    headers.insert(
        header::VARY,
        HeaderValue::from_static("accept-language, cookie"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if shell.chosen {
        let cookie = match shell.lang {
            Lang::English => "lang=en; Path=/; Max-Age=31536000; SameSite=Lax",
            Lang::Chinese => "lang=zh; Path=/; Max-Age=31536000; SameSite=Lax",
        };
        headers.insert(header::SET_COOKIE, HeaderValue::from_static(cookie));
    }
    response
}

/// Reads parameters as the pages do, and makes them a link again: for fuzzing, which must find no way to make this panic.
pub fn read_query(
    pairs: impl IntoIterator<Item = (String, String)>,
    now: parallax_core::CaptureTime,
) {
    let asked = query::Asked::new(pairs);
    let _ = asked.filters(now);
    let _ = asked.link("/");
}

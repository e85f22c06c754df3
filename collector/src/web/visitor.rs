//! What every page needs to know of its visitor.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::Lang;
use super::query::{Asked, pairs};

/// What stands around each page.
#[derive(Debug, Clone)]
pub struct Shell {
    pub lang: Lang,
    /// The language was chosen with this request.
    pub chosen: bool,
    pub path: String,
    asked: Asked,
}

impl Shell {
    /// The same page in the other language.
    pub fn other_language(&self) -> String {
        let other = self.lang.say("zh", "en");
        self.asked.clone().with("lang", other).link(&self.path)
    }

    /// Whether a link of the navigation leads to the page that is shown.
    pub fn is_at(&self, path: &str) -> bool {
        self.path == path
    }
}

impl<S: Sync> FromRequestParts<S> for Shell {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let asked = Asked::new(pairs(parts.uri.query().unwrap_or_default()));
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let chosen = asked.get("lang").and_then(Lang::named);
        let kept = text(header::COOKIE).and_then(|cookies| {
            let mut cookies = cookies.split(';').map(str::trim);
            cookies.find_map(|cookie| Lang::named(cookie.strip_prefix("lang=")?))
        });
        let lang = chosen
            .or(kept)
            .unwrap_or_else(|| Lang::accepted(text(header::ACCEPT_LANGUAGE).unwrap_or_default()));
        Ok(Self {
            lang,
            chosen: chosen.is_some(),
            path: parts.uri.path().to_owned(),
            asked: asked.without("lang"),
        })
    }
}

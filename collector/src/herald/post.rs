//! A body to a URL, and whether it was taken.

use std::error::Error as _;
use std::time::Duration;

use reqwest::redirect::Policy;
use serde_json::Value;
use url::Url;

/// How long an attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Characters shown of what was answered.
const SHOWN: usize = 200;

/// Sends JSON over HTTP or HTTPS.
#[derive(Debug, Clone)]
pub(super) struct Post {
    client: reqwest::Client,
}

impl Post {
    pub fn new() -> Result<Self, String> {
        // Another part of the program may have done so before: then that one counts, it is the same.
        let _known = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            // A redirected POST arrives as a GET, or elsewhere than the operator said.
            .redirect(Policy::none())
            .user_agent(concat!("parallax-collector/", env!("CARGO_PKG_VERSION")))
            .build();
        client
            .map(|client| Self { client })
            .map_err(|error| innermost(&error))
    }

    /// Posts; an error says in words why it was not taken, without the URL, which may hold a secret.
    pub async fn send(&self, url: &Url, body: &Value) -> Result<(), String> {
        let sent = self.client.post(url.clone()).json(body).send().await;
        let answer = sent.map_err(|error| innermost(&error.without_url()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said = answer.text().await.unwrap_or_default();
        let said: String = said.chars().take(SHOWN).collect();
        let said = parallax_core::plain::plain(said.trim());
        Err(format!("it answered {status} {said}").trim_end().to_owned())
    }
}

/// What it comes down to.
fn innermost(error: &reqwest::Error) -> String {
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        last = inner.to_string();
        source = inner.source();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tls_is_there_and_an_error_tells_no_secret() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It hangs up in the middle of the handshake.
        std::thread::spawn(move || listener.accept().map(drop));
        let url: Url = format!("https://joe:geheim@{address}/geheim")
            .parse()
            .unwrap();
        let sent = Post::new().unwrap().send(&url, &Value::Null).await;
        let reason = sent.unwrap_err();
        assert!(!reason.is_empty() && !reason.contains("geheim"), "{reason}");
    }
}

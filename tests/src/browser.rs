//! A real browser, driven over `WebDriver` (W3C) by plain HTTP: Chromium without a window.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::programs::{Running, wait_for};
use crate::replay::free_port;

/// How long the driver may take to listen.
const START: Duration = Duration::from_secs(20);
/// How long a page may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// The name of an element's reference (`WebDriver`, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The driver, which starts browsers.
pub struct Driver {
    running: Running,
    url: String,
}

/// What a visitor is like.
#[derive(Debug, Clone, Copy)]
pub struct Visitor {
    pub language: &'static str,
    pub width: u32,
    pub scripts: bool,
    pub scheme: Scheme,
}

/// What a visitor's system prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Default for Visitor {
    fn default() -> Self {
        Self {
            language: "en",
            width: 1440,
            scripts: true,
            scheme: Scheme::Light,
        }
    }
}

/// One browser; it closes with this value.
pub struct Browser<'driver> {
    driver: &'driver Driver,
    session: String,
}

impl Driver {
    /// Starts the driver of Debian's package `chromium-driver`.
    pub fn start(folder: &Path) -> Result<Self> {
        let port = free_port()?.port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let mut running = Running::start("chromedriver", command, folder)
            .context("the packages chromium and chromium-driver are needed (tests/packages)")?;
        let url = format!("http://127.0.0.1:{port}");
        let up = wait_for(START, || {
            running.check()?;
            let ready = ask("GET", &format!("{url}/status"), None);
            Ok(ready.ok().filter(|status| status["ready"] == true))
        })?;
        ensure!(
            up.is_some(),
            "the driver did not come up: {}",
            running.said()
        );
        Ok(Self { running, url })
    }

    /// Opens a browser for a visitor, with nothing in its memory.
    pub fn browser(&self, visitor: Visitor) -> Result<Browser<'_>> {
        let mut options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", "--disable-background-networking", "--no-proxy-server",
                format!("--accept-lang={}", visitor.language),
                format!("--window-size={},900", visitor.width)],
            "prefs": {},
        });
        if visitor.width < 500 {
            // No window is that narrow, a telephone is.
            let screen = json!({ "width": visitor.width, "height": 844, "pixelRatio": 1.0 });
            options["mobileEmulation"] = json!({ "deviceMetrics": screen });
        }
        if !visitor.scripts {
            options["prefs"]["profile.managed_default_content_settings.javascript"] = json!(2);
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } } } });
        let made = ask("POST", &format!("{}/session", self.url), Some(&wanted))
            .with_context(|| format!("starting Chromium: {}", self.running.said()))?;
        let session = made["sessionId"].as_str().context("a session without id")?;
        let browser = Browser {
            driver: self,
            session: session.to_owned(),
        };
        if visitor.scheme == Scheme::Dark {
            let dark = json!({ "name": "prefers-color-scheme", "value": "dark" });
            let wanted =
                json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": [dark] } });
            browser.order("POST", "/goog/cdp/execute", Some(&wanted))?;
        }
        Ok(browser)
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        // The driver ends what is left.
        let _closed = self.order("DELETE", "", None);
    }
}

impl Browser<'_> {
    fn order(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}/session/{}{path}", self.driver.url, self.session);
        ask(method, &url, body)
    }

    pub fn open(&self, url: &str) -> Result<()> {
        self.order("POST", "/url", Some(&json!({ "url": url })))
            .map(drop)
    }

    /// The address that is shown.
    pub fn address(&self) -> Result<String> {
        let url = self.order("GET", "/url", None)?;
        Ok(url.as_str().unwrap_or_default().to_owned())
    }

    /// What a script returns, or what its promise comes to; it runs also where the page's own scripts may not.
    pub fn run(&self, script: &str) -> Result<Value> {
        let body = json!({ "script": script, "args": [] });
        self.order("POST", "/execute/sync", Some(&body))
    }

    fn find(&self, selector: &str) -> Result<String> {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.order("POST", "/element", Some(&body))?;
        let id = found[ELEMENT]
            .as_str()
            .context("no reference to an element")?;
        Ok(id.to_owned())
    }

    /// How many elements a selector fits.
    pub fn count(&self, selector: &str) -> Result<usize> {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.order("POST", "/elements", Some(&body))?;
        Ok(found.as_array().map_or(0, Vec::len))
    }

    /// What of the first such element is seen as text.
    pub fn text(&self, selector: &str) -> Result<String> {
        let element = self.find(selector)?;
        let text = self.order("GET", &format!("/element/{element}/text"), None)?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.order(
            "POST",
            &format!("/element/{element}/click"),
            Some(&json!({})),
        )
        .with_context(|| format!("clicking {selector}"))
        .map(drop)
    }

    /// Clicks what leads to another page, and waits until that is there: a click alone may return before.
    pub fn follow(&self, selector: &str) -> Result<()> {
        self.run("window.left = true")?;
        self.click(selector)?;
        let script = "return window.left === undefined && document.readyState === 'complete'";
        // Between two pages there is none to ask.
        let arrived = || {
            Ok(self
                .run(script)
                .is_ok_and(|there| there == true)
                .then_some(()))
        };
        wait_for(PATIENCE, arrived)?
            .with_context(|| format!("{selector} leads to no other page within {PATIENCE:?}"))
    }

    /// Types into a field.
    pub fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector)?;
        let body = json!({ "text": text });
        self.order("POST", &format!("/element/{element}/value"), Some(&body))
            .map(drop)
    }

    /// Presses and releases one key; `\u{e004}` is Tab, `\u{e007}` Enter (`WebDriver`, section 17.4.2).
    pub fn press(&self, key: char) -> Result<()> {
        let key = key.to_string();
        let actions =
            json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.order("POST", "/actions", Some(&body)).map(drop)
    }

    /// Moves on with Tab until what has the focus fits the selector.
    pub fn tab_to(&self, selector: &str) -> Result<()> {
        const MOST: usize = 150;
        let fits = format!("return document.activeElement.matches({})", json!(selector));
        for _ in 0..MOST {
            self.press('\u{e004}')?;
            if self.run(&fits)? == true {
                return Ok(());
            }
        }
        bail!("{MOST} times Tab do not lead to {selector}")
    }

    /// Waits until a script returns true.
    pub fn until(&self, what: &str, script: &str) -> Result<()> {
        let done = wait_for(PATIENCE, || Ok((self.run(script)? == true).then_some(())))?;
        if done.is_none() {
            let body = self.text("body").unwrap_or_default();
            bail!("{what}: not within {PATIENCE:?}; the page says: {body:.2000}");
        }
        Ok(())
    }

    /// What the page's console says of errors and of breaches of its policy.
    pub fn errors(&self) -> Result<Vec<String>> {
        let entries = self.order("POST", "/se/log", Some(&json!({ "type": "browser" })))?;
        let entries = entries.as_array().cloned().unwrap_or_default();
        let bad = entries
            .into_iter()
            .filter(|entry| entry["level"] == "SEVERE");
        Ok(bad.map(|entry| entry["message"].to_string()).collect())
    }

    /// What is shown, as a PNG, in a window as high as the page.
    pub fn picture(&self) -> Result<Vec<u8>> {
        let wanted =
            json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true } });
        let made = self.order("POST", "/goog/cdp/execute", Some(&wanted))?;
        let text = made["data"].as_str().context("no picture was made")?;
        base64(text).context("the picture is no base64")
    }

    /// The pages that the page takes on paper (A4).
    pub fn printed_pages(&self) -> Result<usize> {
        let page = json!({ "page": { "width": 21.0, "height": 29.7 } });
        let printed = self.order("POST", "/print", Some(&page))?;
        let text = printed.as_str().context("nothing was printed")?;
        let pdf = base64(text).context("the print is no base64")?;
        Ok(count(&pdf, b"/Type /Page") - count(&pdf, b"/Type /Pages"))
    }
}

fn count(octets: &[u8], wanted: &[u8]) -> usize {
    octets
        .windows(wanted.len())
        .filter(|window| *window == wanted)
        .count()
}

/// RFC 4648; `None` where it is not that.
fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut octets = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for digit in text.bytes().filter(|digit| *digit != b'=') {
        let value = DIGITS.iter().position(|other| *other == digit)?;
        held = held << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            octets.push((held >> bits & 0xff) as u8);
        }
    }
    Some(octets)
}

/// The driver's answer.
fn ask(method: &str, url: &str, body: Option<&Value>) -> Result<Value> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_mins(1)))
        .build();
    let agent = config.new_agent();
    let answer = match (method, body) {
        ("POST", Some(body)) => agent.post(url).send_json(body),
        ("DELETE", _) => agent.delete(url).call(),
        _ => agent.get(url).call(),
    };
    let mut answer = answer.with_context(|| format!("asking the driver: {method} {url}"))?;
    let text = answer
        .body_mut()
        .with_config()
        .limit(1 << 28)
        .read_to_string()?;
    let said: Value = serde_json::from_str(&text).context("the driver's answer is no JSON")?;
    ensure!(
        answer.status().is_success(),
        "the driver refused: {}",
        said["value"]["message"]
    );
    Ok(said["value"].clone())
}

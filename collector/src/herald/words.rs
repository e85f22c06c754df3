//! What is said: the webhook's body, an Alertmanager's alerts.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parallax_core::CaptureTime;
use serde_json::{Value, json};
use url::Url;

use super::REPEAT;
use crate::store::Injection;

/// The version of the webhook's body.
const SCHEMA: u32 = 1;
/// What an end beyond the outermost vantage is called in a label.
const BEYOND: &str = "(beyond)";
/// An alert ends by itself when nobody has repeated it for so many turns.
const TURNS: u32 = 4;

/// Where people look.
#[derive(Debug, Clone)]
pub(super) struct Pages(Option<Url>);

impl Pages {
    pub fn new(base: Option<Url>) -> Self {
        Self(base)
    }

    /// The page of a reset.
    fn reset(&self, injection: &Injection) -> Option<String> {
        let mut url = self.0.clone()?;
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .push("resets")
            .push(&injection.example.to_string());
        Some(url.into())
    }
}

fn end(name: Option<&str>) -> &str {
    name.unwrap_or(BEYOND)
}

/// For instance `Something between "fw-out" and "fw-in" forges resets: 3 so far, the first firewall_reject_content`.
pub(super) fn sentence(injection: &Injection) -> String {
    let quoted = |name: &Option<String>| match name {
        Some(name) => format!("\"{}\"", parallax_core::plain::plain(name)),
        None => "beyond the outermost vantage".to_owned(),
    };
    format!(
        "Something between {} and {} forges resets: {} so far, the first {}",
        quoted(&injection.between[0]),
        quoted(&injection.between[1]),
        injection.resets,
        injection.cause
    )
}

/// The body of a webhook's POST.
pub(super) fn webhook(injection: &Injection, pages: &Pages) -> Value {
    json!({
        "schema": SCHEMA,
        "event": "injection_began",
        "id": injection.episode,
        "between": injection.between,
        "began": injection.began.to_string(),
        "resets": injection.resets,
        "cause": injection.cause,
        "reset": injection.example,
        "url": pages.reset(injection),
        "text": sentence(injection),
    })
}

/// `POST /api/v2/alerts` of Alertmanager's API.
pub(super) fn alerts(places: &[Injection], pages: &Pages, now: CaptureTime) -> Value {
    let last = lasts_until(now);
    let alerts = places.iter().map(|place| {
        let [from, to] = [0, 1].map(|index| end(place.between[index].as_deref()));
        json!({
            "labels": {
                "alertname": "ParallaxInjection",
                "severity": "warning",
                "from": from,
                "to": to,
            },
            "annotations": {
                "summary": format!("Something between {from} and {to} forges resets"),
                "description": sentence(place),
                "cause": place.cause,
                "reset": place.example.to_string(),
            },
            "startsAt": place.began.to_string(),
            "endsAt": place.quiet.unwrap_or(last).to_string(),
            "generatorURL": pages.reset(place).unwrap_or_default(),
        })
    });
    Value::Array(alerts.collect())
}

/// Until when an alert holds that is repeated in time.
fn lasts_until(now: CaptureTime) -> Timestamp {
    let now = Timestamp::from_nanosecond(i128::from(now.nanos())).unwrap_or(Timestamp::MAX);
    let most: Duration = REPEAT * TURNS;
    let lasts = SignedDuration::from_secs(most.as_secs().cast_signed());
    now.checked_add(lasts).unwrap_or(Timestamp::MAX)
}

/// Where an Alertmanager takes alerts.
pub(super) fn alerts_url(base: &Url) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v2", "alerts"]);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injection() -> Injection {
        Injection {
            episode: "0197aaaa-0000-4000-8000-000000000001".parse().unwrap(),
            between: [None, Some("fw\u{1b}-in".to_owned())],
            resets: 3,
            cause: "injected".to_owned(),
            example: "0197aaaa-0000-7000-8000-000000000002".parse().unwrap(),
            began: "2026-01-02T03:04:05.5Z".parse().unwrap(),
            quiet: None,
            attempts: 1,
        }
    }

    fn pages() -> Pages {
        Pages::new("https://parallax.example/lab/".parse().ok())
    }

    #[test]
    fn a_webhook_is_told_place_cause_and_where_to_look() {
        let body = webhook(&injection(), &pages());
        assert_eq!(body["between"], json!([null, "fw\u{1b}-in"]));
        assert_eq!(body["began"], "2026-01-02T03:04:05.5Z");
        assert_eq!(
            body["url"],
            "https://parallax.example/lab/resets/0197aaaa-0000-7000-8000-000000000002"
        );
        assert_eq!(
            body["text"],
            "Something between beyond the outermost vantage and \"fw\\u{1b}-in\" forges resets: 3 so far, the first injected"
        );
    }

    #[test]
    fn an_alert_ends_soon_unless_it_is_repeated_and_at_once_when_the_place_is_quiet() {
        let began = CaptureTime::from_nanos(1_767_323_045_000_000_000);
        let mut place = injection();
        let told = alerts(&[place.clone()], &pages(), began);
        assert_eq!(told[0]["labels"]["from"], BEYOND);
        assert_eq!(told[0]["endsAt"], "2026-01-02T03:08:05Z");
        place.quiet = "2026-01-02T03:05:00Z".parse().ok();
        let told = alerts(&[place], &pages(), began);
        assert_eq!(told[0]["endsAt"], "2026-01-02T03:05:00Z");
    }

    #[test]
    fn an_alertmanager_may_live_below_a_path() {
        let url = |base: &str| alerts_url(&base.parse().unwrap()).to_string();
        assert_eq!(url("http://a:9093"), "http://a:9093/api/v2/alerts");
        assert_eq!(url("http://a/am/"), "http://a/am/api/v2/alerts");
    }
}

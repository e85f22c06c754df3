//! Query strings: read leniently, as forms send them, and written again for links.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parallax_core::CaptureTime;
use parallax_core::time::SECOND;

use crate::http::filters::{FilterError, Question};
use crate::store::Filters;

/// Resets on a page.
pub const PAGE: u32 = 50;

/// What a list is narrowed by.
pub const FILTERS: [&str; 10] = [
    "since", "until", "address", "port", "vantage", "origin", "cause", "between", "at", "lost",
];

/// The parameters of a page. Empty ones are absent: forms send every field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked(BTreeMap<String, String>);

impl Asked {
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let filled = pairs
            .into_iter()
            .map(|(name, value)| (name, value.trim().to_owned()));
        Self(filled.filter(|(_, value)| !value.is_empty()).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// For the fields of forms.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// An address with these parameters.
    pub fn link(&self, path: &str) -> String {
        let mut link = path.to_owned();
        for (index, (name, value)) in self.0.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            // Writing to a String cannot fail.
            let _ = write!(link, "{mark}{}={}", encoded(name), encoded(value));
        }
        link
    }

    /// The filters, with times made absolute.
    pub fn filters(&self, now: CaptureTime) -> Result<Filters, FilterError> {
        let question = Question::of(|name| {
            let value = self
                .get(name)
                .filter(|_| name == "after" || FILTERS.contains(&name))?;
            Some(match name {
                "since" | "until" => absolute(value, now),
                _ => value.to_owned(),
            })
        });
        Ok(Filters {
            limit: PAGE,
            ..question.filters()?
        })
    }
}

/// `15m`, `2h`, `7d` ago, and times without a zone (UTC), as RFC 3339; anything else as it is.
fn absolute(value: &str, now: CaptureTime) -> String {
    let ago = value.char_indices().next_back().and_then(|(at, unit)| {
        let seconds: i64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        let count: i64 = value[..at].parse().ok().filter(|count| *count >= 0)?;
        count.checked_mul(seconds)?.checked_mul(SECOND)
    });
    if let Some(ago) = ago {
        return now.plus(-ago).to_string();
    }
    let text = value.replacen(' ', "T", 1);
    let zoned = format!("{text}Z");
    let local = |text: &str| text.parse::<jiff::civil::DateTime>().is_ok();
    if !text.ends_with(['Z', 'z']) && local(&text) && zoned.parse::<jiff::Timestamp>().is_ok() {
        return zoned;
    }
    text
}

/// The pairs of a query string (application/x-www-form-urlencoded); octets that are no UTF-8 are replaced.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let octets = text.as_bytes();
    let digit = |at: usize| {
        octets
            .get(at)
            .and_then(|octet| (*octet as char).to_digit(16))
    };
    let mut read = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        match (octet, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                read.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => read.push(b' '),
            _ => read.push(*octet),
        }
        at += 1;
    }
    String::from_utf8_lossy(&read).into_owned()
}

fn encoded(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~:,".contains(&octet) {
            safe.push(octet as char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(safe, "%{octet:02X}");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_reads_back_as_what_was_asked() {
        let asked = Asked::default()
            .with("vantage", "<b> & \"fw\"+%=#?\u{1f600}")
            .with("port", "443");
        let link = asked.link("/");
        assert!(link.is_ascii() && !link.contains(['<', '"', ' ']), "{link}");
        let query = link.split_once('?').unwrap().1;
        assert_eq!(Asked::new(pairs(query)), asked);
        assert_eq!(
            Asked::new(pairs("a=&b&%ff%0=%zz+")).link("/"),
            "/?%EF%BF%BD%250=%25zz"
        );
    }

    #[test]
    fn times_may_be_relative_or_without_a_zone() {
        let now = CaptureTime::from_nanos(1_767_323_045_000_000_000);
        for (typed, meant) in [
            ("1h", "2026-01-02T02:04:05.000000000Z"),
            ("90s", "2026-01-02T03:02:35.000000000Z"),
            ("2026-01-02T03:04", "2026-01-02T03:04Z"),
            ("2026-01-02 03:04:05", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05+01:00", "2026-01-02T03:04:05+01:00"),
            ("yesterday", "yesterday"),
            ("99999999999999999999d", "99999999999999999999d"),
        ] {
            assert_eq!(absolute(typed, now), meant);
        }
        let asked = Asked::default().with("since", "soon");
        assert!(asked.filters(now).is_err());
    }
}

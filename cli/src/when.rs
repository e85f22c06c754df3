//! Points in time as people type them.

use jiff::Timestamp;

/// Reads RFC 3339 (`2026-01-02T03:04:05Z`) or a span before now (`90s`, `10m`, `1h30m`, `2d`).
pub fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, now())
}

/// This moment.
pub(crate) fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "\"10m ago\" on a command line is relative to this moment"
    )]
    let now = std::time::SystemTime::now();
    Timestamp::try_from(now).unwrap_or(Timestamp::MAX)
}

fn parse_at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(stamp) = text.parse() {
        return Ok(stamp);
    }
    let seconds = span_seconds(text).ok_or_else(|| {
        "expected RFC 3339 (2026-01-02T03:04:05Z) or a span before now (90s, 10m, 1h30m, 2d)"
            .to_owned()
    })?;
    now.checked_sub(jiff::SignedDuration::from_secs(seconds))
        .map_err(|_| "that is before the beginning of time".to_owned())
}

/// Seconds of a span such as 1h30m.
pub(crate) fn span_seconds(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_count_back_from_now() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let at = |text| parse_at(text, now).map(|stamp| stamp.to_string());
        assert_eq!(at("10m").unwrap(), "2026-01-02T02:54:05Z");
        assert_eq!(at("1h30m5s").unwrap(), "2026-01-02T01:34:00Z");
        assert_eq!(at("2d").unwrap(), "2025-12-31T03:04:05Z");
        assert_eq!(
            at("2026-01-01T00:00:00+01:00").unwrap(),
            "2025-12-31T23:00:00Z"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "10",
            "m",
            "10x",
            "yesterday",
            "1é",
            "99999999999999999999d",
            "9999999999d",
        ] {
            assert!(parse_at(text, Timestamp::UNIX_EPOCH).is_err(), "{text}");
        }
    }
}

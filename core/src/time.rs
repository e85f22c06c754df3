//! Points in time as a vantage's clock showed them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Nanoseconds since the Unix epoch by the clock of the vantage that captured the packet.
///
/// Clocks of different vantages are not comparable without a [clock offset](crate::evidence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CaptureTime(i64);

/// Nanoseconds in a millisecond.
pub const MILLISECOND: i64 = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

impl CaptureTime {
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// This time moved by `nanos`, held at the ends of the range.
    #[must_use]
    pub const fn plus(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Nanoseconds from `earlier` to this time; negative if `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// RFC 3339 in UTC with nine digits, as the contract's documents carry it.
impl fmt::Display for CaptureTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(stamp) => write!(f, "{stamp:.9}"),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

impl Serialize for CaptureTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CaptureTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let stamp: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        i64::try_from(stamp.as_nanosecond())
            .map(Self)
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_prints_as_rfc_3339_with_nine_digits() {
        let time = CaptureTime::from_nanos(1_767_323_045_123_456_789);
        assert_eq!(time.to_string(), "2026-01-02T03:04:05.123456789Z");
        assert_eq!(
            CaptureTime::from_nanos(1_767_323_045_000_000_000).to_string(),
            "2026-01-02T03:04:05.000000000Z"
        );
    }

    #[test]
    fn arithmetic_holds_at_the_ends_of_the_range() {
        let end = CaptureTime::from_nanos(i64::MAX);
        assert_eq!(end.plus(1), end);
        assert_eq!(CaptureTime::from_nanos(i64::MIN).since(end), i64::MIN);
    }
}

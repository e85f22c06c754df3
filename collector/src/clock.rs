//! The one place where the collector reads the wall clock.

use parallax_core::CaptureTime;

/// Nanoseconds since the Unix epoch by this machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge: everything else gets the time as an argument"
)]
pub fn wall() -> CaptureTime {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    CaptureTime::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

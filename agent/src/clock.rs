//! The clock that stamps captured packets.

use std::time::{SystemTime, UNIX_EPOCH};

use parallax_core::CaptureTime;

/// Nanoseconds since the Unix epoch by this machine's clock, which the kernel stamps packets with.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge: coverage of an idle vantage and the exchange of stamps need the present"
)]
pub fn wall() -> CaptureTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    CaptureTime::from_nanos(since_epoch.map_or(0, |span| span.as_nanos() as i64))
}

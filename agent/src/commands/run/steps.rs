//! Steps of the machine's clock: what it shows against how much time has passed.

use std::time::{Duration, Instant};

use parallax_core::time::MILLISECOND;
use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Strength};

/// A clock that is slewed (adjtime, NTP) gains at most 0.1 ms from beat to beat; more was a step.
const STEP: i64 = 20 * MILLISECOND;

/// Readings that lie farther apart say nothing: the thread was interrupted between them.
const APART: Duration = Duration::from_millis(5);

/// The clock of the capture (`CLOCK_REALTIME`) and that which nobody sets (`CLOCK_MONOTONIC`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Readings {
    pub wall: CaptureTime,
    pub ticks: Instant,
    /// How long the reading took.
    pub took: Duration,
}

/// The readings of the last beat.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    last: Option<Readings>,
}

impl Clocks {
    /// By how many nanoseconds the clock was stepped since the last readings.
    pub fn step(&mut self, now: &Readings) -> Option<i64> {
        if now.took > APART {
            return None;
        }
        let last = self.last.replace(*now)?;
        let passed = now.ticks.saturating_duration_since(last.ticks).as_nanos() as i64;
        let step = now.wall.since(last.wall).saturating_sub(passed);
        (step.saturating_abs() > STEP).then_some(step)
    }
}

/// Around a step the clock shows a time twice, or one that never was. `from`: where coverage had come to;
/// `until`: what the clock shows now.
pub(super) fn loss(from: CaptureTime, until: CaptureTime, step: i64) -> LossRecord {
    let unstepped = until.plus(step.saturating_neg());
    LossRecord {
        strength: Strength::Possible,
        cause: LossCause::ClockStep,
        of: LossOf::Packets,
        from: from.min(until),
        until: Some(unstepped.max(until)),
        count: None,
        detail: Some(format!("by {:+.3} s", step as f64 / 1e9)),
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::time::SECOND;

    use super::*;

    fn readings(start: Instant, passed: i64, shown: i64) -> Readings {
        Readings {
            wall: CaptureTime::from_nanos(shown),
            ticks: start + Duration::from_nanos(passed.cast_unsigned()),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_step_either_way_is_seen_once_and_slewing_is_none() {
        #[expect(clippy::disallowed_methods, reason = "any instant serves")]
        let start = Instant::now();
        let mut clocks = Clocks::default();
        assert_eq!(clocks.step(&readings(start, 0, 0)), None);
        assert_eq!(
            clocks.step(&readings(start, SECOND, SECOND + MILLISECOND)),
            None
        );
        let back = readings(start, 2 * SECOND, MILLISECOND - SECOND);
        assert_eq!(clocks.step(&back), Some(-3 * SECOND));
        assert_eq!(clocks.step(&readings(start, 3 * SECOND, MILLISECOND)), None);
    }

    #[test]
    fn readings_with_an_interruption_between_them_are_left_out() {
        #[expect(clippy::disallowed_methods, reason = "any instant serves")]
        let start = Instant::now();
        let mut clocks = Clocks::default();
        clocks.step(&readings(start, 0, 0));
        let torn = Readings {
            took: Duration::from_millis(30),
            ..readings(start, SECOND, SECOND + 30 * MILLISECOND)
        };
        assert_eq!(clocks.step(&torn), None);
        assert_eq!(clocks.step(&readings(start, 2 * SECOND, 2 * SECOND)), None);
    }
}

//! How long to wait between attempts to reach the collector.

use std::time::Duration;

/// The longest pause before the second attempt.
pub const FIRST: Duration = Duration::from_millis(100);

/// The longest pause there is.
pub const LONGEST: Duration = Duration::from_secs(10);

/// The pause after failed attempt number `attempt` (the first is 0): it doubles from [`FIRST`] up to
/// [`LONGEST`], and `jitter` takes it to between half of that and all of it, so that agents which
/// lost their collector together do not return together.
pub fn pause(attempt: u32, jitter: u32) -> Duration {
    let doubled = 1_u32.checked_shl(attempt).filter(|_| attempt < 31);
    let whole = doubled.map_or(LONGEST, |times| FIRST.saturating_mul(times).min(LONGEST));
    let share = f64::from(jitter) / f64::from(u32::MAX);
    whole.mul_f64(0.5 + share / 2.0)
}

/// A connection that lasted so long, or brought something across, was a success.
pub const LASTING: Duration = Duration::from_secs(30);

/// How often connecting has failed in a row. A collector that welcomes and then fails at once (its
/// database is away) counts as a failure too: else agents would connect to it without a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after a failure.
    pub fn failed(&mut self, jitter: u32) -> Duration {
        let pause = pause(self.failures, jitter);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// A connection broke that had lasted so long and brought so many digests across. The pause before the
    /// next attempt: none after a success.
    pub fn broke(&mut self, lasted: Duration, committed: u64, jitter: u32) -> Duration {
        if committed > 0 || lasted >= LASTING {
            self.failures = 0;
            return Duration::ZERO;
        }
        self.failed(jitter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_doubles_from_a_tenth_of_a_second_to_ten_seconds() {
        let millis: Vec<u128> = (0..9)
            .map(|attempt| pause(attempt, u32::MAX).as_millis())
            .collect();
        assert_eq!(
            millis,
            [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        assert_eq!(pause(0, 0), FIRST / 2);
        assert_eq!(pause(u32::MAX, 0), LONGEST / 2);
    }

    #[test]
    fn a_success_begins_anew_and_a_welcome_alone_is_none() {
        let mut backoff = Backoff::default();
        let moment = Duration::from_millis(5);
        for expected in [100, 200, 400] {
            assert_eq!(backoff.broke(moment, 0, u32::MAX).as_millis(), expected);
        }
        assert_eq!(backoff.broke(moment, 1, u32::MAX), Duration::ZERO);
        assert_eq!(backoff.failed(u32::MAX), FIRST);
        assert_eq!(backoff.broke(LASTING, 0, u32::MAX), Duration::ZERO);
        assert_eq!(backoff.failed(u32::MAX), FIRST);
        let mut worn = Backoff { failures: u32::MAX };
        assert_eq!(worn.failed(u32::MAX), LONGEST);
        assert_eq!(worn.failed(u32::MAX), LONGEST);
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(attempt: u32, jitter: u32) {
            let pause = pause(attempt, jitter);
            prop_assert!(pause >= FIRST / 2 && pause <= LONGEST);
        }

        #[test]
        fn the_next_pause_is_no_shorter_with_the_same_jitter(attempt in 0..100_u32, jitter: u32) {
            prop_assert!(pause(attempt + 1, jitter) >= pause(attempt, jitter));
        }
    }
}

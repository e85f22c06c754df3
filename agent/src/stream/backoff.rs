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

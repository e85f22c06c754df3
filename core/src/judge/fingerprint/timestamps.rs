//! TCP timestamps against the sender's clock (RFC 7323).

use super::{Look, Specimen};
use crate::scene::Seen;
use crate::time::SECOND;

/// Forgers leave timestamps out; one that runs with the sender's clock was copied or is real.
const RUNS_WITH_CLOCK: f64 = -2.0;
/// A live socket's timestamps never go back, and never leap.
const OFF_THE_CLOCK: f64 = 2.0;

/// The fastest clock that RFC 7323, 5.4 allows ticks each millisecond; some count microseconds.
const TICKS_A_SECOND_MOST: f64 = 1_000_000.0;
/// How far from the straight line through the sender's clock a value may lie, seconds of it.
const SLACK: f64 = 2.0;

/// A RST without timestamps is normal: nothing else is left where there is no socket.
pub(super) fn clock(s: &Specimen<'_, '_>) -> Look {
    let value = s.digest().options.timestamps?.value;
    let own: Vec<(i64, u32)> = s.own.iter().filter_map(|seen| reading(seen)).collect();
    let before = *own.iter().rev().find(|(at, _)| *at <= s.reset.at)?;
    let after = own.iter().find(|(at, _)| *at > s.reset.at);
    let back = ticks(before.1, value) < 0;
    let ahead = after.is_some_and(|after| ticks(value, after.1) < 0);
    let elapsed = seconds(before.0, s.reset.at);
    let leap = f64::from(ticks(before.1, value)) > (elapsed + SLACK) * rate(&own);
    let who = s.who();
    Some(if back || ahead || leap {
        (
            OFF_THE_CLOCK,
            format!(
                "its TCP timestamp {value} does not run with the {who}'s clock, which showed {} before",
                before.1
            ),
        )
    } else {
        (
            RUNS_WITH_CLOCK,
            format!("its TCP timestamp {value} runs with the {who}'s clock"),
        )
    })
}

fn reading(seen: &Seen<'_>) -> Option<(i64, u32)> {
    Some((seen.at, seen.digest.options.timestamps?.value))
}

/// Signed, as timestamps wrap.
fn ticks(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

fn seconds(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / SECOND as f64
}

/// Ticks a second of the sender's clock, as a bound: measured where its packets span a second, else the
/// fastest there is.
fn rate(own: &[(i64, u32)]) -> f64 {
    let (Some(first), Some(last)) = (own.first(), own.last()) else {
        return TICKS_A_SECOND_MOST;
    };
    let span = seconds(first.0, last.0);
    if span < 1.0 {
        return TICKS_A_SECOND_MOST;
    }
    (f64::from(ticks(first.1, last.1)) / span * 1.1).clamp(1.0, TICKS_A_SECOND_MOST)
}

//! The trace's clock put on the clock that stamps packets (`CLOCK_REALTIME`).

use nix::time::{ClockId, clock_gettime};
use parallax_core::CaptureTime;

/// A clock that the kernel can stamp trace events with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TraceClock {
    /// A constant number of seconds ahead of the capture clock, and set together with it.
    Tai,
    /// Runs on where the capture clock is set.
    Mono,
}

impl TraceClock {
    /// The best clock that the kernel takes.
    pub fn choose(takes: impl Fn(&str) -> bool) -> Option<Self> {
        [(Self::Tai, "tai"), (Self::Mono, "mono")]
            .into_iter()
            .find(|(_, name)| takes(name))
            .map(|(clock, _)| clock)
    }

    fn id(self) -> ClockId {
        match self {
            Self::Tai => ClockId::CLOCK_TAI,
            Self::Mono => ClockId::CLOCK_MONOTONIC,
        }
    }
}

/// How far the capture clock is ahead of the trace's, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    pub nanos: i64,
    /// How far that may be off.
    pub error: i64,
}

/// A trace prints microseconds.
const GRAIN: i64 = 1_000;

impl Offset {
    /// As it is now.
    pub fn sample(clock: TraceClock) -> Self {
        let before = read(ClockId::CLOCK_REALTIME);
        let trace = read(clock.id());
        let after = read(ClockId::CLOCK_REALTIME);
        let width = after.saturating_sub(before).saturating_abs();
        Self {
            nanos: before.saturating_add(width / 2).saturating_sub(trace),
            error: width / 2 + GRAIN,
        }
    }

    /// The capture clock's time of an event that was read between the sample before and this one.
    pub fn apply(self, before: Self, trace: i64) -> (CaptureTime, i64) {
        let moved = self.nanos.saturating_sub(before.nanos).saturating_abs();
        (
            CaptureTime::from_nanos(trace.saturating_add(self.nanos)),
            self.error.max(before.error).saturating_add(moved),
        )
    }
}

pub(super) fn now() -> CaptureTime {
    CaptureTime::from_nanos(read(ClockId::CLOCK_REALTIME))
}

fn read(clock: ClockId) -> i64 {
    // These clocks are in every Linux; one that fails reads as the epoch, far from any packet.
    clock_gettime(clock).map_or(0, |time| {
        time.tv_sec()
            .saturating_mul(1_000_000_000)
            .saturating_add(time.tv_nsec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_put_on_the_capture_clock_and_a_step_widens_its_error() {
        let offset = |nanos| Offset { nanos, error: 10 };
        let (time, error) = offset(5_000).apply(offset(5_000), 100);
        assert_eq!((time.nanos(), error), (5_100, 10));
        let (time, error) = offset(5_000).apply(offset(2_000), 100);
        assert_eq!((time.nanos(), error), (5_100, 3_010));
    }

    #[test]
    fn the_offset_now_is_known_within_a_millisecond() {
        for clock in [TraceClock::Tai, TraceClock::Mono] {
            let (one, two) = (Offset::sample(clock), Offset::sample(clock));
            assert!((one.nanos - two.nanos).abs() <= one.error + two.error + 1_000_000);
        }
    }
}

//! The capture thread: packets in, coverage a few times a second, no waiting for the network.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parallax_core::decode::RawPacket;
use parallax_core::{CaptureTime, Coverage};
use tracing::debug;

use crate::capture::live::{LiveCapture, LiveCounters, LiveError, Polled, SETTLE};
use crate::handover::{Handover, StreamEnded, Tally};

/// How often coverage is told.
const BEAT: Duration = Duration::from_millis(200);

/// How a capture ended.
pub(super) struct Captured {
    pub tally: Tally,
    pub dropped: u64,
    pub error: Option<LiveError>,
}

/// Captures until stopped, or until nobody takes what is captured; `live` is open since `since`.
pub(super) fn capture(
    mut live: LiveCapture,
    since: CaptureTime,
    mut handover: Handover,
) -> Captured {
    let mut watch = Watch::since(since);
    let error = go_on(&mut live, &mut handover, &mut watch).err();
    let error = error.or_else(|| take_last(live, &mut handover, &mut watch).err());
    debug!("flow memory evicted {:?}", handover.evicted());
    let dropped = watch.dropped;
    Captured {
        tally: handover.finish(),
        dropped,
        error,
    }
}

fn go_on(
    live: &mut LiveCapture,
    handover: &mut Handover,
    watch: &mut Watch,
) -> Result<(), LiveError> {
    let mut beat_at = ticks() + BEAT;
    loop {
        let started = now();
        let mut newest = Newest::default();
        let timeout = beat_at.saturating_duration_since(ticks());
        let polled = live.poll(timeout, &mut |packet| {
            newest.note(&packet);
            handover.packet(&packet);
        })?;
        if polled == Polled::Stopped {
            return Ok(());
        }
        if ticks() >= beat_at {
            beat_at = ticks() + BEAT;
            let settled = newest.settled(started);
            if let Some(coverage) = watch.beat(settled, live.counters()?) {
                handover.watched(coverage);
            }
        }
        if handover.turn() == Err(StreamEnded) {
            return Ok(());
        }
    }
}

/// Fetches what the kernel still holds, and tells the last coverage.
fn take_last(
    live: LiveCapture,
    handover: &mut Handover,
    watch: &mut Watch,
) -> Result<(), LiveError> {
    let started = now();
    let counters = live.finish(&mut |packet| handover.packet(&packet))?;
    if let Some(coverage) = watch.beat(started, counters) {
        handover.watched(coverage);
    }
    Ok(())
}

/// The newest packet of each interface in one round of reading.
struct Newest {
    by_interface: [Option<CaptureTime>; 256],
}

impl Default for Newest {
    fn default() -> Self {
        Self {
            by_interface: [None; 256],
        }
    }
}

impl Newest {
    fn note(&mut self, packet: &RawPacket<'_>) {
        self.by_interface[usize::from(packet.interface)] = Some(packet.time);
    }

    /// Up to when every packet was read, if this round began at `started`: an interface that gave
    /// packets may hold younger ones still; one that gave none holds none older than [`SETTLE`].
    fn settled(&self, started: CaptureTime) -> CaptureTime {
        let idle = started.plus(-(SETTLE.as_nanos() as i64));
        let newest = self.by_interface.iter().flatten();
        newest.min().map_or(idle, |newest| idle.min(*newest))
    }
}

/// What was watched so far.
struct Watch {
    /// The next span's first nanosecond.
    from: CaptureTime,
    received: u64,
    unsaid_drops: u64,
    dropped: u64,
}

impl Watch {
    fn since(from: CaptureTime) -> Self {
        Self {
            from,
            received: 0,
            unsaid_drops: 0,
            dropped: 0,
        }
    }

    /// The span from the last one to `until`; none while that is not later (a clock set back, a
    /// backlog of packets): then what was counted goes into the next.
    fn beat(&mut self, until: CaptureTime, counters: LiveCounters) -> Option<Coverage> {
        let dropped = counters.dropped + counters.if_dropped;
        self.received += counters.received;
        self.unsaid_drops += dropped;
        self.dropped += dropped;
        if until < self.from {
            return None;
        }
        let coverage = Coverage {
            from: self.from,
            until,
            received: std::mem::take(&mut self.received),
            dropped: std::mem::take(&mut self.unsaid_drops),
        };
        self.from = until.plus(1);
        Some(coverage)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "coverage of an idle vantage ends at its clock, not at its last packet"
)]
pub(super) fn now() -> CaptureTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    CaptureTime::from_nanos(since_epoch.map_or(0, |span| span.as_nanos() as i64))
}

#[expect(clippy::disallowed_methods, reason = "paces the beats")]
fn ticks() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use parallax_core::decode::LinkType;
    use parallax_core::time::SECOND;

    use super::*;

    fn at(nanos: i64) -> CaptureTime {
        CaptureTime::from_nanos(nanos)
    }

    fn counters(received: u64, dropped: u64) -> LiveCounters {
        LiveCounters {
            received,
            dropped,
            if_dropped: 1,
        }
    }

    fn note(newest: &mut Newest, interface: u8, time: i64) {
        newest.note(&RawPacket {
            time: at(time),
            link: LinkType::Raw,
            original_len: 0,
            interface,
            data: &[],
        });
    }

    #[test]
    fn spans_leave_no_gap_and_a_clock_set_back_loses_no_count() {
        let mut watch = Watch::since(at(10));
        let first = watch.beat(at(19), counters(5, 0)).unwrap();
        assert_eq!((first.from, first.until), (at(10), at(19)));
        assert_eq!(watch.beat(at(15), counters(2, 3)), None);
        let next = watch.beat(at(29), counters(1, 0)).unwrap();
        assert_eq!((next.from, next.until), (at(20), at(29)));
        assert_eq!((next.received, next.dropped), (3, 5));
        assert_eq!(watch.dropped, 6);
    }

    #[test]
    fn an_idle_interface_is_covered_up_to_a_moment_ago() {
        let settled = Newest::default().settled(at(SECOND));
        assert_eq!(settled, at(SECOND - 50_000_000));
    }

    #[test]
    fn an_interface_with_a_backlog_is_covered_up_to_the_packet_that_was_read_last() {
        let mut newest = Newest::default();
        note(&mut newest, 0, 300);
        note(&mut newest, 0, 400);
        note(&mut newest, 1, 500);
        assert_eq!(newest.settled(at(SECOND)), at(400));
    }
}

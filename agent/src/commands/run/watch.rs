//! The capture thread: packets in, coverage a few times a second, no waiting for the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use parallax_core::decode::RawPacket;
use parallax_core::{CaptureTime, Coverage, LossCause, LossOf, LossRecord, Selection, Strength};
use tracing::debug;

use super::outage::Outage;
use super::steps::{self, Clocks, Readings};
use crate::capture::live::{LiveCapture, LiveCounters, LiveError, Polled, SETTLE, Standing};
use crate::clock::wall as now;
use crate::handover::{Handover, StreamEnded, Tally};
use crate::stream::Order;

/// How often coverage is told.
const BEAT: Duration = Duration::from_millis(200);

/// How long an order of the collector may lie there while nothing passes.
const HEAR: Duration = Duration::from_millis(20);

/// Orders that are carried out between two rounds of reading.
const ORDERS_AT_ONCE: usize = 16;

/// What the collector orders.
pub(super) struct Orders {
    pub given: Receiver<Order>,
    /// What the agent was started to ship.
    pub own: Selection,
}

impl Orders {
    /// Carries out what came, between two packets.
    fn carry_out(&self, handover: &mut Handover, watch: &Watch) {
        for order in self.given.try_iter().take(ORDERS_AT_ONCE) {
            match order {
                Order::Ask(question) => handover.ask(question),
                Order::Select(wanted) => {
                    let selection = wanted.unwrap_or(self.own);
                    // Packets that the kernel still holds are shipped by the new rule: more travels from
                    // the present on, less already from where reading had come to.
                    let from = match selection {
                        Selection::All => now(),
                        Selection::Context | Selection::Sampled(_) => watch.from,
                    };
                    handover.select(selection, from);
                }
            }
        }
    }
}

/// How a capture ended.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub tally: Tally,
    pub dropped: u64,
    pub error: Option<LiveError>,
}

/// Who looks after steps of the clock. All threads of a run must tell the same epochs.
#[derive(Debug, Clone)]
pub(super) enum Epochs {
    /// Finds steps, and tells them.
    Lead(Arc<AtomicU32>),
    /// Takes over what was found.
    Follow(Arc<AtomicU32>),
}

/// Captures until stopped, or until nobody takes what is captured; `live` is open since `since`.
pub(super) fn capture(
    mut live: LiveCapture,
    since: CaptureTime,
    mut handover: Handover,
    orders: &Orders,
    epochs: Epochs,
) -> Captured {
    let mut watch = Watch::since(since, epochs);
    let error = go_on(&mut live, &mut handover, &mut watch, orders).err();
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
    orders: &Orders,
) -> Result<(), LiveError> {
    let mut beat_at = ticks() + BEAT;
    loop {
        let started = now();
        let mut newest = Newest::default();
        let timeout = beat_at.saturating_duration_since(ticks()).min(HEAR);
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
            let seen = (live.counters()?, live.standing());
            told(handover, watch.beat(settled, &readings(), seen));
        }
        orders.carry_out(handover, watch);
        if handover.turn() == Err(StreamEnded) {
            return Ok(());
        }
    }
}

/// Fetches what the kernel still holds, and tells the last coverage.
fn take_last(
    mut live: LiveCapture,
    handover: &mut Handover,
    watch: &mut Watch,
) -> Result<(), LiveError> {
    let started = now();
    let standing = live.standing();
    let counters = live.finish(&mut |packet| handover.packet(&packet))?;
    let mut last = watch.beat(started, &readings(), (counters, standing));
    last.losses.extend(watch.outage.end(started));
    told(handover, last);
    Ok(())
}

fn told(handover: &mut Handover, beat: Beat) {
    for loss in beat.losses {
        handover.lost(loss);
    }
    if let Some(coverage) = beat.coverage {
        handover.watched(coverage, beat.epoch);
    }
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
    clocks: Clocks,
    epochs: Epochs,
    epoch: u32,
    outage: Outage,
}

/// What a beat says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Beat {
    /// None while its end is not later than its start (a backlog of packets), or the clock was stepped.
    coverage: Option<Coverage>,
    losses: Vec<LossRecord>,
    epoch: u32,
}

impl Watch {
    fn since(from: CaptureTime, epochs: Epochs) -> Self {
        Self {
            from,
            received: 0,
            unsaid_drops: 0,
            dropped: 0,
            clocks: Clocks::default(),
            epochs,
            epoch: 0,
            outage: Outage::default(),
        }
    }

    /// The span from the last one to `until`; none while that is not later (a backlog of packets) or after
    /// a step of the clock: then what was counted goes into the next. After a step coverage begins anew.
    fn beat(
        &mut self,
        until: CaptureTime,
        readings: &Readings,
        (counters, standing): (LiveCounters, Standing),
    ) -> Beat {
        let mut losses = Vec::new();
        if let Epochs::Lead(_) = self.epochs {
            losses.extend(self.outage.look((self.from, until), standing));
        }
        let stepped = self.has_stepped(until, readings, &mut losses);
        if stepped {
            self.from = until;
        }
        // The counters are of now, wherever reading has come to.
        losses.extend(lost(self.from, until.max(readings.wall), counters));
        Beat {
            coverage: self.span(until, counters).filter(|_| !stepped),
            losses,
            epoch: self.epoch,
        }
    }

    /// Whether another epoch began; `losses` gains what that means.
    fn has_stepped(
        &mut self,
        until: CaptureTime,
        readings: &Readings,
        losses: &mut Vec<LossRecord>,
    ) -> bool {
        match &self.epochs {
            Epochs::Lead(epochs) => {
                let Some(step) = self.clocks.step(readings) else {
                    return false;
                };
                losses.push(steps::loss(self.from, until, step));
                self.epoch += 1;
                epochs.store(self.epoch, Ordering::Relaxed);
                true
            }
            Epochs::Follow(epochs) => {
                let epoch = epochs.load(Ordering::Relaxed);
                std::mem::replace(&mut self.epoch, epoch) != epoch
            }
        }
    }

    fn span(&mut self, until: CaptureTime, counters: LiveCounters) -> Option<Coverage> {
        let dropped = counters.dropped + counters.if_dropped;
        self.received += counters.received;
        self.unsaid_drops += dropped;
        self.dropped += dropped;
        if until < self.from {
            return None;
        }
        if self.outage.is_whole() {
            self.from = until.plus(1);
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

/// What the kernel's counters tell of loss in a span.
fn lost(from: CaptureTime, until: CaptureTime, counters: LiveCounters) -> Vec<LossRecord> {
    let counted = [
        (LossCause::Kernel, counters.dropped),
        (LossCause::Interface, counters.if_dropped),
    ];
    counted
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(cause, count)| LossRecord {
            strength: Strength::Certain,
            cause,
            of: LossOf::Packets,
            from: from.min(until),
            until: Some(until),
            count: Some(count),
            detail: None,
        })
        .collect()
}

/// Both clocks, and how long reading them took.
fn readings() -> Readings {
    let before = ticks();
    let wall = now();
    let after = ticks();
    Readings {
        wall,
        ticks: before,
        took: after.saturating_duration_since(before),
    }
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

    fn leader(from: i64) -> Watch {
        Watch::since(at(from), Epochs::Lead(Arc::default()))
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

    /// A beat of a clock that shows `until` when `ticks` nanoseconds of real time have passed.
    fn beat(
        watch: &mut Watch,
        start: Instant,
        ticks: i64,
        until: i64,
        count: LiveCounters,
    ) -> Beat {
        let readings = Readings {
            wall: at(until),
            ticks: start + Duration::from_nanos(ticks.cast_unsigned()),
            took: Duration::ZERO,
        };
        watch.beat(at(until), &readings, (count, Standing::Up))
    }

    #[test]
    fn spans_leave_no_gap_and_a_backlog_loses_no_count() {
        let (mut watch, start) = (leader(10), ticks());
        let first = beat(&mut watch, start, 19, 19, counters(5, 0))
            .coverage
            .unwrap();
        assert_eq!((first.from, first.until), (at(10), at(19)));
        assert_eq!(
            beat(&mut watch, start, 20, 15, counters(2, 3)).coverage,
            None
        );
        let next = beat(&mut watch, start, 29, 29, counters(1, 0));
        assert_eq!(next.losses.len(), 1, "the interface's");
        let next = next.coverage.unwrap();
        assert_eq!((next.from, next.until), (at(20), at(29)));
        assert_eq!((next.received, next.dropped), (3, 5));
        assert_eq!(watch.dropped, 6);
    }

    #[test]
    fn a_step_of_the_clock_is_told_and_coverage_goes_on_at_once() {
        for (shown, ambiguous) in [
            (-5 * SECOND, -5 * SECOND..=2 * SECOND),
            (90 * SECOND, SECOND + 1..=90 * SECOND),
        ] {
            let none = LiveCounters::default();
            let (mut watch, start) = (leader(0), ticks());
            beat(&mut watch, start, SECOND, SECOND, none)
                .coverage
                .unwrap();
            let stepped = beat(&mut watch, start, 2 * SECOND, shown, none);
            assert_eq!((stepped.coverage, stepped.epoch), (None, 1));
            let [loss] = stepped.losses.as_slice() else {
                panic!("one loss expected: {stepped:?}");
            };
            assert_eq!(
                (loss.cause, loss.strength),
                (LossCause::ClockStep, Strength::Possible)
            );
            assert_eq!(loss.from.nanos()..=loss.until.unwrap().nanos(), ambiguous);
            let next = beat(&mut watch, start, 3 * SECOND, shown + SECOND, none);
            let coverage = next.coverage.unwrap();
            assert_eq!(
                (coverage.from, coverage.until),
                (at(shown + 1), at(shown + SECOND))
            );
            assert_eq!(next.epoch, 1);
        }
    }

    #[test]
    fn a_step_that_one_thread_finds_is_a_new_epoch_for_all_and_told_once() {
        let (shared, none) = (Arc::default(), LiveCounters::default());
        let mut first = Watch::since(at(0), Epochs::Lead(Arc::clone(&shared)));
        let mut second = Watch::since(at(0), Epochs::Follow(shared));
        let start = ticks();
        for watch in [&mut first, &mut second] {
            beat(watch, start, SECOND, SECOND, none).coverage.unwrap();
        }
        let found = beat(&mut first, start, 2 * SECOND, -SECOND, none);
        assert_eq!((found.losses.len(), found.epoch), (1, 1));
        let taken_over = beat(&mut second, start, 2 * SECOND, -SECOND + 5, none);
        assert_eq!((taken_over.losses.len(), taken_over.epoch), (0, 1));
        assert_eq!(taken_over.coverage, None);
        let next = beat(&mut second, start, 3 * SECOND, 0, none);
        assert_eq!(next.coverage.unwrap().from, at(-SECOND + 6));
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

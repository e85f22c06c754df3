//! When a packet passed a vantage that may not have recorded it.

use crate::digest::{Digest, TcpFlags};
use crate::evidence::Selection;
use crate::path::Crossing;
use crate::scene::{Scene, Seen};
use crate::time::CaptureTime;

/// When what one vantage saw passed another, by that one's own clock.
pub(super) struct Passing<'s, 'a> {
    scene: &'s Scene<'a>,
    vantage: usize,
    time: CaptureTime,
    /// It is off by no more than this, nanoseconds.
    error: i64,
}

/// At a span's edge a packet may have been outside, by the error of the clock offset and this much.
const EDGE: i64 = 20_000;

impl<'s, 'a> Passing<'s, 'a> {
    /// `at` is on the corrected clock.
    pub(super) fn of(scene: &'s Scene<'a>, vantage: usize, seen_at: usize, at: i64) -> Self {
        let mut crossing = scene.path.crossing(vantage, seen_at);
        Self::over(scene, vantage, &mut crossing, at)
    }

    /// The same of one packet after the other; `crossing` leads to the vantage.
    pub(super) fn over(
        scene: &'s Scene<'a>,
        vantage: usize,
        crossing: &mut Crossing<'_>,
        at: i64,
    ) -> Self {
        let (time, error) = crossing.own_time(at);
        Self {
            scene,
            vantage,
            time,
            error: error.saturating_add(EDGE),
        }
    }

    /// Whether such a segment of a neighbouring flow is among those that were loaded.
    pub(super) fn would_be_held(&self, digest: &Digest) -> bool {
        let evidence = &self.scene.evidence.vantages[self.vantage];
        let handshake = digest.flags.has(TcpFlags::SYN);
        (handshake || evidence.selection == Selection::All)
            && evidence.nearby.would_hold(digest, self.time, self.error)
    }

    /// Whether the vantage's coverage surely holds the moment.
    pub(super) fn is_watched(&self) -> bool {
        let (from, until) = (
            self.time.plus(self.error.saturating_neg()),
            self.time.plus(self.error),
        );
        self.scene.watched[self.vantage].holds(from, until)
    }
}

/// Whether the vantage would have shipped this segment of the flow, had it seen it at that moment of the
/// corrected clock.
pub(super) fn ships(scene: &Scene<'_>, vantage: usize, seen_at: usize, segment: &Seen<'_>) -> bool {
    let evidence = &scene.evidence.vantages[vantage];
    if evidence.selection.ships(segment.digest) {
        return true;
    }
    let passing = Passing::of(scene, vantage, seen_at, segment.at);
    evidence.ships(segment.digest, passing.time, passing.error)
}

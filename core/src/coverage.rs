//! Coverage: what a vantage can swear to have watched.

use serde::{Deserialize, Serialize};

use crate::time::CaptureTime;

/// A span in which a vantage was capturing, with what it lost there. Times are by the vantage's own
/// clock.
///
/// A live agent's coverage goes on while nothing passes, since it reads its counters each beat. A
/// capture file covers its first record to its last and no more: nothing tells whether the capture
/// went on after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub from: CaptureTime,
    pub until: CaptureTime,
    /// Packets that passed the capture filter in this span.
    pub received: u64,
    /// Packets lost between wire and digest in this span (kernel buffer, interface, agent). A loss
    /// inside the span can be anywhere in it.
    pub dropped: u64,
}

impl Coverage {
    pub fn covers(&self, time: CaptureTime) -> bool {
        self.from <= time && time <= self.until
    }
}

/// Spans of one vantage, made ready for many questions.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// By when they begin.
    from: Vec<CaptureTime>,
    /// The latest end of each span and those before it.
    until: Vec<CaptureTime>,
}

impl Watched {
    pub(crate) fn of(spans: &[Coverage]) -> Self {
        let mut sorted: Vec<(CaptureTime, CaptureTime)> =
            spans.iter().map(|span| (span.from, span.until)).collect();
        sorted.sort_unstable();
        let latest = sorted.iter().scan(None, |latest, (_, until)| {
            *latest = (*latest).max(Some(*until));
            *latest
        });
        Self {
            until: latest.collect(),
            from: sorted.iter().map(|(from, _)| *from).collect(),
        }
    }

    /// Whether one span holds all from `first` to `last`.
    pub(crate) fn holds(&self, first: CaptureTime, last: CaptureTime) -> bool {
        let begun = self.from.partition_point(|from| *from <= first);
        begun > 0 && last <= self.until[begun - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_stretch_is_held_if_one_span_holds_it(
            spans in proptest::collection::vec((-20..20_i64, -2..20_i64), 0..8), first in -25..45_i64, long in 0..6_i64,
        ) {
            let at = CaptureTime::from_nanos;
            let spans: Vec<Coverage> = spans
                .into_iter()
                .map(|(from, long)| Coverage { from: at(from), until: at(from + long), received: 0, dropped: 0 })
                .collect();
            let (first, last) = (at(first), at(first + long));
            let held = spans.iter().any(|span| span.from <= first && last <= span.until);
            proptest::prop_assert_eq!(Watched::of(&spans).holds(first, last), held);
        }
    }
}

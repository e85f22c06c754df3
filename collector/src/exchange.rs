//! Clocks by the exchange of stamps (RFC 5905, section 8), with the minimum-delay filter: of the latest exchanges
//! the one that took the shortest bounds the offset best. Pure; the collector's clock is an argument.

use std::collections::VecDeque;

use parallax_core::time::{MILLISECOND, SECOND};
use parallax_core::{CaptureTime, ExchangedClock};

/// Exchanges that are kept.
const KEPT: usize = 8;
/// Crystals differ by less than this: 200 ppm each.
const DRIFT_PER_MILLION: i64 = 400;
/// While nothing changes, this often is enough.
const NOTED_EACH: i64 = 60 * SECOND;
/// A stamp that is this far off, 73 years from 1970, is nonsense: differences of such never overflow.
const FAR: i64 = 1 << 61;

/// One clock minus another, nanoseconds, off by no more than the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    pub nanos: i64,
    pub error: i64,
}

/// The four stamps of an exchange: `asked` and `heard` by the collector's clock, `received` and `sent` by the
/// agent's, nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamps {
    pub asked: i64,
    pub received: i64,
    pub sent: i64,
    pub heard: i64,
}

impl Stamps {
    /// The agent's clock minus the collector's. `None`: stamps that no exchange gives.
    fn offset(self) -> Option<Offset> {
        let all = [self.asked, self.received, self.sent, self.heard];
        if all.iter().any(|stamp| stamp.saturating_abs() > FAR) {
            return None;
        }
        let [asked, received, sent, heard] = all.map(i128::from);
        let delay = (heard - asked) - (sent - received);
        let in_order = asked <= heard && received <= sent && delay >= 0;
        in_order.then(|| Offset {
            nanos: i128::midpoint(received - asked, sent - heard) as i64,
            error: (delay / 2) as i64 + 1,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// By the collector's clock.
    heard: i64,
    /// By the agent's.
    sent: i64,
    offset: Offset,
}

impl Sample {
    fn error_at(&self, now: i64) -> i64 {
        let age = now.saturating_sub(self.heard).max(0);
        self.offset.error + age / 1_000_000 * DRIFT_PER_MILLION
    }
}

/// One agent's clock.
#[derive(Debug, Default)]
pub struct Exchange {
    samples: VecDeque<Sample>,
    noted: Option<(i64, ExchangedClock)>,
}

impl Exchange {
    /// The agent's clock minus the collector's, as of now.
    pub fn offset(&self, now: CaptureTime) -> Option<Offset> {
        let best = self.best(now.nanos())?;
        Some(Offset {
            nanos: best.offset.nanos,
            error: best.error_at(now.nanos()),
        })
    }

    fn best(&self, now: i64) -> Option<&Sample> {
        self.samples
            .iter()
            .min_by_key(|sample| sample.error_at(now))
    }

    /// Takes an exchange in; what is to be noted of the agent's clock, if it is news. `reference`: the
    /// collector's clock minus the common one.
    pub fn heard(&mut self, stamps: Stamps, reference: Offset) -> Option<ExchangedClock> {
        let sample = Sample {
            heard: stamps.heard,
            sent: stamps.sent,
            offset: stamps.offset()?,
        };
        let contradicts = |kept: &Sample| {
            let apart = (kept.offset.nanos - sample.offset.nanos).saturating_abs();
            apart > kept.error_at(stamps.heard) + sample.offset.error
        };
        // A clock that was set tells nothing of the present by what it showed before.
        self.samples.retain(|kept| !contradicts(kept));
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        let best = self.best(stamps.heard)?;
        let clock = ExchangedClock {
            at: CaptureTime::from_nanos(sample.sent),
            offset: best.offset.nanos.saturating_add(reference.nanos),
            error: best.error_at(stamps.heard).saturating_add(reference.error),
        };
        if !self.is_news(stamps.heard, clock) {
            return None;
        }
        self.noted = Some((stamps.heard, clock));
        Some(clock)
    }

    fn is_news(&self, now: i64, clock: ExchangedClock) -> bool {
        self.noted.is_none_or(|(when, noted)| {
            let apart = (noted.offset - clock.offset).saturating_abs();
            let better = clock.error + MILLISECOND / 10 < noted.error / 2;
            now - when >= NOTED_EACH || better || apart > noted.error.saturating_add(clock.error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000 * SECOND;
    const SAME: Offset = Offset { nanos: 0, error: 0 };

    /// An exchange with an agent whose clock is `ahead`; the way there and back take so long.
    fn exchange(at: i64, ahead: i64, there: i64, back: i64) -> Stamps {
        let received = at + there;
        let sent = received + 1000;
        Stamps {
            asked: at,
            received: received + ahead,
            sent: sent + ahead,
            heard: sent + back,
        }
    }

    #[test]
    fn the_offset_lies_within_its_error_whatever_the_ways_take() {
        for (there, back) in [(1, 1), (50, 2), (2, 50)] {
            let mut clock = Exchange::default();
            let (there, back) = (there * MILLISECOND, back * MILLISECOND);
            let noted = clock.heard(exchange(NOW, 5 * SECOND, there, back), SAME);
            let noted = noted.expect("the first is news");
            assert!(
                (noted.offset - 5 * SECOND).abs() <= noted.error,
                "{noted:?}"
            );
            assert!(noted.error <= 27 * MILLISECOND);
        }
    }

    #[test]
    fn the_shortest_exchange_counts_and_age_widens_it() {
        let mut clock = Exchange::default();
        clock.heard(exchange(NOW, 7, 20 * MILLISECOND, MILLISECOND), SAME);
        clock.heard(exchange(NOW + SECOND, 7, MILLISECOND, MILLISECOND), SAME);
        clock.heard(
            exchange(NOW + 2 * SECOND, 7, 30 * MILLISECOND, MILLISECOND),
            SAME,
        );
        let at = |nanos| clock.offset(CaptureTime::from_nanos(nanos)).unwrap();
        let soon = at(NOW + 2 * SECOND);
        assert!((soon.nanos - 7).abs() <= soon.error && soon.error < 2 * MILLISECOND);
        assert!(at(NOW + 100 * SECOND).error > 10 * MILLISECOND);
    }

    #[test]
    fn a_clock_that_was_set_is_known_anew_at_once() {
        let mut clock = Exchange::default();
        clock.heard(exchange(NOW, 0, MILLISECOND, MILLISECOND), SAME);
        let set = exchange(NOW + 4 * SECOND, 3600 * SECOND, MILLISECOND, MILLISECOND);
        let noted = clock.heard(set, SAME).expect("news");
        assert!((noted.offset - 3600 * SECOND).abs() <= noted.error);
    }

    #[test]
    fn what_is_no_news_is_noted_once_a_minute() {
        let mut clock = Exchange::default();
        let mut noted = 0;
        for turn in 0..30 {
            let stamps = exchange(NOW + turn * 4 * SECOND, 9, MILLISECOND, MILLISECOND);
            noted += u32::from(clock.heard(stamps, SAME).is_some());
        }
        assert_eq!(noted, 2);
    }

    #[test]
    fn stamps_that_no_exchange_gives_are_left_out() {
        let mut clock = Exchange::default();
        let good = exchange(NOW, 0, MILLISECOND, MILLISECOND);
        let bad = [
            Stamps {
                heard: NOW - 1,
                ..good
            },
            Stamps {
                sent: good.received - 1,
                ..good
            },
            Stamps {
                received: i64::MIN,
                ..good
            },
            Stamps {
                sent: i64::MAX,
                ..good
            },
        ];
        for stamps in bad {
            assert_eq!(clock.heard(stamps, SAME), None);
        }
    }

    #[test]
    fn the_collectors_own_offset_and_error_are_added() {
        let mut clock = Exchange::default();
        let reference = Offset {
            nanos: 50,
            error: SECOND,
        };
        let noted = clock.heard(exchange(NOW, 7, 10, 10), reference).unwrap();
        assert!((noted.offset - 57).abs() <= 20 && noted.error >= SECOND);
    }
}

//! What beats add to a run's coverage: pure arithmetic, so that what is sent again counts once.

use std::collections::BTreeMap;

use parallax_core::{CaptureTime, Coverage};

use super::load::Beat;

/// The latest coverage row of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    /// How often the machine's clock had been stepped within the run.
    pub epoch: u32,
    pub from: CaptureTime,
    pub until: CaptureTime,
    pub dropped: u64,
}

/// A row of the coverage table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub epoch: u32,
    pub span: Coverage,
}

/// What becomes of the coverage table and of the run's sums.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// The row that begins here reaches further, with more packets.
    pub extended: Option<Row>,
    pub rows: Vec<Row>,
    pub unread: BTreeMap<String, u64>,
    pub received: u64,
    pub dropped: u64,
}

/// Counts `beats`, which come in order of time, unless they were counted before. `latest` moves on.
pub(super) fn grow<'a>(
    latest: &mut Option<Latest>,
    beats: impl IntoIterator<Item = &'a Beat>,
) -> Growth {
    let mut growth = Growth::default();
    for beat in beats {
        let Some(span) = beat.span else {
            growth.count_unread(beat);
            continue;
        };
        let Some(span) = unseen(*latest, beat.epoch, span) else {
            continue;
        };
        growth.count_unread(beat);
        growth.received = growth.received.saturating_add(span.received);
        growth.dropped = growth.dropped.saturating_add(span.dropped);
        growth.add(latest, beat.epoch, span);
    }
    growth
}

/// The part of a span that comes after what was counted. After a step of the clock time begins anew.
fn unseen(latest: Option<Latest>, epoch: u32, span: Coverage) -> Option<Coverage> {
    let Some(latest) = latest.filter(|latest| latest.epoch >= epoch) else {
        return Some(span);
    };
    (latest.epoch == epoch && span.until > latest.until).then(|| Coverage {
        from: span.from.max(latest.until.plus(1)),
        ..span
    })
}

impl Growth {
    /// Adds what later portions of the same run brought.
    pub(super) fn append(&mut self, later: Self) {
        if let Some(extension) = later.extended {
            match (self.rows.last_mut(), &mut self.extended) {
                (Some(row), _) | (None, Some(row)) => {
                    row.span.until = extension.span.until;
                    row.span.received = row.span.received.saturating_add(extension.span.received);
                }
                (None, none) => *none = Some(extension),
            }
        }
        self.rows.extend(later.rows);
        self.received = self.received.saturating_add(later.received);
        self.dropped = self.dropped.saturating_add(later.dropped);
        for (reason, count) in later.unread {
            let sum = self.unread.entry(reason).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    fn count_unread(&mut self, beat: &Beat) {
        for (reason, count) in &beat.unread {
            let sum = self.unread.entry(reason.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// A loss stays in the span in which it happened; spans without loss grow together.
    fn add(&mut self, latest: &mut Option<Latest>, epoch: u32, span: Coverage) {
        let joined = latest.filter(|latest| {
            latest.epoch == epoch
                && latest.dropped == 0
                && span.dropped == 0
                && span.from == latest.until.plus(1)
        });
        *latest = Some(Latest {
            epoch,
            from: joined.map_or(span.from, |latest| latest.from),
            until: span.until,
            dropped: span.dropped,
        });
        let Some(joined) = joined else {
            self.rows.push(Row { epoch, span });
            return;
        };
        if let Some(row) = self.rows.last_mut() {
            row.span.until = span.until;
            row.span.received = row.span.received.saturating_add(span.received);
            return;
        }
        let received = self.extended.map_or(0, |row| row.span.received);
        let span = Coverage {
            from: joined.from,
            until: span.until,
            received: received.saturating_add(span.received),
            dropped: 0,
        };
        self.extended = Some(Row { epoch, span });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(from: i64, until: i64, received: u64, dropped: u64) -> Beat {
        Beat {
            span: Some(Coverage {
                from: CaptureTime::from_nanos(from),
                until: CaptureTime::from_nanos(until),
                received,
                dropped,
            }),
            epoch: 0,
            unread: vec![("not_ip".to_owned(), 1)],
        }
    }

    #[test]
    fn neighbours_without_loss_become_one_row() {
        let mut latest = None;
        let growth = grow(&mut latest, &[beat(0, 9, 5, 0), beat(10, 19, 6, 0)]);
        assert_eq!(growth.rows.len(), 1);
        assert_eq!(growth.rows[0].span.received, 11);
        let growth = grow(&mut latest, &[beat(20, 29, 1, 0), beat(30, 39, 1, 0)]);
        assert!(growth.rows.is_empty());
        let extended = growth.extended.unwrap().span;
        assert_eq!(
            (
                extended.from.nanos(),
                extended.until.nanos(),
                extended.received
            ),
            (0, 39, 2)
        );
    }

    #[test]
    fn a_loss_and_a_gap_keep_rows_of_their_own() {
        let mut latest = None;
        let beats = [
            beat(0, 9, 1, 0),
            beat(10, 19, 1, 3),
            beat(20, 29, 1, 0),
            beat(40, 49, 1, 0),
        ];
        let growth = grow(&mut latest, &beats);
        assert_eq!(growth.rows.len(), 4);
        assert_eq!(growth.dropped, 3);
    }

    #[test]
    fn portions_of_one_run_add_up_like_one() {
        let beats = [
            beat(0, 9, 1, 0),
            beat(10, 19, 1, 0),
            beat(20, 29, 1, 1),
            beat(30, 39, 1, 0),
        ];
        for cut in 0..=beats.len() {
            let (mut one, mut two) = (None, None);
            let whole = grow(&mut one, &beats);
            let mut parts = grow(&mut two, &beats[..cut]);
            parts.append(grow(&mut two, &beats[cut..]));
            assert_eq!((whole, one), (parts, two), "cut at {cut}");
        }
    }

    #[test]
    fn coverage_goes_on_at_once_after_a_clock_was_set_back() {
        let mut latest = None;
        let stepped = |from, until| Beat {
            epoch: 1,
            ..beat(from, until, 1, 0)
        };
        let beats = [beat(1000, 1999, 1, 0), stepped(500, 599), stepped(600, 699)];
        let growth = grow(&mut latest, &beats);
        let rows: Vec<(u32, i64, i64)> = growth
            .rows
            .iter()
            .map(|row| (row.epoch, row.span.from.nanos(), row.span.until.nanos()))
            .collect();
        assert_eq!(rows, [(0, 1000, 1999), (1, 500, 699)]);
        assert_eq!(grow(&mut latest, &beats), Growth::default(), "sent again");
    }

    #[test]
    fn a_beat_sent_again_counts_once() {
        let mut latest = None;
        let beats = [beat(0, 9, 5, 0), beat(10, 19, 6, 2)];
        grow(&mut latest, &beats);
        assert_eq!(grow(&mut latest, &beats), Growth::default());
    }
}

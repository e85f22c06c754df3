//! Rows near many moments: where moments lie close together, what is near to several is loaded once.
//!
//! The rows of one key (a vantage, say) are asked for in the gaps between the moments, each gap from both of its ends:
//! together they hold the nearest rows on either side of every moment, and hardly any twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::digest_row::{DigestRow, Stored};
use crate::store::rows::RowError;

/// A span of which the rows nearest to one end are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch<Key> {
    pub key: Key,
    /// Excluded; nanoseconds, as everything here.
    pub after: i64,
    /// Included.
    pub until: i64,
    pub from: End,
}

impl<Key> Stretch<Key> {
    /// How many rows of it to ask for, where `most` are wanted from one end.
    pub fn most(&self, most: usize) -> i64 {
        match self.from {
            End::Early | End::Late => most as i64,
            End::Both => 2 * most as i64,
        }
    }
}

/// The end of a stretch that rows are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Early,
    Late,
    /// Those nearest to either end: counted from the early one, as long as not more is there than is wanted from both.
    Both,
}

/// What to load for moments of several keys: rows not farther before and after a moment than `within`.
pub(super) fn stretches<Key: Copy + Ord>(
    moments: impl IntoIterator<Item = (Key, i64)>,
    [before, after]: [i64; 2],
) -> Vec<Stretch<Key>> {
    let mut by_key: BTreeMap<Key, BTreeSet<i64>> = BTreeMap::new();
    for (key, moment) in moments {
        by_key.entry(key).or_default().insert(moment);
    }
    let mut all = Vec::new();
    for (key, moments) in by_key {
        let mut earlier = None;
        for moment in moments {
            if let Some(earlier) = earlier {
                all.push(following(key, earlier, after, moment));
            }
            all.push(leading(key, moment, before, earlier.unwrap_or(i64::MIN)));
            earlier = Some(moment);
        }
        all.extend(earlier.map(|last| following(key, last, after, i64::MAX)));
    }
    all
}

/// The same, where a gap between two moments is one stretch: what lies in it is hardly ever so much that the late end has to
/// be asked for by itself ([`crowded_gaps`]).
pub(super) fn gaps<Key: Copy + Ord>(
    moments: impl IntoIterator<Item = (Key, i64)>,
    within: [i64; 2],
) -> Vec<Stretch<Key>> {
    let mut all: Vec<Stretch<Key>> = Vec::new();
    for stretch in stretches(moments, within) {
        match all.last_mut() {
            Some(last)
                if last.key == stretch.key
                    && stretch.from == End::Late
                    && stretch.after <= last.until =>
            {
                last.until = stretch.until;
                last.from = End::Both;
            }
            _ => all.push(stretch),
        }
    }
    all
}

/// The late ends of gaps that hold as many rows as were asked for, and may hold more.
pub(super) fn crowded_gaps<Key: Copy>(
    asked: &[Stretch<Key>],
    answers: impl Iterator<Item = i64>,
    most: usize,
) -> Vec<Stretch<Key>> {
    let mut found = vec![0; asked.len()];
    for answer in answers {
        if let Some(found) = found.get_mut(answer as usize - 1) {
            *found += 1;
        }
    }
    let full = asked.iter().zip(found);
    full.filter(|(stretch, found)| stretch.from == End::Both && *found >= stretch.most(most))
        .map(|(stretch, _)| Stretch {
            from: End::Late,
            ..*stretch
        })
        .collect()
}

/// The same in one stretch for moments that are near to each other: less is asked for, as long as not too much is there.
pub(super) fn spans<Key: Copy + Ord>(
    moments: impl IntoIterator<Item = (Key, i64)>,
    [before, after]: [i64; 2],
) -> Vec<Stretch<Key>> {
    let sorted: BTreeSet<(Key, i64)> = moments.into_iter().collect();
    let mut all: Vec<Stretch<Key>> = Vec::new();
    for (key, moment) in sorted {
        let from = moment.saturating_sub(before).saturating_sub(1);
        let until = moment.saturating_add(after);
        match all.last_mut() {
            Some(last) if last.key == key && from <= last.until => last.until = until,
            _ => all.push(Stretch {
                key,
                after: from,
                until,
                from: End::Early,
            }),
        }
    }
    all
}

fn leading<Key>(key: Key, moment: i64, within: i64, after: i64) -> Stretch<Key> {
    Stretch {
        key,
        after: after.max(moment.saturating_sub(within).saturating_sub(1)),
        until: moment,
        from: End::Late,
    }
}

fn following<Key>(key: Key, moment: i64, within: i64, until: i64) -> Stretch<Key> {
    Stretch {
        key,
        after: moment,
        until: until.min(moment.saturating_add(within)),
        from: End::Early,
    }
}

/// Adds what was asked for next, in which stretches are numbered from 1 again.
pub(super) fn append<Key>(
    (asked, rows): (&mut Vec<Stretch<Key>>, &mut Vec<DigestRow>),
    (more, mut found): (Vec<Stretch<Key>>, Vec<DigestRow>),
) {
    for row in &mut found {
        row.asked += asked.len() as i64;
    }
    asked.extend(more);
    rows.append(&mut found);
}

/// Loaded rows by key, in order of time.
#[derive(Debug)]
pub(super) struct Shelf<Key> {
    rows: BTreeMap<Key, Vec<Kept>>,
}

/// A row, read once for all who ask for it.
#[derive(Debug)]
pub(super) struct Kept {
    time_ns: i64,
    /// Run and number.
    pub place: (i32, i64),
    pub read: Result<Stored, RowError>,
}

impl From<&DigestRow> for Kept {
    fn from(row: &DigestRow) -> Self {
        Self {
            time_ns: row.time_ns,
            place: (row.run_id, row.number),
            read: Stored::try_from(row),
        }
    }
}

impl<Key: Copy + Ord> Shelf<Key> {
    /// Rows as they answer stretches (`DigestRow::asked`, from 1).
    pub fn new(stretches: &[Stretch<Key>], rows: &[DigestRow]) -> Self {
        let mut by_key: BTreeMap<Key, Vec<&DigestRow>> = BTreeMap::new();
        for row in rows {
            if let Some(stretch) = stretches.get(row.asked as usize - 1) {
                by_key.entry(stretch.key).or_default().push(row);
            }
        }
        let sorted = by_key.into_iter().map(|(key, mut rows)| {
            rows.sort_unstable_by_key(|row| (row.time_ns, row.run_id, row.number));
            rows.dedup_by_key(|row| (row.run_id, row.number));
            (key, rows.into_iter().map(Kept::from).collect())
        });
        Self {
            rows: sorted.collect(),
        }
    }

    /// Up to `most` rows on either side of a moment, not farther from it than `within`.
    pub fn near(&self, key: Key, moment: i64, within: i64, most: usize) -> &[Kept] {
        let rows = self.rows.get(&key).map_or(&[][..], Vec::as_slice);
        let middle = rows.partition_point(|row| row.time_ns <= moment);
        let first = rows.partition_point(|row| row.time_ns < moment.saturating_sub(within));
        let last = rows.partition_point(|row| row.time_ns <= moment.saturating_add(within));
        &rows[first.max(middle.saturating_sub(most))..last.min(middle + most)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the database would answer.
    fn answers(times: &[i64], stretch: &Stretch<u8>, most: usize) -> Vec<i64> {
        let within = |time: &&i64| stretch.after < **time && **time <= stretch.until;
        let found: Vec<i64> = times.iter().filter(within).copied().collect();
        match stretch.from {
            End::Early | End::Both => found
                .into_iter()
                .take(stretch.most(most) as usize)
                .collect(),
            End::Late => found[found.len().saturating_sub(most)..].to_vec(),
        }
    }

    proptest::proptest! {
        #[test]
        fn the_nearest_on_either_side_of_every_moment_are_among_what_is_loaded(
            times in proptest::collection::btree_set(-50..50_i64, 0..60),
            moments in proptest::collection::vec(-60..60_i64, 1..8),
            within in 0..40_i64,
            most in 1..6_usize,
        ) {
            let times: Vec<i64> = times.into_iter().collect();
            let of = || moments.iter().map(|moment| (0_u8, *moment));
            let all = |stretches: &[Stretch<u8>]| -> BTreeSet<i64> {
                stretches.iter().flat_map(|stretch| answers(&times, stretch, most)).collect()
            };
            let mut gaps = gaps(of(), [within; 2]);
            let numbered = (1..).zip(&gaps);
            let asked = numbered.flat_map(|(number, gap)| answers(&times, gap, most).into_iter().map(move |_| number));
            let late = crowded_gaps(&gaps, asked, most);
            gaps.extend(late);
            for loaded in [all(&stretches(of(), [within; 2])), all(&gaps)] {
                for moment in &moments {
                    let before = times.iter().rev().filter(|time| moment - within <= **time && *time <= moment);
                    let after = times.iter().filter(|time| moment < *time && **time <= moment + within);
                    for time in before.take(most).chain(after.take(most)) {
                        proptest::prop_assert!(loaded.contains(time), "{time} near {moment}");
                    }
                }
            }
        }

        #[test]
        fn of_gaps_each_row_is_asked_for_once(
            moments in proptest::collection::vec(-60..60_i64, 1..8), time in -80..80_i64, within in 0..40_i64,
        ) {
            let of = || moments.iter().map(|moment| (0_u8, *moment));
            let holding = |stretches: &[Stretch<u8>]| {
                stretches.iter().filter(|stretch| stretch.after < time && time <= stretch.until).count()
            };
            let wanted = holding(&stretches(of(), [within; 2])).min(1);
            proptest::prop_assert_eq!(holding(&gaps(of(), [within; 2])), wanted);
        }

        #[test]
        fn a_span_holds_what_is_near_to_its_moments_and_spans_do_not_touch(
            moments in proptest::collection::vec(-60..60_i64, 1..8), before in 0..40_i64, after in 0..40_i64, time in -100..100_i64,
        ) {
            let spans = spans(moments.iter().map(|moment| (0_u8, *moment)), [before, after]);
            let holding = spans.iter().filter(|span| span.after < time && time <= span.until).count();
            let near = moments.iter().any(|moment| moment - before <= time && time <= moment + after);
            proptest::prop_assert!(holding <= 1);
            proptest::prop_assert!(holding == 1 || !near);
        }

        #[test]
        fn no_row_is_asked_for_more_than_twice(
            moments in proptest::collection::vec(-60..60_i64, 1..8), time in -80..80_i64, within in 0..40_i64,
        ) {
            let stretches = stretches(moments.iter().map(|moment| (0_u8, *moment)), [within; 2]);
            let asked = stretches.iter().filter(|stretch| stretch.after < time && time <= stretch.until);
            proptest::prop_assert!(asked.count() <= 2);
        }
    }

    #[test]
    fn the_ends_of_time_are_no_trouble() {
        let all = stretches([((), i64::MIN), ((), i64::MAX)], [i64::MAX; 2]);
        assert_eq!(all.len(), 4);
    }
}

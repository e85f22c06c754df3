//! What of a load is new: pure, so that it holds for any database.

use std::collections::{BTreeMap, BTreeSet};

use parallax_core::Digest;

use super::{Outcome, Portion};
use crate::store::Registered;
use crate::store::spans::{self, Growth, Latest};

/// A run as a transaction finds it, and what the transaction adds to it.
#[derive(Debug)]
pub struct Gain {
    pub vantage_id: i32,
    /// Digests below this number are stored.
    pub committed: u64,
    /// The newest row of its coverage.
    pub latest: Option<Latest>,
    pub growth: Growth,
    /// Its agent said goodbye.
    pub finished: bool,
}

impl Gain {
    /// A run as it stands.
    pub fn found(vantage_id: i32, committed: u64, latest: Option<Latest>) -> Self {
        Self {
            vantage_id,
            committed,
            latest,
            growth: Growth::default(),
            finished: false,
        }
    }
}

/// The digests of a portion that are not stored yet.
#[derive(Debug)]
pub struct Fresh<'a> {
    pub run: Registered,
    pub first_number: u64,
    pub digests: &'a [Digest],
}

/// What of a load is taken.
#[derive(Debug, Default)]
pub struct Accepted<'a> {
    /// What became of each portion, in their order.
    pub outcomes: Vec<Outcome>,
    /// Digests to store.
    pub fresh: Vec<Fresh<'a>>,
    /// The portions that are taken: what they say beside digests counts.
    pub taken: Vec<&'a Portion>,
}

/// Sorts out what of `portions` is new, and moves the watermarks of `states` (by `run.id`), of which those stay that go on.
/// A run that is not among them is unknown. A portion that begins above its run's watermark has a gap before it and is not
/// taken, nor is what its stream said after it: a beat without digests would seem to be stored once later digests are.
pub fn accept<'a>(states: &mut BTreeMap<i32, Gain>, portions: &[&'a Portion]) -> Accepted<'a> {
    let mut accepted = Accepted::default();
    let mut broken: BTreeMap<(i32, u64), Outcome> = BTreeMap::new();
    for portion in portions {
        let stream = (portion.run.id, portion.stream);
        let outcome = match (states.get_mut(&portion.run.id), broken.get(&stream)) {
            (None, _) => Outcome::Unknown,
            (Some(_), Some(gap)) => *gap,
            (Some(state), None) => take(state, portion, &mut accepted.fresh),
        };
        match outcome {
            Outcome::Committed(_) => accepted.taken.push(portion),
            Outcome::Gap { .. } => {
                broken.insert(stream, outcome);
            }
            Outcome::Unknown => {}
        }
        accepted.outcomes.push(outcome);
    }
    let going_on: BTreeSet<i32> = accepted
        .taken
        .iter()
        .map(|portion| portion.run.id)
        .collect();
    states.retain(|id, _| going_on.contains(id));
    accepted
}

fn take<'a>(state: &mut Gain, portion: &'a Portion, fresh: &mut Vec<Fresh<'a>>) -> Outcome {
    if portion.first_number > state.committed {
        return Outcome::Gap {
            committed: state.committed,
            first: portion.first_number,
        };
    }
    let known = (state.committed - portion.first_number).min(portion.digests.len() as u64);
    let new = &portion.digests[known as usize..];
    if !new.is_empty() {
        fresh.push(Fresh {
            run: portion.run,
            first_number: state.committed,
            digests: new,
        });
    }
    state.committed = (state.committed + new.len() as u64).max(portion.skipped_to);
    let growth = spans::grow(&mut state.latest, &portion.beats);
    state.growth.append(growth);
    state.finished |= portion.finished;
    Outcome::Committed(state.committed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Asides, Beat};
    use parallax_core::{CaptureTime, Coverage};

    fn portion(stream: u64, first_number: u64, watched: Option<i64>) -> Portion {
        let beat = |from: i64| Beat {
            epoch: 0,
            span: Some(Coverage {
                from: CaptureTime::from_nanos(from),
                until: CaptureTime::from_nanos(from + 9),
                received: 5,
                dropped: 0,
            }),
            unread: Vec::new(),
        };
        Portion {
            run: Registered {
                id: 1,
                vantage_id: 1,
                committed: 0,
            },
            stream,
            first_number,
            digests: Vec::new(),
            beats: watched.map(beat).into_iter().collect(),
            losses: Vec::new(),
            skipped_to: 0,
            asides: Asides::default(),
            finished: false,
        }
    }

    /// Found by the simulation: a beat was lost with a transaction, the digests after it were stored, and the agent took
    /// the beat for stored.
    #[test]
    fn after_a_gap_nothing_of_its_stream_is_taken_and_another_stream_is() {
        let (lost, later) = (portion(1, 7, Some(0)), portion(1, 5, None));
        let other = portion(2, 5, Some(0));
        let mut states = BTreeMap::from([(1, Gain::found(1, 5, None))]);
        let accepted = accept(&mut states, &[&lost, &later, &other]);
        let gap = Outcome::Gap {
            committed: 5,
            first: 7,
        };
        assert_eq!(accepted.outcomes, [gap, gap, Outcome::Committed(5)]);
        assert_eq!(states[&1].growth.received, 5);
        assert_eq!(accepted.taken.len(), 1);
    }
}

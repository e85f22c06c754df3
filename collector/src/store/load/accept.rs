//! What of a load is new: pure, so that it holds for any database.

use std::collections::BTreeMap;

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

/// Sorts out what of `portions` is new, and moves the watermarks of `states` (by `run.id`). A run that is not among them is
/// unknown; one whose portion begins above its watermark has a gap, and nothing of that portion is taken.
pub fn accept<'a>(
    states: &mut BTreeMap<i32, Gain>,
    portions: &[&'a Portion],
    outcomes: &mut BTreeMap<i32, Outcome>,
) -> Vec<Fresh<'a>> {
    let mut accepted = Vec::with_capacity(portions.len());
    for portion in portions {
        let id = portion.run.id;
        let Some(state) = states.get_mut(&id) else {
            outcomes.insert(id, Outcome::Unknown);
            continue;
        };
        if portion.first_number > state.committed {
            outcomes.entry(id).or_insert(Outcome::Gap {
                committed: state.committed,
                first: portion.first_number,
            });
            continue;
        }
        let known = (state.committed - portion.first_number).min(portion.digests.len() as u64);
        let fresh = &portion.digests[known as usize..];
        if !fresh.is_empty() {
            accepted.push(Fresh {
                run: portion.run,
                first_number: state.committed,
                digests: fresh,
            });
        }
        state.committed = (state.committed + fresh.len() as u64).max(portion.skipped_to);
        let growth = spans::grow(&mut state.latest, &portion.beats);
        state.growth.append(growth);
        state.finished |= portion.finished;
        outcomes.insert(id, Outcome::Committed(state.committed));
    }
    accepted
}

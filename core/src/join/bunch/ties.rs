//! Connections under different names, joined where no other could be meant.

use std::collections::{BTreeMap, BTreeSet};

use super::{NAMES_MAX, Union, best, groups, meet};
use crate::join::strand::Strand;
use crate::join::tie::{Tie, View};

/// Ties between bunches of different flows.
pub(super) struct Ties {
    bunches: Vec<Vec<usize>>,
    found: Vec<Found>,
}

/// A tie between two bunches, by their place in the list.
struct Found {
    tie: Tie,
    bunches: [usize; 2],
    strands: [usize; 2],
}

/// A second choice nearer than this to the first is as good.
const MARGIN: u32 = 15;

impl Ties {
    /// Joins what is one connection; returns what was not joined because of others as good: the strands
    /// of the one, and the vantages of the others.
    pub(super) fn between_names<'a>(
        strands: &[Strand],
        union: &mut Union,
        view: &impl Fn(usize) -> View<'a>,
    ) -> Vec<(BTreeSet<usize>, BTreeSet<usize>)> {
        let all: Vec<usize> = (0..strands.len()).collect();
        let ties = Self::find(strands, groups(&all, union), view);
        let mut refused = Vec::new();
        for (number, found) in ties.found.iter().enumerate() {
            let rivals = ties.rivals(strands, number);
            if rivals.is_empty() {
                let [a, b] = found.strands;
                let (ours, theirs) = (union.members(&all, a), union.members(&all, b));
                if found.tie.is_one() || !meet(strands, &ours, &theirs) {
                    union.join(a, b, found.tie.turn, Some(found.tie.by));
                }
                continue;
            }
            for [one, other] in [found.bunches, [found.bunches[1], found.bunches[0]]] {
                let at = |bunch: usize| {
                    ties.bunches[bunch]
                        .iter()
                        .map(|index| strands[*index].vantage)
                };
                let members = ties.bunches[one].iter().copied().collect();
                refused.push((members, at(other).collect()));
            }
        }
        refused
    }

    fn find<'a>(
        strands: &[Strand],
        bunches: Vec<Vec<usize>>,
        view: &impl Fn(usize) -> View<'a>,
    ) -> Self {
        let flow = |members: &Vec<usize>| strands[members[0]].flow;
        let mut found = Vec::new();
        for (a, ours) in bunches.iter().enumerate().take(NAMES_MAX) {
            for (b, theirs) in bunches.iter().enumerate().skip(a + 1).take(NAMES_MAX) {
                if flow(ours) == flow(theirs) {
                    continue;
                }
                if let Some((tie, one, other)) = best(strands, ours, theirs, view) {
                    found.push(Found {
                        tie,
                        bunches: [a, b],
                        strands: [one, other],
                    });
                }
            }
        }
        found.sort_by_key(|found| (std::cmp::Reverse(found.tie.bits), found.bunches));
        Self { bunches, found }
    }

    /// Ties of the same bunches to others that cannot be meant too, and are as good.
    fn rivals(&self, strands: &[Strand], number: usize) -> Vec<usize> {
        let this = &self.found[number];
        let mut ends: BTreeMap<usize, usize> = BTreeMap::new();
        ends.insert(this.bunches[0], this.bunches[1]);
        ends.insert(this.bunches[1], this.bunches[0]);
        self.found
            .iter()
            .enumerate()
            .filter(|(other, found)| {
                *other != number
                    && found.tie.bits + MARGIN > this.tie.bits
                    && found.bunches.iter().enumerate().any(|(side, shared)| {
                        ends.get(shared).is_some_and(|partner| {
                            let rival = found.bunches[1 - side];
                            rival != *partner && self.exclude(strands, rival, *partner)
                        })
                    })
            })
            .map(|(other, _)| other)
            .collect()
    }

    /// Two bunches were recorded at one vantage, and are not one connection for certain.
    fn exclude(&self, strands: &[Strand], a: usize, b: usize) -> bool {
        let one = self.found.iter().any(|found| {
            found.tie.is_one() && (found.bunches == [a, b] || found.bunches == [b, a])
        });
        !one && meet(strands, &self.bunches[a], &self.bunches[b])
    }
}

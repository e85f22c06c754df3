//! Searches of the ring, and how one goes on where the same one ended before.

use parallax_core::archive::CARRIERS_MAX;
use parallax_core::{CaptureTime, Flow};

use super::{By, EVER, Found, Held, Ring, SET_BACK, STEPS_MAX, Sought, mark_of, opening};
use crate::noted::key::FlowKey;

/// Flows that a search by numbers and hashes adds, at most.
const FOUND_MAX: usize = 32;

/// Flows that are remembered for the next search, at most.
const MARKED_MAX: usize = 256;

/// Digests that one search brings, at most.
const DIGESTS_MAX: usize = 8192;

/// Records of each mark that are read ahead.
const AHEAD: usize = 4;

/// How far a search has come: the next one for the same looks only at what was kept since.
#[derive(Debug, Clone, Default)]
pub struct Searched {
    /// Everything before was looked at.
    head: u64,
    steady_from: u64,
    /// The oldest record that it rests on.
    oldest: Option<u64>,
    /// The flows that bear each number, then each payload hash.
    marked: Vec<Vec<Flow>>,
    held: Vec<Held>,
}

/// A search under way.
struct Search<'a> {
    ring: &'a Ring,
    sought: &'a Sought,
    before: Searched,
    /// Records that it may still look at.
    steps: usize,
    /// From when on everything was looked at.
    since: CaptureTime,
    /// Records that are to travel.
    positions: Vec<u64>,
    oldest: Option<u64>,
}

impl Ring {
    /// As [`Ring::search`], where the same was sought before: only what was kept since is looked at, unless some
    /// of what was found then is forgotten.
    pub fn search_on(&mut self, sought: &Sought, searched: &mut Searched) -> Found {
        let mut search = Search::new(self, sought, std::mem::take(searched));
        // Else the compiler would leave the reading away.
        std::hint::black_box(self.foresee_search(sought, search.before.head));
        let marked = search.marked();
        let flows = sought.flows.iter().chain(related(&marked, sought));
        let mut held: Vec<Held> = Vec::with_capacity(sought.flows.len());
        for flow in flows.take(sought.flows.len() + FOUND_MAX) {
            if held.len() < sought.flows.len() || held.iter().all(|known| known.flow != *flow) {
                held.push(search.trace(*flow));
            }
        }
        let (oldest, since, mut positions) = (search.oldest, search.since, search.positions);
        positions.sort_unstable();
        let whole = positions.len() <= DIGESTS_MAX;
        let first = positions.len().saturating_sub(DIGESTS_MAX);
        let digests = positions[first..]
            .iter()
            .map(|position| self.record(*position).digest())
            .collect();
        for position in &positions[first..] {
            self.ship(*position);
        }
        let few = marked.iter().map(Vec::len).sum::<usize>() <= MARKED_MAX;
        if whole && since == EVER && few {
            *searched = Searched {
                head: self.head,
                steady_from: self.steady_from,
                oldest,
                marked,
                held: held.clone(),
            };
        }
        Found {
            digests,
            flows: held,
            since: whole.then_some(since),
        }
    }

    /// Reads what a search for marks will look at from `from` on, so that it waits for memory a few times for all
    /// of them and not for each; the value means nothing.
    fn foresee_search(&self, sought: &Sought, from: u64) -> usize {
        let from = from.max(self.oldest());
        let marks = sought.numbers.iter().map(|number| opening(*number));
        let marks = marks.chain(sought.payload_hashes.iter().copied());
        let mut ahead: Vec<u64> = marks
            .filter_map(|mark| self.newest(By::Mark, mark, from))
            .collect();
        for _ in 0..AHEAD {
            ahead = ahead
                .iter()
                .filter_map(|position| self.before(By::Mark, *position, from))
                .collect();
        }
        ahead.len()
    }
}

/// Flows found by numbers and hashes. What many connections carry, such as the start of a common request, tells of
/// none of them.
fn related<'a>(marked: &'a [Vec<Flow>], sought: &Sought) -> impl Iterator<Item = &'a Flow> {
    let (numbers, hashes) = marked.split_at(sought.numbers.len());
    let hashes = hashes.iter().filter(|flows| flows.len() <= CARRIERS_MAX);
    numbers.iter().chain(hashes).flatten()
}

impl<'a> Search<'a> {
    fn new(ring: &'a Ring, sought: &'a Sought, before: Searched) -> Self {
        let forgotten = before.oldest.is_some_and(|oldest| oldest < ring.tail);
        let before = if forgotten || before.steady_from != ring.steady_from {
            Searched::default()
        } else {
            before
        };
        Self {
            ring,
            sought,
            oldest: before.oldest,
            before,
            steps: STEPS_MAX,
            since: EVER,
            positions: Vec::new(),
        }
    }

    /// Takes a step in a chain; none is left if the record there, of this time, is not to be looked at.
    fn step(&mut self, time: CaptureTime) -> Option<()> {
        if self.steps == 0 {
            self.since = self.since.max(time.plus(SET_BACK));
        }
        self.steps = self.steps.checked_sub(1)?;
        Some(())
    }

    /// What is found rests on this record.
    fn holds(&mut self, position: u64) {
        self.oldest = Some(self.oldest.map_or(position, |oldest| oldest.min(position)));
    }

    /// The flows that began with each of the numbers, then those that carry each of the payloads within the span.
    fn marked(&mut self) -> Vec<Vec<Flow>> {
        let sought = self.sought;
        let numbers = sought.numbers.iter();
        let numbers = numbers.map(|number| (opening(*number), EVER, FOUND_MAX));
        let hashes = sought.payload_hashes.iter();
        let hashes = hashes.map(|hash| (*hash, sought.from, CARRIERS_MAX + 1));
        let marks = numbers.chain(hashes).enumerate();
        marks
            .map(|(index, (mark, from, most))| {
                let mut found = self.bearers(mark, from, most);
                let before = self.before.marked.get(index).into_iter().flatten();
                for flow in before {
                    if found.len() < most && !found.contains(flow) {
                        found.push(*flow);
                    }
                }
                found
            })
            .collect()
    }

    /// Up to `most` flows with a segment since the search before that bears a mark from a moment on, the newest
    /// first.
    fn bearers(&mut self, wanted: u64, from: CaptureTime, most: usize) -> Vec<Flow> {
        let mut found = Vec::new();
        let ring = self.ring;
        for position in ring.chain(By::Mark, wanted, self.before.head) {
            let record = ring.record(position);
            let time = record.time();
            // Nothing further back is younger than that.
            let is_past = from.since(time) > SET_BACK;
            if is_past || found.len() == most || self.step(time).is_none() {
                break;
            }
            if time < from || !record.may_bear(wanted) {
                continue;
            }
            let digest = record.digest();
            let flow = digest.tuple.flow();
            if mark_of(&digest) == Some(wanted) && !found.contains(&flow) {
                found.push(flow);
                self.holds(position);
            }
        }
        found
    }

    /// One flow's segments in the ring; `positions` gains those that are to travel.
    fn trace(&mut self, flow: Flow) -> Held {
        let known = self.before.held.iter().find(|held| held.flow == flow);
        let (mut held, from) = known.map_or(
            (
                Held {
                    flow,
                    count: 0,
                    seen: None,
                },
                0,
            ),
            |known| (*known, self.before.head),
        );
        let key = FlowKey::of_flow(flow);
        let ring = self.ring;
        for position in ring.chain(By::Flow, key.hash(), from) {
            let record = ring.record(position);
            if self.step(record.time()).is_none() {
                break;
            }
            if record.key() != key {
                continue;
            }
            held.count += 1;
            let time = record.time();
            let (first, last) = held.seen.unwrap_or((time, time));
            held.seen = Some((first.min(time), last.max(time)));
            self.holds(position);
            let within = self.sought.from <= time && time <= self.sought.until;
            if within && !record.is_shipped() {
                self.positions.push(position);
            }
        }
        held
    }
}

//! Which flow is due when: pure, the time is an argument. The table `docket` is the durable copy.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Settling;

/// When a flow is judged, counted from the arrival of its latest evidence. The other vantages'
/// coverage of that moment arrives within some beats.
const SCHEDULE: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
];
/// The least time between two judgements of one flow.
const PAUSE: Duration = Duration::from_millis(100);
/// After the database failed.
const RETRY: Duration = Duration::from_secs(1);

/// Fresh evidence goes before old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Fresh,
    Late,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    urgency: Urgency,
    evidence_at: Instant,
    judged_at: Option<Instant>,
    step: usize,
    due: Instant,
}

impl Entry {
    fn settling(&self) -> Settling {
        if self.step + 1 >= SCHEDULE.len() {
            Settling::Settle
        } else {
            Settling::Open
        }
    }
}

/// Flows to judge.
#[derive(Debug, Default)]
pub(super) struct Docket {
    entries: HashMap<i64, Entry>,
    fresh: Queue,
    late: Queue,
}

/// Flows in the order of their turns.
type Queue = BTreeSet<(Instant, i64)>;

/// A flow whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub flow: i64,
    pub settling: Settling,
}

impl Docket {
    /// Evidence of a flow came.
    pub fn enter(&mut self, flow: i64, urgency: Urgency, now: Instant) {
        let known = self.entries.get(&flow).copied();
        if let (Urgency::Late, Some(mut entry)) = (urgency, known) {
            // A fresh one is judged several times yet; a late one keeps its turn.
            if entry.urgency == Urgency::Late {
                entry.evidence_at = now;
                self.put(flow, entry);
            }
            return;
        }
        let judged_at = known.and_then(|entry| entry.judged_at);
        let entry = Entry {
            urgency,
            evidence_at: now,
            judged_at,
            step: match urgency {
                Urgency::Fresh => 0,
                // Nothing more is expected: one judgement settles it.
                Urgency::Late => SCHEDULE.len() - 1,
            },
            due: judged_at.map_or(now, |judged| now.max(judged + PAUSE)),
        };
        self.put(flow, entry);
    }

    /// Whether the flow is to be judged already.
    pub fn holds(&self, flow: i64) -> bool {
        self.entries.contains_key(&flow)
    }

    /// Up to `most` flows that are due, the most urgent first. They stay until [`Docket::judged`].
    pub fn due(&self, now: Instant, most: usize) -> Vec<Due> {
        [&self.fresh, &self.late]
            .into_iter()
            .flat_map(|queue| queue.range(..=(now, i64::MAX)))
            .take(most)
            .filter_map(|(_, flow)| {
                let entry = self.entries.get(flow)?;
                Some(Due {
                    flow: *flow,
                    settling: entry.settling(),
                })
            })
            .collect()
    }

    /// A flow was judged with the evidence as of `gathered`.
    pub fn judged(&mut self, flow: i64, gathered: Instant) {
        let Some(mut entry) = self.entries.get(&flow).copied() else {
            return;
        };
        entry.judged_at = Some(gathered);
        if entry.evidence_at > gathered {
            // Evidence came in between; its schedule counts.
            entry.due = entry.due.max(gathered + PAUSE);
            self.put(flow, entry);
            return;
        }
        let age = gathered.duration_since(entry.evidence_at);
        if entry.step + 1 >= SCHEDULE.len() {
            self.strike(flow);
            return;
        }
        // Steps that have passed meanwhile are left out.
        entry.step = (entry.step + 1..SCHEDULE.len())
            .find(|step| SCHEDULE[*step] > age)
            .unwrap_or(SCHEDULE.len() - 1);
        entry.due = (entry.evidence_at + SCHEDULE[entry.step]).max(gathered);
        self.put(flow, entry);
    }

    /// The database failed: again later.
    pub fn retry(&mut self, flow: i64, now: Instant) {
        if let Some(mut entry) = self.entries.get(&flow).copied() {
            entry.due = now + RETRY;
            self.put(flow, entry);
        }
    }

    /// Another collector judges it now: again soon.
    pub fn defer(&mut self, flow: i64, now: Instant) {
        if let Some(mut entry) = self.entries.get(&flow).copied() {
            entry.due = now + PAUSE;
            self.put(flow, entry);
        }
    }

    /// A flow is done with.
    pub fn strike(&mut self, flow: i64) {
        if let Some(entry) = self.entries.remove(&flow) {
            self.queue(entry.urgency).remove(&(entry.due, flow));
        }
    }

    /// When the next flow is due.
    pub fn next(&self) -> Option<Instant> {
        [&self.fresh, &self.late]
            .into_iter()
            .filter_map(|queue| queue.first())
            .map(|(due, _)| *due)
            .min()
    }

    fn put(&mut self, flow: i64, entry: Entry) {
        self.strike(flow);
        self.queue(entry.urgency).insert((entry.due, flow));
        self.entries.insert(flow, entry);
    }

    fn queue(&mut self, urgency: Urgency) -> &mut Queue {
        match urgency {
            Urgency::Fresh => &mut self.fresh,
            Urgency::Late => &mut self.late,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flows(docket: &Docket, now: Instant) -> Vec<i64> {
        docket.due(now, 100).iter().map(|due| due.flow).collect()
    }

    #[test]
    fn a_flow_is_judged_at_once_then_at_growing_pauses_and_settles_after_three_seconds() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(7, Urgency::Fresh, start);
        let mut ages = Vec::new();
        while let Some(now) = docket.next() {
            let due = docket.due(now, 1)[0];
            ages.push((now - start, due.settling));
            docket.judged(7, now);
        }
        let millis: Vec<u128> = ages.iter().map(|(age, _)| age.as_millis()).collect();
        assert_eq!(millis, [0, 250, 500, 1000, 2000, 3000]);
        let settling: Vec<Settling> = ages.iter().map(|(_, settling)| *settling).collect();
        assert_eq!(settling[..5], [Settling::Open; 5]);
        assert_eq!(settling[5], Settling::Settle);
    }

    #[test]
    fn new_evidence_begins_the_schedule_anew() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(7, Urgency::Fresh, start);
        docket.judged(7, start);
        let later = start + Duration::from_millis(50);
        docket.enter(7, Urgency::Fresh, later);
        assert!(
            flows(&docket, later).is_empty(),
            "not twice within the pause"
        );
        assert_eq!(docket.next(), Some(start + PAUSE));
        docket.judged(7, start + PAUSE);
        assert_eq!(docket.next(), Some(later + Duration::from_millis(250)));
    }

    #[test]
    fn evidence_that_comes_while_a_flow_is_judged_is_not_forgotten() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(7, Urgency::Late, start);
        docket.enter(7, Urgency::Fresh, start + Duration::from_millis(5));
        docket.judged(7, start);
        assert_eq!(docket.next(), Some(start + PAUSE));
    }

    #[test]
    fn late_evidence_that_comes_again_and_again_does_not_put_a_flow_off() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(1, Urgency::Late, start);
        docket.enter(2, Urgency::Late, start + Duration::from_millis(1));
        let later = start + Duration::from_millis(2);
        docket.enter(1, Urgency::Late, later);
        assert_eq!(flows(&docket, later), [1, 2]);
        docket.judged(1, start);
        assert_eq!(
            docket.next(),
            Some(start + Duration::from_millis(1)),
            "the other is next"
        );
        assert!(docket.holds(1), "its evidence is newer than its judgement");
    }

    #[test]
    fn fresh_flows_go_before_late_ones_and_late_ones_are_judged_once() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(1, Urgency::Late, start);
        docket.enter(2, Urgency::Fresh, start);
        assert_eq!(flows(&docket, start), [2, 1]);
        docket.judged(1, start);
        assert_eq!(flows(&docket, start), [2]);
    }
}

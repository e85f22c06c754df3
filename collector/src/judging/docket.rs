//! Which flow is due when: pure, the time is an argument. The table `docket` is the durable copy.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Settling;

/// When a flow is judged, counted from the arrival of its latest evidence. The other vantages'
/// coverage of that moment arrives within some beats.
const SCHEDULE: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_secs(1),
    LAST,
];
const LAST: Duration = Duration::from_secs(3);
/// The least time between the first two judgements of one flow; it doubles with each further one, so that evidence that
/// trickles in calls for few.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// After the database failed.
const RETRY: Duration = Duration::from_secs(1);

/// Of what is judged at once one part in so many is kept for flows that have a verdict already.
const AGAIN_PART: usize = 4;

/// The same while those without one have been waiting for longer than this. What has come for them meanwhile makes their
/// first verdict a good one, and others' further ones can wait.
const AGAIN_PART_BEHIND: usize = 16;
const BEHIND: Duration = Duration::from_millis(100);

/// What was said of a flow last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Who sent each of its resets, with confidence.
    Surely,
    Unsurely,
}

/// Fresh evidence goes before old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Fresh,
    /// As fresh, but its vantage brings more than its share.
    Crowd,
    Late,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    urgency: Urgency,
    evidence_at: Instant,
    judged_at: Option<Instant>,
    said: Said,
    /// How often it was judged.
    judged: u32,
    step: usize,
    due: Instant,
    /// It is being judged.
    taken: bool,
}

impl Entry {
    /// How long it is left alone after it was judged.
    fn pause(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.judged.saturating_sub(1));
        let pause = doubled.and_then(|times| PAUSE.checked_mul(times));
        pause.map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE))
    }

    /// A judgement with the evidence as of a moment is the last that the latest evidence calls for: all that was to be
    /// waited for has come, though the flow itself had to wait for its turn.
    fn is_last(&self, gathered: Instant) -> bool {
        self.step + 1 >= SCHEDULE.len() || gathered.duration_since(self.evidence_at) >= LAST
    }
}

/// Flows to judge.
#[derive(Debug, Default)]
pub(super) struct Docket {
    entries: HashMap<i64, Entry>,
    /// Fresh ones that have no verdict yet.
    first: Queue,
    /// Fresh ones that have one which is not sure.
    again: Queue,
    /// Fresh ones that have a sure one.
    sure: Queue,
    /// The same of vantages that bring more than their share.
    crowd_first: Queue,
    crowd_again: Queue,
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
            if entry.urgency == Urgency::Late || entry.taken {
                entry.evidence_at = now;
                self.put(flow, entry);
            }
            return;
        }
        let urgency = match (urgency, known) {
            // Somebody with room has brought it, too.
            (Urgency::Crowd, Some(entry)) if entry.urgency == Urgency::Fresh => Urgency::Fresh,
            _ => urgency,
        };
        let judged_at = known.and_then(|entry| entry.judged_at);
        let pause = known.map_or(PAUSE, |entry| entry.pause());
        let entry = Entry {
            urgency,
            evidence_at: now,
            judged_at,
            said: known.map_or(Said::Unsurely, |entry| entry.said),
            judged: known.map_or(0, |entry| entry.judged),
            step: match urgency {
                Urgency::Fresh | Urgency::Crowd => 0,
                // Nothing more is expected: one judgement settles it.
                Urgency::Late => SCHEDULE.len() - 1,
            },
            due: judged_at.map_or(now, |judged| now.max(judged + pause)),
            taken: known.is_some_and(|entry| entry.taken),
        };
        self.put(flow, entry);
    }

    /// Flows that are to be judged, now or later, and for how long the first of them has been waiting for its turn.
    pub fn waiting(&self, now: Instant) -> (usize, Duration) {
        let late = self.next().map(|due| now.saturating_duration_since(due));
        (self.entries.len(), late.unwrap_or_default())
    }

    /// Whether the flow is to be judged already.
    pub fn holds(&self, flow: i64) -> bool {
        self.entries.contains_key(&flow)
    }

    /// Takes up to `most` flows that are due, the most urgent first: those without a verdict, but for a part that is kept
    /// for those with one, so that these become right under load, too; of them first those that are not sure. Each is left alone until it is
    /// [judged](Self::judged), or put off.
    pub fn take(&mut self, now: Instant, most: usize) -> Vec<Due> {
        let due = |queue: &Queue, most: usize| -> Vec<i64> {
            let due = queue.range(..=(now, i64::MAX));
            due.take(most).map(|(_, flow)| *flow).collect()
        };
        let mut again: Vec<i64> = Vec::new();
        for queue in [&self.again, &self.crowd_again, &self.sure] {
            again.extend(due(queue, most - again.len()));
        }
        let rest = again.split_off(again.len().min(most / self.again_part(now)));
        let kept = again.len();
        let mut due_now = due(&self.first, most - kept);
        due_now.extend(due(&self.crowd_first, most - kept - due_now.len()));
        due_now.extend(again);
        // A first verdict, of a crowd too, goes before another one of what has one.
        let left = most - due_now.len();
        due_now.extend(rest.into_iter().take(left));
        due_now.extend(due(&self.late, most - due_now.len()));
        due_now
            .into_iter()
            .filter_map(|flow| {
                let mut entry = self.entries.get(&flow).copied()?;
                entry.taken = true;
                self.put(flow, entry);
                Some(Due {
                    flow,
                    settling: if entry.is_last(now) {
                        Settling::Settle
                    } else {
                        Settling::Open
                    },
                })
            })
            .collect()
    }

    /// One part in how many is kept for flows that have a verdict.
    fn again_part(&self, now: Instant) -> usize {
        let waiting = self.first.first().map(|(due, _)| *due);
        match waiting {
            Some(due) if now.saturating_duration_since(due) > BEHIND => AGAIN_PART_BEHIND,
            _ => AGAIN_PART,
        }
    }

    /// A flow was judged with the evidence as of `gathered`, when it was taken.
    pub fn judged(&mut self, flow: i64, gathered: Instant, said: Said) {
        let Some(mut entry) = self.entries.get(&flow).copied() else {
            return;
        };
        entry.taken = false;
        entry.judged_at = Some(gathered);
        entry.said = said;
        entry.judged = entry.judged.saturating_add(1);
        if entry.evidence_at > gathered {
            // Evidence came in between; its schedule counts.
            entry.due = entry.due.max(gathered + entry.pause());
            self.put(flow, entry);
            return;
        }
        if entry.is_last(gathered) {
            self.strike(flow);
            return;
        }
        // Steps that have passed meanwhile are left out.
        let age = gathered.duration_since(entry.evidence_at);
        entry.step = (entry.step + 1..SCHEDULE.len())
            .find(|step| SCHEDULE[*step] > age)
            .unwrap_or(SCHEDULE.len() - 1);
        entry.due = (entry.evidence_at + SCHEDULE[entry.step]).max(gathered);
        self.put(flow, entry);
    }

    /// The database failed: again later.
    pub fn retry(&mut self, flow: i64, now: Instant) {
        self.put_off(flow, now + RETRY);
    }

    /// Another collector judges it now: again soon.
    pub fn defer(&mut self, flow: i64, now: Instant) {
        self.put_off(flow, now + PAUSE);
    }

    fn put_off(&mut self, flow: i64, due: Instant) {
        if let Some(mut entry) = self.entries.get(&flow).copied() {
            entry.due = due;
            entry.taken = false;
            self.put(flow, entry);
        }
    }

    /// A flow is done with.
    pub fn strike(&mut self, flow: i64) {
        if let Some(entry) = self.entries.remove(&flow) {
            self.queue(&entry).remove(&(entry.due, flow));
        }
    }

    /// When the next flow is due.
    pub fn next(&self) -> Option<Instant> {
        [
            &self.first,
            &self.again,
            &self.sure,
            &self.crowd_first,
            &self.crowd_again,
            &self.late,
        ]
        .into_iter()
        .filter_map(|queue| queue.first())
        .map(|(due, _)| *due)
        .min()
    }

    fn put(&mut self, flow: i64, entry: Entry) {
        self.strike(flow);
        if !entry.taken {
            self.queue(&entry).insert((entry.due, flow));
        }
        self.entries.insert(flow, entry);
    }

    fn queue(&mut self, entry: &Entry) -> &mut Queue {
        match (entry.urgency, entry.judged_at) {
            (Urgency::Fresh, None) => &mut self.first,
            (Urgency::Fresh, Some(_)) if entry.said == Said::Surely => &mut self.sure,
            (Urgency::Fresh, Some(_)) => &mut self.again,
            (Urgency::Crowd, None) => &mut self.crowd_first,
            (Urgency::Crowd, Some(_)) => &mut self.crowd_again,
            (Urgency::Late, _) => &mut self.late,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flows(docket: &mut Docket, now: Instant) -> Vec<i64> {
        taken(docket, now, 100)
    }

    fn taken(docket: &mut Docket, now: Instant, most: usize) -> Vec<i64> {
        docket.take(now, most).iter().map(|due| due.flow).collect()
    }

    #[test]
    fn a_flow_is_judged_at_once_then_at_growing_pauses_and_settles_after_three_seconds() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(7, Urgency::Fresh, start);
        let mut ages = Vec::new();
        while let Some(now) = docket.next() {
            let due = docket.take(now, 1)[0];
            ages.push((now - start, due.settling));
            docket.judged(7, now, Said::Unsurely);
        }
        let millis: Vec<u128> = ages.iter().map(|(age, _)| age.as_millis()).collect();
        assert_eq!(millis, [0, 250, 1000, 3000]);
        let settling: Vec<Settling> = ages.iter().map(|(_, settling)| *settling).collect();
        assert_eq!(settling[..3], [Settling::Open; 3]);
        assert_eq!(settling[3], Settling::Settle);
    }

    #[test]
    fn new_evidence_begins_the_schedule_anew() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(7, Urgency::Fresh, start);
        assert_eq!(flows(&mut docket, start), [7]);
        docket.judged(7, start, Said::Unsurely);
        let later = start + Duration::from_millis(50);
        docket.enter(7, Urgency::Fresh, later);
        assert!(
            flows(&mut docket, later).is_empty(),
            "not twice within the pause"
        );
        assert_eq!(docket.next(), Some(start + PAUSE));
        assert_eq!(flows(&mut docket, start + PAUSE), [7]);
        docket.judged(7, start + PAUSE, Said::Unsurely);
        assert_eq!(docket.next(), Some(later + Duration::from_millis(250)));
    }

    #[test]
    fn evidence_that_trickles_in_calls_for_few_judgements() {
        let start = Instant::now();
        let mut docket = Docket::default();
        let mut ages = Vec::new();
        for millis in (0..4000).step_by(10) {
            let now = start + Duration::from_millis(millis);
            docket.enter(7, Urgency::Fresh, now);
            for flow in flows(&mut docket, now) {
                ages.push(millis);
                docket.judged(flow, now, Said::Unsurely);
            }
        }
        assert_eq!(ages, [0, 100, 300, 700, 1500, 2300, 3100, 3900]);
    }

    #[test]
    fn evidence_that_comes_while_a_flow_is_judged_is_not_forgotten() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(7, Urgency::Late, start);
        assert_eq!(flows(&mut docket, start), [7]);
        docket.enter(7, Urgency::Fresh, start + Duration::from_millis(5));
        assert_eq!(docket.next(), None, "it is being judged");
        docket.judged(7, start, Said::Unsurely);
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
        assert_eq!(flows(&mut docket, later), [1, 2]);
        docket.judged(1, start, Said::Unsurely);
        assert!(docket.holds(1), "its evidence is newer than its judgement");
        docket.judged(2, later, Said::Unsurely);
        assert!(!docket.holds(2));
    }

    #[test]
    fn fresh_flows_go_before_late_ones_and_late_ones_are_judged_once() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(1, Urgency::Late, start);
        docket.enter(2, Urgency::Fresh, start);
        assert_eq!(flows(&mut docket, start), [2, 1]);
        docket.judged(1, start, Said::Unsurely);
        docket.judged(2, start, Said::Unsurely);
        assert!(docket.holds(2) && !docket.holds(1));
    }

    #[test]
    fn flows_without_a_verdict_go_before_those_with_one_which_are_not_forgotten() {
        let start = Instant::now();
        let mut docket = Docket::default();
        (0..4).for_each(|flow| docket.enter(flow, Urgency::Fresh, start));
        docket.take(start, 4);
        (0..4).for_each(|flow| docket.judged(flow, start, Said::Unsurely));
        let later = start + Duration::from_secs(1);
        (10..18).for_each(|flow| docket.enter(flow, Urgency::Fresh, later));
        assert_eq!(taken(&mut docket, later, 4), [10, 11, 12, 0]);
        assert_eq!(taken(&mut docket, later, 8), [13, 14, 15, 16, 17, 1, 2, 3]);
        assert!(taken(&mut docket, later, 4).is_empty());
    }

    #[test]
    fn a_flow_that_had_to_wait_is_judged_once() {
        let start = Instant::now();
        let mut docket = Docket::default();
        docket.enter(7, Urgency::Fresh, start);
        let late = start + LAST;
        assert_eq!(docket.take(late, 1)[0].settling, Settling::Settle);
        docket.judged(7, late, Said::Unsurely);
        assert!(!docket.holds(7));
    }

    #[test]
    fn a_crowd_without_a_verdict_goes_before_most_of_what_has_one() {
        let start = Instant::now();
        let mut docket = Docket::default();
        (0..40).for_each(|flow| docket.enter(flow, Urgency::Fresh, start));
        docket.take(start, 40);
        (0..40).for_each(|flow| docket.judged(flow, start, Said::Unsurely));
        let later = start + Duration::from_secs(1);
        (100..140).for_each(|flow| docket.enter(flow, Urgency::Crowd, later));
        let due = docket.take(later, 16);
        let taken: Vec<i64> = due.iter().map(|due| due.flow).collect();
        assert_eq!(taken[..12], (100..112).collect::<Vec<i64>>());
        assert_eq!(taken[12..], [0, 1, 2, 3]);
    }

    #[test]
    fn a_crowd_waits_for_all_others_and_is_judged_with_what_room_is_left() {
        let start = Instant::now();
        let mut docket = Docket::default();
        (0..200).for_each(|flow| docket.enter(flow, Urgency::Crowd, start));
        let later = start + Duration::from_millis(5);
        docket.enter(1000, Urgency::Fresh, later);
        // Another vantage brought one of them.
        docket.enter(150, Urgency::Fresh, later);
        docket.enter(150, Urgency::Crowd, later);
        let taken = flows(&mut docket, later);
        assert_eq!(taken.len(), 100);
        assert_eq!(taken[..2], [150, 1000]);
    }

    #[test]
    fn of_flows_with_a_verdict_those_go_first_that_are_not_sure() {
        let start = Instant::now();
        let mut docket = Docket::default();
        (0..4).for_each(|flow| docket.enter(flow, Urgency::Fresh, start));
        docket.take(start, 4);
        for (flow, said) in [
            (0, Said::Surely),
            (1, Said::Surely),
            (2, Said::Unsurely),
            (3, Said::Unsurely),
        ] {
            docket.judged(flow, start, said);
        }
        let later = start + Duration::from_secs(1);
        (10..18).for_each(|flow| docket.enter(flow, Urgency::Fresh, later));
        assert_eq!(taken(&mut docket, later, 8), [10, 11, 12, 13, 14, 15, 2, 3]);
        assert_eq!(taken(&mut docket, later, 8), [16, 17, 0, 1]);
    }

    #[test]
    fn who_waits_too_long_for_a_first_verdict_takes_the_room_of_others() {
        let start = Instant::now();
        let mut docket = Docket::default();
        (0..40).for_each(|flow| docket.enter(flow, Urgency::Fresh, start));
        docket.take(start, 40);
        (0..40).for_each(|flow| docket.judged(flow, start, Said::Unsurely));
        let later = start + Duration::from_secs(1);
        (100..200).for_each(|flow| docket.enter(flow, Urgency::Fresh, later));
        let again = |due: &[Due]| due.iter().filter(|due| due.flow < 100).count();
        assert_eq!(again(&docket.take(later + BEHIND, 16)), 4);
        let behind = later + BEHIND + Duration::from_millis(1);
        assert_eq!(again(&docket.take(behind, 16)), 1);
    }
}

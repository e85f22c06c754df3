//! When segments of neighbours are asked for.

use hashbrown::HashTable;

use crate::time::CaptureTime;

/// When segments of which flows are asked for at a vantage.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    /// Apart and in order of time; each flow's together. From and until, nanoseconds.
    all: Vec<(i64, i64)>,
    flows: HashTable<Asking>,
}

/// The spans of one flow.
#[derive(Debug, Clone, Copy)]
struct Asking {
    /// Stands for the flow.
    hash: u64,
    /// From the first one's beginning to the last one's end, nanoseconds.
    begins: i64,
    ends: i64,
    /// Where they are.
    from: u32,
    until: u32,
}

impl PartialEq for Spans {
    fn eq(&self, other: &Self) -> bool {
        let equal = |asking: &Asking| {
            let found = other.find(asking.hash);
            found.is_some_and(|found| other.spans(found) == self.spans(asking))
        };
        self.flows.len() == other.flows.len() && self.flows.iter().all(equal)
    }
}

/// What is asked for, before it is complete.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// The flow's hash, from and until.
    all: Vec<(u64, i64, i64)>,
    joined: usize,
}

/// Spans that touch are joined when there are so many more.
const GROWN: usize = 1 << 17;

impl Asked {
    pub(super) fn add(&mut self, hash: u64, from: i64, until: i64) {
        self.all.push((hash, from, until));
        if self.all.len() > self.joined * 2 + GROWN {
            self.join();
        }
    }

    /// Takes what else is asked for.
    pub(super) fn take(&mut self, more: Self) {
        self.all.extend(more.all);
        if self.all.len() > self.joined * 2 + GROWN {
            self.join();
        }
    }

    /// Joins those that touch.
    pub(super) fn join(&mut self) {
        self.all.sort_unstable();
        self.all.dedup_by(|next, last| {
            let touch = next.0 == last.0 && next.1 <= last.2;
            if touch {
                last.2 = last.2.max(next.2);
            }
            touch
        });
        self.joined = self.all.len();
    }
}

impl From<Asked> for Spans {
    fn from(mut asked: Asked) -> Self {
        asked.join();
        let mut spans = Self::default();
        for of_flow in asked.all.chunk_by(|one, other| one.0 == other.0) {
            let from = spans.all.len() as u32;
            let only = of_flow.iter().map(|(_, from, until)| (*from, *until));
            spans.all.extend(only);
            let asking = Asking {
                hash: of_flow[0].0,
                begins: of_flow[0].1,
                ends: of_flow[of_flow.len() - 1].2,
                from,
                until: spans.all.len() as u32,
            };
            let hash = |known: &Asking| known.hash;
            spans.flows.insert_unique(asking.hash, asking, hash);
        }
        spans
    }
}

impl Spans {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    #[inline]
    fn find(&self, hash: u64) -> Option<&Asking> {
        self.flows.find(hash, |known| known.hash == hash)
    }

    fn spans(&self, asking: &Asking) -> &[(i64, i64)] {
        &self.all[asking.from as usize..asking.until as usize]
    }

    /// Whether a segment of a flow with this hash is asked for.
    #[inline]
    pub(super) fn hold(&self, hash: u64, time: CaptureTime) -> bool {
        let time = time.nanos();
        let Some(asking) = self.find(hash) else {
            return false;
        };
        if time < asking.begins || asking.ends < time {
            return false;
        }
        let spans = self.spans(asking);
        if spans.len() == 1 {
            return true;
        }
        let begun = spans.partition_point(|(from, _)| *from <= time);
        begun > 0 && time <= spans[begun - 1].1
    }
}

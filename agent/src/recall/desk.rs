//! The desk: takes the collector's questions, answers at once from the ring, and again when the asked span
//! has passed.

use std::collections::VecDeque;

use parallax_core::{CaptureTime, Coverage, Digest};

use super::ring::{Held, Ring, Searched, Sought};
use crate::noted::Noted;

/// Questions whose span has not passed yet.
const OPEN_MAX: usize = 1024;

/// Spans with loss that are remembered.
const LOSSY_MAX: usize = 1024;

/// A question of the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub id: u64,
    pub sought: Sought,
    /// Nothing held is no answer.
    pub quiet: bool,
}

/// What the memory says to a question: `RecallAnswer` of `ingest.proto`, without the numbers of its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub id: u64,
    /// What it speaks of, both ends included; `None`: nothing of the asked span.
    pub span: Option<(CaptureTime, CaptureTime)>,
    pub complete: bool,
    pub capturing_since: CaptureTime,
    pub horizon: CaptureTime,
    /// Packets lost between wire and digest in the span.
    pub dropped: u64,
    pub flows: Vec<Held>,
    /// Another answer follows.
    pub more: bool,
}

/// An answer with the digests that come with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    pub digests: Vec<Digest>,
    pub answer: Answer,
}

#[derive(Debug)]
struct Open {
    question: Question,
    searched: Searched,
    /// Beats since it was asked.
    beats: u32,
}

/// Remembers what a vantage captures, and answers questions.
#[derive(Debug)]
pub struct Desk {
    ring: Ring,
    capturing_since: CaptureTime,
    /// Everything up to here was read.
    watched: Option<CaptureTime>,
    lossy: VecDeque<Coverage>,
    open: VecDeque<Open>,
    ready: VecDeque<Recalled>,
}

impl Desk {
    pub fn new(ring: Ring, capturing_since: CaptureTime) -> Self {
        Self {
            ring,
            capturing_since,
            watched: None,
            lossy: VecDeque::new(),
            open: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// A segment was captured, and because of it these travel; its own digest as the last if `own`.
    #[inline]
    pub fn note(&mut self, noted: &Noted, travels: &[Digest], own: bool) {
        let context = travels.len() - usize::from(own);
        if context > 0 {
            self.ring.shipped(&travels[..context]);
        }
        self.ring.push(noted, own);
    }

    /// As [`Ring::foresee`].
    pub fn foresee(&self, batch: &[Noted]) -> u64 {
        self.ring.foresee(batch)
    }

    /// Everything in this span was noted.
    pub fn watched(&mut self, coverage: &Coverage) {
        self.watched = Some(coverage.until);
        if coverage.dropped > 0 {
            if self.lossy.len() == LOSSY_MAX {
                self.lossy.pop_front();
            }
            self.lossy.push_back(*coverage);
        }
        for mut open in std::mem::take(&mut self.open) {
            open.beats += 1;
            let passed = open.question.sought.until <= coverage.until;
            // Once soon, with the present covered; and at the end.
            if passed || open.beats == 1 {
                self.answer(&open.question, &mut open.searched, !passed);
            }
            if !passed {
                self.open.push_back(open);
            }
        }
    }

    /// Answers a question.
    pub fn ask(&mut self, question: Question) {
        let ahead = self
            .watched
            .is_none_or(|watched| watched < question.sought.until);
        let more = ahead && self.open.len() < OPEN_MAX;
        let mut searched = Searched::default();
        self.answer(&question, &mut searched, more);
        self.open.retain(|open| open.question.id != question.id);
        if more {
            self.open.push_back(Open {
                question,
                searched,
                beats: 0,
            });
        }
    }

    /// The next answer to hand over.
    pub fn take_ready(&mut self) -> Option<Recalled> {
        self.ready.pop_front()
    }

    fn answer(&mut self, question: &Question, searched: &mut Searched, more: bool) {
        let sought = &question.sought;
        let found = self.ring.search_on(sought, searched);
        if question.quiet && found.flows.iter().all(|held| held.count == 0) {
            return;
        }
        let horizon = self.ring.horizon().unwrap_or(self.capturing_since);
        let from = sought
            .from
            .max(horizon)
            .max(found.since.unwrap_or(sought.from));
        let until = self.watched.map(|watched| watched.min(sought.until));
        let span = until
            .filter(|until| from <= *until)
            .map(|until| (from, until));
        self.ready.push_back(Recalled {
            answer: Answer {
                id: question.id,
                span,
                complete: span.is_some() && found.since.is_some(),
                capturing_since: self.capturing_since,
                horizon,
                dropped: span.map_or(0, |span| self.dropped_in(span)),
                flows: found.flows,
                more,
            },
            digests: found.digests,
        });
    }

    fn dropped_in(&self, (from, until): (CaptureTime, CaptureTime)) -> u64 {
        self.lossy
            .iter()
            .filter(|span| span.from <= until && from <= span.until)
            .map(|span| span.dropped)
            .sum()
    }
}

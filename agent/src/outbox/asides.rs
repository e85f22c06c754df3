//! What is said beside the outbox's numbered digests and notes, and never written to disk: answers from memory,
//! which the collector asks for again after a reconnect, and changes of what travels.

use std::collections::VecDeque;

use parallax_core::{CaptureTime, Selection};

use crate::recall::Answer;

/// Changes that are kept to be said again.
const CHANGES_MAX: usize = 256;

/// An answer and the numbers of the digests that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    pub answer: Answer,
    pub first_number: u64,
    pub next_number: u64,
}

/// From a moment on other segments travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub from: CaptureTime,
    pub selection: Selection,
}

/// A change and the number of the next digest after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptChange {
    pub change: Change,
    pub next_number: u64,
}

/// What to say next beside the digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aside {
    Answer(KeptAnswer),
    Change(KeptChange),
}

#[derive(Debug)]
struct Waiting {
    kept: KeptAnswer,
    /// What the outbox had given up before its digests came.
    lost_before: u64,
}

#[derive(Debug, Default)]
pub(super) struct Asides {
    answers: VecDeque<Waiting>,
    changes: VecDeque<KeptChange>,
    changes_sent: usize,
}

impl Asides {
    pub fn answer(&mut self, kept: KeptAnswer, lost_before: u64) {
        self.answers.push_back(Waiting { kept, lost_before });
    }

    pub fn change(&mut self, kept: KeptChange) {
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
            self.changes_sent = self.changes_sent.saturating_sub(1);
        }
        self.changes.push_back(kept);
    }

    /// Whether [`take`](Self::take) has one now.
    pub fn is_due(&self, cursor: u64) -> bool {
        let change = self.changes.get(self.changes_sent);
        let change = change.is_some_and(|change| change.next_number <= cursor);
        let answer = self.answers.front();
        change || answer.is_some_and(|waiting| waiting.kept.next_number <= cursor)
    }

    /// The next one, if every digest before it was sent. `lost`: what the outbox has given up by now.
    pub fn take(&mut self, cursor: u64, lost: u64) -> Option<Aside> {
        if let Some(change) = self.changes.get(self.changes_sent)
            && change.next_number <= cursor
        {
            self.changes_sent += 1;
            return Some(Aside::Change(*change));
        }
        let waiting = self.answers.front()?;
        if waiting.kept.next_number > cursor {
            return None;
        }
        let Waiting {
            mut kept,
            lost_before,
        } = self.answers.pop_front()?;
        // What was given up meanwhile may have been this connection's.
        kept.answer.complete &= lost == lost_before;
        Some(Aside::Answer(kept))
    }

    pub fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.changes_sent == self.changes.len()
    }

    /// A new connection: the collector asks again what it still wants to know.
    pub fn send_again(&mut self) {
        self.answers.clear();
        self.changes_sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let at = CaptureTime::from_nanos;
        Answer {
            id: 1,
            span: Some((at(1), at(2))),
            complete: true,
            capturing_since: at(0),
            horizon: at(0),
            dropped: 0,
            flows: Vec::new(),
            more: false,
        }
    }

    fn kept() -> KeptAnswer {
        KeptAnswer {
            answer: answer(),
            first_number: 5,
            next_number: 7,
        }
    }

    #[test]
    fn an_answer_waits_for_its_digests_and_is_asked_for_again_after_a_reconnect() {
        let mut asides = Asides::default();
        asides.answer(kept(), 0);
        assert!(!asides.is_due(6));
        assert_eq!(asides.take(6, 0), None);
        assert!(!asides.is_empty());
        assert!(asides.is_due(7));
        assert_eq!(asides.take(7, 0), Some(Aside::Answer(kept())));
        asides.answer(kept(), 0);
        asides.send_again();
        assert!(asides.is_empty());
    }

    #[test]
    fn an_answer_is_not_complete_once_anything_was_given_up() {
        let mut asides = Asides::default();
        asides.answer(kept(), 3);
        let Some(Aside::Answer(said)) = asides.take(7, 4) else {
            panic!("an answer");
        };
        assert!(!said.answer.complete);
    }

    #[test]
    fn changes_of_what_travels_are_all_said_again_after_a_reconnect() {
        let mut asides = Asides::default();
        let change = |nanos: i64, selection| KeptChange {
            change: Change {
                from: CaptureTime::from_nanos(nanos),
                selection,
            },
            next_number: 0,
        };
        let both = [change(1, Selection::Context), change(2, Selection::All)];
        for change in both {
            asides.change(change);
        }
        for _ in 0..2 {
            for change in both {
                assert!(asides.is_due(0));
                assert_eq!(asides.take(0, 0), Some(Aside::Change(change)));
            }
            assert!(!asides.is_due(0));
            assert_eq!(asides.take(0, 0), None);
            asides.send_again();
        }
    }
}

//! What is said beside digests, beats and losses: it waits to be sent, or may have to be sent again.

use std::collections::VecDeque;

use parallax_core::LossRecord;

use super::Span;

/// Sent notes that are kept although no digest after them was committed: of beats more than three minutes,
/// while a broken connection is noticed within seconds.
pub const BEATS_KEPT: usize = 1024;

/// Notes that wait unsent. Past this, neighbours are joined even if they lost packets.
const WAITING_MAX: usize = 65_536;

/// A note, and the number of the next digest after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    pub note: T,
    /// All digests that it speaks of have lower numbers.
    pub next_number: u64,
    /// Its record in the journal, the first of several that were joined; 0 without one.
    pub record: u64,
}

/// What was watched.
pub type KeptBeat = Kept<Span>;
/// What was lost.
pub type KeptLoss = Kept<LossRecord>;

/// Notes that can be said as one.
pub trait Join {
    /// Whether the two can be said as one; `crowded`: even if it blurs something.
    fn joins(&self, later: &Self, crowded: bool) -> bool;
    fn join(&mut self, later: &Self);
}

impl Join for Span {
    fn joins(&self, later: &Self, crowded: bool) -> bool {
        Self::joins(self, later) || (crowded && self.is_next_to(later))
    }

    fn join(&mut self, later: &Self) {
        Self::join(self, later);
    }
}

impl Join for LossRecord {
    fn joins(&self, later: &Self, crowded: bool) -> bool {
        let same = (self.strength, self.cause, self.of, &self.detail)
            == (later.strength, later.cause, later.of, &later.detail);
        let (Some(until), Some(_)) = (self.until, later.until) else {
            return false;
        };
        same && self.from <= later.from && (later.from <= until.plus(1) || crowded)
    }

    fn join(&mut self, later: &Self) {
        self.until = self.until.max(later.until);
        self.count = match (self.count, later.count) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            _ => None,
        };
    }
}

#[derive(Debug)]
pub(super) struct Notes<T> {
    /// In order of time: those sent over this connection, those sent over an earlier one, and
    /// those never sent.
    kept: VecDeque<Kept<T>>,
    sent: usize,
    ever_sent: usize,
    /// An earlier process may have sent any of them.
    is_past: bool,
}

impl<T> Default for Notes<T> {
    fn default() -> Self {
        Self {
            kept: VecDeque::new(),
            sent: 0,
            ever_sent: 0,
            is_past: false,
        }
    }
}

impl<T: Join + Clone> Notes<T> {
    /// Those of an earlier process.
    pub fn past() -> Self {
        Self {
            is_past: true,
            ..Self::default()
        }
    }

    /// Keeps a note; one that waits unsent takes in a neighbour that says nothing else. One that may have been sent
    /// before does not: the collector, which knows the first part, would count it again with the second. Nor does one
    /// that is on disk, where the two are apart: should this process die, the next one sends them so, maybe before the
    /// collector hears what this one said last.
    pub fn push(&mut self, note: Kept<T>) {
        let crowded = self.kept.len() - self.ever_sent >= WAITING_MAX;
        let apart = (self.is_past || note.record > 0) && !crowded;
        if let Some(last) = self.last_waiting()
            && !apart
            && last.note.joins(&note.note, crowded)
        {
            last.note.join(&note.note);
            last.next_number = note.next_number;
            return;
        }
        self.kept.push_back(note);
    }

    fn last_waiting(&mut self) -> Option<&mut Kept<T>> {
        if self.kept.len() > self.ever_sent {
            self.kept.back_mut()
        } else {
            None
        }
    }

    /// Up to which number digests go before the next note.
    pub fn next_due(&self) -> Option<u64> {
        self.kept.get(self.sent).map(|note| note.next_number)
    }

    /// The next note, if every digest before it was sent.
    pub fn take_due(&mut self, cursor: u64) -> Option<Kept<T>> {
        let note = self
            .kept
            .get(self.sent)
            .filter(|note| note.next_number <= cursor)?
            .clone();
        self.sent += 1;
        self.ever_sent = self.ever_sent.max(self.sent);
        if self.sent > BEATS_KEPT {
            self.forget_first();
        }
        Some(note)
    }

    /// Forgets the notes before a committed digest.
    pub fn commit(&mut self, committed: u64) {
        while self.ever_sent > 0
            && self
                .kept
                .front()
                .is_some_and(|note| note.next_number < committed)
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        self.kept.pop_front();
        self.sent = self.sent.saturating_sub(1);
        self.ever_sent = self.ever_sent.saturating_sub(1);
    }

    /// A new connection: nothing went over it yet.
    pub fn send_again(&mut self) {
        self.sent = 0;
    }

    /// The first record in the journal that is still needed.
    pub fn oldest_record(&self) -> Option<u64> {
        let records = self.kept.iter().map(|note| note.record);
        records.filter(|record| *record > 0).min()
    }
}

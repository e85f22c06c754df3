//! The outbox's part that is on disk.

use std::collections::HashSet;

use parallax_core::{Digest, LossCause, LossOf, LossRecord, Strength};

use super::{BATCH, Kept, Outbox, Outgoing, Tally, worth};
use crate::spool::Journal;

impl Outbox {
    /// On disk, and in memory while there is room and nothing older waits on disk alone.
    pub(super) fn keep_twice(&mut self, digests: &[Digest]) {
        self.behind |= self.room() < digests.len();
        let written = self.journal.as_mut().is_some_and(|journal| {
            let outgoing = Outgoing::Batch {
                first: self.next,
                digests: digests.to_vec(),
            };
            journal.append(&outgoing, !self.behind).is_ok()
        });
        match (self.behind, written) {
            (false, _) => self.push(digests),
            (true, true) => self.next += digests.len() as u64,
            (true, false) => self.refuse(digests),
        }
    }

    /// The disk takes nothing: RSTs and their context still find room in memory, in place of others.
    pub(super) fn refuse(&mut self, digests: &[Digest]) {
        let with_reset: HashSet<u64> = digests
            .iter()
            .filter(|digest| digest.is_rst())
            .map(|digest| digest.tuple.flow().hash())
            .collect();
        let losses = [LossOf::Segments, LossOf::Context, LossOf::Resets].map(|of| {
            let mut tally = Tally::default();
            digests
                .iter()
                .filter(|digest| worth(digest, &with_reset) == of)
                .for_each(|digest| tally.add(digest));
            tally.loss(of)
        });
        self.lose_all(losses.into_iter().flatten().collect());
    }

    /// Writes a note to the journal; the number of its record, 0 without one.
    pub(super) fn write(&mut self, note: &Outgoing) -> u64 {
        let in_memory = !self.behind;
        self.journal
            .as_mut()
            .and_then(|journal| journal.append(note, in_memory).ok())
            .unwrap_or(0)
    }

    /// A part of memory is enough: records are small, and a collector takes a moment to acknowledge.
    pub(super) fn has_room_to_refill(&self) -> bool {
        self.behind && self.room() >= BATCH.min(self.limit.div_ceil(2))
    }

    /// Takes from disk what there is room for in memory.
    pub(super) fn refill(&mut self) {
        while self.has_room_to_refill() {
            let Some(journal) = &mut self.journal else {
                self.behind = false;
                return;
            };
            let Some((record, outgoing)) = journal.read_next() else {
                self.behind = false;
                self.give_up_to(self.next);
                return;
            };
            self.take_back(record, outgoing);
        }
    }

    pub(super) fn take_back(&mut self, record: u64, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Batch { first, digests } => {
                self.give_up_to(first);
                let known = (self.lane.end().saturating_sub(first) as usize).min(digests.len());
                for digest in &digests[known..] {
                    self.resets_unsent += usize::from(digest.is_rst());
                    self.lane.push(*digest);
                }
            }
            Outgoing::Skip { first, next } => {
                self.give_up_to(first);
                self.lane.skip_to(next);
            }
            Outgoing::Beat(beat) => self.beats.push(Kept { record, ..beat }),
            Outgoing::Loss(loss) => {
                if loss.note.cause == LossCause::Spool {
                    self.lost += loss.note.count.unwrap_or(0);
                }
                self.losses.push(Kept { record, ..loss });
            }
        }
    }

    /// Digests up to `next` should be on disk and are not: nobody knows what they were.
    pub(super) fn give_up_to(&mut self, next: u64) {
        let missing = next.saturating_sub(self.lane.end());
        if missing == 0 {
            return;
        }
        self.lane.skip_to(next);
        self.lost += missing;
        let span = self.journal.as_ref().and_then(Journal::read_times);
        let Some((from, until)) = span else {
            return;
        };
        self.losses.push(Kept {
            note: LossRecord {
                strength: Strength::Certain,
                cause: LossCause::SpoolDamaged,
                of: LossOf::Resets,
                from,
                until: Some(until),
                count: Some(missing),
                detail: None,
            },
            next_number: next,
            record: 0,
        });
    }
}

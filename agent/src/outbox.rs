//! The outbox: numbered digests, beats and losses, kept until the collector has them in durable storage.
//!
//! Numbers start at 0 and rise by one within a run. A digest is forgotten once it is committed. A
//! beat or loss is sent after the digests below its `next_number` and before all others, so once a digest
//! from that number on is committed, it has arrived too. No digest comes after the latest notes of an idle
//! vantage: the newest [`BEATS_KEPT`] that were sent stay, and go again, unchanged, after a reconnect. The
//! collector counts the same one once.
//!
//! With a [`Journal`] everything is written to disk as it comes, and what finds no room in memory stays
//! there until there is room again. Where nothing has room any more, the oldest digests are given up, those
//! far from any RST first and RSTs last; their numbers are skipped, and a loss says what they were.

use parallax_core::{Digest, LossRecord};
use thiserror::Error;

mod asides;
mod disk;
mod lane;
mod notes;
mod span;
#[cfg(test)]
mod tests;

use crate::recall::Recalled;
use crate::spool::Journal;
use asides::Asides;
pub use asides::{Aside, Change, KeptAnswer, KeptChange};
use lane::Lane;
pub(crate) use lane::{Tally, worth};
use notes::Notes;
pub use notes::{BEATS_KEPT, Join, Kept, KeptBeat, KeptLoss};
pub use span::Span;

/// The most digests of one batch.
pub const BATCH: usize = 4096;

/// What one part in so many of the outbox's room is given up at once.
const PART: usize = 16;

/// A collector's word that fits nothing that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OutboxError {
    #[error("it says that numbers below {said} are committed, but only those below {next} exist")]
    Ahead { said: u64, next: u64 },
    #[error(
        "it says that numbers below {said} are committed, after those below {before}: \
         its database has lost some"
    )]
    Behind { said: u64, before: u64 },
}

/// What to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    Batch {
        first: u64,
        digests: Vec<Digest>,
    },
    Beat(KeptBeat),
    Loss(KeptLoss),
    /// These numbers were given up.
    Skip {
        first: u64,
        /// Number of the next digest after them.
        next: u64,
    },
}

#[derive(Debug)]
pub struct Outbox {
    lane: Lane,
    /// Number of the next digest.
    next: u64,
    /// Number of the next digest to send on this connection.
    cursor: u64,
    limit: usize,
    resets_unsent: usize,
    beats: Notes<Span>,
    losses: Notes<LossRecord>,
    asides: Asides,
    /// A span with loss, held back until the one after it is known: see [`Outbox::watched`].
    lossy: Option<Span>,
    lost: u64,
    journal: Option<Journal>,
    /// The journal holds what memory does not.
    behind: bool,
    /// It is what an earlier process left.
    is_past: bool,
}

impl Outbox {
    /// An outbox for at most `limit` digests in memory.
    pub fn new(limit: usize) -> Self {
        Self {
            lane: Lane::default(),
            next: 0,
            cursor: 0,
            limit: limit.max(1),
            resets_unsent: 0,
            beats: Notes::default(),
            losses: Notes::default(),
            asides: Asides::default(),
            lossy: None,
            lost: 0,
            journal: None,
            behind: false,
            is_past: false,
        }
    }

    /// The same, which keeps everything on disk too.
    pub fn with_journal(limit: usize, journal: Option<Journal>) -> Self {
        Self {
            journal,
            ..Self::new(limit)
        }
    }

    /// What an earlier process left on disk.
    pub fn left(limit: usize, journal: Journal) -> Self {
        Self {
            next: journal.next_number(),
            journal: Some(journal),
            beats: Notes::past(),
            losses: Notes::past(),
            behind: true,
            is_past: true,
            ..Self::new(limit)
        }
    }

    /// The number of the next digest.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Every digest below this number is in durable storage.
    pub fn committed_below(&self) -> u64 {
        self.lane.committed()
    }

    /// Digests that were given up, since the start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Digests in memory, and how many find room there.
    pub fn in_memory(&self) -> (usize, usize) {
        (self.lane.len(), self.limit)
    }

    /// Octets on disk, and how many there may be.
    pub fn on_disk(&self) -> (u64, u64) {
        self.journal
            .as_ref()
            .map_or((0, 0), |journal| (journal.octets(), journal.limit()))
    }

    /// How many more digests find room in memory without loss.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.lane.len())
    }

    /// Numbers and keeps a digest, at the price of older ones where there is no room.
    pub fn offer(&mut self, digest: &Digest) {
        self.offer_all(std::slice::from_ref(digest));
    }

    /// Numbers and keeps digests, at the price of older ones where there is no room.
    pub fn offer_all(&mut self, digests: &[Digest]) {
        for part in digests.chunks(BATCH.min(self.limit)) {
            if self.journal.is_some() {
                self.keep_twice(part);
            } else {
                self.keep_in_memory(part);
            }
        }
    }

    /// Keeps what memory said to a question, after the digests that come with it.
    pub fn recalled(&mut self, recalled: Recalled) {
        let (first_number, lost_before) = (self.next, self.lost);
        self.offer_all(&recalled.digests);
        let kept = KeptAnswer {
            answer: recalled.answer,
            first_number,
            next_number: self.next,
        };
        self.asides.answer(kept, lost_before);
    }

    /// From here on other segments travel.
    pub fn changed(&mut self, change: Change) {
        self.asides.change(KeptChange {
            change,
            next_number: self.next,
        });
    }

    /// What goes next beside the digests, if it may go now.
    pub fn take_aside(&mut self) -> Option<Aside> {
        self.asides.take(self.cursor, self.lost)
    }

    fn keep_in_memory(&mut self, digests: &[Digest]) {
        let missing = digests.len().saturating_sub(self.room());
        if missing > 0 {
            let losses = self.lane.give_up(missing.max(self.limit / PART));
            self.resets_unsent = self.resets_unsent.min(self.lane.resets());
            self.lose_all(losses);
        }
        self.push(digests);
    }

    fn push(&mut self, digests: &[Digest]) {
        for digest in digests {
            self.resets_unsent += usize::from(digest.is_rst());
            self.lane.push(*digest);
        }
        self.next = self.lane.end();
    }

    fn lose_all(&mut self, losses: Vec<LossRecord>) {
        for loss in losses {
            self.lost += loss.count.unwrap_or(0);
            self.lose(loss);
        }
    }

    /// Keeps what was watched up to here.
    ///
    /// Losses are counted up to now, while a span ends a little before: packets take a moment from
    /// their stamp to here. So a loss may lie in the span after the one that reports it. If that
    /// one reports none itself, the two become one.
    pub fn watched(&mut self, span: Span) {
        match self.lossy.take() {
            Some(mut before) if before.is_next_to(&span) && span.coverage.dropped == 0 => {
                before.join(&span);
                self.keep_beat(before);
                return;
            }
            Some(before) => self.keep_beat(before),
            None => {}
        }
        if span.coverage.dropped > 0 {
            self.lossy = Some(span);
        } else {
            self.keep_beat(span);
        }
    }

    /// Nothing more will be watched: what was held back is kept.
    pub fn end(&mut self) {
        if let Some(span) = self.lossy.take() {
            self.keep_beat(span);
        }
    }

    fn keep_beat(&mut self, span: Span) {
        let mut beat = Kept {
            note: span,
            next_number: self.next,
            record: 0,
        };
        beat.record = self.write(&Outgoing::Beat(beat.clone()));
        if !self.behind || beat.record == 0 {
            self.beats.push(beat);
        }
    }

    /// Keeps a loss.
    pub fn lose(&mut self, loss: LossRecord) {
        let mut loss = Kept {
            note: loss,
            next_number: self.next,
            record: 0,
        };
        loss.record = self.write(&Outgoing::Loss(loss.clone()));
        if !self.behind || loss.record == 0 {
            self.losses.push(loss);
        }
    }

    /// A new connection: the collector names the number from which on to send.
    pub fn resume(&mut self, committed: u64) -> Result<(), OutboxError> {
        if self.is_past {
            // Of what a dead machine had sent its disk may know less than the collector.
            self.next = self.next.max(committed);
        }
        let before = self.lane.committed();
        if committed < before {
            return Err(OutboxError::Behind {
                said: committed,
                before,
            });
        }
        self.commit(committed)?;
        self.cursor = self.lane.committed();
        self.resets_unsent = self.lane.resets();
        self.beats.send_again();
        self.losses.send_again();
        self.asides.send_again();
        Ok(())
    }

    /// The collector has every digest below `committed` in durable storage.
    pub fn commit(&mut self, committed: u64) -> Result<(), OutboxError> {
        let next = self.next;
        if committed > next {
            return Err(OutboxError::Ahead {
                said: committed,
                next,
            });
        }
        self.lane.commit(committed);
        self.cursor = self.cursor.max(self.lane.committed());
        self.beats.commit(committed);
        self.losses.commit(committed);
        self.refill();
        let notes = [self.beats.oldest_record(), self.losses.oldest_record()];
        if let Some(journal) = &mut self.journal {
            let oldest = notes.into_iter().flatten().min();
            journal.release(committed, oldest);
        }
        Ok(())
    }

    /// What goes next over this connection, which then counts as sent.
    pub fn take_next(&mut self) -> Option<Outgoing> {
        self.refill();
        if let Some(loss) = self.losses.take_due(self.cursor) {
            return Some(Outgoing::Loss(loss));
        }
        if let Some(beat) = self.beats.take_due(self.cursor) {
            return Some(Outgoing::Beat(beat));
        }
        let outgoing = self
            .lane
            .next(self.cursor, self.next_note().unwrap_or(u64::MAX))?;
        match &outgoing {
            Outgoing::Batch { first, digests } => {
                let resets = digests.iter().filter(|digest| digest.is_rst()).count();
                self.resets_unsent = self.resets_unsent.saturating_sub(resets);
                self.cursor = first + digests.len() as u64;
            }
            Outgoing::Skip { next, .. } => self.cursor = *next,
            Outgoing::Beat(_) | Outgoing::Loss(_) => {}
        }
        Some(outgoing)
    }

    /// Whether [`take_aside`](Self::take_aside) or [`take_next`](Self::take_next) has something now: what is on disk only may have to wait until
    /// the collector has acknowledged what is in memory.
    pub fn can_send(&self) -> bool {
        self.lane.end() > self.cursor
            || self.asides.is_due(self.cursor)
            || self.next_note().is_some_and(|next| next <= self.cursor)
            || self.has_room_to_refill()
    }

    /// Up to which number digests go before the next beat or loss.
    fn next_note(&self) -> Option<u64> {
        let notes = [self.beats.next_due(), self.losses.next_due()];
        notes.into_iter().flatten().min()
    }

    /// Digests not yet sent over this connection.
    pub fn unsent(&self) -> usize {
        self.next.saturating_sub(self.cursor) as usize
    }

    /// Whether something waits that should not for long: a reset, an answer, or a change of what travels.
    pub fn is_urgent(&self) -> bool {
        self.resets_unsent > 0 || !self.asides.is_empty()
    }

    /// Whether something waits that gains nothing by it: a beat, a loss, or a full batch.
    pub fn is_pressing(&self) -> bool {
        self.next_note().is_some() || self.unsent() >= BATCH
    }

    /// Whether everything was sent over this connection.
    pub fn is_all_sent(&self) -> bool {
        self.unsent() == 0 && self.next_note().is_none() && self.asides.is_empty() && !self.behind
    }

    /// Whether every digest is committed.
    pub fn is_all_committed(&self) -> bool {
        self.lane.committed() == self.next && !self.behind
    }

    /// The run is over and the collector has all of it: the disk may forget it.
    pub fn forget(&mut self) {
        if let Some(journal) = self.journal.take() {
            journal.remove();
        }
    }
}

//! The outbox: numbered digests and beats, kept until the collector has them in durable storage.
//!
//! Numbers start at 0 and rise by one within a run. A digest is forgotten once it is committed. A
//! beat is sent after the digests below its `next_number` and before all others, so once a digest
//! from that number on is committed, the beat has arrived too. No digest comes after the latest
//! beats of an idle vantage: the newest [`BEATS_KEPT`] that were sent stay, and go again, unchanged,
//! after a reconnect. The collector counts a beat of the same run and span once.

use std::collections::VecDeque;

use parallax_core::Digest;
use thiserror::Error;

mod beats;
mod span;
#[cfg(test)]
mod tests;

use beats::Beats;
pub use beats::{BEATS_KEPT, KeptBeat};
pub use span::Span;

/// The most digests of one batch.
pub const BATCH: usize = 4096;

/// What one part in so many of the outbox's room is kept for: resets.
const RESERVE: usize = 16;

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

/// What became of a digest that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    Kept,
    /// There was no room. The loss is reported with the next beat.
    Lost,
}

/// What to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    Batch { first: u64, digests: Vec<Digest> },
    Beat(KeptBeat),
}

#[derive(Debug)]
pub struct Outbox {
    /// Not yet committed, the first bears number `committed`.
    digests: VecDeque<Digest>,
    committed: u64,
    /// Number of the next digest to send on this connection.
    cursor: u64,
    limit: usize,
    resets_unsent: usize,
    beats: Beats,
    /// A span with loss, held back until the one after it is known: see [`Outbox::watched`].
    lossy: Option<Span>,
    lost_since_beat: u64,
    lost: u64,
}

impl Outbox {
    /// An outbox for at most `limit` digests.
    pub fn new(limit: usize) -> Self {
        Self {
            digests: VecDeque::new(),
            committed: 0,
            cursor: 0,
            limit,
            resets_unsent: 0,
            beats: Beats::default(),
            lossy: None,
            lost_since_beat: 0,
            lost: 0,
        }
    }

    /// The number of the next digest.
    pub fn next_number(&self) -> u64 {
        self.committed + self.digests.len() as u64
    }

    /// Every digest below this number is in durable storage.
    pub fn committed_below(&self) -> u64 {
        self.committed
    }

    /// Digests that found no room, since the start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How many more digests find room without loss.
    pub fn room(&self) -> usize {
        (self.limit - self.limit / RESERVE).saturating_sub(self.digests.len())
    }

    /// Numbers and keeps a digest if there is room; the last of it is for resets.
    pub fn offer(&mut self, digest: &Digest) -> Offered {
        let kept_free = if digest.is_rst() {
            0
        } else {
            self.limit / RESERVE
        };
        if self.digests.len() + kept_free >= self.limit {
            self.lost += 1;
            self.lost_since_beat += 1;
            return Offered::Lost;
        }
        self.resets_unsent += usize::from(digest.is_rst());
        self.digests.push_back(*digest);
        Offered::Kept
    }

    /// Keeps what was watched up to here; what was lost since the last call is added to it.
    ///
    /// Losses are counted up to now, while a span ends a little before: packets take a moment from
    /// their stamp to here. So a loss may lie in the span after the one that reports it. If that
    /// one reports none itself, the two become one.
    pub fn watched(&mut self, mut span: Span) {
        span.coverage.dropped += std::mem::take(&mut self.lost_since_beat);
        match self.lossy.take() {
            Some(mut before) if before.is_next_to(&span) && span.coverage.dropped == 0 => {
                before.join(&span);
                self.keep(before);
                return;
            }
            Some(before) => self.keep(before),
            None => {}
        }
        if span.coverage.dropped > 0 {
            self.lossy = Some(span);
        } else {
            self.keep(span);
        }
    }

    /// Nothing more will be watched: what was held back is kept.
    pub fn end(&mut self) {
        if let Some(span) = self.lossy.take() {
            self.keep(span);
        }
    }

    fn keep(&mut self, span: Span) {
        let next_number = self.next_number();
        self.beats.push(KeptBeat { span, next_number });
    }

    /// A new connection: the collector names the number from which on to send.
    pub fn resume(&mut self, committed: u64) -> Result<(), OutboxError> {
        if committed < self.committed {
            return Err(OutboxError::Behind {
                said: committed,
                before: self.committed,
            });
        }
        self.commit(committed)?;
        self.cursor = self.committed;
        self.resets_unsent = self.digests.iter().filter(|digest| digest.is_rst()).count();
        self.beats.send_again();
        Ok(())
    }

    /// The collector has every digest below `committed` in durable storage.
    pub fn commit(&mut self, committed: u64) -> Result<(), OutboxError> {
        let next = self.next_number();
        if committed > next {
            return Err(OutboxError::Ahead {
                said: committed,
                next,
            });
        }
        let newly = committed.saturating_sub(self.committed);
        self.digests.drain(..newly as usize);
        self.committed += newly;
        self.cursor = self.cursor.max(self.committed);
        self.beats.commit(committed);
        Ok(())
    }

    /// What goes next over this connection, which then counts as sent.
    pub fn take_next(&mut self) -> Option<Outgoing> {
        if let Some(beat) = self.beats.take_due(self.cursor) {
            return Some(Outgoing::Beat(beat));
        }
        let first = self.cursor;
        let end = self
            .beats
            .next_due()
            .unwrap_or(u64::MAX)
            .min(self.next_number())
            .min(first + BATCH as u64);
        if end == first {
            return None;
        }
        let range = (first - self.committed) as usize..(end - self.committed) as usize;
        let digests: Vec<Digest> = self.digests.range(range).copied().collect();
        let resets = digests.iter().filter(|digest| digest.is_rst()).count();
        self.resets_unsent -= resets;
        self.cursor = end;
        Some(Outgoing::Batch { first, digests })
    }

    /// Digests not yet sent over this connection.
    pub fn unsent(&self) -> usize {
        (self.next_number() - self.cursor) as usize
    }

    /// Whether something waits that should not: a reset, a beat, or a full batch.
    pub fn is_urgent(&self) -> bool {
        self.resets_unsent > 0 || self.beats.next_due().is_some() || self.unsent() >= BATCH
    }

    /// Whether everything was sent over this connection.
    pub fn is_all_sent(&self) -> bool {
        self.unsent() == 0 && self.beats.next_due().is_none()
    }

    /// Whether every digest is committed.
    pub fn is_all_committed(&self) -> bool {
        self.digests.is_empty()
    }
}

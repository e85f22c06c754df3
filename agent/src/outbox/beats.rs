//! Beats that wait to be sent, or may have to be sent again.

use std::collections::VecDeque;

use super::Span;

/// Sent beats that are kept although no digest after them was committed: more than three minutes
/// of them, while a broken connection is noticed within seconds.
pub const BEATS_KEPT: usize = 1024;

/// Beats that wait unsent. Past this, neighbours are joined even if they lost packets.
const WAITING_MAX: usize = 65_536;

/// What was watched, and the number of the next digest after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptBeat {
    pub span: Span,
    /// All digests of the span have lower numbers.
    pub next_number: u64,
}

#[derive(Debug, Default)]
pub(super) struct Beats {
    /// In order of time: those sent over this connection, those sent over an earlier one, and
    /// those never sent.
    kept: VecDeque<KeptBeat>,
    sent: usize,
    ever_sent: usize,
}

impl Beats {
    /// Keeps a beat; one that waits unsent takes in a neighbour that says nothing else.
    pub fn push(&mut self, beat: KeptBeat) {
        let crowded = self.kept.len() - self.ever_sent >= WAITING_MAX;
        if let Some(last) = self.last_waiting()
            && (last.span.joins(&beat.span) || (crowded && last.span.is_next_to(&beat.span)))
        {
            last.span.join(&beat.span);
            last.next_number = beat.next_number;
            return;
        }
        self.kept.push_back(beat);
    }

    fn last_waiting(&mut self) -> Option<&mut KeptBeat> {
        if self.kept.len() > self.ever_sent {
            self.kept.back_mut()
        } else {
            None
        }
    }

    /// Up to which number digests go before the next beat.
    pub fn next_due(&self) -> Option<u64> {
        self.kept.get(self.sent).map(|beat| beat.next_number)
    }

    /// The next beat, if every digest before it was sent.
    pub fn take_due(&mut self, cursor: u64) -> Option<KeptBeat> {
        let beat = *self
            .kept
            .get(self.sent)
            .filter(|beat| beat.next_number <= cursor)?;
        self.sent += 1;
        self.ever_sent = self.ever_sent.max(self.sent);
        if self.sent > BEATS_KEPT {
            self.forget_first();
        }
        Some(beat)
    }

    /// Forgets the beats before a committed digest.
    pub fn commit(&mut self, committed: u64) {
        while self.ever_sent > 0
            && self
                .kept
                .front()
                .is_some_and(|beat| beat.next_number < committed)
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
}

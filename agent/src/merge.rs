//! What several capture threads tell, as the word of one vantage.
//!
//! The threads share the packets, so a span is covered only as far as all of them are, and memory has
//! answered a question when all of them have. Digests and losses pass as they come.

use std::collections::VecDeque;

use parallax_core::Coverage;
use parallax_core::decode::UnreadCounts;
use parallax_core::{CaptureTime, Selection};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{StreamExt as _, StreamMap};

use crate::handover::Ways;
use crate::outbox::{Change, Span};
use crate::stream::Feed;

mod answers;
#[cfg(test)]
mod tests;

use answers::Answers;

/// Passes on what the threads tell until the last of them has ended, or nobody listens any more.
pub async fn run(threads: Vec<mpsc::Receiver<Feed>>, to: mpsc::Sender<Feed>) {
    let mut merge = Merge::new(threads.len());
    let mut told: StreamMap<usize, ReceiverStream<Feed>> = threads
        .into_iter()
        .map(ReceiverStream::new)
        .enumerate()
        .collect();
    let mut out = Vec::new();
    while let Some((thread, feed)) = told.next().await {
        merge.take(thread, feed, &mut out);
        for feed in out.drain(..) {
            if to.send(feed).await.is_err() {
                return;
            }
        }
    }
}

/// How far a thread has come in one epoch of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reach {
    epoch: u32,
    from: CaptureTime,
    until: CaptureTime,
}

#[derive(Debug)]
struct Merge {
    /// Of each thread: the epoch that is told, and later ones.
    reaches: Vec<VecDeque<Reach>>,
    /// Where the next span begins, if this epoch has one already.
    from: Option<CaptureTime>,
    received: u64,
    dropped: u64,
    unread: UnreadCounts,
    changes: Vec<VecDeque<Change>>,
    answers: Answers,
    ways: Ways,
}

impl Merge {
    fn new(threads: usize) -> Self {
        Self {
            reaches: vec![VecDeque::new(); threads],
            from: None,
            received: 0,
            dropped: 0,
            unread: UnreadCounts::default(),
            changes: vec![VecDeque::new(); threads],
            answers: Answers::new(threads),
            ways: Ways::default(),
        }
    }

    /// Takes what a thread tells; appends to `out` what can be said now.
    fn take(&mut self, thread: usize, told: Feed, out: &mut Vec<Feed>) {
        match told {
            Feed::Watched(span) => {
                self.watched(thread, &span);
                self.advance(out);
            }
            Feed::Changed(change) => {
                self.changes[thread].push_back(change);
                out.extend(self.change().map(Feed::Changed));
            }
            Feed::Recalled(recalled) => {
                let recalled = self.answers.take(thread, recalled);
                out.extend(recalled.map(Feed::Recalled));
            }
            Feed::Digests(digests) => {
                for digest in &digests {
                    self.ways.note(digest);
                }
                out.push(Feed::Digests(digests));
            }
            Feed::Lost(_) | Feed::Witnessed(_) => out.push(told),
        }
    }

    /// What was counted goes into the next span that is told: a loss is known by its record also where it
    /// fell into a later one.
    fn watched(&mut self, thread: usize, span: &Span) {
        let coverage = &span.coverage;
        self.received += coverage.received;
        self.dropped += coverage.dropped;
        self.unread.merge(&span.unread);
        let reaches = &mut self.reaches[thread];
        match reaches.back_mut() {
            Some(last) if last.epoch == span.epoch => last.until = coverage.until,
            _ => reaches.push_back(Reach {
                epoch: span.epoch,
                from: coverage.from,
                until: coverage.until,
            }),
        }
    }

    /// Tells what all have come through.
    fn advance(&mut self, out: &mut Vec<Feed>) {
        while let Some(all) = self.all_at() {
            let oldest = all.iter().map(|reach| reach.epoch).min().unwrap_or(0);
            if all.iter().all(|reach| reach.epoch == oldest) {
                self.tell(&all, out);
            }
            // Nobody comes back to an epoch, so it is over when all have come to a later one.
            let over =
                |reaches: &VecDeque<Reach>| reaches.back().is_some_and(|last| last.epoch > oldest);
            if !self.reaches.iter().all(over) {
                return;
            }
            for reaches in &mut self.reaches {
                reaches.retain(|reach| reach.epoch > oldest);
            }
            self.from = None;
        }
    }

    /// The first epoch of each thread that is not over; none while one has told nothing yet.
    fn all_at(&self) -> Option<Vec<Reach>> {
        self.reaches
            .iter()
            .map(|reaches| reaches.front().copied())
            .collect()
    }

    fn tell(&mut self, all: &[Reach], out: &mut Vec<Feed>) {
        let begun = all.iter().map(|reach| reach.from).max();
        let until = all.iter().map(|reach| reach.until).min();
        let (Some(from), Some(until)) = (self.from.or(begun), until) else {
            return;
        };
        if until < from {
            return;
        }
        self.from = Some(until.plus(1));
        out.extend(self.ways.watched(until).map(Feed::Lost));
        out.push(Feed::Watched(Span {
            coverage: Coverage {
                from,
                until,
                received: std::mem::take(&mut self.received),
                dropped: std::mem::take(&mut self.dropped),
            },
            unread: std::mem::take(&mut self.unread),
            epoch: all.first().map_or(0, |reach| reach.epoch),
        }));
    }

    /// A change that all threads have made: more travels once the last ships it, less as soon as the first
    /// leaves it.
    fn change(&mut self) -> Option<Change> {
        if self.changes.iter().any(VecDeque::is_empty) {
            return None;
        }
        let made: Vec<Change> = self
            .changes
            .iter_mut()
            .filter_map(VecDeque::pop_front)
            .collect();
        let moments = made.iter().map(|change| change.from);
        let selection = made.first()?.selection;
        let from = match selection {
            Selection::All => moments.max(),
            Selection::Context | Selection::Sampled(_) => moments.min(),
        };
        Some(Change {
            from: from?,
            selection,
        })
    }
}

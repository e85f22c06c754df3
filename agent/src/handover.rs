//! From the capture thread to the stream, without ever waiting.
//!
//! What cannot be handed over at once stays here and goes with the next turn. What does not even
//! find room here is lost, resets last, and counted into the coverage of its span.

use std::collections::VecDeque;
use std::sync::Arc;

use parallax_core::decode::{RawPacket, UnreadCounts};
use parallax_core::{
    CaptureTime, Coverage, Digest, LossCause, LossOf, LossRecord, Selection, Strength,
};
use thiserror::Error;
use tokio::sync::mpsc::{self, error::TrySendError};

mod tally;
mod ways;

pub use tally::Tally;
pub(crate) use ways::Ways;

use crate::memory::{Evicted, Memory};
use crate::meter::Meter;
use crate::noted::Batch;
use crate::outbox::{Change, Join, Span};
use crate::recall::{Desk, Question};
use crate::stream::{FEED_MAX, Feed};
use crate::veil::Veil;

/// Digests that wait to be handed over at most.
const WAITING_MAX: usize = 16 * FEED_MAX;

/// Room beyond [`WAITING_MAX`] that only resets may use.
const RESETS_MAX: usize = FEED_MAX;

/// The stream has ended: nothing takes digests any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the stream to the collector has ended")]
pub struct StreamEnded;

/// Decodes packets, remembers flows, and hands over what is to be shipped.
#[derive(Debug)]
pub struct Handover {
    veil: Option<Veil>,
    memory: Memory,
    /// Decoded, but not yet taken in.
    batch: Batch,
    feed: mpsc::Sender<Feed>,
    waiting: Vec<Digest>,
    /// One for each epoch of the clock.
    spans: VecDeque<Span>,
    losses: VecDeque<LossRecord>,
    /// None in one of several threads: only all of them know.
    ways: Option<Ways>,
    unread: UnreadCounts,
    lost: u64,
    tally: Tally,
    desk: Option<Desk>,
    changes: VecDeque<Change>,
    meter: Arc<Meter>,
    observed: u64,
}

impl Handover {
    pub fn new(memory: Memory, feed: mpsc::Sender<Feed>) -> Self {
        Self {
            memory,
            batch: Batch::default(),
            feed,
            waiting: Vec::with_capacity(FEED_MAX),
            spans: VecDeque::new(),
            losses: VecDeque::new(),
            ways: Some(Ways::default()),
            unread: UnreadCounts::default(),
            lost: 0,
            tally: Tally::default(),
            desk: None,
            changes: VecDeque::new(),
            meter: Arc::default(),
            observed: 0,
            veil: None,
        }
    }

    /// The same, which replaces addresses before anything is remembered.
    #[must_use]
    pub fn veiled(mut self, veil: Option<Veil>) -> Self {
        self.veil = veil;
        self
    }

    /// The same, with a memory of all segments that answers questions.
    #[must_use]
    pub fn with_desk(mut self, desk: Desk) -> Self {
        self.desk = Some(desk);
        self
    }

    /// The same, for a thread that gets a part of the packets: what it tells is to be [merged](crate::merge).
    #[must_use]
    pub fn of_a_part(mut self) -> Self {
        self.ways = None;
        self
    }

    /// The same, which counts into a meter.
    #[must_use]
    pub fn with_meter(mut self, meter: Arc<Meter>) -> Self {
        self.meter = meter;
        self
    }

    /// A question to the memory of all segments.
    pub fn ask(&mut self, question: Question) {
        self.take_in();
        if let Some(desk) = &mut self.desk {
            desk.ask(question);
        }
    }

    /// From now on, that is after every packet up to `now`, other segments travel.
    pub fn select(&mut self, selection: Selection, now: CaptureTime) {
        self.take_in();
        if selection == self.memory.selection() {
            return;
        }
        self.memory.select(selection);
        self.changes.push_back(Change {
            from: now,
            selection,
        });
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What the flow memory had to forget.
    pub fn evicted(&self) -> Evicted {
        self.memory.evicted()
    }

    /// Takes one packet.
    pub fn packet(&mut self, packet: &RawPacket<'_>) {
        self.tally.packets += 1;
        self.observed += u64::from(packet.original_len);
        let taken = match &mut self.veil {
            None => self.batch.take(packet),
            Some(veil) => self
                .batch
                .take_changed(packet, |digest| veil.digest(digest)),
        };
        match taken {
            Ok(()) if self.batch.is_full() => self.take_in(),
            Ok(()) => {}
            Err(reason) => {
                self.unread.add(reason);
                self.tally.unread.add(reason);
            }
        }
    }

    /// Remembers what was decoded, and puts what is to be shipped with what waits.
    fn take_in(&mut self) {
        let mut lost = 0;
        for noted in self.batch.foreseen(&self.memory, self.desk.as_ref()) {
            let start = self.waiting.len();
            let own = self.memory.observe(noted, &mut self.waiting);
            if let Some(ways) = &mut self.ways {
                self.waiting[start..]
                    .iter()
                    .for_each(|shipped| ways.note(shipped));
            }
            if let Some(desk) = &mut self.desk {
                desk.note(noted, &self.waiting[start..], own);
            }
            if self.waiting.len() > WAITING_MAX {
                lost += lose(&mut self.waiting, start.max(WAITING_MAX));
            }
        }
        self.batch.clear();
        self.lost += lost;
        self.tally.lost += lost;
    }

    /// Everything that passed in this span was [taken](Self::packet). Loss on the way to the stream
    /// is added to what the capture lost.
    pub fn watched(&mut self, mut coverage: Coverage, epoch: u32) {
        self.take_in();
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            self.lost(LossRecord {
                strength: Strength::Certain,
                cause: LossCause::Ring,
                of: LossOf::Packets,
                from: coverage.from,
                until: Some(coverage.until),
                count: Some(lost),
                detail: None,
            });
        }
        let ways = self.ways.as_mut();
        if let Some(loss) = ways.and_then(|ways| ways.watched(coverage.until)) {
            self.lost(loss);
        }
        self.meter.add_packets(coverage.received, coverage.dropped);
        self.meter.add_unhanded(lost);
        coverage.dropped += lost;
        self.meter.add_observed(std::mem::take(&mut self.observed));
        if let Some(desk) = &mut self.desk {
            desk.watched(&coverage);
        }
        let unread = std::mem::take(&mut self.unread);
        self.losses
            .extend(LossRecord::unreadable(&coverage, &unread));
        let span = Span {
            coverage,
            unread,
            epoch,
        };
        match self.spans.back_mut() {
            Some(waiting) if waiting.epoch == epoch => waiting.join(&span),
            _ => self.spans.push_back(span),
        }
    }

    /// Something was lost, or may have been.
    pub fn lost(&mut self, loss: LossRecord) {
        match self.losses.back_mut() {
            Some(last) if last.joins(&loss, false) => last.join(&loss),
            _ => self.losses.push_back(loss),
        }
    }

    /// Hands over what waits, as far as the stream takes it now.
    pub fn turn(&mut self) -> Result<(), StreamEnded> {
        self.take_in();
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(FEED_MAX);
            match self.feed.try_reserve() {
                Ok(permit) => permit.send(Feed::Digests(take_first(&mut self.waiting, count))),
                Err(TrySendError::Full(())) => return Ok(()),
                Err(TrySendError::Closed(())) => return Err(StreamEnded),
            }
        }
        while let Some(loss) = self.losses.pop_front() {
            if let Err(error) = self.feed.try_send(Feed::Lost(loss)) {
                let (TrySendError::Full(back) | TrySendError::Closed(back)) = &error;
                if let Feed::Lost(loss) = back {
                    self.losses.push_front(loss.clone());
                }
                return match error {
                    TrySendError::Full(_) => Ok(()),
                    TrySendError::Closed(_) => Err(StreamEnded),
                };
            }
        }
        loop {
            match self.feed.try_reserve() {
                Err(TrySendError::Closed(())) => return Err(StreamEnded),
                Err(TrySendError::Full(())) => return Ok(()),
                Ok(permit) => {
                    match Self::next_aside(&mut self.spans, &mut self.changes, self.desk.as_mut()) {
                        Some(item) => permit.send(item),
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// What goes after the digests and losses.
    fn next_aside(
        spans: &mut VecDeque<Span>,
        changes: &mut VecDeque<Change>,
        desk: Option<&mut Desk>,
    ) -> Option<Feed> {
        spans
            .pop_front()
            .map(Feed::Watched)
            .or_else(|| changes.pop_front().map(Feed::Changed))
            .or_else(|| desk?.take_ready().map(Feed::Recalled))
    }

    /// Hands over all that waits, waiting for room: the capture is over.
    pub fn finish(mut self) -> Tally {
        self.take_in();
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(FEED_MAX);
            let chunk = take_first(&mut self.waiting, count);
            if self.feed.blocking_send(Feed::Digests(chunk)).is_err() {
                return self.tally;
            }
        }
        for loss in std::mem::take(&mut self.losses) {
            if self.feed.blocking_send(Feed::Lost(loss)).is_err() {
                return self.tally;
            }
        }
        for span in self.spans {
            // Nobody left to tell: then it does not matter.
            let _ = self.feed.blocking_send(Feed::Watched(span));
        }
        self.tally
    }
}

/// Gives up what waits from `start` on, but for resets within their own room; how much that was.
fn lose(waiting: &mut Vec<Digest>, start: usize) -> u64 {
    let before = waiting.len();
    let mut kept = start;
    for index in start..before {
        if waiting[index].is_rst() && kept < WAITING_MAX + RESETS_MAX {
            waiting.swap(kept, index);
            kept += 1;
        }
    }
    waiting.truncate(kept);
    (before - kept) as u64
}

/// The first `count` digests; the others stay, in order. What is handed over is as long as it must be, and what waits
/// keeps its room: fresh pages cost more than the copy.
fn take_first(waiting: &mut Vec<Digest>, count: usize) -> Vec<Digest> {
    waiting.drain(..count).collect()
}

#[cfg(test)]
mod tests {
    use parallax_core::decode::LinkType;
    use parallax_core::{CaptureTime, Selection};

    use super::*;
    use crate::memory::Grace;

    /// A raw IPv4 packet with a TCP header of these flags and sequence number.
    fn packet(flags: u8, seq: u32) -> Vec<u8> {
        let mut octets = vec![
            0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1,
        ];
        octets.extend([0x9c, 0x40, 0, 80]);
        octets.extend(seq.to_be_bytes());
        octets.extend([0, 0, 0, 0, 0x50, flags, 0, 100, 0, 0, 0, 0]);
        octets
    }

    fn give(handover: &mut Handover, data: &[u8]) {
        handover.packet(&RawPacket {
            time: CaptureTime::from_nanos(1),
            link: LinkType::Raw,
            original_len: data.len() as u32,
            interface: 0,
            data,
        });
    }

    fn coverage(from: i64, until: i64, dropped: u64) -> Coverage {
        Coverage {
            from: CaptureTime::from_nanos(from),
            until: CaptureTime::from_nanos(until),
            received: 1,
            dropped,
        }
    }

    fn handover(room: usize) -> (Handover, mpsc::Receiver<Feed>) {
        let (feed, receiver) = mpsc::channel(room);
        let memory = Memory::new(1 << 20, Selection::All, Grace::default());
        (Handover::new(memory, feed), receiver)
    }

    const ACK: u8 = 0x10;
    const RST: u8 = 0x04;

    #[test]
    fn while_nothing_is_taken_acks_are_lost_before_resets_and_the_loss_is_in_the_span() {
        let (mut handover, mut fed) = handover(1);
        give(&mut handover, &packet(ACK, 0));
        handover.turn().unwrap();
        for seq in 0..WAITING_MAX as u32 + 10 {
            give(&mut handover, &packet(ACK, seq));
            handover.turn().unwrap();
        }
        give(&mut handover, &packet(RST, 99));
        give(&mut handover, &[0x45]);
        handover.watched(coverage(0, 9, 1), 0);
        handover.watched(coverage(10, 19, 2), 0);
        assert_eq!(handover.tally().lost, 10);
        let receiving = std::thread::spawn(move || {
            let (mut digests, mut spans, mut losses) = (0, Vec::new(), Vec::new());
            while let Some(item) = fed.blocking_recv() {
                match item {
                    Feed::Digests(chunk) => {
                        assert!(chunk.len() <= FEED_MAX);
                        digests += chunk.len();
                    }
                    Feed::Watched(span) => spans.push(span),
                    Feed::Lost(loss) => losses.push(loss),
                    Feed::Recalled(_) | Feed::Changed(_) => unreachable!("nobody asked"),
                    Feed::Witnessed(_) => {}
                }
            }
            (digests, spans, losses)
        });
        handover.finish();
        let (digests, spans, losses) = receiving.join().unwrap();
        assert_eq!(digests, 1 + WAITING_MAX + 1);
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].coverage.dropped, 13);
        assert_eq!(spans[0].coverage.until.nanos(), 19);
        assert_eq!(spans[0].unread.total(), 1);
        let told: Vec<(LossCause, Option<u64>)> =
            losses.iter().map(|loss| (loss.cause, loss.count)).collect();
        assert_eq!(
            told,
            [
                (LossCause::Ring, Some(10)),
                (LossCause::Unreadable, Some(1))
            ]
        );
    }

    #[test]
    fn the_end_of_the_stream_is_noticed_also_with_nothing_to_say() {
        let (mut handover, fed) = handover(1);
        handover.turn().unwrap();
        drop(fed);
        assert_eq!(handover.turn(), Err(StreamEnded));
    }

    /// Everything that was fed.
    fn drain(receiver: &mut mpsc::Receiver<Feed>) -> Vec<Feed> {
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    #[test]
    fn what_did_not_travel_is_recalled_once_and_what_travelled_is_not() {
        let (feed, mut receiver) = mpsc::channel(16);
        let memory = Memory::new(1 << 20, Selection::Context, Grace::default());
        let since = CaptureTime::from_nanos(0);
        let mut handover = Handover::new(memory, feed)
            .with_desk(Desk::new(crate::recall::Ring::new(1 << 20), since));
        for seq in 0..30 {
            give(&mut handover, &packet(ACK, seq));
        }
        give(&mut handover, &packet(RST, 99));
        handover.watched(coverage(0, 9, 0), 0);
        handover.turn().unwrap();
        let shipped = drain(&mut receiver)
            .into_iter()
            .find_map(|item| match item {
                Feed::Digests(digests) => Some(digests),
                _ => None,
            });
        let shipped = shipped.expect("the reset and its context");
        let question = Question {
            id: 7,
            quiet: false,
            sought: crate::recall::Sought {
                flows: vec![shipped[0].tuple.flow()],
                until: CaptureTime::from_nanos(9),
                ..crate::recall::Sought::default()
            },
        };
        for expected in [31 - shipped.len(), 0] {
            handover.ask(question.clone());
            handover.turn().unwrap();
            let [Feed::Recalled(recalled)] = &drain(&mut receiver)[..] else {
                panic!("one answer");
            };
            assert_eq!(recalled.digests.len(), expected);
            assert!(recalled.answer.complete && !recalled.answer.more);
            assert!(
                recalled
                    .digests
                    .iter()
                    .all(|digest| !shipped.contains(digest))
            );
        }
    }

    #[test]
    fn a_change_of_what_travels_holds_for_the_next_packet_and_is_said_once() {
        let (feed, mut receiver) = mpsc::channel(16);
        let memory = Memory::new(1 << 20, Selection::Context, Grace::default());
        let mut handover = Handover::new(memory, feed);
        let now = CaptureTime::from_nanos(5);
        give(&mut handover, &packet(ACK, 0));
        give(&mut handover, &packet(ACK, 1));
        handover.select(Selection::All, now);
        handover.select(Selection::All, now);
        give(&mut handover, &packet(ACK, 2));
        handover.turn().unwrap();
        let taken = drain(&mut receiver);
        let [Feed::Digests(digests), Feed::Changed(change)] = &taken[..] else {
            panic!("digests and a change: {taken:?}");
        };
        let numbers: Vec<u32> = digests.iter().map(|digest| digest.seq.0).collect();
        assert_eq!(numbers, [0, 2], "the first of its way, and all from now on");
        let expected = Change {
            from: now,
            selection: Selection::All,
        };
        assert_eq!(*change, expected);
    }
}

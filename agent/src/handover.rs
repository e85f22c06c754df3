//! From the capture thread to the stream, without ever waiting.
//!
//! What cannot be handed over at once stays here and goes with the next turn. What does not even
//! find room here is lost, resets last, and counted into the coverage of its span.

use parallax_core::decode::{RawPacket, UnreadCounts, decode};
use parallax_core::{Coverage, Digest};
use thiserror::Error;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::memory::{Evicted, Memory};
use crate::outbox::Span;
use crate::stream::{FEED_MAX, Feed};

/// Digests that wait to be handed over at most.
const WAITING_MAX: usize = 16 * FEED_MAX;

/// Room beyond [`WAITING_MAX`] that only resets may use.
const RESETS_MAX: usize = FEED_MAX;

/// The stream has ended: nothing takes digests any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the stream to the collector has ended")]
pub struct StreamEnded;

/// Packets so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub packets: u64,
    pub unread: UnreadCounts,
    /// Digests that found no room on the way to the stream.
    pub lost: u64,
}

/// Decodes packets, remembers flows, and hands over what is to be shipped.
#[derive(Debug)]
pub struct Handover {
    memory: Memory,
    feed: mpsc::Sender<Feed>,
    waiting: Vec<Digest>,
    span: Option<Span>,
    unread: UnreadCounts,
    lost: u64,
    tally: Tally,
}

impl Handover {
    pub fn new(memory: Memory, feed: mpsc::Sender<Feed>) -> Self {
        Self {
            memory,
            feed,
            waiting: Vec::with_capacity(FEED_MAX),
            span: None,
            unread: UnreadCounts::default(),
            lost: 0,
            tally: Tally::default(),
        }
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
        match decode(packet) {
            Ok(digest) => self.digest(&digest),
            Err(reason) => {
                self.unread.add(reason);
                self.tally.unread.add(reason);
            }
        }
    }

    fn digest(&mut self, digest: &Digest) {
        let start = self.waiting.len();
        self.memory.observe(digest, &mut self.waiting);
        if self.waiting.len() > WAITING_MAX {
            self.lose(start.max(WAITING_MAX));
        }
    }

    /// Gives up what waits from `start` on, but for resets within their own room.
    fn lose(&mut self, start: usize) {
        let before = self.waiting.len();
        let mut kept = start;
        for index in start..before {
            if self.waiting[index].is_rst() && kept < WAITING_MAX + RESETS_MAX {
                self.waiting.swap(kept, index);
                kept += 1;
            }
        }
        self.waiting.truncate(kept);
        self.lost += (before - kept) as u64;
        self.tally.lost += (before - kept) as u64;
    }

    /// Everything that passed in this span was [taken](Self::packet). Loss on the way to the stream
    /// is added to what the capture lost.
    pub fn watched(&mut self, mut coverage: Coverage) {
        coverage.dropped += std::mem::take(&mut self.lost);
        let unread = std::mem::take(&mut self.unread);
        let span = Span { coverage, unread };
        match &mut self.span {
            Some(waiting) => waiting.join(&span),
            none => *none = Some(span),
        }
    }

    /// Hands over what waits, as far as the stream takes it now.
    pub fn turn(&mut self) -> Result<(), StreamEnded> {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(FEED_MAX);
            match self.feed.try_reserve() {
                Ok(permit) => permit.send(Feed::Digests(take_first(&mut self.waiting, count))),
                Err(TrySendError::Full(())) => return Ok(()),
                Err(TrySendError::Closed(())) => return Err(StreamEnded),
            }
        }
        match (self.span, self.feed.try_reserve()) {
            (_, Err(TrySendError::Closed(()))) => return Err(StreamEnded),
            (Some(span), Ok(permit)) => {
                permit.send(Feed::Watched(span));
                self.span = None;
            }
            _ => {}
        }
        Ok(())
    }

    /// Hands over all that waits, waiting for room: the capture is over.
    pub fn finish(mut self) -> Tally {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(FEED_MAX);
            let chunk = take_first(&mut self.waiting, count);
            if self.feed.blocking_send(Feed::Digests(chunk)).is_err() {
                return self.tally;
            }
        }
        if let Some(span) = self.span {
            // Nobody left to tell: then it does not matter.
            let _ = self.feed.blocking_send(Feed::Watched(span));
        }
        self.tally
    }
}

/// The first `count` digests; the others stay, in order.
fn take_first(waiting: &mut Vec<Digest>, count: usize) -> Vec<Digest> {
    if count == waiting.len() {
        return std::mem::replace(waiting, Vec::with_capacity(FEED_MAX));
    }
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
        handover.watched(coverage(0, 9, 1));
        handover.watched(coverage(10, 19, 2));
        assert_eq!(handover.tally().lost, 10);
        let receiving = std::thread::spawn(move || {
            let (mut digests, mut spans) = (0, Vec::new());
            while let Some(item) = fed.blocking_recv() {
                match item {
                    Feed::Digests(chunk) => {
                        assert!(chunk.len() <= FEED_MAX);
                        digests += chunk.len();
                    }
                    Feed::Watched(span) => spans.push(span),
                    Feed::Witnessed(_) => {}
                }
            }
            (digests, spans)
        });
        handover.finish();
        let (digests, spans) = receiving.join().unwrap();
        assert_eq!(digests, 1 + WAITING_MAX + 1);
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].coverage.dropped, 13);
        assert_eq!(spans[0].coverage.until.nanos(), 19);
        assert_eq!(spans[0].unread.total(), 1);
    }

    #[test]
    fn the_end_of_the_stream_is_noticed_also_with_nothing_to_say() {
        let (mut handover, fed) = handover(1);
        handover.turn().unwrap();
        drop(fed);
        assert_eq!(handover.turn(), Err(StreamEnded));
    }
}

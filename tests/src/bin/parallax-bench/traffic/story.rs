//! The packets of many connections, in the order in which they pass the middle of the path.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Plan;
use super::conversation::{Conversation, LEAST_PACKETS};
use super::packet::Packet;
use crate::random::Random;

/// Between the starts of two connections in the mean, nanoseconds: some thousands are open at a time.
const BETWEEN_STARTS: u64 = 12_000_000;

/// A packet, when it passes the middle, and how far the vantages are away.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Nanoseconds since the start.
    pub at: u64,
    pub packet: Packet,
    pub delay: [u64; 2],
}

/// The story of a plan. Memory is that of the connections open at a time.
pub struct Story {
    plan: Plan,
    random: Random,
    /// Packets that belong to connections not yet begun.
    unplanned: u64,
    begun: u32,
    /// When the next connection begins.
    start: u64,
    open: Vec<Conversation>,
    free: Vec<usize>,
    due: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Story {
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            random: Random::new(plan.seed),
            unplanned: u64::from(plan.packets),
            begun: 0,
            start: 0,
            open: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
        }
    }

    /// Begins connections up to the next packet that is due.
    fn begin(&mut self) {
        while self.begun < self.plan.connections {
            if self.due.peek().is_some_and(|due| due.0.0 < self.start) {
                return;
            }
            let size = self.size();
            let conversation = Conversation::new(self.plan.seed, self.begun, size, self.start);
            self.begun += 1;
            self.start += self.random.below(2 * BETWEEN_STARTS);
            self.open_at(conversation);
        }
    }

    /// Three of four connections are small, the fourth is ten times as large; the last one has what is left. For
    /// each of the others so much is left that it can be whole.
    fn size(&mut self) -> u32 {
        let least = u64::from(LEAST_PACKETS);
        let left = u64::from(self.plan.connections - self.begun);
        let mean = self.unplanned / left;
        let most = self.unplanned.saturating_sub((left - 1) * least);
        let wanted = match (left, self.random.below(4)) {
            (1, _) => self.unplanned,
            (_, 0) => mean * 40 / 13,
            _ => mean * 4 / 13,
        };
        let size = wanted.min(most).max(least);
        self.unplanned = self.unplanned.saturating_sub(size);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    fn open_at(&mut self, conversation: Conversation) {
        let due = conversation.due;
        let slot = if let Some(slot) = self.free.pop() {
            self.open[slot] = conversation;
            slot
        } else {
            self.open.push(conversation);
            self.open.len() - 1
        };
        self.due.push(Reverse((due, slot)));
    }
}

impl Iterator for Story {
    type Item = Told;

    fn next(&mut self) -> Option<Told> {
        self.begin();
        let Reverse((at, slot)) = self.due.pop()?;
        let conversation = &mut self.open[slot];
        let packet = conversation.packet();
        let delay = conversation.delay;
        if conversation.is_over() {
            self.free.push(slot);
        } else {
            self.due.push(Reverse((conversation.due, slot)));
        }
        Some(Told { at, packet, delay })
    }
}

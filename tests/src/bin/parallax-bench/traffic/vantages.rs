//! The mix as three vantages see it: client, NAT, `v1` before it and `v2` behind, a box on either side of `v2`,
//! `v3`, server.
//!
//! Each vantage has a clock of its own and loses one packet in a thousand. What it keeps of each reset is told.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::path::PathBuf;

use super::Plan;
use super::capture::Capture;
use super::frame::{Frame, Name};
use super::packet::{ACK, Maker, RST, Side};
use super::story::{Story, Told};
use crate::random::Random;

/// The vantages, client side first.
pub const NAMES: [&str; 3] = ["v1", "v2", "v3"];

const MIDDLE: usize = 1;
const MILLI: u64 = 1_000_000;

/// What each clock is ahead of true time, nanoseconds, over a start that leaves room for the way back.
const CLOCKS: [u64; 3] = [1_000 * MILLI, 1_250 * MILLI, 600 * MILLI];
/// Hops from the client, and from the server, to each vantage.
const HOPS: [[u8; 3]; 2] = [[1, 3, 6], [10, 8, 5]];
/// Packets reach another vantage with so much jitter, nanoseconds.
const JITTER: u64 = 150_000;
/// No packet is seen elsewhere later than so long after the middle, nanoseconds.
const LATEST: u64 = 100 * MILLI;
/// One packet in so many is not captured.
const LOST: u64 = 1_000;

/// A reset by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    pub seq: u32,
    pub ack: Option<u32>,
    pub from: Side,
    pub maker: Maker,
    /// Which vantages' files hold it.
    pub seen: [bool; 3],
}

/// A frame that waits until all earlier ones are known: time, order of arrival.
struct Waiting {
    at: u64,
    order: u64,
    frame: Frame,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// One vantage at work.
struct Vantage {
    index: usize,
    random: Random,
    capture: Capture,
    waiting: BinaryHeap<Reverse<Waiting>>,
    order: u64,
}

/// Writes the three captures; returns every reset.
pub fn write_vantages(paths: &[PathBuf; 3], plan: Plan) -> io::Result<Vec<Reset>> {
    let mut vantages = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        vantages.push(Vantage {
            index,
            random: Random::of(plan.seed, u64::MAX - index as u64),
            capture: Capture::create(path)?,
            waiting: BinaryHeap::new(),
            order: 0,
        });
    }
    let mut resets = Vec::new();
    for told in Story::new(plan) {
        let mut seen = [false; 3];
        for (vantage, seen) in vantages.iter_mut().zip(&mut seen) {
            *seen = vantage.see(&told);
            vantage.release(told.at)?;
        }
        resets.extend(reset(&told, seen));
    }
    for vantage in vantages {
        vantage.finish()?;
    }
    Ok(resets)
}

/// The reset that the packet is. One that no file holds is none for anybody who only has the files.
fn reset(told: &Told, seen: [bool; 3]) -> Option<Reset> {
    let packet = &told.packet;
    let is_reset = packet.flags & RST != 0 && seen.contains(&true);
    is_reset.then_some(Reset {
        seq: packet.seq,
        ack: (packet.flags & ACK != 0).then_some(packet.ack),
        from: packet.from,
        maker: packet.maker,
        seen,
    })
}

impl Vantage {
    /// Captures the packet, if it comes by and is not lost.
    fn see(&mut self, told: &Told) -> bool {
        let jitter = self.random.below(JITTER);
        if !self.is_passed_by(told) || self.random.one_in(LOST) {
            return false;
        }
        let packet = &told.packet;
        let upstream = match packet.from {
            Side::Client => self.index < MIDDLE,
            Side::Server => self.index > MIDDLE,
        };
        let away = match self.index {
            0 => told.delay[0],
            2 => told.delay[1],
            _ => 0,
        };
        let clock = CLOCKS[self.index] + told.at;
        let at = if upstream {
            clock - away - jitter
        } else {
            clock + away + jitter
        };
        let hops = HOPS[packet.from.index()][self.index];
        let name = if self.index == 0 {
            Name::Own
        } else {
            Name::Translated
        };
        let frame = Frame::of(packet, name, packet.ttl.saturating_sub(hops));
        self.waiting.push(Reverse(Waiting {
            at,
            order: self.order,
            frame,
        }));
        self.order += 1;
        true
    }

    /// A box's packets are seen on their way from it only.
    fn is_passed_by(&self, told: &Told) -> bool {
        match (told.packet.maker, told.packet.from) {
            (Maker::End, _) => true,
            (Maker::Box(behind), Side::Server) => self.index <= behind,
            (Maker::Box(behind), Side::Client) => self.index > behind,
        }
    }

    /// Writes what nothing earlier can come before any more.
    fn release(&mut self, now: u64) -> io::Result<()> {
        let settled = (CLOCKS[self.index] + now).saturating_sub(LATEST);
        while let Some(Reverse(next)) = self.waiting.peek()
            && next.at <= settled
        {
            self.capture.write(next.at, &next.frame)?;
            self.waiting.pop();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.release(u64::MAX / 2)?;
        self.capture.finish().map(drop)
    }
}

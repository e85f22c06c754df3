//! Vantages: what of the packets that pass becomes a digest, at which time by which clock.

use parallax_core::decode::{LinkType, RawPacket, decode};
use parallax_core::report::Side;
use parallax_core::time::{MILLISECOND, SECOND};
use parallax_core::{CaptureTime, Coverage, Digest, Selection, Vantage};

use crate::archive::Record;
use crate::chance::{Chance, mix};
use crate::network::{Owner, Population};
use crate::packet::{Content, Framing, Heading, Packet, View, frame};

#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    pub offset: i64,
    /// Parts per million that it runs fast.
    pub drift: i64,
    /// From this true time on it shows so much more.
    pub step: Option<(i64, i64)>,
}

impl Clock {
    pub fn show(&self, at: i64) -> i64 {
        let stepped = self.step.filter(|(from, _)| at >= *from);
        let drifted = (at - crate::world::EPOCH) / 1_000_000 * self.drift;
        at + self.offset + drifted + stepped.map_or(0, |(_, by)| by)
    }
}

/// How a capture loses packets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loss {
    pub share: f64,
    /// Mean length of a burst in packets; 1 is uniform.
    pub burst: f64,
    losing: bool,
}

impl Loss {
    pub fn new(share: f64, burst: f64) -> Self {
        Self {
            share,
            burst,
            losing: false,
        }
    }

    /// A two-state chain (Gilbert 1960).
    fn loses(&mut self, chance: &mut Chance) -> bool {
        let leave = 1.0 / self.burst.max(1.0);
        let enter = leave * self.share / (1.0 - self.share);
        let turn = if self.losing { leave } else { enter };
        if chance.share() < turn {
            self.losing = !self.losing;
        }
        self.losing
    }
}

/// How a capture doubles packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubled {
    No,
    /// A mirror port sends each twice.
    Mirror,
    /// A router is tapped where they come in and where they go out.
    Router,
}

/// A recorded packet with what it really was.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub digest: Digest,
    pub at: i64,
    pub reset: Option<usize>,
}

pub struct Recorder {
    pub vantage: Vantage,
    pub owner: Owner,
    pub framing: Framing,
    pub clock: Clock,
    pub loss: Loss,
    /// A live agent with coverage of its own; else a file that says nothing but its packets.
    pub live: bool,
    /// It counts what it loses.
    pub counted: bool,
    pub selection: Selection,
    pub doubled: Doubled,
    /// True time in which it captures.
    pub open: (i64, i64),
    pub taken: Vec<Taken>,
    dropped: Vec<i64>,
}

impl Recorder {
    pub fn new(vantage: Vantage, owner: Owner) -> Self {
        Self {
            vantage,
            owner,
            framing: Framing {
                link: LinkType::Ethernet,
                snap: 128,
            },
            clock: Clock::default(),
            loss: Loss::default(),
            live: false,
            counted: false,
            selection: Selection::All,
            doubled: Doubled::No,
            open: (i64::MIN, i64::MAX),
            taken: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// A packet passes; true when it is recorded.
    pub fn record(
        &mut self,
        at: i64,
        packet: &Packet,
        view: &View,
        content: Content,
        chance: &mut Chance,
    ) -> bool {
        if at < self.open.0 || at > self.open.1 {
            return false;
        }
        if self.loss.share > 0.0 && self.loss.loses(chance) {
            self.dropped.push(at);
            return false;
        }
        self.take(at, packet, view, content);
        if self.doubled != Doubled::No {
            let mut again = packet.clone();
            again.ttl -= u8::from(self.doubled == Doubled::Router).min(again.ttl - 1);
            let gap = chance.between(2, 40) * crate::world::MICROSECOND;
            self.take(at + gap, &again, view, content);
        }
        true
    }

    fn take(&mut self, at: i64, packet: &Packet, view: &View, content: Content) {
        let heading = match (self.owner, packet.sender) {
            (Owner::Client, Side::Client) | (Owner::Server(_), Side::Server) => Heading::Out,
            _ => Heading::In,
        };
        let (octets, original_len) = frame(packet, view, content, self.framing, heading);
        let raw = RawPacket {
            time: CaptureTime::from_nanos(self.clock.show(at)),
            link: self.framing.link,
            original_len,
            interface: 0,
            data: &octets,
        };
        let digest = decode(&raw).expect("whole TCP headers are read");
        self.taken.push(Taken {
            digest,
            at,
            reset: packet.reset,
        });
    }

    /// What this vantage hands in, and which of it is kept. `end`: true time at which the run ends.
    pub fn finish(&mut self, end: i64) -> Record {
        self.taken.sort_by_key(|taken| taken.at);
        self.dropped.sort_unstable();
        let received = self.taken.len() as u64;
        let coverage = if self.live {
            self.beats(end)
        } else {
            self.span(received)
        };
        if self.selection == Selection::Context {
            self.select();
        }
        Record {
            vantage: self.vantage.clone(),
            selection: self.selection,
            coverage,
            digests: self.taken.iter().map(|taken| taken.digest).collect(),
        }
    }

    /// A file: first to last packet.
    fn span(&self, received: u64) -> Vec<Coverage> {
        let times = || self.taken.iter().map(|taken| taken.digest.time);
        let (Some(from), Some(until)) = (times().min(), times().max()) else {
            return Vec::new();
        };
        vec![Coverage {
            from,
            until,
            received,
            dropped: 0,
        }]
    }

    /// A live agent: a span to each beat in which anything happened.
    fn beats(&self, end: i64) -> Vec<Coverage> {
        const BEAT: i64 = 200 * MILLISECOND;
        let from = self.open.0.max(crate::world::EPOCH - SECOND);
        let until = self.open.1.min(end);
        if until <= from {
            return Vec::new();
        }
        let busy: std::collections::BTreeSet<i64> = self
            .taken
            .iter()
            .map(|taken| taken.at)
            .chain(self.dropped.iter().copied())
            .flat_map(|at| [(at - from) / BEAT, (at - from) / BEAT + 1])
            .map(|beat| from + beat * BEAT)
            .filter(|at| *at > from && *at < until)
            .collect();
        let mut edges: Vec<i64> = vec![from];
        edges.extend(busy);
        edges.push(until);
        edges
            .windows(2)
            .map(|edge| {
                let taken = |at: i64| self.taken.partition_point(|taken| taken.at < at);
                let lost = |at: i64| self.dropped.partition_point(|dropped| *dropped < at);
                let dropped = lost(edge[1]) - lost(edge[0]);
                let (a, b) = (self.clock.show(edge[0]), self.clock.show(edge[1]));
                Coverage {
                    from: CaptureTime::from_nanos(a.min(b)),
                    until: CaptureTime::from_nanos(a.max(b)),
                    received: (taken(edge[1]) - taken(edge[0])) as u64,
                    dropped: if self.counted { dropped as u64 } else { 0 },
                }
            })
            .collect()
    }

    /// Resets, handshakes and FINs, what is around resets, and one in sixteen of the rest (RFC 5475).
    fn select(&mut self) {
        const CONTEXT: usize = 16;
        let mut kept: Vec<bool> = self
            .taken
            .iter()
            .map(|taken| ships_always(&taken.digest))
            .collect();
        for (index, reset) in self.taken.iter().enumerate() {
            if !reset.digest.is_rst() {
                continue;
            }
            let flow = reset.digest.tuple.flow();
            let same = |other: &usize| self.taken[*other].digest.tuple.flow() == flow;
            let before = (0..index).rev().filter(same).take(CONTEXT);
            let after = (index..self.taken.len())
                .filter(same)
                .take_while(|other| self.taken[*other].at < reset.at + SECOND);
            before.chain(after).for_each(|other| kept[other] = true);
        }
        let mut kept = kept.into_iter();
        self.taken.retain(|_| kept.next().unwrap_or(false));
    }
}

fn ships_always(digest: &Digest) -> bool {
    let sample = u64::from(digest.seq.0) << 32 | u64::from(digest.ack.0);
    digest.flags.0 & 7 != 0 || mix(sample) % 16 == 0
}

/// Gives every vantage the troubles of the field.
pub fn trouble(
    recorder: &mut Recorder,
    population: Population,
    chance: &mut Chance,
) -> Vec<&'static str> {
    let mut features = Vec::new();
    if recorder.owner != Owner::Nobody {
        recorder.framing.link = chance.pick(&[LinkType::Ethernet, LinkType::LinuxSll2]);
    } else if chance.percent(15) {
        recorder.framing.link = LinkType::Raw;
    }
    recorder.framing.snap = chance.pick(&[128, 128, 160, 2048]);
    recorder.live = chance.percent(40);
    recorder.counted = true;
    if population == Population::Sound {
        return features;
    }
    let mut has = |share: u64, name: &'static str, chance: &mut Chance| {
        let has = chance.percent(share);
        if has {
            features.push(name);
        }
        has
    };
    if has(30, "capture loss", chance) {
        let share = chance.share() * 0.2;
        recorder.loss = Loss::new(share, chance.pick(&[1.0, 1.0, 4.0, 20.0]));
        recorder.counted = chance.percent(50);
    }
    if has(35, "clock skew", chance) {
        recorder.clock.offset = chance.between(-5 * SECOND, 5 * SECOND);
    }
    if has(30, "clock drift", chance) {
        recorder.clock.drift = chance.between(-200, 200);
    }
    if has(4, "clock step", chance) {
        let at = crate::world::EPOCH + chance.between(0, 2 * SECOND);
        recorder.clock.step = Some((at, chance.between(-2 * SECOND, 2 * SECOND)));
    }
    if has(8, "started late or stopped early", chance) {
        let at = crate::world::EPOCH + chance.between(0, 2 * SECOND);
        recorder.open = chance.pick(&[(at, i64::MAX), (i64::MIN, at)]);
    }
    if has(3, "not capturing", chance) {
        recorder.open = (i64::MAX, i64::MAX);
    }
    if has(6, "short snaplen", chance) {
        recorder.framing.snap = chance.pick(&[80, 94]);
    }
    if has(8, "doubled", chance) {
        recorder.doubled = chance.pick(&[Doubled::Mirror, Doubled::Router]);
    }
    if has(15, "sampled", chance) {
        recorder.selection = Selection::Context;
        recorder.live = true;
    }
    features
}

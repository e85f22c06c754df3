//! Vantages: what of the packets that pass becomes a digest, at which time by which clock.

use parallax_core::decode::{LinkType, RawPacket, decode};
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

/// How a packet looks at a vantage.
#[derive(Clone, Copy)]
pub struct Passing<'a> {
    pub view: &'a View,
    pub content: Content,
    pub heading: Heading,
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
        passing: Passing<'_>,
        chance: &mut Chance,
    ) -> bool {
        if at < self.open.0 || at > self.open.1 {
            return false;
        }
        if self.loss.share > 0.0 && self.loss.loses(chance) {
            self.dropped.push(at);
            return false;
        }
        self.take(at, packet, passing);
        if self.doubled != Doubled::No {
            let mut again = packet.clone();
            again.ttl -= u8::from(self.doubled == Doubled::Router).min(again.ttl - 1);
            let gap = chance.between(2, 40) * crate::world::MICROSECOND;
            self.take(at + gap, &again, passing);
        }
        true
    }

    fn take(&mut self, at: i64, packet: &Packet, passing: Passing<'_>) {
        let Passing {
            view,
            content,
            heading,
        } = passing;
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
    digest.flags.0 & 7 != 0 || mix(sample).is_multiple_of(16)
}

/// Troubles that a run has, each at some of its vantages.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Loss,
    Skew,
    Drift,
    Step,
    Part,
    Deaf,
    Short,
    Doubled,
    Sampled,
}

/// Each with its share of runs and, in these, its share of vantages, in a hundred.
const TROUBLES: [(Trouble, &str, u64, u64); 9] = [
    (Trouble::Loss, "capture loss", 60, 50),
    (Trouble::Skew, "clock skew", 50, 60),
    (Trouble::Drift, "clock drift", 40, 60),
    (Trouble::Step, "clock step", 8, 40),
    (Trouble::Part, "started late or stopped early", 20, 30),
    (Trouble::Deaf, "not capturing", 10, 25),
    (Trouble::Short, "short snaplen", 15, 30),
    (Trouble::Doubled, "doubled", 20, 30),
    (Trouble::Sampled, "sampled", 30, 50),
];

/// How each vantage captures, with the troubles of the field; their names.
pub fn equip(
    recorders: &mut [Recorder],
    population: Population,
    chance: &mut Chance,
) -> Vec<&'static str> {
    for recorder in recorders.iter_mut() {
        if recorder.owner != Owner::Nobody {
            recorder.framing.link = chance.pick(&[LinkType::Ethernet, LinkType::LinuxSll2]);
        } else if chance.percent(15) {
            recorder.framing.link = LinkType::Raw;
        }
        recorder.framing.snap = chance.pick(&[128, 128, 160, 2048]);
        recorder.live = chance.percent(40);
        recorder.counted = true;
    }
    let mut features = Vec::new();
    if population == Population::Sound {
        return features;
    }
    for (trouble, name, runs, vantages) in TROUBLES {
        if !chance.percent(runs) {
            continue;
        }
        for recorder in recorders.iter_mut() {
            if chance.percent(vantages) {
                recorder.suffer(trouble, chance);
                features.push(name);
            }
        }
    }
    features
}

impl Recorder {
    fn suffer(&mut self, trouble: Trouble, chance: &mut Chance) {
        let moment = crate::world::EPOCH + chance.between(0, 2 * SECOND);
        match trouble {
            Trouble::Loss => {
                let share = chance.share() * 0.2;
                self.loss = Loss::new(share, chance.pick(&[1.0, 1.0, 4.0, 20.0]));
                self.counted = chance.percent(50);
            }
            Trouble::Skew => self.clock.offset = chance.between(-5 * SECOND, 5 * SECOND),
            Trouble::Drift => self.clock.drift = chance.between(-200, 200),
            Trouble::Step => {
                self.clock.step = Some((moment, chance.between(-2 * SECOND, 2 * SECOND)));
            }
            Trouble::Part => self.open = chance.pick(&[(moment, i64::MAX), (i64::MIN, moment)]),
            Trouble::Deaf => self.open = (i64::MAX, i64::MAX),
            Trouble::Short => self.framing.snap = chance.pick(&[80, 94]),
            Trouble::Doubled => self.doubled = chance.pick(&[Doubled::Mirror, Doubled::Router]),
            Trouble::Sampled => {
                self.selection = Selection::Context;
                self.live = true;
            }
        }
    }
}

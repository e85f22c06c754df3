//! Boxes that forge resets: what sets them off, and what their packets look like.

use std::collections::{HashMap, HashSet};

use parallax_core::report::{Cause, Side};
use parallax_core::time::SECOND;

use crate::chance::{Chance, mix};
use crate::packet::{ACK, FIN, NS, Packet, RST, SYN};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    LinuxReject,
    Rae,
    Reflecting,
    Websense,
    Gfw2006,
    GfwBare,
    GfwTriple,
    Gfw2023,
    Gfw2025,
    Sandvine,
    NatToSender,
    NatToBoth,
    OffPath,
    Blind,
}

const KINDS: [Kind; 14] = [
    Kind::LinuxReject,
    Kind::Rae,
    Kind::Reflecting,
    Kind::Websense,
    Kind::Gfw2006,
    Kind::GfwBare,
    Kind::GfwTriple,
    Kind::Gfw2023,
    Kind::Gfw2025,
    Kind::Sandvine,
    Kind::NatToSender,
    Kind::NatToBoth,
    Kind::OffPath,
    Kind::Blind,
];

impl Kind {
    pub fn story(self) -> &'static str {
        match self {
            Self::LinuxReject => "Linux REJECT",
            Self::Rae => "RAE",
            Self::Reflecting => "reflecting firewall",
            Self::Websense => "Websense",
            Self::Gfw2006 => "GFW 2006",
            Self::GfwBare => "GFW type 1",
            Self::GfwTriple => "GFW type 2",
            Self::Gfw2023 => "GFW 2023",
            Self::Gfw2025 => "GFW 2025",
            Self::Sandvine => "Sandvine",
            Self::NatToSender => "cloud NAT, to the sender",
            Self::NatToBoth => "cloud NAT, to both",
            Self::OffPath => "off-path burst",
            Self::Blind => "blind attack",
        }
    }

    fn is_idle(self) -> bool {
        matches!(self, Self::NatToSender | Self::NatToBoth)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    Syn,
    SynAck,
    /// The n-th payload segment of a side.
    Payload(Side, u32),
    /// The first segment after so long a silence.
    Silence(i64),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    Own(u8),
    /// What the claimed sender's packets have here.
    Copied,
    Random,
    Swept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Zero,
    /// Of the packet that set it off.
    Trigger,
    /// Of the claimed sender's last packet.
    Sender,
    Random,
}

#[derive(Debug)]
pub struct Injector {
    pub kind: Kind,
    pub trigger: Trigger,
    pub ttl: Ttl,
    pub id: Mark,
    pub window: Mark,
    /// It withholds what set it off, and all that follows.
    pub drops: bool,
    /// Its packets carry a link-layer address of its own.
    pub own_link: bool,
    /// It sends to one side only: towards the trigger's sender, or on.
    pub one_way: Option<bool>,
    /// Connections in a hundred that it takes offence at.
    share: u64,
    pub salt: u64,
    /// Connections that it leaves alone.
    pub spared: HashSet<usize>,
    pub watched: HashMap<usize, Watched>,
}

/// What a box knows of a connection.
#[derive(Debug, Default)]
pub struct Watched {
    pub payloads: [u32; 2],
    /// TTL, IP ID and link address of each side's last packet.
    pub last: [Option<(u8, u16, u8)>; 2],
    pub at: Option<i64>,
    pub fired: bool,
}

/// One forged packet, relative to what set it off.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Towards the sender of the trigger, in its peer's name.
    pub back: bool,
    pub shift: u32,
    pub flags: u16,
    pub window: Option<u16>,
}

impl Injector {
    pub fn random(chance: &mut Chance) -> Self {
        let kind = chance.pick(&KINDS);
        let side = chance.pick(&[Side::Client, Side::Client, Side::Server]);
        let payload = Trigger::Payload(side, 1 + chance.below(3) as u32);
        let mut marks = || chance.pick(&[Mark::Zero, Mark::Zero, Mark::Sender, Mark::Random]);
        let (id, window) = match kind {
            Kind::LinuxReject | Kind::Websense => (Mark::Zero, Mark::Zero),
            Kind::Rae | Kind::Reflecting => (Mark::Trigger, Mark::Trigger),
            Kind::GfwBare | Kind::GfwTriple => (Mark::Random, Mark::Random),
            _ => (marks(), marks()),
        };
        let trigger = match kind {
            Kind::Rae => Trigger::Syn,
            Kind::LinuxReject | Kind::Gfw2023 | Kind::Gfw2025 => {
                chance.pick(&[Trigger::Syn, Trigger::SynAck, payload])
            }
            Kind::NatToSender | Kind::NatToBoth => {
                Trigger::Silence(chance.pick(&[4, 60, 240, 350]) * SECOND)
            }
            Kind::Blind => Trigger::Nothing,
            _ => payload,
        };
        let ttl = match kind {
            Kind::GfwBare => Ttl::Random,
            Kind::GfwTriple => Ttl::Swept,
            Kind::LinuxReject => Ttl::Own(64),
            _ => chance.pick(&[
                Ttl::Own(64),
                Ttl::Own(128),
                Ttl::Own(255),
                Ttl::Copied,
                Ttl::Copied,
                Ttl::Random,
            ]),
        };
        Self {
            kind,
            trigger,
            ttl,
            id,
            window,
            drops: kind == Kind::LinuxReject || kind.is_idle() || chance.percent(30),
            own_link: chance.percent(50),
            one_way: chance.percent(25).then(|| chance.percent(60)),
            share: if kind.is_idle() {
                100
            } else {
                8 + chance.below(25)
            },
            salt: chance.number(),
            spared: HashSet::new(),
            watched: HashMap::new(),
        }
    }

    /// What it is, for a reader.
    pub fn told(&self) -> impl std::fmt::Debug + use<> {
        (
            self.kind,
            self.trigger,
            self.ttl,
            self.id,
            self.window,
            self.drops,
        )
    }

    fn offends(&self, connection: usize) -> bool {
        !self.spared.contains(&connection) && mix(self.salt ^ connection as u64) % 100 < self.share
    }

    /// Notes a packet that passes; whether it sets the box off.
    pub fn watch(&mut self, at: i64, packet: &Packet) -> bool {
        let offends = self.offends(packet.connection);
        let trigger = self.trigger;
        let watched = self.watched.entry(packet.connection).or_default();
        let silence = watched.at.map_or(0, |last| at - last);
        watched.at = Some(at);
        watched.last[packet.sender as usize] = Some((packet.ttl, packet.id, packet.link));
        if packet.len > 0 {
            watched.payloads[packet.sender as usize] += 1;
        }
        let plain = packet.flags & (SYN | FIN | RST) == 0;
        let set_off = match trigger {
            Trigger::Syn => packet.flags & (SYN | ACK) == SYN,
            Trigger::SynAck => packet.flags & (SYN | ACK) == SYN | ACK,
            Trigger::Payload(side, nth) => {
                packet.sender == side && packet.len > 0 && watched.payloads[side as usize] == nth
            }
            Trigger::Silence(least) => plain && silence >= least,
            Trigger::Nothing => false,
        };
        let fires = set_off && offends && !watched.fired;
        watched.fired |= fires;
        fires
    }

    pub fn withholds(&self, connection: usize) -> bool {
        self.drops
            && self
                .watched
                .get(&connection)
                .is_some_and(|watched| watched.fired)
    }

    pub fn shapes(&self, trigger: &Packet) -> Vec<Shape> {
        let mut shapes = self.both_ways(trigger);
        let wanted = |shape: &Shape| self.one_way.is_none_or(|back| shape.back == back);
        if shapes.iter().any(wanted) {
            shapes.retain(wanted);
        }
        shapes
    }

    fn both_ways(&self, trigger: &Packet) -> Vec<Shape> {
        let answers = if trigger.has(ACK) { RST } else { RST | ACK };
        let both = |flags: u16, shifts: &[u32]| {
            [true, false]
                .into_iter()
                .flat_map(|back| shifts.iter().map(move |shift| shape(back, flags, *shift)))
                .collect()
        };
        match self.kind {
            Kind::LinuxReject | Kind::NatToSender => vec![shape(true, answers, 0)],
            Kind::Rae => vec![shape(true, RST | ACK | NS, 0)],
            Kind::Reflecting => both(RST | ACK, &[0]),
            Kind::Websense | Kind::GfwBare | Kind::NatToBoth => both(RST, &[0]),
            Kind::Gfw2006 | Kind::GfwTriple => both(RST | ACK, &[0, 1460, 4380]),
            Kind::Gfw2023 => both(RST | ACK, &[0, 0, 0]),
            Kind::Gfw2025 => {
                let first = if trigger.has(ACK) { 3293 } else { 1980 };
                both(RST | ACK, &[0, 0, 0])
                    .into_iter()
                    .zip((0..3).cycle())
                    .map(|(shape, step)| Shape {
                        window: Some(first + step),
                        ..shape
                    })
                    .collect()
            }
            Kind::Sandvine => both(RST, &[0, 12503]),
            Kind::OffPath => [0, 1400, 8192, 32768]
                .into_iter()
                .map(|shift| shape(self.salt & 1 == 0, RST, shift))
                .collect(),
            Kind::Blind => Vec::new(),
        }
    }

    pub fn causes(&self) -> &'static [Cause] {
        match (self.kind, self.trigger) {
            (Kind::Blind, _) => &[Cause::BlindAttack],
            (Kind::OffPath, _) => &[Cause::InjectedOffPath],
            (_, Trigger::Silence(_)) => &[Cause::FirewallIdleTimeout],
            (_, Trigger::Syn | Trigger::SynAck) => &[Cause::FirewallRejectSyn],
            _ => &[
                Cause::FirewallRejectContent,
                Cause::InjectedBothWays,
                Cause::InjectedOffPath,
            ],
        }
    }
}

fn shape(back: bool, flags: u16, shift: u32) -> Shape {
    Shape {
        back,
        shift,
        flags,
        window: None,
    }
}

//! One run: a queue of events over true time, and packets that travel the line of places.

use std::collections::{BTreeMap, HashMap};

use parallax_core::report::{Cause, Side};
use parallax_core::time::MILLISECOND;

use crate::capture::{Passing, Recorder};
use crate::chance::Chance;
use crate::hosts::{Connection, Gone, Socket};
use crate::middlebox::Injector;
use crate::network::{Element, Network};
use crate::packet::{Packet, RST};
use crate::program::Talk;
use crate::truth::{Maker, Reset};

/// 2026-01-02T03:04:05Z.
pub const EPOCH: i64 = 1_767_323_045_000_000_000;
pub const MICROSECOND: i64 = 1000;

#[derive(Debug)]
pub enum Event {
    Arrive(Side, Packet),
    /// A retransmission timer, by the socket's epoch.
    Timer(usize, Side, u64),
    /// The next step of a talk.
    Step(usize),
    Close(usize, Side),
    Abort(usize, Side, Gone),
    Connect(usize),
    /// So many octets are written by a program.
    Write(usize, Side, u32),
    /// A keep-alive probe.
    Probe(usize, Side, u32),
    /// A box sends what it made.
    Forge(usize, Packet),
    /// A spoofing sender tries once more.
    Guess(usize, usize, u32),
}

pub struct World {
    pub chance: Chance,
    pub now: i64,
    pub network: Network,
    pub connections: Vec<Connection>,
    pub talks: Vec<Talk>,
    pub boxes: Vec<Injector>,
    pub recorders: Vec<Recorder>,
    pub resets: Vec<Reset>,
    queue: BTreeMap<(i64, u64), Event>,
    numbered: u64,
    /// When the last packet of a connection and direction left a link, which keeps the order.
    left: HashMap<(usize, usize, Side), i64>,
}

/// More events than any sound run has: a run that storms is cut off there.
const EVENTS_MAX: u32 = 6000;

impl World {
    pub fn new(
        chance: Chance,
        network: Network,
        boxes: Vec<Injector>,
        recorders: Vec<Recorder>,
    ) -> Self {
        Self {
            chance,
            now: EPOCH,
            network,
            connections: Vec::new(),
            talks: Vec::new(),
            boxes,
            recorders,
            resets: Vec::new(),
            queue: BTreeMap::new(),
            numbered: 0,
            left: HashMap::new(),
        }
    }

    pub fn at(&mut self, time: i64, event: Event) {
        self.numbered += 1;
        self.queue.insert((time, self.numbered), event);
    }

    pub fn after(&mut self, delay: i64, event: Event) {
        self.at(self.now + delay, event);
    }

    pub fn socket(&mut self, connection: usize, side: Side) -> &mut Socket {
        &mut self.connections[connection].sockets[side as usize]
    }

    pub fn run(&mut self) {
        for _ in 0..EVENTS_MAX {
            let Some(((time, _), event)) = self.queue.pop_first() else {
                return;
            };
            self.now = self.now.max(time);
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(side, packet) => self.receive(side, &packet),
            Event::Timer(connection, side, epoch) => self.timer(connection, side, epoch),
            Event::Step(talk) => self.step(talk),
            Event::Close(connection, side) => self.close(connection, side),
            Event::Abort(connection, side, why) => self.abort(connection, side, why),
            Event::Connect(connection) => self.connect(connection),
            Event::Write(connection, side, len) => self.write(connection, side, len),
            Event::Probe(connection, side, left) => self.probe(connection, side, left),
            Event::Forge(place, packet) => {
                let (sender, now) = (packet.sender, self.now);
                self.travel(sender, Some(place), vec![(now, packet)]);
            }
            Event::Guess(injector, connection, left) => self.guess(injector, connection, left),
        }
    }

    /// Notes a RST that is about to leave its maker.
    pub fn note(
        &mut self,
        packet: &mut Packet,
        maker: Maker,
        story: &'static str,
        causes: &'static [Cause],
    ) {
        packet.reset = Some(self.resets.len());
        self.resets.push(Reset {
            packet: packet.clone(),
            maker,
            story,
            causes,
            lost_at: None,
            recorded: Vec::new(),
        });
    }

    /// Carries packets of one connection from a host (`None`) or from behind a place to the other end.
    pub fn travel(&mut self, sender: Side, from: Option<usize>, mut flight: Vec<(i64, Packet)>) {
        let Some(connection) = flight.first().map(|(_, packet)| packet.connection) else {
            return;
        };
        let (first, last) = self.connections[connection].span;
        let branch = self.connections[connection].branch;
        let way: Vec<usize> = match sender {
            Side::Client => (from.map_or(first, |place| place + 1)..=last).collect(),
            Side::Server => (first..from.unwrap_or(last + 1)).rev().collect(),
        };
        for place in way {
            if self.network.places[place].carries(sender, branch) {
                self.pass(place, sender, &mut flight);
            }
        }
        for (time, packet) in flight {
            self.at(
                time + 3 * MICROSECOND,
                Event::Arrive(sender.other(), packet),
            );
        }
    }

    fn pass(&mut self, place: usize, sender: Side, flight: &mut Vec<(i64, Packet)>) {
        match self.network.places[place].element {
            Element::Tap(vantage) => self.tap(place, vantage, flight),
            Element::Link(_) => self.link(place, sender, flight),
            Element::Router | Element::Translator(_) => route(place, flight),
            Element::SetTtl(ttl) => {
                for (_, packet) in flight {
                    packet.ttl = ttl;
                }
            }
            Element::Offload(host) if host == sender => *flight = split(flight),
            Element::Offload(_) => *flight = merge(flight),
            Element::Box(injector) => self.inspect(injector, place, flight),
            Element::Rewriter | Element::Proxy => {}
        }
    }

    fn tap(&mut self, place: usize, vantage: usize, flight: &[(i64, Packet)]) {
        for (time, packet) in flight {
            let connection = &self.connections[packet.connection];
            let passing = Passing {
                view: &connection.views[place],
                content: connection.content(),
                heading: self.network.heading(place, packet.sender),
            };
            let seen = self.recorders[vantage].record(*time, packet, passing, &mut self.chance);
            if let (true, Some(reset)) = (seen, packet.reset) {
                self.resets[reset].recorded.push(vantage);
            }
        }
    }

    fn link(&mut self, place: usize, sender: Side, flight: &mut Vec<(i64, Packet)>) {
        let Element::Link(link) = self.network.places[place].element else {
            return;
        };
        let mut kept = Vec::with_capacity(flight.len());
        for (time, packet) in flight.drain(..) {
            let filtered = packet.has(RST) && self.chance.share() < link.resets;
            if filtered || self.chance.share() < link.loss {
                self.lose(&packet, place);
                continue;
            }
            let arrival = time + link.delay + self.chance.between(0, link.jitter.max(1));
            let left = self
                .left
                .entry((place, packet.connection, sender))
                .or_default();
            // Now and then a packet overtakes.
            let out = if self.chance.percent(99) {
                arrival.max(*left + MICROSECOND)
            } else {
                arrival
            };
            *left = out.max(*left);
            kept.push((out, packet));
        }
        *flight = kept;
    }

    pub fn lose(&mut self, packet: &Packet, place: usize) {
        if let Some(reset) = packet.reset {
            self.resets[reset].lost_at = Some(place);
        }
    }

    pub fn round_trip(&self) -> i64 {
        self.network.round_trip.max(MILLISECOND / 10)
    }
}

fn route(place: usize, flight: &mut [(i64, Packet)]) {
    for (time, packet) in flight {
        packet.ttl = packet.ttl.saturating_sub(1).max(1);
        packet.link = place as u8;
        *time += 20 * MICROSECOND;
    }
}

/// The largest payload of a segment on the wire.
pub const MSS: u32 = 1400;

/// Segmentation offload: the interface cuts what the host's stack sent in one piece.
fn split(flight: &[(i64, Packet)]) -> Vec<(i64, Packet)> {
    use crate::packet::{FIN, PSH};
    let mut pieces = Vec::new();
    for (time, packet) in flight {
        let count = packet.len.div_ceil(MSS).max(1);
        for index in 0..count {
            let mut piece = packet.clone();
            let start = index * MSS;
            piece.seq = packet.seq.wrapping_add(start);
            piece.len = (packet.len - start).min(MSS);
            piece.id = packet.id.wrapping_add(index as u16);
            if index + 1 < count {
                piece.flags &= !(FIN | PSH);
            }
            pieces.push((time + i64::from(index) * 2 * MICROSECOND, piece));
        }
    }
    pieces
}

/// Receive offload: neighbours become one segment before the host's stack and tap see them. SYN, FIN, RST
/// and PSH end a run.
fn merge(flight: &[(i64, Packet)]) -> Vec<(i64, Packet)> {
    use crate::packet::{ACK, PSH};
    let mut merged: Vec<(i64, Packet)> = Vec::new();
    for (time, packet) in flight {
        let joins = merged.last().is_some_and(|(_, last)| {
            last.flags == ACK
                && packet.flags & !PSH == ACK
                && packet.len > 0
                && last.len > 0
                && last.end() == packet.seq
                && last.ack == packet.ack
                && last.len + packet.len < 60_000
        });
        match merged.last_mut().filter(|_| joins) {
            Some((at, last)) => {
                last.len += packet.len;
                last.flags = packet.flags;
                *at = *time;
            }
            None => merged.push((*time, packet.clone())),
        }
    }
    merged
}

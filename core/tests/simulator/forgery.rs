//! Forged packets: when a box is set off, and how it dresses what it sends.

use parallax_core::report::Side;
use parallax_core::time::MILLISECOND;

use crate::middlebox::{Mark, Shape, Ttl};
use crate::packet::{ACK, NS, Options, Packet, RST};
use crate::truth::Maker;
use crate::world::{Event, MICROSECOND, World};

impl World {
    /// A box looks at what passes it.
    pub fn inspect(&mut self, injector: usize, place: usize, flight: &mut Vec<(i64, Packet)>) {
        let mut kept = Vec::with_capacity(flight.len());
        for (time, packet) in flight.drain(..) {
            if self.boxes[injector].watch(time, &packet) {
                self.strike(injector, place, time, &packet);
            }
            if self.boxes[injector].withholds(packet.connection) {
                self.lose(&packet, place);
            } else {
                kept.push((time, packet));
            }
        }
        *flight = kept;
    }

    fn strike(&mut self, injector: usize, place: usize, time: i64, trigger: &Packet) {
        let mut at = time + self.chance.between(10, 1500) * MICROSECOND;
        let shapes = self.boxes[injector].shapes(trigger);
        for (index, shape) in shapes.into_iter().enumerate() {
            let packet = self.forge(injector, place, trigger, shape, index);
            at += self.chance.between(1, 60) * MICROSECOND;
            self.at(at, Event::Forge(place, packet));
        }
    }

    fn forge(
        &mut self,
        injector: usize,
        place: usize,
        trigger: &Packet,
        shape: Shape,
        index: usize,
    ) -> Packet {
        let sender = if shape.back {
            trigger.sender.other()
        } else {
            trigger.sender
        };
        let zero = self.carried_zero(trigger.connection, place, sender);
        let fresh = shape.back && !trigger.has(ACK);
        let drops = self.boxes[injector].drops;
        let seq = match (shape.back, fresh) {
            (_, true) => zero,
            (true, _) => trigger.ack,
            (false, _) if drops => trigger.seq,
            (false, _) => trigger.end(),
        };
        let nonce = shape.flags & NS != 0;
        let ack = if shape.back {
            trigger.end().wrapping_sub(u32::from(nonce))
        } else {
            trigger.ack
        };
        let mut packet = Packet {
            connection: trigger.connection,
            sender,
            seq: seq.wrapping_add(shape.shift),
            ack: if shape.flags & ACK == 0 { 0 } else { ack },
            flags: shape.flags,
            window: 0,
            len: 0,
            options: Options::default(),
            ttl: 64,
            id: 0,
            link: 100 + injector as u8,
            reset: None,
        };
        self.dress(injector, Some(trigger), &mut packet, index);
        packet.window = shape.window.unwrap_or(packet.window);
        self.note_forged(injector, place, &mut packet);
        packet
    }

    fn note_forged(&mut self, injector: usize, place: usize, packet: &mut Packet) {
        let (story, causes) = {
            let injector = &self.boxes[injector];
            (injector.kind.story(), injector.causes())
        };
        self.note(packet, Maker::Forged { place }, story, causes);
    }

    /// The number that is carried as 0 there.
    fn carried_zero(&self, connection: usize, place: usize, sender: Side) -> u32 {
        let view = &self.connections[connection].views[place];
        0_u32.wrapping_sub(view.shift[sender as usize])
    }

    /// TTL, IP ID, window and link address as this box chooses them.
    fn dress(
        &mut self,
        injector: usize,
        trigger: Option<&Packet>,
        packet: &mut Packet,
        index: usize,
    ) {
        let random = self.chance.number();
        let injector = &self.boxes[injector];
        let watched = injector.watched.get(&packet.connection);
        let last = watched.and_then(|watched| watched.last[packet.sender as usize]);
        packet.ttl = match (injector.ttl, last) {
            (Ttl::Own(ttl), _) | (Ttl::Copied, Some((ttl, _, _))) => ttl,
            (Ttl::Copied, None) => 64,
            (Ttl::Random, _) => 30 + (random % 220) as u8,
            (Ttl::Swept, _) => 40 + (injector.salt % 80) as u8 + index as u8,
        };
        let mark =
            |mark: Mark, of_trigger: Option<u16>, of_sender: Option<u16>, salt: u32| match mark {
                Mark::Zero => 0,
                Mark::Trigger => of_trigger.unwrap_or(0),
                Mark::Sender => of_sender.unwrap_or(0),
                Mark::Random => (random >> salt) as u16,
            };
        let ids = (trigger.map(|trigger| trigger.id), last.map(|(_, id, _)| id));
        packet.id = mark(injector.id, ids.0, ids.1, 16);
        let windows = trigger.map(|trigger| trigger.window);
        packet.window = mark(injector.window, windows, windows, 32);
        if let (false, Some((_, _, link))) = (injector.own_link, last) {
            packet.link = link;
        }
    }

    /// A spoofing sender guesses a number. What it sends enters the line at its box's place.
    pub fn guess(&mut self, injector: usize, connection: usize, left: u32) {
        let Some(place) = self.network.box_place(injector) else {
            return;
        };
        let span = self.connections[connection].span;
        if left == 0 || !(span.0..=span.1).contains(&place) {
            return;
        }
        let sender = if self.boxes[injector].salt & 1 == 0 {
            Side::Client
        } else {
            Side::Server
        };
        let mut packet = Packet {
            connection,
            sender,
            seq: self.chance.number() as u32,
            ack: 0,
            flags: RST,
            window: 0,
            len: 0,
            options: Options::default(),
            ttl: 64,
            id: 0,
            link: 100,
            reset: None,
        };
        self.dress(injector, None, &mut packet, 0);
        self.note_forged(injector, place, &mut packet);
        let now = self.now;
        self.travel(sender, Some(place), vec![(now, packet)]);
        let delay = self.chance.between(1, 40) * MILLISECOND;
        self.after(delay, Event::Guess(injector, connection, left - 1));
    }
}

//! What a host sends: segments, their retransmission, resets.

use parallax_core::TcpSeq;
use parallax_core::report::{Cause, Side};
use parallax_core::time::MILLISECOND;

use crate::hosts::{Gone, NO_SOCKET, SCALE, Sent, State};
use crate::packet::{ACK, FIN, Options, PSH, Packet, RST, SYN};
use crate::truth::Maker;
use crate::world::{Event, MICROSECOND, MSS, World};

/// What is particular of a segment; the rest follows from the socket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Segment {
    pub flags: u16,
    pub seq: Option<u32>,
    pub ack: Option<u32>,
    pub len: u32,
}

fn since(a: u32, b: u32) -> i32 {
    TcpSeq(a).since(TcpSeq(b))
}

impl World {
    pub fn build(&mut self, connection: usize, side: Side, segment: Segment) -> Packet {
        let stamp = (self.now / MILLISECOND) as u32;
        let socket = self.socket(connection, side);
        let reset = segment.flags & RST != 0;
        let bare = reset && !(socket.stack.live_aborts && segment.seq.is_none());
        let opens = segment.flags & SYN != 0;
        socket.id = socket.id.wrapping_add(1);
        Packet {
            connection,
            sender: side,
            seq: segment.seq.unwrap_or(socket.next),
            ack: segment.ack.unwrap_or(if segment.flags & ACK == 0 {
                0
            } else {
                socket.expected
            }),
            flags: segment.flags,
            window: if bare { 0 } else { socket.stack.window },
            len: segment.len,
            options: Options {
                mss: opens.then_some(MSS as u16 + 60),
                scale: opens.then_some(SCALE),
                stamps: (socket.stack.stamps && !bare)
                    .then_some((stamp.wrapping_add(socket.stamps_from), socket.echo)),
            },
            ttl: if reset {
                socket.stack.reset_ttl
            } else {
                socket.stack.ttl
            },
            id: if bare && !socket.stack.counts_ids {
                0
            } else {
                socket.id
            },
            link: 200 + side as u8,
            reset: None,
        }
    }

    pub fn send(&mut self, connection: usize, side: Side, segment: Segment) {
        let packet = self.build(connection, side, segment);
        self.travel(side, None, vec![(self.now + MICROSECOND, packet)]);
    }

    pub fn send_reset(&mut self, connection: usize, side: Side, segment: Segment, why: Gone) {
        let mut packet = self.build(connection, side, segment);
        self.note(&mut packet, Maker::Endpoint(side), why.story, why.causes);
        self.travel(side, None, vec![(self.now + 2 * MICROSECOND, packet)]);
    }

    /// A live socket gives up: RST+ACK at its next number.
    pub fn abort(&mut self, connection: usize, side: Side, why: Gone) {
        if !self.socket(connection, side).synchronised() {
            return;
        }
        let segment = Segment {
            flags: RST | ACK,
            ..Segment::default()
        };
        self.send_reset(connection, side, segment, why);
        self.socket(connection, side).go(NO_SOCKET);
    }

    /// RFC 9293, 3.10.7.1.
    pub fn answer_without_socket(&mut self, side: Side, packet: &Packet, why: Gone) {
        if packet.has(RST) {
            return;
        }
        let segment = if packet.has(ACK) {
            Segment {
                flags: RST,
                seq: Some(packet.ack),
                ..Segment::default()
            }
        } else {
            Segment {
                flags: RST | ACK,
                seq: Some(self.zero(packet.connection, side)),
                ack: Some(packet.end()),
                len: 0,
            }
        };
        self.send_reset(packet.connection, side, segment, why);
    }

    /// The number that the host itself writes as 0.
    fn zero(&self, connection: usize, side: Side) -> u32 {
        let connection = &self.connections[connection];
        let place = match side {
            Side::Client => connection.span.0,
            Side::Server => connection.span.1,
        };
        0_u32.wrapping_sub(connection.views[place].shift[side as usize])
    }

    pub fn write(&mut self, connection: usize, side: Side, len: u32) {
        let socket = self.socket(connection, side);
        if socket.state == State::SynSent {
            // A proxy that has not reached its server yet.
            let pause = self.round_trip() + MILLISECOND;
            self.after(pause, Event::Write(connection, side, len));
            return;
        }
        if socket.state != State::Open || socket.fin_sent {
            return;
        }
        let unit = if self.socket(connection, side).stack.offloads {
            40_000
        } else {
            MSS
        };
        let mut flight = Vec::new();
        let mut left = len;
        while left > 0 {
            let now = left.min(unit);
            left -= now;
            let flags = if left == 0 { PSH | ACK } else { ACK };
            let segment = Segment {
                flags,
                len: now,
                ..Segment::default()
            };
            let packet = self.build(connection, side, segment);
            self.keep(&packet);
            flight.push((
                self.now + (1 + flight.len() as i64 * 12) * MICROSECOND,
                packet,
            ));
        }
        self.travel(side, None, flight);
        self.arm(connection, side);
    }

    /// Remembers a segment until it is acknowledged.
    pub fn keep(&mut self, packet: &Packet) {
        let socket = self.socket(packet.connection, packet.sender);
        socket.next = packet.end();
        socket.pending.push(Sent {
            seq: packet.seq,
            len: packet.len,
            flags: packet.flags,
        });
    }

    pub fn arm(&mut self, connection: usize, side: Side) {
        let timeout = (200 * MILLISECOND).max(2 * self.round_trip() + 50 * MILLISECOND);
        let socket = self.socket(connection, side);
        socket.epoch += 1;
        let (epoch, tries) = (socket.epoch, socket.tries);
        self.after(
            timeout << tries.min(7),
            Event::Timer(connection, side, epoch),
        );
    }

    /// How often a segment is sent again.
    const TRIES: u32 = 6;

    pub fn timer(&mut self, connection: usize, side: Side, epoch: u64) {
        let socket = self.socket(connection, side);
        if socket.epoch != epoch || socket.pending.is_empty() {
            return;
        }
        socket.tries += 1;
        let opens = socket.pending[0].flags & SYN != 0;
        if socket.tries > Self::TRIES - 3 * u32::from(opens) {
            self.give_up(connection, side);
            return;
        }
        for sent in socket.pending.clone().into_iter().take(12) {
            let segment = Segment {
                flags: sent.flags,
                seq: Some(sent.seq),
                len: sent.len,
                ..Segment::default()
            };
            self.send(connection, side, segment);
        }
        self.arm(connection, side);
    }

    fn give_up(&mut self, connection: usize, side: Side) {
        const WHY: Gone = Gone {
            story: "retransmission timeout",
            causes: &[Cause::RetransmissionTimeout],
        };
        if self.socket(connection, side).stack.resets_on_timeout {
            self.abort(connection, side, WHY);
        } else {
            self.socket(connection, side).go(NO_SOCKET);
        }
    }

    pub fn connect(&mut self, connection: usize) {
        let syn = self.build(
            connection,
            Side::Client,
            Segment {
                flags: SYN,
                ..Segment::default()
            },
        );
        if self.socket(connection, Side::Client).state == State::SynSent {
            self.keep(&syn);
            self.arm(connection, Side::Client);
        } else {
            self.socket(connection, Side::Client).next = syn.end();
        }
        self.travel(Side::Client, None, vec![(self.now, syn)]);
    }

    /// Ends the program's sending.
    pub fn close(&mut self, connection: usize, side: Side) {
        let socket = self.socket(connection, side);
        if !matches!(socket.state, State::Open) || socket.fin_sent {
            return;
        }
        socket.fin_sent = true;
        socket.closed_first = !socket.fin_got;
        let segment = Segment {
            flags: FIN | ACK,
            ..Segment::default()
        };
        let packet = self.build(connection, side, segment);
        self.keep(&packet);
        self.travel(side, None, vec![(self.now + MICROSECOND, packet)]);
        self.arm(connection, side);
    }

    /// Takes an acknowledgement; false when it is of something never sent.
    pub fn acknowledged(&mut self, connection: usize, side: Side, ack: u32) -> bool {
        let socket = self.socket(connection, side);
        if since(ack, socket.next) > 0 {
            return false;
        }
        let before = socket.pending.len();
        socket.pending.retain(|sent| {
            let marks = u32::from(sent.flags & SYN != 0) + u32::from(sent.flags & FIN != 0);
            since(sent.seq.wrapping_add(sent.len).wrapping_add(marks), ack) > 0
        });
        if socket.pending.len() < before {
            socket.tries = 0;
            if socket.pending.is_empty() {
                socket.epoch += 1;
            } else {
                self.arm(connection, side);
            }
        }
        true
    }

    /// Takes payload; how many octets are now in order.
    pub fn accept(&mut self, side: Side, packet: &Packet) -> u32 {
        let socket = self.socket(packet.connection, side);
        if let Some((value, _)) = packet.options.stamps {
            socket.echo = value;
        }
        let start = socket.expected;
        socket
            .ahead
            .push((packet.seq, packet.seq.wrapping_add(packet.len)));
        socket.ahead.sort_by_key(|range| since(range.0, start));
        for (from, to) in &socket.ahead {
            if since(*from, socket.expected) <= 0 && since(*to, socket.expected) > 0 {
                socket.expected = *to;
            }
        }
        let expected = socket.expected;
        socket.ahead.retain(|range| since(range.1, expected) > 0);
        let fresh = expected.wrapping_sub(start);
        socket.got += u64::from(fresh);
        if socket.unread {
            let left = socket.stack.window.saturating_sub((fresh >> SCALE) as u16);
            socket.stack.window = left.max(1);
        }
        fresh
    }

    /// Everything in order that this end waits for has come, and its own FIN is acknowledged.
    pub fn settle(&mut self, connection: usize, side: Side) {
        let socket = self.socket(connection, side);
        if socket.fin_sent && socket.fin_got && socket.pending.is_empty() {
            if socket.closed_first {
                socket.state = State::TimeWait;
            } else {
                socket.go(NO_SOCKET);
            }
        }
    }
}

//! Hosts: a small TCP with the resets of RFC 9293 and RFC 5961, as the common stacks send them.

use parallax_core::TcpSeq;
use parallax_core::report::{Cause, Side};
use parallax_core::time::MILLISECOND;

use crate::packet::{ACK, Content, FIN, Options, PSH, Packet, RST, SYN, View};
use crate::truth::Maker;
use crate::world::{Event, MICROSECOND, MSS, World};

/// What tells one stack's packets from another's.
#[derive(Debug, Clone, Copy)]
pub struct Stack {
    pub ttl: u8,
    /// A kernel's RST beside a user-space sender, or a front end of several stacks.
    pub reset_ttl: u8,
    /// Linux answers without a socket with IP ID 0.
    pub counts_ids: bool,
    pub stamps: bool,
    pub window: u16,
    /// An abort carries the socket's window and timestamps.
    pub live_aborts: bool,
    /// Gives up with a RST, not in silence.
    pub resets_on_timeout: bool,
    /// Accepts a RST anywhere in the window (before RFC 5961).
    pub lenient: bool,
    pub offloads: bool,
}

/// The shift that every host's window scale option says.
const SCALE: u8 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No socket: what comes is answered with RST.
    Gone,
    /// Switched off: nothing is answered.
    Dead,
    Listen,
    SynSent,
    /// A scanner's SYN, of which its kernel knows nothing.
    Scanning,
    SynReceived,
    Open,
    /// Closed by its program: data draws a RST.
    Orphan,
    TimeWait,
    /// The host's own firewall answers what comes, its TCP knows nothing of it.
    Walled,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    seq: u32,
    len: u32,
    flags: u16,
}

#[derive(Debug, Clone)]
pub struct Socket {
    pub state: State,
    pub stack: Stack,
    pub next: u32,
    pub expected: u32,
    pub closed_first: bool,
    pub fin_sent: bool,
    pub fin_got: bool,
    /// In-order octets from the peer.
    pub got: u64,
    /// Its program has stopped reading: the window shrinks.
    pub unread: bool,
    pending: Vec<Sent>,
    ahead: Vec<(u32, u32)>,
    tries: u32,
    epoch: u64,
    pub id: u16,
    echo: u32,
    /// Why it is gone, for the resets that it answers with.
    pub gone: Gone,
}

/// How a socket went.
#[derive(Debug, Clone, Copy)]
pub struct Gone {
    pub story: &'static str,
    pub causes: &'static [Cause],
}

pub const CLOSED_PORT: Gone = Gone {
    story: "closed port",
    causes: &[Cause::ClosedPort],
};
pub const NO_SOCKET: Gone = Gone {
    story: "no socket",
    causes: &[Cause::NoSocket],
};

impl Socket {
    pub fn new(state: State, stack: Stack, isn: u32, id: u16) -> Self {
        Self {
            state,
            stack,
            next: isn,
            expected: 0,
            closed_first: false,
            fin_sent: false,
            fin_got: false,
            got: 0,
            unread: false,
            pending: Vec::new(),
            ahead: Vec::new(),
            tries: 0,
            epoch: 0,
            id,
            echo: 0,
            gone: NO_SOCKET,
        }
    }

    pub fn go(&mut self, gone: Gone) {
        self.state = State::Gone;
        self.gone = gone;
        self.pending.clear();
        self.epoch += 1;
    }

    fn synchronised(&self) -> bool {
        matches!(
            self.state,
            State::SynReceived | State::Open | State::Orphan | State::TimeWait
        )
    }
}

pub struct Connection {
    /// First and last place of the line that it passes.
    pub span: (usize, usize),
    /// By place of the whole line.
    pub views: Vec<View>,
    pub branch: u8,
    pub key: u64,
    pub initial: [u32; 2],
    pub sockets: [Socket; 2],
    pub talk: usize,
    /// The other connection of a proxy, whose socket is on that side here.
    pub relay: Option<(Side, usize)>,
}

impl Connection {
    pub fn content(&self) -> Content {
        Content {
            key: self.key,
            initial: self.initial,
        }
    }

    /// The proxy's other socket.
    pub fn relay_of(&self, side: Side) -> Option<(usize, Side)> {
        let (own, other) = self.relay?;
        (own == side).then_some((other, side.other()))
    }
}

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
                stamps: (socket.stack.stamps && !bare).then_some((stamp, socket.echo)),
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

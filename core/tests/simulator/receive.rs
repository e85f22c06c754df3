//! What a host does with a segment that arrives (RFC 9293, 3.10.7; RFC 5961, 3.2 and 4.2).

use parallax_core::TcpSeq;
use parallax_core::report::{Cause, Side};
use parallax_core::time::MILLISECOND;

use crate::hosts::{Gone, NO_SOCKET, State};
use crate::packet::{ACK, FIN, Packet, RST, SYN};
use crate::send::Segment;
use crate::world::{Event, MICROSECOND, World};

const AFTER_FORGED: Gone = Gone {
    story: "no socket after a reset",
    causes: &[Cause::NoSocket, Cause::SynAckRefused],
};
const LATE: Gone = Gone {
    story: "data after close",
    causes: &[Cause::NoSocket, Cause::AbortUnreadData],
};
const REFUSED: Gone = Gone {
    story: "SYN+ACK refused",
    causes: &[Cause::SynAckRefused],
};
const UNACCEPTABLE: Gone = Gone {
    story: "unacceptable ACK",
    causes: &[Cause::OutOfWindow, Cause::TimeWaitReuse],
};
const WALL: Gone = Gone {
    story: "host firewall",
    causes: &[Cause::HostFirewallReject, Cause::NoSocket],
};
const PROXY: Gone = Gone {
    story: "proxy abort",
    causes: &[],
};

impl World {
    pub fn receive(&mut self, side: Side, packet: &Packet) {
        let connection = packet.connection;
        match self.socket(connection, side).state {
            State::Dead => {}
            State::Gone => {
                let gone = self.socket(connection, side).gone;
                self.answer_without_socket(side, packet, gone);
            }
            State::Walled => self.answer_without_socket(side, packet, WALL),
            State::Listen => self.listen(side, packet),
            State::SynSent => self.opening(side, packet),
            State::Scanning => {
                self.socket(connection, side).go(REFUSED);
                self.answer_without_socket(side, packet, REFUSED);
            }
            State::TimeWait => self.wait(side, packet),
            State::SynReceived | State::Open | State::Orphan => self.synchronised(side, packet),
        }
    }

    fn listen(&mut self, side: Side, packet: &Packet) {
        if packet.has(RST) {
            return;
        }
        if packet.has(ACK) || !packet.has(SYN) {
            self.answer_without_socket(side, packet, NO_SOCKET);
            return;
        }
        let connection = packet.connection;
        let socket = self.socket(connection, side);
        socket.expected = packet.end();
        socket.state = State::SynReceived;
        let answer = self.build(
            connection,
            side,
            Segment {
                flags: SYN | ACK,
                ..Segment::default()
            },
        );
        self.keep(&answer);
        self.travel(side, None, vec![(self.now + 5 * MICROSECOND, answer)]);
        self.arm(connection, side);
    }

    fn opening(&mut self, side: Side, packet: &Packet) {
        let connection = packet.connection;
        let fits = packet.ack == self.socket(connection, side).next;
        if packet.has(RST) {
            if packet.has(ACK) && fits {
                self.die(connection, side);
            }
            return;
        }
        if !packet.has(ACK) {
            return;
        }
        if !fits {
            self.answer_without_socket(side, packet, UNACCEPTABLE);
            self.socket(connection, side).go(UNACCEPTABLE);
            return;
        }
        if packet.has(SYN) {
            self.acknowledged(connection, side, packet.ack);
            let socket = self.socket(connection, side);
            socket.expected = packet.end();
            socket.state = State::Open;
            self.acknowledge(connection, side);
            self.opened(connection, side);
        }
    }

    /// `TIME_WAIT` answers what it does not expect with the last acknowledgement.
    fn wait(&mut self, side: Side, packet: &Packet) {
        if packet.has(SYN) || packet.len > 0 || packet.has(FIN) {
            self.acknowledge(packet.connection, side);
        }
    }

    pub fn acknowledge(&mut self, connection: usize, side: Side) {
        let segment = Segment {
            flags: ACK,
            ..Segment::default()
        };
        self.send(connection, side, segment);
    }

    fn synchronised(&mut self, side: Side, packet: &Packet) {
        let connection = packet.connection;
        if packet.has(RST) {
            self.reset(side, packet);
            return;
        }
        if packet.has(SYN) {
            self.acknowledge(connection, side);
            return;
        }
        if !packet.has(ACK) || !self.acknowledged(connection, side, packet.ack) {
            self.acknowledge(connection, side);
            return;
        }
        if self.socket(connection, side).state == State::SynReceived {
            self.socket(connection, side).state = State::Open;
            self.opened(connection, side);
        }
        if packet.len > 0 && self.socket(connection, side).state == State::Orphan {
            self.socket(connection, side).go(LATE);
            self.answer_without_socket(side, packet, LATE);
            return;
        }
        self.take(side, packet);
        self.settle(connection, side);
    }

    fn take(&mut self, side: Side, packet: &Packet) {
        let connection = packet.connection;
        let stale = packet.len == 0
            && TcpSeq(packet.seq).before(TcpSeq(self.socket(connection, side).expected))
            && !packet.has(FIN);
        let fresh = self.accept(side, packet);
        let socket = self.socket(connection, side);
        let fin = packet.has(FIN) && socket.expected == packet.end().wrapping_sub(1);
        if fin {
            socket.expected = packet.end();
            socket.fin_got = true;
        }
        if packet.len > 0 || packet.has(FIN) || stale {
            self.acknowledge(connection, side);
        }
        if fresh > 0 {
            self.delivered(connection, side, fresh);
        }
        if fin {
            self.ended(connection, side);
        }
    }

    /// The peer closed: the program closes too, a proxy passes it on.
    fn ended(&mut self, connection: usize, side: Side) {
        let delay = self.chance.between(50, 3000) * MICROSECOND;
        self.after(delay, Event::Close(connection, side));
        if let Some((other, there)) = self.connections[connection].relay_of(side) {
            self.after(delay, Event::Close(other, there));
        }
    }

    fn reset(&mut self, side: Side, packet: &Packet) {
        let connection = packet.connection;
        let socket = self.socket(connection, side);
        let ahead = TcpSeq(packet.seq).since(TcpSeq(socket.expected));
        if ahead == 0 || socket.stack.lenient && (0..60_000).contains(&ahead) {
            self.die(connection, side);
        } else if (0..60_000).contains(&ahead) {
            self.acknowledge(connection, side);
        }
    }

    /// The socket takes a RST. A proxy passes it on.
    fn die(&mut self, connection: usize, side: Side) {
        let socket = self.socket(connection, side);
        let half = socket.state == State::SynReceived;
        socket.go(AFTER_FORGED);
        if half {
            // Only the half-open connection dies, the listener stays.
            self.listen_again(connection, side);
            return;
        }
        let Some((other, there)) = self.connections[connection].relay_of(side) else {
            return;
        };
        self.now += self.chance.between(20, 2000) * MICROSECOND;
        self.abort(other, there, PROXY);
    }

    fn listen_again(&mut self, connection: usize, side: Side) {
        let initial = self.connections[connection].initial[side as usize];
        let socket = self.socket(connection, side);
        socket.state = State::Listen;
        socket.next = initial;
    }

    pub fn probe(&mut self, connection: usize, side: Side, left: u32) {
        const WHY: Gone = Gone {
            story: "keep-alive timeout",
            causes: &[Cause::KeepaliveTimeout],
        };
        if self.socket(connection, side).state != State::Open {
            return;
        }
        if left == 0 {
            self.abort(connection, side, WHY);
            return;
        }
        let seq = self.socket(connection, side).next.wrapping_sub(1);
        let segment = Segment {
            flags: ACK,
            seq: Some(seq),
            ..Segment::default()
        };
        self.send(connection, side, segment);
        self.after(1500 * MILLISECOND, Event::Probe(connection, side, left - 1));
    }
}

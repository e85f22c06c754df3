//! What programs do with connections: talk, and end it in one of the ways that are known.

use parallax_core::report::{Cause, Side};
use parallax_core::time::{MILLISECOND, SECOND};

use crate::chance::Chance;
use crate::hosts::{Gone, NO_SOCKET, State};
use crate::world::{Event, MICROSECOND, World};

/// How a talk ends. The side is the one that acts, or that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Close(Side),
    Linger(Side),
    Unread(Side),
    /// The side's host forgets all connections; the other goes on.
    Restart(Side),
    /// The side closes, the other goes on sending.
    LateData(Side),
    /// The other side's host is gone, this side sends.
    PeerGone(Side),
    Keepalive(Side),
    /// After so many seconds of silence the client goes on.
    Idle(i64),
    HostFirewall(Side),
    /// The ports are used again at once.
    Reuse,
    ClosedPort,
    Overloaded,
    Scanned,
    /// The server remembers an earlier connection of these ports.
    TimeWait,
    HalfOpen,
    Silent,
}

impl Ending {
    pub fn random(chance: &mut Chance) -> Self {
        let side = chance.pick(&[Side::Client, Side::Server]);
        let silence = chance.pick(&[5, 70, 250, 400]);
        chance.pick(&[
            Self::Close(side),
            Self::Close(side),
            Self::Linger(side),
            Self::Linger(side),
            Self::Unread(side),
            Self::Restart(side),
            Self::LateData(side),
            Self::PeerGone(side),
            Self::Keepalive(side),
            Self::Idle(silence),
            Self::HostFirewall(side),
            Self::Reuse,
            Self::ClosedPort,
            Self::Overloaded,
            Self::Scanned,
            Self::TimeWait,
            Self::HalfOpen,
            Self::Silent,
        ])
    }
}

/// A conversation of a client and a server, over one connection or two with a proxy between.
pub struct Talk {
    pub front: usize,
    /// The connection that reaches the server.
    pub back: usize,
    /// Who sends how much, in turn.
    pub steps: Vec<(Side, u32)>,
    pub ending: Ending,
    at: usize,
    due: [u64; 2],
}

const LINGER: Gone = Gone {
    story: "linger abort",
    causes: &[Cause::AbortLinger],
};
const UNREAD: Gone = Gone {
    story: "unread data",
    causes: &[Cause::AbortUnreadData],
};
const RESTART: Gone = Gone {
    story: "restart",
    causes: &[Cause::NoSocket],
};

impl Talk {
    pub fn new(front: usize, back: usize, ending: Ending, chance: &mut Chance) -> Self {
        let greets = chance.percent(15);
        let mut steps = Vec::new();
        if greets {
            steps.push((Side::Server, 20 + chance.below(80) as u32));
        }
        for _ in 0..=chance.below(5) {
            let most = chance.pick(&[600, 600, 6000]);
            steps.push((Side::Client, 40 + chance.below(most) as u32));
            let most = chance.pick(&[800, 5000, 40_000]);
            steps.push((Side::Server, 60 + chance.below(most) as u32));
        }
        Self {
            front,
            back,
            steps,
            ending,
            at: 0,
            due: [0, 0],
        }
    }

    fn end(&self, side: Side) -> (usize, Side) {
        match side {
            Side::Client => (self.front, side),
            Side::Server => (self.back, side),
        }
    }

    /// The side that speaks first.
    fn first(&self) -> Side {
        self.steps.first().map_or(Side::Client, |step| step.0)
    }
}

impl World {
    /// A socket has come to be open.
    pub fn opened(&mut self, connection: usize, side: Side) {
        if let Some((other, there)) = self.connections[connection].relay_of(side) {
            if there == Side::Client && self.socket(other, there).state == State::SynSent {
                self.connect(other);
            }
            return;
        }
        let talk = self.connections[connection].talk;
        if self.talks[talk].first() == side && self.talks[talk].at == 0 {
            self.think(talk);
        }
    }

    fn think(&mut self, talk: usize) {
        let pause = self.chance.pick(&[50, 300, 2000, 30_000]);
        let delay = self.chance.between(10, pause) * MICROSECOND;
        self.after(delay, Event::Step(talk));
    }

    pub fn step(&mut self, talk: usize) {
        let now = &mut self.talks[talk];
        let Some(&(side, len)) = now.steps.get(now.at) else {
            self.finish(talk);
            return;
        };
        now.due[side as usize] += u64::from(len);
        let (connection, side) = now.end(side);
        self.write(connection, side, len);
    }

    /// Payload came in order: a proxy passes it on, a program takes its turn.
    pub fn delivered(&mut self, connection: usize, side: Side, fresh: u32) {
        if let Some((other, there)) = self.connections[connection].relay_of(side) {
            self.after(40 * MICROSECOND, Event::Write(other, there, fresh));
            return;
        }
        let got = self.socket(connection, side).got;
        let talk = self.connections[connection].talk;
        let now = &mut self.talks[talk];
        let waits = now.steps.get(now.at).is_some_and(|step| step.0 != side);
        if waits && got >= now.due[side.other() as usize] {
            now.at += 1;
            self.think(talk);
        }
    }

    fn finish(&mut self, talk: usize) {
        let ends = |side: Side, talks: &[Talk]| talks[talk].end(side);
        let ending = self.talks[talk].ending;
        match ending {
            Ending::Close(side) | Ending::LateData(side) => {
                let (connection, side) = ends(side, &self.talks);
                self.close(connection, side);
                if matches!(ending, Ending::LateData(_)) {
                    self.orphan(connection, side, talk);
                }
            }
            Ending::Linger(side) => {
                let (connection, side) = ends(side, &self.talks);
                self.abort(connection, side, LINGER);
            }
            Ending::Unread(side) => {
                self.later(talk, side.other(), 1);
                let (connection, side) = ends(side, &self.talks);
                self.socket(connection, side).unread = true;
                let delay = 2 * self.round_trip() + 3 * MILLISECOND;
                self.after(delay, Event::Abort(connection, side, UNREAD));
            }
            Ending::Restart(side) | Ending::HostFirewall(side) => {
                let (connection, own) = ends(side, &self.talks);
                self.forget(connection, own, ending);
                let count = 1 + self.chance.below(4) as u32;
                self.later(talk, side.other(), count);
            }
            Ending::PeerGone(side) | Ending::Keepalive(side) => self.lonely(talk, side, ending),
            Ending::Idle(seconds) => {
                let (connection, side) = ends(Side::Client, &self.talks);
                self.after(seconds * SECOND, Event::Write(connection, side, 120));
                self.after((seconds + 2) * SECOND, Event::Close(connection, side));
            }
            Ending::Reuse => {
                let (connection, side) = ends(Side::Client, &self.talks);
                self.close(connection, side);
            }
            _ => {}
        }
    }

    fn forget(&mut self, connection: usize, side: Side, ending: Ending) {
        let socket = self.socket(connection, side);
        if matches!(ending, Ending::HostFirewall(_)) {
            socket.state = State::Walled;
        } else {
            socket.go(RESTART);
        }
    }

    /// The program closed and is gone; what still comes finds nobody.
    fn orphan(&mut self, connection: usize, side: Side, talk: usize) {
        if self.socket(connection, side).state == State::Open {
            self.socket(connection, side).state = State::Orphan;
        }
        self.later(talk, side.other(), 2);
    }

    /// One side goes on writing.
    fn later(&mut self, talk: usize, side: Side, count: u32) {
        let (connection, side) = self.talks[talk].end(side);
        for _ in 0..count {
            let delay = self.chance.between(1, 400) * MICROSECOND;
            let len = 50 + self.chance.below(1200) as u32;
            self.after(delay, Event::Write(connection, side, len));
        }
    }

    fn lonely(&mut self, talk: usize, side: Side, ending: Ending) {
        let (connection, side) = self.talks[talk].end(side);
        let peer = self.socket(connection, side.other());
        peer.go(NO_SOCKET);
        peer.state = State::Dead;
        if matches!(ending, Ending::Keepalive(_)) {
            let probes = 3 + self.chance.below(6) as u32;
            self.after(5 * SECOND, Event::Probe(connection, side, probes));
        } else {
            self.write(connection, side, 300);
        }
    }
}

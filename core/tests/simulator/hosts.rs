//! Hosts: what their sockets know. `send` and `receive` are a small TCP over it, with the resets of RFC 9293
//! and RFC 5961 as the common stacks send them.

use parallax_core::report::{Cause, Side};

use crate::chance::mix;
use crate::packet::{Content, View};

/// What tells one stack's packets from another's.
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
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
pub const SCALE: u8 = 7;

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
pub struct Sent {
    pub seq: u32,
    pub len: u32,
    pub flags: u16,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "marks that TCP keeps one by one"
)]
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
    pub pending: Vec<Sent>,
    pub ahead: Vec<(u32, u32)>,
    pub tries: u32,
    pub epoch: u64,
    pub id: u16,
    pub echo: u32,
    /// Where this connection's time stamps begin (RFC 7323, 5.4: at random).
    pub stamps_from: u32,
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
            stamps_from: mix(u64::from(isn) << 16 | u64::from(id)) as u32,
            gone: NO_SOCKET,
        }
    }

    pub fn go(&mut self, gone: Gone) {
        self.state = State::Gone;
        self.gone = gone;
        self.pending.clear();
        self.epoch += 1;
    }

    pub fn synchronised(&self) -> bool {
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

//! What really happened: every RST that anybody sent, who, where, and what became of it.

use parallax_core::report::{Cause, Side};

use crate::packet::Packet;

/// Who made a RST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Maker {
    /// The host that it claims to come from.
    Endpoint(Side),
    /// A box at this place of the line.
    Forged { place: usize },
}

/// One RST packet.
#[derive(Debug, Clone)]
pub struct Reset {
    pub packet: Packet,
    pub maker: Maker,
    /// What made it, in a word or two of the simulator.
    pub story: &'static str,
    /// Causes that are right answers; empty where the list has none for it.
    pub causes: &'static [Cause],
    /// Place of the line at which it disappeared.
    pub lost_at: Option<usize>,
    /// Vantages that recorded it.
    pub recorded: Vec<usize>,
}

/// Resets that nothing but the moment tells apart are one: equal values, one maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class {
    connection: usize,
    sender: Side,
    numbers: (u32, u32),
    flags: u16,
    window: u16,
    maker: Maker,
}

impl Reset {
    pub fn class(&self) -> Class {
        Class {
            connection: self.packet.connection,
            sender: self.packet.sender,
            numbers: (self.packet.seq, self.packet.ack),
            flags: self.packet.flags,
            window: self.packet.window,
            maker: self.maker,
        }
    }
}

//! What a packet says, wherever it is seen.

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    pub const fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }
}

/// Who made a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// The end that it claims to come from.
    End,
    /// A box behind the vantage of this index, seen from the client: 0 lies between the first and the second.
    Box(usize),
}

/// TCP options of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Options {
    /// As boxes make them.
    None,
    /// Those of a SYN by Linux.
    Opening(Stamps),
    Stamps(Stamps),
}

/// TCP timestamps, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamps {
    pub value: u32,
    pub echo: u32,
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    pub connection: u32,
    /// The end that it claims to come from.
    pub from: Side,
    pub maker: Maker,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    /// Payload octets.
    pub len: u16,
    pub window: u16,
    /// As it left its maker.
    pub ttl: u8,
    pub ip_id: u16,
    pub options: Options,
}

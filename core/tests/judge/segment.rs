//! Segments that a test sends.

use parallax_core::digest::TcpFlags;

/// One segment to send; what it leaves out is taken from the connection's state.
#[derive(Clone, Copy)]
pub struct Segment {
    pub flags: u16,
    pub len: u32,
    pub seq: Option<u32>,
    pub ack: Option<u32>,
    pub ttl: u8,
    pub window: u16,
    pub ip_id: Option<u16>,
}

pub fn flags(letters: &str) -> Segment {
    let flags = letters.chars().fold(0, |bits, letter| {
        bits | match letter {
            'F' => TcpFlags::FIN.0,
            'S' => TcpFlags::SYN.0,
            'R' => TcpFlags::RST.0,
            'P' => TcpFlags::PSH.0,
            'A' => TcpFlags::ACK.0,
            other => panic!("no flag {other}"),
        }
    });
    Segment {
        flags,
        len: 0,
        seq: None,
        ack: None,
        ttl: 64,
        window: if flags & 4 == 0 { 502 } else { 0 },
        ip_id: None,
    }
}

impl Segment {
    pub fn len(self, len: u32) -> Self {
        Self { len, ..self }
    }
    pub fn seq(self, seq: u32) -> Self {
        Self {
            seq: Some(seq),
            ..self
        }
    }
    pub fn ack(self, ack: u32) -> Self {
        Self {
            ack: Some(ack),
            ..self
        }
    }
    pub fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }
    pub fn window(self, window: u16) -> Self {
        Self { window, ..self }
    }
}

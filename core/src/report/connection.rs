//! A connection as documents show it, beside its resets.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Side;
use crate::vantage::KindName;

/// Everything known of one connection. Times are nanoseconds since its first segment, on the clock of the path's first
/// vantage; numbers are relative to the initial ones where those are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub schema: u32,
    /// The reset that it was asked for by.
    pub id: Uuid,
    /// All resets of the connection, in order of time.
    pub resets: Vec<Uuid>,
    pub handshake: Vec<HandshakeStep>,
    /// Along the path, client side first.
    pub vantages: Vec<VantageAt>,
    /// Between neighbours on the path, client side first.
    pub stretches: Vec<Stretch>,
}

/// A segment of the handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandshakeStep {
    /// `SYN`, `SYN+ACK` or `ACK`.
    pub segment: String,
    pub from: Side,
    /// What it offers: MSS, window scale, SACK, timestamps.
    pub options: Vec<String>,
    /// When it first passed each vantage of the path.
    pub times: Vec<Option<i64>>,
}

/// A connection at one vantage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VantageAt {
    pub vantage: String,
    pub kind: KindName,
    /// What the connection is called there; null: it was not seen.
    pub client: Option<SocketAddr>,
    pub server: Option<SocketAddr>,
    pub from_client: DirectionAt,
    pub from_server: DirectionAt,
}

/// One direction of a connection at one vantage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DirectionAt {
    /// Segments that are stored; an agent that ships a part has seen more.
    pub segments: u64,
    /// Octets of payload in them, repetitions counted.
    pub octets: u64,
    /// Octets of payload in them that had been there before.
    pub repeated: u64,
    pub first_ns: Option<i64>,
    pub last_ns: Option<i64>,
    /// Sequence space that was seen, start included and end not; the first of them.
    pub ranges: Vec<[i64; 2]>,
}

/// What lies between two neighbouring vantages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    pub between: [String; 2],
    pub from_client: Option<Delay>,
    pub from_server: Option<Delay>,
    /// Octets of sequence space seen before this stretch and not after it; null: one of the two ships a part only.
    pub client_octets_missing: Option<u64>,
    pub server_octets_missing: Option<u64>,
    /// How addresses and numbers change on it, in words.
    pub changes: Vec<String>,
}

/// How long segments took, as far as the clocks tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// Segments that both vantages recorded.
    pub segments: u64,
    pub min_ns: i64,
    pub median_ns: i64,
    pub max_ns: i64,
}

//! Why a batch is refused.

use std::fmt;

use thiserror::Error;

use super::{BATCH_MAX, NUMBER_MAX};

/// Why a batch is refused. `entry` counts within the batch, `index` within the named table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    #[error("batch of {found} digests: at most {BATCH_MAX} are allowed")]
    TooMany { found: usize },
    #[error("numbers from {first} on, {count} of them, exceed {NUMBER_MAX}")]
    NumberOverflow { first: u64, count: usize },
    #[error("column `{column}` has {found} entries, not {expected}")]
    ColumnLength {
        column: Column,
        found: usize,
        expected: usize,
    },
    #[error("table `{column}` has {found} entries, more than the batch's {digests} digests")]
    TableTooLong {
        column: Column,
        found: usize,
        digests: usize,
    },
    #[error("entry {entry}: `{column}` points to {found}, but its table ends at {len}")]
    IndexOutOfRange {
        column: Column,
        entry: usize,
        found: u32,
        len: usize,
    },
    #[error("entry {entry}: `{column}` is {found}, more than {max}")]
    ValueTooLarge {
        column: Column,
        entry: usize,
        found: u32,
        max: u32,
    },
    #[error("entry {entry}: marks {found:#04x} have bits that mean nothing")]
    UnknownMarks { entry: usize, found: u8 },
    #[error("entry {entry}: reason {found:#x} is none that a RST carries")]
    UnknownReason { entry: usize, found: u64 },
    #[error("flow {index}: family {found} is neither IPv4 (4) nor IPv6 (6)")]
    Family { index: usize, found: u8 },
    #[error("flow {index}: port {found} is more than 65535")]
    Port { index: usize, found: u32 },
    #[error("flow {index}: an address of {found} octets is neither IPv4 (4) nor IPv6 (16)")]
    AddressLength { index: usize, found: usize },
    #[error("flow {index}: one address is IPv4, the other IPv6")]
    MixedFamilies { index: usize },
    #[error("flow {index}: its low end orders after its high end")]
    FlowOrder { index: usize },
    #[error("shape {index}: a link source of {found} octets is no MAC address (6)")]
    LinkSourceLength { index: usize, found: usize },
    #[error("shape {index}: {found} VLAN ids, more than two")]
    TooManyVlans { index: usize, found: usize },
    #[error("shape {index}: tunnel of kind {found}, which is not known")]
    TunnelKind { index: usize, found: i32 },
    #[error("shape {index}: tunnel of depth {found}, not within 1 and 255")]
    TunnelDepth { index: usize, found: u32 },
    #[error(
        "shape {index}: tunnel between addresses of {src} and {dst} octets; both are IPv4 (4), IPv6 (16) or absent (0)"
    )]
    TunnelEnds {
        index: usize,
        src: usize,
        dst: usize,
    },
    #[error("shape {index}: `{field}` is {found}, more than {max}")]
    ShapeValue {
        index: usize,
        field: &'static str,
        found: u32,
        max: u32,
    },
}

/// A column or table of a batch, by its name in `ingest.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Flows,
    Flow,
    TimeDelta,
    Seq,
    Ack,
    Flags,
    Window,
    PayloadLen,
    PayloadHash,
    Ttl,
    IpId,
    TrafficClass,
    Marks,
    Interface,
    Shape,
    Shapes,
    Timestamps,
    Sack,
    RstReason,
    V4,
    V6,
    Ports,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flows => "flows",
            Self::Flow => "flow",
            Self::TimeDelta => "time_delta",
            Self::Seq => "seq",
            Self::Ack => "ack",
            Self::Flags => "flags",
            Self::Window => "window",
            Self::PayloadLen => "payload_len",
            Self::PayloadHash => "payload_hash",
            Self::Ttl => "ttl",
            Self::IpId => "ip_id",
            Self::TrafficClass => "traffic_class",
            Self::Marks => "marks",
            Self::Interface => "interface",
            Self::Shape => "shape",
            Self::Shapes => "shapes",
            Self::Timestamps => "timestamps",
            Self::Sack => "sack",
            Self::RstReason => "rst_reason",
            Self::V4 => "flow_columns.v4",
            Self::V6 => "flow_columns.v6",
            Self::Ports => "flow_columns.ports",
        })
    }
}

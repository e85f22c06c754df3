//! A row of table `digest` and the digest that it stands for.

use std::fmt;
use std::net::IpAddr;

use parallax_core::digest::{
    Digest, Direction, IpFields, LinkFields, SackBlock, TcpFlags, TcpOptions, Timestamps,
};
use parallax_core::reason::ResetReason;
use parallax_core::tunnel::{Tunnel, TunnelEnds, TunnelKind};
use parallax_core::{CaptureTime, Endpoint, FourTuple, TcpSeq};

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::rows::{Mac, RowError, RowName};

/// A digest that is stored, and by what name.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub run_id: i32,
    pub number: i64,
    pub digest: Digest,
}

/// Stored digests; a row of them that cannot be is refused, for whom it matters to.
pub(super) type Segments = Result<Vec<Stored>, RowError>;

/// Columns as they come, after the number of the question in this order (`vantage_id` is the first, and not read), which
/// a test holds every query to; nothing of it leaves the store.
#[derive(Debug)]
pub(super) struct DigestRow {
    /// Which question this row answers, from 1.
    pub asked: i64,
    pub run_id: i32,
    pub number: i64,
    pub time_ns: i64,
    seq: i64,
    ack: i64,
    payload_len: i64,
    option_order: i64,
    sport: i32,
    dport: i32,
    win: i32,
    flags: i16,
    ttl: i16,
    traffic_class: i16,
    marks: i16,
    interface: i16,
    src: IpAddr,
    dst: IpAddr,
    payload_hash: Option<i64>,
    ts_value: Option<i64>,
    ts_echo: Option<i64>,
    ip_id: Option<i32>,
    mss: Option<i32>,
    window_scale: Option<i16>,
    vlan_outer: Option<i32>,
    vlan_inner: Option<i32>,
    link_source: Option<Mac>,
    sack_left: Option<i64>,
    sack_right: Option<i64>,
    tunnel_kind: Option<i16>,
    tunnel_depth: Option<i16>,
    tunnel_src: Option<IpAddr>,
    tunnel_dst: Option<IpAddr>,
    tunnel_id: Option<i64>,
    rst_reason: Option<i64>,
}

/// Bits of column `marks`, as in the protocol's `DigestBatch.marks`.
pub(super) mod marks {
    pub const DONT_FRAGMENT: i16 = 1;
    pub const FRAGMENT: i16 = 2;
    pub const OPTIONS_CUT: i16 = 4;
    pub const SACK_PERMITTED: i16 = 8;
    pub const IN: i16 = 16;
    pub const OUT: i16 = 32;
    pub const DIRECTION: i16 = IN | OUT;
    pub const ALL: i16 = DONT_FRAGMENT | FRAGMENT | OPTIONS_CUT | SACK_PERMITTED | DIRECTION;
}

/// The columns of every question for digests, after the question's number.
pub(super) const COLUMNS: [&str; 35] = [
    "vantage_id",
    "run_id",
    "number",
    "time_ns",
    "seq",
    "ack",
    "payload_len",
    "option_order",
    "sport",
    "dport",
    "win",
    "flags",
    "ttl",
    "traffic_class",
    "marks",
    "interface",
    "src",
    "dst",
    "payload_hash",
    "ts_value",
    "ts_echo",
    "ip_id",
    "mss",
    "window_scale",
    "vlan_outer",
    "vlan_inner",
    "link_source",
    "sack_left",
    "sack_right",
    "tunnel_kind",
    "tunnel_depth",
    "tunnel_src",
    "tunnel_dst",
    "tunnel_id",
    "rst_reason",
];

impl FromRow<'_, PgRow> for DigestRow {
    /// By place, not by name: one look-up a column is what a row costs most.
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            asked: row.try_get(0)?,
            run_id: row.try_get(2)?,
            number: row.try_get(3)?,
            time_ns: row.try_get(4)?,
            seq: row.try_get(5)?,
            ack: row.try_get(6)?,
            payload_len: row.try_get(7)?,
            option_order: row.try_get(8)?,
            sport: row.try_get(9)?,
            dport: row.try_get(10)?,
            win: row.try_get(11)?,
            flags: row.try_get(12)?,
            ttl: row.try_get(13)?,
            traffic_class: row.try_get(14)?,
            marks: row.try_get(15)?,
            interface: row.try_get(16)?,
            src: row.try_get(17)?,
            dst: row.try_get(18)?,
            payload_hash: row.try_get(19)?,
            ts_value: row.try_get(20)?,
            ts_echo: row.try_get(21)?,
            ip_id: row.try_get(22)?,
            mss: row.try_get(23)?,
            window_scale: row.try_get(24)?,
            vlan_outer: row.try_get(25)?,
            vlan_inner: row.try_get(26)?,
            link_source: row.try_get(27)?,
            sack_left: row.try_get(28)?,
            sack_right: row.try_get(29)?,
            tunnel_kind: row.try_get(30)?,
            tunnel_depth: row.try_get(31)?,
            tunnel_src: row.try_get(32)?,
            tunnel_dst: row.try_get(33)?,
            tunnel_id: row.try_get(34)?,
            rst_reason: row.try_get(35)?,
        })
    }
}

/// The row of a refusal.
struct RunAndNumber(i32, i64);

impl fmt::Display for RunAndNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "run {} number {}", self.0, self.1)
    }
}

type DigestName = RowName<RunAndNumber>;

impl TryFrom<&DigestRow> for Digest {
    type Error = RowError;

    fn try_from(row: &DigestRow) -> Result<Self, RowError> {
        let name = RowName {
            table: "digest",
            row: RunAndNumber(row.run_id, row.number),
        };
        let has = |mark: i16| row.marks & mark != 0;
        Ok(Self {
            time: CaptureTime::from_nanos(row.time_ns),
            tuple: FourTuple::new(
                Endpoint::new(row.src, name.narrow("sport", row.sport)?),
                Endpoint::new(row.dst, name.narrow("dport", row.dport)?),
            ),
            seq: TcpSeq(name.narrow("seq", row.seq)?),
            ack: TcpSeq(name.narrow("ack", row.ack)?),
            flags: TcpFlags(name.narrow("flags", row.flags)?),
            window: name.narrow("win", row.win)?,
            payload_len: name.narrow("payload_len", row.payload_len)?,
            payload_hash: row.payload_hash.map(i64::cast_unsigned),
            options: TcpOptions {
                mss: name.narrow_option("mss", row.mss)?,
                window_scale: name.narrow_option("window_scale", row.window_scale)?,
                sack_permitted: has(marks::SACK_PERMITTED),
                timestamps: timestamps(row, &name)?,
                sack: sack(row, &name)?,
                order: row.option_order.cast_unsigned(),
                cut: has(marks::OPTIONS_CUT),
            },
            rst_reason: rst_reason(row, &name)?,
            ip: IpFields {
                ttl: name.narrow("ttl", row.ttl)?,
                id: name.narrow_option("ip_id", row.ip_id)?,
                dont_fragment: has(marks::DONT_FRAGMENT),
                traffic_class: name.narrow("traffic_class", row.traffic_class)?,
                fragment: has(marks::FRAGMENT),
            },
            link: LinkFields {
                direction: direction(row, &name)?,
                source: row.link_source.map(|mac| mac.0),
                vlans: [
                    name.narrow_option("vlan_outer", row.vlan_outer)?,
                    name.narrow_option("vlan_inner", row.vlan_inner)?,
                ],
                interface: name.narrow("interface", row.interface)?,
                tunnel: tunnel(row, &name)?,
            },
        })
    }
}

impl TryFrom<&DigestRow> for Stored {
    type Error = RowError;

    fn try_from(row: &DigestRow) -> Result<Self, RowError> {
        Ok(Self {
            run_id: row.run_id,
            number: row.number,
            digest: Digest::try_from(row)?,
        })
    }
}

fn timestamps(row: &DigestRow, name: &DigestName) -> Result<Option<Timestamps>, RowError> {
    match (row.ts_value, row.ts_echo) {
        (None, None) => Ok(None),
        (Some(value), Some(echo)) => Ok(Some(Timestamps {
            value: name.narrow("ts_value", value)?,
            echo: name.narrow("ts_echo", echo)?,
        })),
        _ => Err(unpaired(name, "ts_echo", "ts_value")),
    }
}

fn rst_reason(row: &DigestRow, name: &DigestName) -> Result<Option<ResetReason>, RowError> {
    let read = |number: i64| {
        ResetReason::from_number(number.cast_unsigned())
            .ok_or_else(|| name.refuse("rst_reason", &number))
    };
    row.rst_reason.map(read).transpose()
}

fn unpaired(name: &DigestName, column: &'static str, other: &str) -> RowError {
    let value = format!("a value where {other} has none, or none where it has one");
    name.refuse(column, &value)
}

fn sack(row: &DigestRow, name: &DigestName) -> Result<Option<SackBlock>, RowError> {
    match (row.sack_left, row.sack_right) {
        (None, None) => Ok(None),
        (Some(left), Some(right)) => Ok(Some(SackBlock {
            left: TcpSeq(name.narrow("sack_left", left)?),
            right: TcpSeq(name.narrow("sack_right", right)?),
        })),
        _ => Err(unpaired(name, "sack_right", "sack_left")),
    }
}

fn tunnel(row: &DigestRow, name: &DigestName) -> Result<Option<Tunnel>, RowError> {
    let (kind, depth) = match (row.tunnel_kind, row.tunnel_depth) {
        (None, None) => return Ok(None),
        (Some(kind), Some(depth)) => (kind, depth),
        _ => return Err(unpaired(name, "tunnel_depth", "tunnel_kind")),
    };
    let ends = match (row.tunnel_src, row.tunnel_dst) {
        (None, None) => None,
        (Some(src), Some(dst)) => Some(TunnelEnds { src, dst }),
        _ => return Err(unpaired(name, "tunnel_dst", "tunnel_src")),
    };
    let number = name.narrow("tunnel_kind", kind)?;
    Ok(Some(Tunnel {
        kind: TunnelKind::from_number(number).ok_or_else(|| name.refuse("tunnel_kind", &kind))?,
        depth: name.narrow("tunnel_depth", depth)?,
        ends,
        id: name.narrow_option("tunnel_id", row.tunnel_id)?,
    }))
}

fn direction(row: &DigestRow, name: &DigestName) -> Result<Direction, RowError> {
    let bits = row.marks & marks::DIRECTION;
    if row.marks & !marks::ALL != 0 || bits == marks::DIRECTION {
        return Err(name.refuse("marks", &row.marks));
    }
    Ok(match bits {
        marks::IN => Direction::In,
        marks::OUT => Direction::Out,
        _ => Direction::Unknown,
    })
}

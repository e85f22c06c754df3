//! The documents that people and programs read: the contract's JSON, as Rust types.
//!
//! `parallax analyze --format json`, `parallax resets --format json` and the collector's HTTP API
//! print a [`Document`]; `explain` prints an [`Explanation`]. Text output is drawn from the same
//! values.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub mod admin;
mod advice;
mod connection;
mod loss;

pub use advice::{Advice, Role};
pub use connection::{Connection, Delay, DirectionAt, HandshakeStep, Stretch, VantageAt};
pub use loss::{LossAt, LossTotal};

use crate::time::CaptureTime;
use crate::vantage::KindName;

/// The version of the document's shape.
pub const SCHEMA: u32 = 1;

/// One answer: who watched, in which order, and what became of each reset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub schema: u32,
    pub vantages: Vec<VantageSummary>,
    /// Vantage names, client side first.
    pub path: Vec<String>,
    pub resets: Vec<ResetReport>,
    /// What the reader must know about the input: cut files, unreadable packets, lost records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Where the next, older resets begin (`after` of the next question); `None`: these are all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What agents are told to ship beside RSTs with their context, SYNs and FINs: `context`, `sampled:1/N` or `all`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDocument {
    pub schema: u32,
    /// Of every vantage that has none of its own; null: what each agent was started with.
    pub segments: Option<String>,
    /// By vantage.
    pub vantages: BTreeMap<String, String>,
}

/// One vantage as a document shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VantageSummary {
    pub name: String,
    pub kind: KindName,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Packets that passed the capture filter.
    pub packets: u64,
    /// Time of the first packet or beat, by this vantage's clock.
    pub first: Option<CaptureTime>,
    pub last: Option<CaptureTime>,
    /// Packets lost between wire and digest.
    pub dropped: u64,
    /// This vantage's clock minus the clock of the path's first vantage, as far as packets tell.
    pub clock_offset_ns: Option<i64>,
    /// Packets that could not be digested, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Count>,
    /// Whether an agent is connected for it now (live documents only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// What it lost or may have lost, by cause: what its silence is worth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<LossTotal>,
    /// Octets that its agents sent to collectors (live documents only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_octets: Option<u64>,
    /// Octets of the packets that they captured, as long as on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_octets: Option<u64>,
}

/// A named count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub what: String,
    pub count: u64,
}

/// One reset with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResetReport {
    pub id: Uuid,
    /// First sighting, by that vantage's clock.
    pub time: CaptureTime,
    pub src: IpAddr,
    pub sport: u16,
    pub dst: IpAddr,
    pub dport: u16,
    pub seq: u32,
    pub ack: Option<u32>,
    pub flags: String,
    /// Equal packets that make this one reset, at the vantage that saw most of them.
    pub count: u32,
    pub origin: Origin,
    pub emitter: Option<Side>,
    /// From the claimed sender's side; `None` inside: beyond the outermost vantage.
    pub between: Option<[Option<String>; 2]>,
    /// The vantage nearest to the emitter of an endpoint's reset.
    pub at: Option<String>,
    pub lost_between: Option<[Option<String>; 2]>,
    pub seen_at: Vec<String>,
    pub absent_at: Vec<AbsenceReport>,
    pub cause: Cause,
    pub root: Option<Uuid>,
    /// Probability that origin and place are right, 0 to 1.
    pub confidence: f64,
    /// Whether the receiver accepted it (RFC 5961), as far as the packets tell.
    pub effective: Option<bool>,
    /// Nanoseconds for which nothing had passed on the connection before the segment that provoked it, or
    /// before the reset where nothing did; absent below a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ns: Option<i64>,
    /// The segment that provoked it, in words.
    pub trigger: Option<String>,
    /// What would decide an open verdict or narrow a wide one, in words.
    pub decide: Option<String>,
    /// The same for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    pub evidence: Vec<Evidence>,
    /// The vantages that this connection's packets passed, client side first.
    pub path: Vec<String>,
    /// Clock offsets that this flow's packets told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clocks: Vec<ClockOffset>,
    /// What each vantage calls the connection, client side first, where it bears more than one name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<NameAt>,
    /// Where on its way the connection's addresses or sequence numbers change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// A connection's addresses at one vantage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAt {
    pub vantage: String,
    pub client: SocketAddr,
    pub server: SocketAddr,
}

/// A change of a connection on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub what: Changed,
    /// The two vantages between which it happens, client side first; one name twice: at that vantage.
    pub between: [String; 2],
    pub text: String,
}

/// What a box on the way changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    Addresses,
    SequenceNumbers,
}

/// A vantage's clock minus the clock of the path's first vantage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    pub vantage: String,
    pub offset_ns: i64,
    /// How far that may be off.
    #[serde(default)]
    pub error_ns: i64,
}

impl Document {
    /// Puts an answer together: the path that most resets share, clock offsets as the median of
    /// what their flows told.
    pub fn assemble(
        mut vantages: Vec<VantageSummary>,
        configured_path: Option<Vec<String>>,
        resets: Vec<ResetReport>,
        warnings: Vec<String>,
    ) -> Self {
        for vantage in &mut vantages {
            let mut offsets: Vec<i64> = resets
                .iter()
                .flat_map(|reset| &reset.clocks)
                .filter(|clock| clock.vantage == vantage.name)
                .map(|clock| clock.offset_ns)
                .collect();
            offsets.sort_unstable();
            vantage.clock_offset_ns = offsets.get(offsets.len() / 2).copied();
        }
        let path = configured_path.unwrap_or_else(|| common_path(&resets));
        Self {
            schema: SCHEMA,
            vantages,
            path,
            resets,
            warnings,
            next: None,
        }
    }
}

/// The path that most resets share, the longer one of a tie.
fn common_path(resets: &[ResetReport]) -> Vec<String> {
    let mut paths: Vec<&Vec<String>> = resets.iter().map(|reset| &reset.path).collect();
    paths.sort_unstable();
    paths
        .chunk_by(|a, b| a == b)
        .max_by_key(|same| (same.len(), same[0].len()))
        .map(|same| same[0].clone())
        .unwrap_or_default()
}

/// Who emitted a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Endpoint,
    Middlebox,
    Undetermined,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Client,
    Server,
}

impl Side {
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// A vantage that did not see the reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsenceReport {
    pub vantage: String,
    /// Its coverage shows that it would have seen it.
    pub attested: bool,
    /// Why it attests nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// One reason for a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// A stable word for the rule: `first_sighting`, `attested_absence`, `fingerprint`, …
    pub kind: String,
    pub vantage: Option<String>,
    pub text: String,
}

/// Why a reset was sent; the field's list (see the README's table of causes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    ClosedPort,
    ListenerOverloaded,
    SynAckRefused,
    RetransmissionTimeout,
    KeepaliveTimeout,
    AbortUnreadData,
    AbortLinger,
    NoSocket,
    TimeWaitReuse,
    OutOfWindow,
    FirewallRejectSyn,
    FirewallRejectContent,
    FirewallIdleTimeout,
    InjectedBothWays,
    InjectedOffPath,
    BlindAttack,
    Injected,
    HostFirewallReject,
    ProxyAbort,
    Unknown,
}

impl Cause {
    pub const ALL: [Self; 20] = [
        Self::ClosedPort,
        Self::ListenerOverloaded,
        Self::SynAckRefused,
        Self::RetransmissionTimeout,
        Self::KeepaliveTimeout,
        Self::AbortUnreadData,
        Self::AbortLinger,
        Self::NoSocket,
        Self::TimeWaitReuse,
        Self::OutOfWindow,
        Self::FirewallRejectSyn,
        Self::FirewallRejectContent,
        Self::FirewallIdleTimeout,
        Self::InjectedBothWays,
        Self::InjectedOffPath,
        Self::BlindAttack,
        Self::Injected,
        Self::HostFirewallReject,
        Self::ProxyAbort,
        Self::Unknown,
    ];

    /// The word in documents, tables and filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClosedPort => "closed_port",
            Self::ListenerOverloaded => "listener_overloaded",
            Self::SynAckRefused => "syn_ack_refused",
            Self::RetransmissionTimeout => "retransmission_timeout",
            Self::KeepaliveTimeout => "keepalive_timeout",
            Self::AbortUnreadData => "abort_unread_data",
            Self::AbortLinger => "abort_linger",
            Self::NoSocket => "no_socket",
            Self::TimeWaitReuse => "time_wait_reuse",
            Self::OutOfWindow => "out_of_window",
            Self::FirewallRejectSyn => "firewall_reject_syn",
            Self::FirewallRejectContent => "firewall_reject_content",
            Self::FirewallIdleTimeout => "firewall_idle_timeout",
            Self::InjectedBothWays => "injected_both_ways",
            Self::InjectedOffPath => "injected_off_path",
            Self::BlindAttack => "blind_attack",
            Self::Injected => "injected",
            Self::HostFirewallReject => "host_firewall_reject",
            Self::ProxyAbort => "proxy_abort",
            Self::Unknown => "unknown",
        }
    }
}

impl Origin {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Middlebox => "middlebox",
            Self::Undetermined => "undetermined",
        }
    }
}

/// One reset told in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub schema: u32,
    pub reset: ResetReport,
    /// The verdict in one English sentence.
    pub sentence: String,
    /// The root's verdict in one sentence, where there is a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_sentence: Option<String>,
    pub ladder: Ladder,
}

/// The packets around a reset at every vantage: a column each, time downwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    pub columns: Vec<LadderColumn>,
    pub rows: Vec<LadderRow>,
    /// Index of the column before the gap in which the reset was born: it lies between this column
    /// and the next. `-1` is the gap before the first column, the last index the one after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<LadderGap>,
}

/// Two neighbouring places in the columns' order; `None` is beyond the outermost vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderGap {
    pub left: Option<usize>,
    pub right: Option<usize>,
}

/// One vantage of a ladder, client side first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LadderColumn {
    pub vantage: String,
    pub kind: KindName,
    /// Which end's host this vantage runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_of: Option<Side>,
}

/// One packet of a ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LadderRow {
    /// Nanoseconds relative to the reset's first sighting, clocks corrected.
    pub at_ns: i64,
    pub from: Side,
    /// For instance `PA seq 1 ack 1 len 79`, numbers relative to the initial ones where known.
    pub label: String,
    pub is_reset: bool,
    /// The reset that is being explained.
    pub is_this: bool,
    /// One mark per column.
    pub marks: Vec<Mark>,
    /// When it passed each column that saw it, as `at_ns`; empty where nobody said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<Option<i64>>,
}

/// What one vantage knows of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Seen here.
    Seen,
    /// Not seen, and it would have been.
    Absent,
    /// Not seen, which says nothing.
    Blind,
}

//! What a host's kernel says of RSTs: its tracepoints, read as text.
//!
//! A witness that was listening without loss swears by its silence too: a RST in the name of its host that it did
//! not hear its kernel send was not sent by that kernel's TCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::flow::{Endpoint, FourTuple};
use crate::reason::ResetReason;
use crate::time::CaptureTime;

/// All that a vantage's kernel witness said around a moment; empty where there is no witness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Testimony {
    /// In order of time.
    pub statements: Vec<Statement>,
    /// In order of time.
    pub watches: Vec<Watch>,
}

/// The kernel's word on one RST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// By the clock that stamps the vantage's packets.
    pub time: CaptureTime,
    /// How far that may be off, nanoseconds.
    pub error: i64,
    /// From the RST's sender to its receiver. Where a listening socket refused a segment, the kernel names that
    /// socket only: the receiver is port 0 of no address, the sender may have no address either.
    pub tuple: FourTuple,
    pub act: Act,
}

impl Statement {
    /// Whether the kernel named a listening socket, not the connection.
    pub fn is_of_listener(&self) -> bool {
        self.tuple.dst.port == 0
    }
}

/// The 4-tuples under which a kernel may speak of a RST that the listening socket at `local` sent.
pub fn listeners(local: Endpoint) -> impl Iterator<Item = FourTuple> {
    let nowhere = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    [local.addr].into_iter().chain(nowhere).map(move |addr| {
        let local = Endpoint::new(addr, local.port);
        FourTuple::new(local, nobody(addr))
    })
}

/// Port 0 of no address, in an address's family.
fn nobody(like: IpAddr) -> Endpoint {
    let addr = match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Endpoint::new(addr, 0)
}

/// What the kernel did with a RST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// `tcp:tcp_send_reset`.
    Sent {
        /// `None`: a kernel before 6.10, which gives none.
        reason: Option<ResetReason>,
        prompt: Prompt,
    },
    /// `tcp:tcp_receive_reset`: a socket accepted it.
    Accepted,
}

/// What made the kernel send a RST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prompt {
    /// A segment that came; the statement comes before the RST.
    Segment,
    /// The program or a timer; the statement comes after the RST.
    Itself,
}

/// A span in which the witness listened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    pub from: CaptureTime,
    pub until: CaptureTime,
    /// Statements lost in this span (trace buffer overrun, rate limit, no room on the way).
    pub lost: u64,
    pub oath: Oath,
    pub tap: TapPlace,
}

/// Of which RSTs the witness would have heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Oath {
    /// Its silence says nothing: the host's addresses were not found in this kernel's network namespaces.
    Nothing,
    /// A kernel before 6.10, whose event stays away where no socket was found and in `TIME_WAIT`.
    WithSocket,
    /// Every RST of the kernel's TCP.
    Everything,
}

/// Where the vantage captures, beside the host's TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TapPlace {
    /// On interfaces that bear the host's addresses: what leaves there was made on this host.
    OwnInterface,
    /// Anywhere else, for instance behind a bridge.
    Elsewhere,
}

/// The reason's field, by whose presence a kernel from 6.10 on is known: since then the event tells of RSTs
/// without a socket too.
const REASON_FIELD: &str = " reason;";

/// What a kernel whose event has this format (`events/tcp/tcp_send_reset/format`) can swear to.
pub fn oath_of(format: &str) -> Oath {
    if format.contains(REASON_FIELD) {
        Oath::Everything
    } else {
        Oath::WithSocket
    }
}

/// One line of `trace_pipe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Time by the trace's clock, nanoseconds.
    Event {
        time: i64,
        tuple: FourTuple,
        act: Act,
    },
    /// The buffer ran over, so many events are gone.
    Lost(u64),
    /// Of no interest: a heading, an empty line.
    Other,
    /// An event that does not read: the witness has missed something.
    Unreadable,
}

const SENT: &str = ": tcp_send_reset: ";
const RECEIVED: &str = ": tcp_receive_reset: ";

/// Reads one line. A process's name stands in front and may be anything, so events are sought from the end.
pub fn read_line(line: &str) -> Line {
    if let Some((head, fields)) = line.rsplit_once(SENT) {
        return event(head, fields, sent);
    }
    if let Some((head, fields)) = line.rsplit_once(RECEIVED) {
        return event(head, fields, accepted);
    }
    let Some((_, lost)) = line.rsplit_once("[LOST ") else {
        return Line::Other;
    };
    let count = lost.split(' ').next().and_then(|count| count.parse().ok());
    Line::Lost(count.unwrap_or(1))
}

fn event(head: &str, fields: &str, read: fn(&str) -> Option<(FourTuple, Act)>) -> Line {
    let stamp = head.rsplit(' ').next().and_then(nanos);
    match (stamp, read(fields)) {
        (Some(time), Some((tuple, act)))
            if tuple.src.addr.is_ipv4() == tuple.dst.addr.is_ipv4() =>
        {
            Line::Event { time, tuple, act }
        }
        _ => Line::Unreadable,
    }
}

/// `1234.567890` as nanoseconds.
fn nanos(stamp: &str) -> Option<i64> {
    let (seconds, fraction) = stamp.split_once('.')?;
    let digits = fraction.len();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let scale = 10_i64.pow(9 - digits as u32);
    let fraction = i64::from(fraction.parse::<u32>().ok()?).checked_mul(scale)?;
    let whole: i64 = seconds.parse().ok()?;
    whole
        .checked_mul(1_000_000_000)?
        .checked_add(fraction)
        .filter(|time| *time >= 0)
}

fn field<'a>(fields: &'a str, key: &str) -> Option<&'a str> {
    fields
        .split_ascii_whitespace()
        .find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
}

fn sent(fields: &str) -> Option<(FourTuple, Act)> {
    let tuple = match field(fields, "src") {
        Some(src) => FourTuple::new(endpoint(src)?, endpoint(field(fields, "dest")?)?),
        None => by_parts(fields)?,
    };
    let prompt = match field(fields, "skbaddr") {
        Some(address) if is_null(address) => Prompt::Itself,
        _ => Prompt::Segment,
    };
    let reason = field(fields, "reason").map(ResetReason::from_word);
    // An IPv6 socket's peer is of IPv6, also where its own address is a mapped one.
    let tuple = match tuple.dst.port {
        0 => FourTuple::new(tuple.src, nobody(tuple.src.addr)),
        _ => tuple,
    };
    Some((tuple, Act::Sent { reason, prompt }))
}

/// The socket is the receiver's.
fn accepted(fields: &str) -> Option<(FourTuple, Act)> {
    let tuple = by_parts(fields)?;
    Some((FourTuple::new(tuple.dst, tuple.src), Act::Accepted))
}

/// As kernels have printed null pointers.
fn is_null(address: &str) -> bool {
    address == "(null)"
        || address
            .trim_start_matches("0x")
            .bytes()
            .all(|digit| digit == b'0')
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let socket: SocketAddr = text.parse().ok()?;
    Some(Endpoint::new(socket.ip().to_canonical(), socket.port()))
}

/// Addresses and ports in fields of their own; IPv4 addresses stand mapped in the IPv6 fields too.
fn by_parts(fields: &str) -> Option<FourTuple> {
    let end = |addr: &str, v4: &str, port: &str| {
        let port = field(fields, port)?.parse().ok()?;
        let addr: IpAddr = match field(fields, addr).and_then(|addr| addr.parse().ok()) {
            Some(addr) => addr,
            None => field(fields, v4)?.parse().ok()?,
        };
        Some(Endpoint::new(addr.to_canonical(), port))
    };
    Some(FourTuple::new(
        end("saddrv6", "saddr", "sport")?,
        end("daddrv6", "daddr", "dport")?,
    ))
}

#[cfg(test)]
mod tests;

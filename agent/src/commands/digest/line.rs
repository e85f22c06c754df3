//! One digest as one line of JSON.

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;

use parallax_core::digest::{Direction, TcpFlags};
use parallax_core::tunnel::Tunnel;
use parallax_core::{CaptureTime, Digest};
use serde::{Serialize, Serializer};

pub(super) fn write(digest: &Digest, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Line::of(digest))?;
    out.write_all(b"\n")
}

/// Every field of a digest under its own name.
#[derive(Serialize)]
struct Line {
    time: CaptureTime,
    src: IpAddr,
    sport: u16,
    dst: IpAddr,
    dport: u16,
    #[serde(serialize_with = "shown")]
    flags: TcpFlags,
    seq: u32,
    /// As carried, also without the ACK flag.
    ack: u32,
    window: u16,
    payload_len: u32,
    payload_hash: Option<Shown>,
    ttl: u8,
    ip_id: Option<u16>,
    dont_fragment: bool,
    fragment: bool,
    traffic_class: u8,
    options: Options,
    /// What the RST itself says of its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    rst_reason: Option<String>,
    direction: Option<&'static str>,
    source_mac: Option<Shown>,
    vlans: Few<u16, 2>,
    interface: u8,
    tunnel: Option<Around>,
}

/// The innermost tunnel around.
#[derive(Serialize)]
struct Around {
    kind: &'static str,
    depth: u8,
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    /// VNI, key, TEID, label or session.
    id: Option<u32>,
}

impl Around {
    fn of(tunnel: Tunnel) -> Self {
        Self {
            kind: tunnel.kind.as_str(),
            depth: tunnel.depth,
            src: tunnel.ends.map(|ends| ends.src),
            dst: tunnel.ends.map(|ends| ends.dst),
            id: tunnel.id,
        }
    }
}

#[derive(Serialize)]
struct Options {
    mss: Option<u16>,
    window_scale: Option<u8>,
    sack_permitted: bool,
    timestamp: Option<u32>,
    timestamp_echo: Option<u32>,
    /// Left and right edge of the first block.
    sack: Option<[u32; 2]>,
    /// Kinds in order; 15 stands for any above 8.
    order: Few<u8, 16>,
    cut: bool,
}

impl Line {
    fn of(digest: &Digest) -> Self {
        let (src, dst) = (digest.tuple.src, digest.tuple.dst);
        Self {
            time: digest.time,
            src: src.addr,
            sport: src.port,
            dst: dst.addr,
            dport: dst.port,
            flags: digest.flags,
            seq: digest.seq.0,
            ack: digest.ack.0,
            window: digest.window,
            payload_len: digest.payload_len,
            payload_hash: digest.payload_hash.map(Shown::Hash),
            ttl: digest.ip.ttl,
            ip_id: digest.ip.id,
            dont_fragment: digest.ip.dont_fragment,
            fragment: digest.ip.fragment,
            traffic_class: digest.ip.traffic_class,
            options: Options {
                mss: digest.options.mss,
                window_scale: digest.options.window_scale,
                sack_permitted: digest.options.sack_permitted,
                timestamp: digest.options.timestamps.map(|stamps| stamps.value),
                timestamp_echo: digest.options.timestamps.map(|stamps| stamps.echo),
                sack: (digest.options.sack).map(|block| [block.left.0, block.right.0]),
                order: order(digest.options.order),
                cut: digest.options.cut,
            },
            rst_reason: digest.rst_reason.map(|reason| reason.to_string()),
            direction: match digest.link.direction {
                Direction::Unknown => None,
                Direction::In => Some("in"),
                Direction::Out => Some("out"),
            },
            source_mac: digest.link.source.map(Shown::Mac),
            vlans: Few::of(digest.link.vlans.into_iter().flatten()),
            interface: digest.link.interface,
            tunnel: digest.link.tunnel.map(Around::of),
        }
    }
}

fn order(nibbles: u64) -> Few<u8, 16> {
    Few::of(
        (0..16)
            .map(|place| (nibbles >> (4 * place) & 0xf) as u8)
            .take_while(|kind| *kind != 0),
    )
}

/// Values that JSON shows as text.
enum Shown {
    Hash(u64),
    Mac([u8; 6]),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash(hash) => write!(f, "{hash:016x}"),
            Self::Mac(octets) => {
                for (place, octet) in octets.iter().enumerate() {
                    let colon = if place == 0 { "" } else { ":" };
                    write!(f, "{colon}{octet:02x}")?;
                }
                Ok(())
            }
        }
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn shown<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// At most `MAX` values, in place: a line allocates nothing.
struct Few<T, const MAX: usize> {
    values: [T; MAX],
    len: usize,
}

impl<T: Copy + Default, const MAX: usize> Few<T, MAX> {
    fn of(values: impl Iterator<Item = T>) -> Self {
        let mut few = Self {
            values: [T::default(); MAX],
            len: 0,
        };
        for value in values.take(MAX) {
            few.values[few.len] = value;
            few.len += 1;
        }
        few
    }
}

impl<T: Serialize, const MAX: usize> Serialize for Few<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.values[..self.len])
    }
}

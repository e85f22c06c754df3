//! The segment most met, in its parts: for whoever keeps it in a form of its own, and needs no digest on the way.

use std::net::{IpAddr, SocketAddrV4};

use super::{RawPacket, ip, link, on_link, tcp};
use crate::digest::{IpFields, TcpFlags, Timestamps};
use crate::seq::TcpSeq;
use crate::time::CaptureTime;

/// A segment over IPv4 on untagged Ethernet, no RST, with no TCP options but timestamps. What is named as in a
/// [`Digest`](crate::Digest) is as there; what is not named is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual {
    pub time: CaptureTime,
    pub src: SocketAddrV4,
    pub dst: SocketAddrV4,
    pub seq: TcpSeq,
    pub ack: TcpSeq,
    pub flags: TcpFlags,
    pub window: u16,
    pub payload_len: u32,
    pub payload_hash: Option<u64>,
    pub timestamps: Option<Timestamps>,
    /// IPv4 always has an id.
    pub ip: IpFields,
    /// Source MAC address.
    pub source: [u8; 6],
    pub interface: u8,
}

impl Usual {
    /// As [`TcpOptions::order`](crate::digest::TcpOptions::order).
    #[inline]
    pub fn order(&self) -> u32 {
        if self.timestamps.is_some() {
            tcp::ORDER_OF_STAMPS as u32
        } else {
            0
        }
    }
}

/// Reads a packet of the kind most met. `None`: it is of another; where there is one,
/// [`decode`](super::decode) says the same of it.
#[expect(
    clippy::inline_always,
    reason = "the parts of each packet stay in registers"
)]
#[inline(always)]
pub fn usual(packet: &RawPacket<'_>) -> Option<Usual> {
    let framed = link::plain(packet.link, packet.data)?;
    let segment = ip::plain(framed.octets, on_link(packet, &framed))?;
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (segment.src, segment.dst) else {
        return None;
    };
    let parts = tcp::parts(&segment.body, segment.fields.fragment).ok()?;
    let flags = parts.flags();
    let timestamps = parts.usual_options()?;
    if flags.has(TcpFlags::RST) {
        return None;
    }
    let [src_port, dst_port] = parts.ports();
    let payload_len = parts.payload_len();
    Some(Usual {
        time: packet.time,
        src: SocketAddrV4::new(src, src_port),
        dst: SocketAddrV4::new(dst, dst_port),
        seq: parts.seq(),
        ack: parts.ack(),
        flags,
        window: parts.window(),
        payload_len: payload_len as u32,
        payload_hash: tcp::payload_hash(parts.payload(), payload_len),
        timestamps,
        ip: segment.fields,
        source: framed.source()?,
        interface: packet.interface,
    })
}

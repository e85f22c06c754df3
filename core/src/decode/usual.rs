//! The segment most met, in its parts: for whoever keeps it in a form of its own, and needs no digest on the way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::link::Framed;
use super::{RawPacket, ip, link, on_link, tcp};
use crate::digest::{IpFields, TcpFlags, Timestamps};
use crate::seq::TcpSeq;
use crate::time::CaptureTime;

/// A segment on untagged Ethernet, no RST, with no TCP options but timestamps. What is named as in a
/// [`Digest`](crate::Digest) is as there; what is not named is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual<Address> {
    pub time: CaptureTime,
    /// Address and port.
    pub src: (Address, u16),
    pub dst: (Address, u16),
    pub seq: TcpSeq,
    pub ack: TcpSeq,
    pub flags: TcpFlags,
    pub window: u16,
    pub payload_len: u32,
    pub payload_hash: Option<u64>,
    /// Of the options.
    pub order: u64,
    pub timestamps: Option<Timestamps>,
    pub ip: IpFields,
    /// Source MAC address.
    pub source: [u8; 6],
    pub interface: u8,
}

/// Reads a packet of the kind most met. `None`: it is of another; where there is one,
/// [`decode`](super::decode) says the same of it.
#[expect(
    clippy::inline_always,
    reason = "the parts of each packet stay in registers"
)]
#[inline(always)]
pub fn usual(packet: &RawPacket<'_>) -> Option<Usual<Ipv4Addr>> {
    let framed = link::plain(packet.link, packet.data)?;
    let segment = ip::plain(framed.octets, on_link(packet, &framed))?;
    match (segment.src, segment.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => parts(packet, &framed, &segment, [src, dst]),
        _ => None,
    }
}

/// The same over IPv6.
#[expect(clippy::inline_always, reason = "as for usual")]
#[inline(always)]
pub fn usual_v6(packet: &RawPacket<'_>) -> Option<Usual<Ipv6Addr>> {
    let framed = link::plain_v6(packet.link, packet.data)?;
    let segment = ip::plain_v6(framed.octets, on_link(packet, &framed))?;
    match (segment.src, segment.dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => parts(packet, &framed, &segment, [src, dst]),
        _ => None,
    }
}

#[expect(clippy::inline_always, reason = "as for usual")]
#[inline(always)]
fn parts<Address>(
    packet: &RawPacket<'_>,
    framed: &Framed<'_>,
    segment: &ip::Packet<'_>,
    [src, dst]: [Address; 2],
) -> Option<Usual<Address>> {
    let parts = tcp::parts(&segment.body, segment.fields.fragment).ok()?;
    let flags = parts.flags();
    let (order, timestamps) = parts.usual_options()?;
    if flags.has(TcpFlags::RST) {
        return None;
    }
    let [src_port, dst_port] = parts.ports();
    let payload_len = parts.payload_len();
    Some(Usual {
        time: packet.time,
        src: (src, src_port),
        dst: (dst, dst_port),
        seq: parts.seq(),
        ack: parts.ack(),
        flags,
        window: parts.window(),
        payload_len: payload_len as u32,
        payload_hash: tcp::payload_hash(parts.payload(), payload_len),
        order,
        timestamps,
        ip: segment.fields,
        source: framed.source()?,
        interface: packet.interface,
    })
}

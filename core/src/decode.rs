//! Bytes to digest: link layer, tunnels, IP and TCP headers of one captured frame.
//!
//! Nothing here allocates or panics, whatever the bytes are. A frame without a digest says why
//! ([`Unread`]), and the caller counts it ([`UnreadCounts`]): a packet that could not be read is a
//! packet that the vantage cannot swear about.

mod ip;
mod link;
mod octets;
mod tcp;
mod tunnel;
mod unread;

#[cfg(test)]
mod frames;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tunnels;

pub use link::{LinkType, UnsupportedLink};
pub use unread::{Unread, UnreadCounts};

use self::link::{Carried, Framed};
use self::octets::Body;
use crate::digest::Digest;
use crate::flow::{Endpoint, FourTuple};
use crate::time::CaptureTime;

/// One packet as a capture holds it.
#[derive(Debug, Clone, Copy)]
pub struct RawPacket<'a> {
    pub time: CaptureTime,
    pub link: LinkType,
    /// Octets that the packet had on the link, also where the capture cut it. It stands in for the
    /// IP header's length where that says 0.
    pub original_len: u32,
    /// Index of the interface within the agent's run or the pcapng section.
    pub interface: u8,
    /// The octets captured, from the link header on.
    pub data: &'a [u8],
}

/// Reads one packet.
///
/// A cut packet keeps what is there: with the fixed 20 octets of the TCP header it is a digest, even
/// when options or payload are missing. A tunnelled packet gives the digest of the segment inside,
/// with the tunnel in [`LinkFields`](crate::digest::LinkFields).
///
/// # Errors
/// Why there is no digest.
pub fn decode(packet: &RawPacket<'_>) -> Result<Digest, Unread> {
    let plain = link::plain(packet.link, packet.data)
        .and_then(|framed| Some((framed, ip::plain(framed.octets, on_link(packet, &framed))?)));
    match plain {
        Some((framed, segment)) => digest(packet, &framed, &segment),
        None => other(packet),
    }
}

/// How many octets the packet had on the link, from behind the link header on.
fn on_link(packet: &RawPacket<'_>, framed: &Framed<'_>) -> usize {
    let on_link = (packet.original_len as usize).max(packet.data.len());
    on_link - (packet.data.len() - framed.octets.len())
}

/// Other links and tags. Apart, so that plain packets pay nothing for it.
#[inline(never)]
fn other(packet: &RawPacket<'_>) -> Result<Digest, Unread> {
    let framed = link::walk(packet.link, packet.data)?;
    let on_link = on_link(packet, &framed);
    if matches!(framed.carried, Carried::V4 | Carried::Ip)
        && let Some(segment) = ip::plain(framed.octets, on_link)
    {
        return digest(packet, &framed, &segment);
    }
    far(packet, &framed, on_link)
}

/// IPv6, tunnels, and what is no TCP or not sound.
#[inline(never)]
fn far(packet: &RawPacket<'_>, framed: &Framed<'_>, on_link: usize) -> Result<Digest, Unread> {
    if framed.carried.is_ip() {
        let segment = ip::read(framed.carried, framed.octets, on_link)?;
        if segment.protocol == ip::TCP {
            return digest(packet, framed, &segment);
        }
        if !tunnel::may_be_carried_by(segment.protocol) {
            return Err(Unread::NotTcp);
        }
    }
    let (segment, tunnel) = tunnel::follow(framed.carried, Body::new(framed.octets, on_link))?;
    let mut digest = digest(packet, framed, &segment)?;
    digest.link.tunnel = Some(tunnel);
    Ok(digest)
}

#[expect(
    clippy::inline_always,
    reason = "a call copies the parts of each packet through memory"
)]
#[inline(always)]
fn digest(
    packet: &RawPacket<'_>,
    framed: &Framed<'_>,
    segment: &ip::Packet<'_>,
) -> Result<Digest, Unread> {
    let tcp = tcp::read(&segment.body, segment.fields.fragment)?;
    Ok(Digest {
        time: packet.time,
        tuple: FourTuple::new(
            Endpoint::new(segment.src, tcp.source_port),
            Endpoint::new(segment.dst, tcp.destination_port),
        ),
        seq: tcp.seq,
        ack: tcp.ack,
        flags: tcp.flags,
        window: tcp.window,
        payload_len: tcp.payload_len,
        payload_hash: tcp.payload_hash,
        options: tcp.options,
        rst_reason: tcp.rst_reason,
        ip: segment.fields,
        link: framed.fields.of_interface(packet.interface),
    })
}

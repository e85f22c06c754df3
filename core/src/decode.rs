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

use self::link::Carried;
use self::octets::Body;
use crate::digest::Digest;
use crate::flow::{Endpoint, FourTuple};
use crate::time::CaptureTime;
use crate::tunnel::Tunnel;

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
    let framed = link::walk(packet.link, packet.data)?;
    let on_link = (packet.original_len as usize).max(packet.data.len());
    let ip_on_link = on_link - (packet.data.len() - framed.octets.len());
    let (segment, tunnel) = reach(framed.carried, framed.octets, ip_on_link)?;
    let tcp = tcp::read(&segment.body, segment.fields.fragment)?;
    let mut link = framed.fields;
    link.interface = packet.interface;
    link.tunnel = tunnel;
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
        ip: segment.fields,
        link,
    })
}

/// The IP packet that carries TCP, at once or through tunnels.
#[inline]
fn reach(
    carried: Carried,
    octets: &[u8],
    on_link: usize,
) -> Result<(ip::Packet<'_>, Option<Tunnel>), Unread> {
    if carried.is_ip() {
        let packet = ip::read(carried, octets, on_link)?;
        if packet.protocol == ip::TCP {
            return Ok((packet, None));
        }
        if !tunnel::may_be_carried_by(packet.protocol) {
            return Err(Unread::NotTcp);
        }
    }
    tunnel::follow(carried, Body::new(octets, on_link))
        .map(|(packet, tunnel)| (packet, Some(tunnel)))
}

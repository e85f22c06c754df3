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
mod usual;

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
pub use usual::{Usual, usual, usual_v6};

use self::link::{Carried, Framed};
use self::octets::Body;
use crate::digest::{Digest, TcpFlags};
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

/// What tells whether the rest of a segment is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub time: CaptureTime,
    pub tuple: FourTuple,
    pub flags: TcpFlags,
    /// Octets, as [`Digest::payload_len`].
    pub payload_len: u32,
}

impl Head {
    pub const fn of(digest: &Digest) -> Self {
        Self {
            time: digest.time,
            tuple: digest.tuple,
            flags: digest.flags,
            payload_len: digest.payload_len,
        }
    }
}

/// A segment where it lies in a capture: what tells whether all of it is wanted is read, the rest is not yet.
#[derive(Debug, Clone, Copy)]
pub struct Glance<'a> {
    pub head: Head,
    /// Of the payload what was captured.
    payload: &'a [u8],
    packet: &'a RawPacket<'a>,
}

impl Glance<'_> {
    /// As [`Digest::payload_hash`].
    #[inline]
    pub fn payload_hash(&self) -> Option<u64> {
        tcp::payload_hash(self.payload, self.head.payload_len as usize)
    }

    /// All of it.
    #[inline(never)]
    pub fn digest(&self) -> Digest {
        let mut digest = Digest::BLANK;
        let read = decode_into(self.packet, &mut digest);
        debug_assert!(read.is_ok(), "a packet has a head and no digest");
        digest
    }
}

/// Reads of a packet of the kind most met what tells whether it is of interest: a fraction of the work of
/// [`decode`], which says the same of it. `None`: it is of another kind.
///
/// # Errors
/// As [`decode`].
#[expect(
    clippy::inline_always,
    reason = "what is made of its parts one by one need not be written and read again"
)]
#[inline(always)]
pub fn glance<'a>(packet: &'a RawPacket<'a>) -> Option<Result<Glance<'a>, Unread>> {
    let framed = link::plain(packet.link, packet.data)?;
    let segment = ip::plain(framed.octets, on_link(packet, &framed))?;
    Some(look(packet, &segment))
}

/// As [`glance`] of those over IPv6.
#[inline]
pub fn glance_v6<'a>(packet: &'a RawPacket<'a>) -> Option<Result<Glance<'a>, Unread>> {
    let framed = link::plain_v6(packet.link, packet.data)?;
    let segment = ip::plain_v6(framed.octets, on_link(packet, &framed))?;
    Some(look(packet, &segment))
}

#[expect(clippy::inline_always, reason = "as for glance")]
#[inline(always)]
fn look<'a>(packet: &'a RawPacket<'a>, segment: &ip::Packet<'a>) -> Result<Glance<'a>, Unread> {
    let parts = tcp::parts(&segment.body, segment.fields.fragment)?;
    let [src, dst] = parts.ports();
    Ok(Glance {
        head: Head {
            time: packet.time,
            tuple: FourTuple::new(
                Endpoint::new(segment.src, src),
                Endpoint::new(segment.dst, dst),
            ),
            flags: parts.flags(),
            payload_len: parts.payload_len() as u32,
        },
        payload: parts.payload(),
        packet,
    })
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
    let mut digest = Digest::BLANK;
    decode_into(packet, &mut digest)?;
    Ok(digest)
}

/// As [`decode`], written where it is to stay: a digest is large, and copies of it are what costs most on
/// the way of a packet. Without a digest the place holds nothing that means anything.
///
/// # Errors
/// As [`decode`].
pub fn decode_into(packet: &RawPacket<'_>, place: &mut Digest) -> Result<(), Unread> {
    let plain = link::plain(packet.link, packet.data)
        .and_then(|framed| Some((framed, ip::plain(framed.octets, on_link(packet, &framed))?)));
    match plain {
        Some((framed, segment)) => digest(packet, &framed, &segment, place),
        None => plain_v6(packet, place),
    }
}

#[inline(never)]
fn plain_v6(packet: &RawPacket<'_>, place: &mut Digest) -> Result<(), Unread> {
    let plain = link::plain_v6(packet.link, packet.data).and_then(|framed| {
        Some((
            framed,
            ip::plain_v6(framed.octets, on_link(packet, &framed))?,
        ))
    });
    match plain {
        Some((framed, segment)) => digest(packet, &framed, &segment, place),
        None => other(packet, place),
    }
}

/// How many octets the packet had on the link, from behind the link header on.
#[inline]
fn on_link(packet: &RawPacket<'_>, framed: &Framed<'_>) -> usize {
    let on_link = (packet.original_len as usize).max(packet.data.len());
    on_link - (packet.data.len() - framed.octets.len())
}

/// Other links and tags. Apart, so that plain packets pay nothing for it.
#[inline(never)]
fn other(packet: &RawPacket<'_>, place: &mut Digest) -> Result<(), Unread> {
    let framed = link::walk(packet.link, packet.data)?;
    let on_link = on_link(packet, &framed);
    if matches!(framed.carried, Carried::V4 | Carried::Ip)
        && let Some(segment) = ip::plain(framed.octets, on_link)
    {
        return digest(packet, &framed, &segment, place);
    }
    far(packet, &framed, on_link, place)
}

/// IPv6, tunnels, and what is no TCP or not sound.
#[inline(never)]
fn far(
    packet: &RawPacket<'_>,
    framed: &Framed<'_>,
    on_link: usize,
    place: &mut Digest,
) -> Result<(), Unread> {
    if framed.carried.is_ip() {
        let segment = ip::read(framed.carried, framed.octets, on_link)?;
        if segment.protocol == ip::TCP {
            return digest(packet, framed, &segment, place);
        }
        if !tunnel::may_be_carried_by(segment.protocol) {
            return Err(Unread::NotTcp);
        }
    }
    let (segment, tunnel) = tunnel::follow(framed.carried, Body::new(framed.octets, on_link))?;
    digest(packet, framed, &segment, place)?;
    place.link.tunnel = Some(tunnel);
    Ok(())
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
    place: &mut Digest,
) -> Result<(), Unread> {
    tcp::read(&segment.body, segment.fields.fragment, place)?;
    place.time = packet.time;
    place.tuple.src.addr = segment.src;
    place.tuple.dst.addr = segment.dst;
    place.ip = segment.fields;
    place.link = framed.fields.of_interface(packet.interface);
    Ok(())
}

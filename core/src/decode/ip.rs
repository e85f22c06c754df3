//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, down to what they carry.

use std::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::link::Carried;
use super::octets::{Body, Missing, be16};
use super::unread::Unread;
use crate::digest::IpFields;

/// An IP packet behind its headers.
pub(super) struct Packet<'a> {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub fields: IpFields,
    /// What the last header says that follows (IANA, "Protocol Numbers").
    pub protocol: u8,
    pub body: Body<'a>,
}

/// Extension headers that are followed.
const EXTENSIONS_MAX: usize = 8;

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const GRE: u8 = 47;
/// IPv4 and IPv6 in IP.
pub(super) const V4_IN_IP: u8 = 4;
pub(super) const V6_IN_IP: u8 = 41;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

impl From<Missing> for Unread {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Cut => Self::CutInIp,
            Missing::Overrun => Self::BadIpHeader,
        }
    }
}

/// Reads the IP headers; `on_link` is how many octets the packet had on the link from its IP header
/// on.
#[inline]
pub(super) fn read(carried: Carried, octets: &[u8], on_link: usize) -> Result<Packet<'_>, Unread> {
    let version = octets.first().ok_or(Unread::CutInIp)? >> 4;
    match (carried, version) {
        (Carried::V4 | Carried::Ip, 4) => v4(octets, on_link),
        (Carried::V6 | Carried::Ip, 6) => v6(octets, on_link),
        (Carried::Ip, _) => Err(Unread::NotIp),
        _ => Err(Unread::BadIpHeader),
    }
}

/// The packet most met: IPv4 with TCP right behind its header. `None` for all others, sound or not;
/// where there is one, [`read`] gives the same.
#[inline]
pub(super) fn plain(octets: &[u8], on_link: usize) -> Option<Packet<'_>> {
    let header: &[u8; 20] = octets.first_chunk()?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    if header[0] >> 4 != 4 || header_len < 20 || header[9] != TCP || fragment & 0x1fff != 0 {
        return None;
    }
    let total = u16::from_be_bytes([header[2], header[3]]);
    let declared = declared_len(usize::from(total), on_link);
    let (_, body) = Body::new(octets, declared).split(header_len).ok()?;
    let addr =
        |at: usize| IpAddr::from([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    Some(Packet {
        src: addr(12),
        dst: addr(16),
        fields: IpFields {
            ttl: header[8],
            id: Some(u16::from_be_bytes([header[4], header[5]])),
            dont_fragment: fragment & 0x4000 != 0,
            traffic_class: header[1],
            fragment: fragment & 0x2000 != 0,
        },
        protocol: TCP,
        body,
    })
}

/// The same over IPv6.
#[inline]
pub(super) fn plain_v6(octets: &[u8], on_link: usize) -> Option<Packet<'_>> {
    let header: &[u8; 40] = octets.first_chunk()?;
    if header[0] >> 4 != 6 || header[6] != TCP {
        return None;
    }
    let declared = declared_v6(
        usize::from(u16::from_be_bytes([header[4], header[5]])),
        on_link,
    );
    let (_, body) = Body::new(octets, declared).split(40).ok()?;
    let addr = |at: usize| {
        let octets: Option<&[u8; 16]> = header[at..].first_chunk();
        octets.map(|octets| IpAddr::from(*octets))
    };
    Some(Packet {
        src: addr(8)?,
        dst: addr(24)?,
        fields: IpFields {
            ttl: header[7],
            traffic_class: header[0] << 4 | header[1] >> 4,
            ..IpFields::default()
        },
        protocol: TCP,
        body,
    })
}

fn v4(octets: &[u8], on_link: usize) -> Result<Packet<'_>, Unread> {
    let header_len = usize::from(octets[0] & 0x0f) * 4;
    if header_len < 20 {
        return Err(Unread::BadIpHeader);
    }
    let header = Ipv4HeaderSlice::from_slice(octets).map_err(|_| Unread::CutInIp)?;
    let declared = declared_len(usize::from(header.total_len()), on_link);
    let (_, body) = Body::new(octets, declared).split(header_len)?;
    let protocol = header.protocol().0;
    if header.fragments_offset().value() != 0 {
        return Err(later_fragment(protocol == AUTHENTICATION, protocol));
    }
    let packet = Packet {
        src: IpAddr::V4(header.source_addr()),
        dst: IpAddr::V4(header.destination_addr()),
        fields: IpFields {
            ttl: header.ttl(),
            id: Some(header.identification()),
            dont_fragment: header.dont_fragment(),
            traffic_class: octets[1],
            fragment: header.more_fragments(),
        },
        protocol,
        body,
    };
    // An authentication header (RFC 4302) is the only extension that IPv4 has.
    extensions(packet, |kind| kind == AUTHENTICATION)
}

fn v6(octets: &[u8], on_link: usize) -> Result<Packet<'_>, Unread> {
    let header = Ipv6HeaderSlice::from_slice(octets).map_err(|_| Unread::CutInIp)?;
    let declared = declared_v6(usize::from(header.payload_length()), on_link);
    let (_, body) = Body::new(octets, declared).split(40)?;
    let packet = Packet {
        src: IpAddr::V6(header.source_addr()),
        dst: IpAddr::V6(header.destination_addr()),
        fields: IpFields {
            ttl: header.hop_limit(),
            traffic_class: header.traffic_class(),
            ..IpFields::default()
        },
        protocol: header.next_header().0,
        body,
    };
    extensions(packet, |_| true)
}

/// The length by the IP header, or by the link where the header says 0: a segment that the interface
/// will cut (TSO, BIG TCP).
const fn declared_len(total: usize, on_link: usize) -> usize {
    if total == 0 { on_link } else { total }
}

/// The same for IPv6, whose header tells what follows it; 0 also stands for a jumbogram (RFC 2675).
const fn declared_v6(payload: usize, on_link: usize) -> usize {
    if payload == 0 { on_link } else { payload + 40 }
}

/// What a fragment without TCP's ports counts as. It may be a part of a segment, or of a tunnel's
/// packet with one inside; over UDP tunnels are too rare beside all else.
const fn later_fragment(is_chained: bool, protocol: u8) -> Unread {
    match protocol {
        TCP | GRE | V4_IN_IP | V6_IN_IP => Unread::LaterFragment,
        // The rest of the chain is out of sight.
        _ if is_chained => Unread::LaterFragment,
        _ => Unread::NotTcp,
    }
}

/// Follows extension headers of the kinds that `known` names down to what they stand before.
#[inline]
fn extensions(mut packet: Packet<'_>, known: impl Fn(u8) -> bool) -> Result<Packet<'_>, Unread> {
    for _ in 0..=EXTENSIONS_MAX {
        let kind = packet.protocol;
        if kind == TCP || !known(kind) {
            return Ok(packet);
        }
        let len = match kind {
            FRAGMENT => 8,
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HIP | SHIM6 => {
                (length_octet(packet.body)? + 1) * 8
            }
            AUTHENTICATION => (length_octet(packet.body)? + 2) * 4,
            _ => return Ok(packet),
        };
        let (header, rest) = packet.body.split(len)?;
        if kind == FRAGMENT {
            let offset = be16(header, 2).unwrap_or_default();
            if offset >> 3 != 0 {
                let next = header[0];
                return Err(later_fragment(
                    matches!(next, AUTHENTICATION | DESTINATION),
                    next,
                ));
            }
            packet.fields.fragment = offset & 1 != 0;
        }
        packet.protocol = header[0];
        packet.body = rest;
    }
    Err(Unread::TooManyHeaders)
}

/// The second octet of an extension header, which tells its length.
fn length_octet(body: Body<'_>) -> Result<usize, Unread> {
    let (head, _) = body.split(2)?;
    Ok(usize::from(head[1]))
}

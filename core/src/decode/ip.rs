//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers down to TCP.

use std::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::link::Network;
use super::octets::{Body, Missing, be16};
use super::unread::Unread;
use crate::digest::IpFields;

/// A TCP segment with what its IP headers say.
pub(super) struct Segment<'a> {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub fields: IpFields,
    pub body: Body<'a>,
}

/// Extension headers that are followed.
const EXTENSIONS_MAX: usize = 8;

const TCP: u8 = 6;
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
pub(super) fn read(network: Network, octets: &[u8], on_link: usize) -> Result<Segment<'_>, Unread> {
    let version = octets.first().ok_or(Unread::CutInIp)? >> 4;
    match (network, version) {
        (Network::V4 | Network::Either, 4) => v4(octets, on_link),
        (Network::V6 | Network::Either, 6) => v6(octets, on_link),
        (Network::Either, _) => Err(Unread::NotIp),
        _ => Err(Unread::BadIpHeader),
    }
}

#[inline]
fn v4(octets: &[u8], on_link: usize) -> Result<Segment<'_>, Unread> {
    let header_len = usize::from(octets[0] & 0x0f) * 4;
    if header_len < 20 {
        return Err(Unread::BadIpHeader);
    }
    let header = Ipv4HeaderSlice::from_slice(octets).map_err(|_| Unread::CutInIp)?;
    let declared = declared_len(usize::from(header.total_len()), on_link);
    let (_, body) = Body::new(octets, declared).split(header_len)?;
    let fields = IpFields {
        ttl: header.ttl(),
        id: Some(header.identification()),
        dont_fragment: header.dont_fragment(),
        traffic_class: octets[1],
        fragment: header.more_fragments(),
    };
    let protocol = header.protocol().0;
    let later = header.fragments_offset().value() != 0;
    match protocol {
        TCP | AUTHENTICATION if later => return Err(Unread::LaterFragment),
        TCP | AUTHENTICATION => {}
        _ => return Err(Unread::NotTcp),
    }
    let segment = Segment {
        src: IpAddr::V4(header.source_addr()),
        dst: IpAddr::V4(header.destination_addr()),
        fields,
        body,
    };
    // An authentication header (RFC 4302) is the only extension that IPv4 has.
    extensions(segment, protocol, |kind| kind == AUTHENTICATION)
}

fn v6(octets: &[u8], on_link: usize) -> Result<Segment<'_>, Unread> {
    let header = Ipv6HeaderSlice::from_slice(octets).map_err(|_| Unread::CutInIp)?;
    let declared = match header.payload_length() {
        // A jumbogram (RFC 2675), or a segment that the interface will cut (TSO, BIG TCP).
        0 => on_link,
        payload => usize::from(payload) + 40,
    };
    let (_, body) = Body::new(octets, declared).split(40)?;
    let segment = Segment {
        src: IpAddr::V6(header.source_addr()),
        dst: IpAddr::V6(header.destination_addr()),
        fields: IpFields {
            ttl: header.hop_limit(),
            traffic_class: header.traffic_class(),
            ..IpFields::default()
        },
        body,
    };
    extensions(segment, header.next_header().0, |_| true)
}

/// The length by the IP header, or by the link where the header says 0: a segment that the interface
/// will cut (TSO, BIG TCP).
const fn declared_len(total: usize, on_link: usize) -> usize {
    if total == 0 { on_link } else { total }
}

/// Follows extension headers of the kinds that `known` names down to TCP.
#[inline]
fn extensions(
    mut segment: Segment<'_>,
    mut next: u8,
    known: impl Fn(u8) -> bool,
) -> Result<Segment<'_>, Unread> {
    for _ in 0..=EXTENSIONS_MAX {
        if next == TCP {
            return Ok(segment);
        }
        if !known(next) {
            return Err(Unread::NotTcp);
        }
        let len = match next {
            FRAGMENT => 8,
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HIP | SHIM6 => {
                (length_octet(segment.body)? + 1) * 8
            }
            AUTHENTICATION => (length_octet(segment.body)? + 2) * 4,
            _ => return Err(Unread::NotTcp),
        };
        let (header, rest) = segment.body.split(len)?;
        if next == FRAGMENT {
            let offset = be16(header, 2).unwrap_or_default();
            if offset >> 3 != 0 {
                return Err(match header[0] {
                    // The kind of a first header in the fragment's body; chains go on unseen.
                    TCP | AUTHENTICATION | DESTINATION => Unread::LaterFragment,
                    _ => Unread::NotTcp,
                });
            }
            segment.fields.fragment = offset & 1 != 0;
        }
        next = header[0];
        segment.body = rest;
    }
    Err(Unread::TooManyHeaders)
}

/// The second octet of an extension header, which tells its length.
fn length_octet(body: Body<'_>) -> Result<usize, Unread> {
    let (head, _) = body.split(2)?;
    Ok(usize::from(head[1]))
}

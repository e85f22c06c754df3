//! Tunnels over UDP. The destination port is no more than a hint, so that each header must be sound.

use super::super::link::Carried;
use super::super::octets::Body;
use super::super::unread::Unread;
use super::{Inside, Opened, head, split, vni};
use crate::tunnel::TunnelKind;

/// As IANA has it, and as Linux had it before.
const VXLAN: [u16; 2] = [4789, 8472];
const GENEVE: u16 = 6081;
const GTP: u16 = 2152;

pub(super) fn open(body: Body<'_>) -> Result<Opened<'_>, Unread> {
    let (header, rest) = head::<8>(body)?;
    let &[_, _, port_high, port_low, len_high, len_low, _, _] = header;
    let port = u16::from_be_bytes([port_high, port_low]);
    let len = match u16::from_be_bytes([len_high, len_low]) {
        // Longer than the field can say, before the interface cuts it (RFC 2675, UDP offload).
        0 => rest.declared,
        len => usize::from(len).checked_sub(8).ok_or(Unread::NotTcp)?,
    };
    let datagram = Body::new(rest.captured, rest.declared.min(len));
    match port {
        GENEVE => geneve(datagram),
        GTP => gtp(datagram),
        _ if VXLAN.contains(&port) => vxlan(datagram),
        _ => Err(Unread::NotTcp),
    }
}

/// RFC 7348: flags, reserved (24 bits), VNI (24), reserved (8). Beside the flag that says that there is
/// a VNI, the group policy's may stand (draft-smith-vxlan-group-policy).
fn vxlan(datagram: Body<'_>) -> Result<Opened<'_>, Unread> {
    let (&[flags, _, _, _, vni @ .., reserved], body) = head::<8>(datagram)?;
    if flags & !0x80 != 0x08 || reserved != 0 {
        return Err(Unread::NotTcp);
    }
    Ok(Opened {
        kind: TunnelKind::Vxlan,
        id: Some(self::vni(vni)),
        inside: Inside::Ethernet,
        body,
    })
}

/// RFC 8926: version (2 bits) and length of the options in 32-bit words (6), flags, protocol, VNI (24
/// bits), reserved (8). A control packet, the upper flag, carries nobody's data.
fn geneve(datagram: Body<'_>) -> Result<Opened<'_>, Unread> {
    let (&[first, flags, type_high, type_low, vni @ .., _], rest) = head::<8>(datagram)?;
    if first >> 6 != 0 || flags & 0x80 != 0 {
        return Err(Unread::NotTcp);
    }
    let inside = Inside::from_ether_type(u16::from_be_bytes([type_high, type_low]))?;
    let (_, body) = split(rest, usize::from(first & 0x3f) * 4)?;
    Ok(Opened {
        kind: TunnelKind::Geneve,
        id: Some(self::vni(vni)),
        inside,
        body,
    })
}

/// Extension headers that are followed.
const GTP_EXTENSIONS_MAX: usize = 8;

/// 3GPP TS 29.281, 5.1: flags, message type (255: a user's packet), length behind the fixed part, TEID.
/// Any of the three lower flags brings four octets more, the last the type of an extension header.
fn gtp(datagram: Body<'_>) -> Result<Opened<'_>, Unread> {
    const OPTIONAL: u8 = 0x07;
    const EXTENSION: u8 = 0x04;
    let (&[flags, 255, len_high, len_low, teid @ ..], rest) = head::<8>(datagram)? else {
        return Err(Unread::NotTcp);
    };
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    // Version 1, GTP and not GTP'.
    if flags >> 4 != 3 || len > rest.declared {
        return Err(Unread::NotTcp);
    }
    let mut body = Body::new(rest.captured, len);
    if flags & OPTIONAL != 0 {
        let (&[_, _, _, next], behind) = head::<4>(body)?;
        let next = if flags & EXTENSION == 0 { 0 } else { next };
        body = gtp_extensions(next, behind)?;
    }
    let ([first], _) = head::<1>(body)?;
    if !matches!(first >> 4, 4 | 6) {
        return Err(Unread::NotTcp);
    }
    Ok(Opened {
        kind: TunnelKind::Gtp,
        id: Some(u32::from_be_bytes(teid)),
        inside: Inside::Other(Carried::Ip),
        body,
    })
}

/// Each says its length in 32-bit words, and in its last octet the type of the next; 0 ends them.
fn gtp_extensions(mut next: u8, mut body: Body<'_>) -> Result<Body<'_>, Unread> {
    for _ in 0..=GTP_EXTENSIONS_MAX {
        if next == 0 {
            return Ok(body);
        }
        let ([words], _) = head::<1>(body)?;
        let (extension, rest) = split(body, usize::from(*words) * 4)?;
        next = *extension.last().ok_or(Unread::NotTcp)?;
        body = rest;
    }
    Err(Unread::TooManyHeaders)
}

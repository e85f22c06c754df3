//! Tunnels that lie on the link itself.

use super::super::link::Carried;
use super::super::octets::Body;
use super::super::unread::Unread;
use super::{Inside, Opened, head};
use crate::tunnel::TunnelKind;

/// Labels in one stack that are followed.
const LABELS_MAX: usize = 8;

/// A stack of labels (RFC 3032): label (20 bits), traffic class (3), bottom of stack (1), TTL (8).
///
/// Nothing says what it carries: the first half octet is taken for that, as routers do (RFC 4928).
pub(super) fn mpls(mut body: Body<'_>) -> Result<Opened<'_>, Unread> {
    for _ in 0..LABELS_MAX {
        let (entry, rest) = head::<4>(body)?;
        let entry = u32::from_be_bytes(*entry);
        body = rest;
        if entry & 0x100 != 0 {
            let (inside, body) = under_labels(body)?;
            return Ok(Opened {
                kind: TunnelKind::Mpls,
                id: Some(entry >> 12),
                inside,
                body,
            });
        }
    }
    Err(Unread::TooManyHeaders)
}

/// IP, or Ethernet behind a control word, which begins with zeros (RFC 4385, 4448).
fn under_labels(body: Body<'_>) -> Result<(Inside, Body<'_>), Unread> {
    let ([first], _) = head::<1>(body)?;
    match first >> 4 {
        4 => Ok((Inside::Other(Carried::V4), body)),
        6 => Ok((Inside::Other(Carried::V6), body)),
        0 => {
            let (_, frame) = head::<4>(body)?;
            Ok((Inside::Ethernet, frame))
        }
        _ => Err(Unread::NotIp),
    }
}

/// A `PPPoE` session's packet (RFC 2516): version and type, code 0, session, length, PPP protocol.
pub(super) fn pppoe(body: Body<'_>) -> Result<Opened<'_>, Unread> {
    let (&[0x11, 0, session_high, session_low, len_high, len_low], rest) = head::<6>(body)? else {
        return Err(Unread::NotTcp);
    };
    // What lies behind is padding.
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    let (protocol, body) = head::<2>(Body::new(rest.captured, rest.declared.min(len)))?;
    let carried = match protocol {
        [0x00, 0x21] => Carried::V4,
        [0x00, 0x57] => Carried::V6,
        _ => return Err(Unread::NotIp),
    };
    Ok(Opened {
        kind: TunnelKind::Pppoe,
        id: Some(u32::from(u16::from_be_bytes([session_high, session_low]))),
        inside: Inside::Other(carried),
        body,
    })
}

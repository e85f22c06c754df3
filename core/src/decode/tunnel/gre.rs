//! GRE (RFC 2784) with key and sequence number (RFC 2890).

use super::super::octets::{Body, be32};
use super::super::unread::Unread;
use super::{Inside, Opened, head, split};
use crate::tunnel::TunnelKind;

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const VERSION: u16 = 0x0007;

/// Version 1 (PPTP, RFC 2637) carries PPP, mostly compressed and encrypted; source routes (RFC 1701)
/// are long gone. Both are refused.
pub(super) fn open(body: Body<'_>) -> Result<Opened<'_>, Unread> {
    let (&[high, low, type_high, type_low], rest) = head::<4>(body)?;
    let flags = u16::from_be_bytes([high, low]);
    if flags & (VERSION | ROUTING) != 0 {
        return Err(Unread::NotTcp);
    }
    let inside = Inside::from_ether_type(u16::from_be_bytes([type_high, type_low]))?;
    let four_if = |flag: u16| if flags & flag == 0 { 0 } else { 4 };
    let key_at = four_if(CHECKSUM);
    let (fields, body) = split(rest, key_at + four_if(KEY) + four_if(SEQUENCE))?;
    Ok(Opened {
        kind: TunnelKind::Gre,
        id: be32(fields, key_at).filter(|_| flags & KEY != 0),
        inside,
        body,
    })
}

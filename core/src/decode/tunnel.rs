//! Tunnels: from a packet that is not TCP to the segment inside.
//!
//! Each kind has a function that takes its header off and says what follows. [`follow`] calls them in
//! turn, so that nothing here recurses, however deep an attacker nests.

mod gre;
mod link;
mod udp;

use super::ip::{self, GRE, Packet, UDP, V4_IN_IP, V6_IN_IP};
use super::link::{Carried, LinkType, walk};
use super::octets::{Body, Missing, be16};
use super::unread::Unread;
use crate::tunnel::{Tunnel, TunnelEnds, TunnelKind};

/// Tunnels inside each other that are followed.
pub(super) const TUNNELS_MAX: u8 = 4;

/// The longest that an IPv4 packet can be: what a fragment's later parts may still bring.
const REASSEMBLED_MAX: usize = 65_535;

/// A tunnel whose header was taken off.
struct Opened<'a> {
    kind: TunnelKind,
    id: Option<u32>,
    inside: Inside,
    body: Body<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Ethernet,
    Other(Carried),
}

impl Inside {
    /// By ether type; RFC 1701 and all after it use 0x6558 for Ethernet itself.
    fn from_ether_type(ether_type: u16) -> Result<Self, Unread> {
        match (ether_type, Carried::from_ether_type(ether_type)) {
            (0x6558, _) => Ok(Self::Ethernet),
            (_, Some(carried)) => Ok(Self::Other(carried)),
            _ => Err(Unread::NotTcp),
        }
    }
}

/// Whether an IP packet of this protocol may be a tunnel's.
pub(super) const fn may_be_carried_by(protocol: u8) -> bool {
    matches!(protocol, UDP | GRE | V4_IN_IP | V6_IN_IP)
}

/// Opens tunnels until TCP is reached.
pub(super) fn follow(
    mut carried: Carried,
    mut body: Body<'_>,
) -> Result<(Packet<'_>, Tunnel), Unread> {
    let mut around = None;
    let mut ends = None;
    for depth in 1..=TUNNELS_MAX + 1 {
        let opened = match carried {
            Carried::Mpls => link::mpls(body)?,
            Carried::Pppoe => link::pppoe(body)?,
            Carried::V4 | Carried::V6 | Carried::Ip => {
                let packet = ip::read(carried, body.captured, body.declared)?;
                if let Some(tunnel) = around {
                    fits(carried, body)?;
                    if packet.protocol == ip::TCP {
                        return Ok((packet, tunnel));
                    }
                }
                let (src, dst) = (packet.src, packet.dst);
                ends = Some(TunnelEnds { src, dst });
                in_ip(&packet)?
            }
        };
        around = Some(Tunnel {
            kind: opened.kind,
            depth,
            ends,
            id: opened.id,
        });
        (carried, body) = match opened.inside {
            Inside::Other(carried) => (carried, opened.body),
            Inside::Ethernet => ethernet(opened.body)?,
        };
    }
    Err(Unread::TooManyHeaders)
}

fn in_ip<'a>(packet: &Packet<'a>) -> Result<Opened<'a>, Unread> {
    let mut body = packet.body;
    if packet.fields.fragment {
        // What this fragment lacks comes in later ones: it is out of sight, not missing.
        body.declared = REASSEMBLED_MAX;
    }
    let carried = match packet.protocol {
        UDP => return udp::open(body),
        GRE => return gre::open(body),
        V4_IN_IP => Carried::V4,
        V6_IN_IP => Carried::V6,
        _ => return Err(Unread::NotTcp),
    };
    Ok(Opened {
        kind: TunnelKind::IpInIp,
        id: None,
        inside: Inside::Other(carried),
        body,
    })
}

/// A packet that claims to be longer than the one around it is none.
fn fits(carried: Carried, body: Body<'_>) -> Result<(), Unread> {
    let is_v4 = match carried {
        Carried::V4 => true,
        Carried::V6 => false,
        _ => body.captured.first().is_some_and(|first| first >> 4 == 4),
    };
    let (at, headers) = if is_v4 { (2, 0) } else { (4, 40) };
    let claimed = be16(body.captured, at).map_or(0, usize::from) + headers;
    if claimed > body.declared {
        return Err(Unread::BadIpHeader);
    }
    Ok(())
}

/// What an Ethernet frame in a tunnel carries; its addresses and tags are the tunnel's own affair.
fn ethernet(frame: Body<'_>) -> Result<(Carried, Body<'_>), Unread> {
    let framed = walk(LinkType::Ethernet, frame.captured).map_err(|reason| match reason {
        Unread::CutInLink if frame.captured.len() < frame.declared => Unread::CutInTunnel,
        Unread::CutInLink => Unread::NotTcp,
        other => other,
    })?;
    let header_len = frame.captured.len() - framed.octets.len();
    let body = Body::new(framed.octets, frame.declared - header_len);
    Ok((framed.carried, body))
}

/// The first `LEN` octets of a tunnel's packet and what follows them. A packet that is too short for
/// its tunnel is none of that tunnel.
fn head<const LEN: usize>(body: Body<'_>) -> Result<(&[u8; LEN], Body<'_>), Unread> {
    let (head, rest) = split(body, LEN)?;
    let head = head.first_chunk().ok_or(Unread::CutInTunnel)?;
    Ok((head, rest))
}

fn split(body: Body<'_>, len: usize) -> Result<(&[u8], Body<'_>), Unread> {
    body.split(len).map_err(|missing| match missing {
        Missing::Cut => Unread::CutInTunnel,
        Missing::Overrun => Unread::NotTcp,
    })
}

/// A number of 24 bits, as VXLAN and GENEVE have it.
const fn vni(octets: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, octets[0], octets[1], octets[2]])
}

//! The link layer: from the frame's first octet to the IP header, or to a tunnel that lies on the link.

use super::octets::be16;
use super::unread::Unread;
use crate::digest::{Direction, LinkFields};

/// How a capture's packets begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkType {
    Ethernet,
    /// Linux cooked capture, 16 octets.
    LinuxSll,
    /// Linux cooked capture version 2, 20 octets: what the device `any` gives.
    LinuxSll2,
    /// An IP header at once.
    Raw,
    /// BSD loopback: four octets of address family in the byte order of the capturing machine.
    Null,
    /// `OpenBSD` loopback: the same in network byte order.
    Loop,
}

/// A link type that is not read, by its number in the registry of link types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "link type {0} is not supported (supported: Ethernet 1, Linux cooked 113 and 276, raw IP 101, 228 and 229, null 0, loop 108)"
)]
pub struct UnsupportedLink(pub u32);

impl LinkType {
    /// The link type of a number from a capture file (`LINKTYPE_…`) or from libpcap (`DLT_…`), which
    /// differ for raw IP only.
    ///
    /// # Errors
    /// [`UnsupportedLink`] for every other number.
    pub const fn from_dlt(dlt: u32) -> Result<Self, UnsupportedLink> {
        Ok(match dlt {
            0 => Self::Null,
            1 => Self::Ethernet,
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            108 => Self::Loop,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            other => return Err(UnsupportedLink(other)),
        })
    }
}

/// What a link, or a tunnel, says that it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    V4,
    V6,
    /// IP; the header itself says of which version.
    Ip,
    /// A stack of MPLS labels.
    Mpls,
    /// A `PPPoE` session's packet.
    Pppoe,
}

impl Carried {
    pub const fn is_ip(self) -> bool {
        matches!(self, Self::V4 | Self::V6 | Self::Ip)
    }

    /// By ether type (IANA, "IEEE 802 Numbers").
    pub const fn from_ether_type(ether_type: u16) -> Option<Self> {
        Some(match ether_type {
            0x0800 => Self::V4,
            0x86dd => Self::V6,
            0x8847 | 0x8848 => Self::Mpls,
            0x8864 => Self::Pppoe,
            _ => return None,
        })
    }
}

/// What follows the link header.
#[derive(Clone, Copy)]
pub(super) struct Framed<'a> {
    pub fields: Fields<'a>,
    pub carried: Carried,
    pub octets: &'a [u8],
}

impl Framed<'_> {
    /// As [`LinkFields::source`].
    #[inline]
    pub fn source(&self) -> Option<[u8; 6]> {
        self.fields.source.copied()
    }
}

/// What the link header says. It points into the frame: copies of a digest's parts, octet by octet,
/// are what costs most here.
#[derive(Clone, Copy, Default)]
pub(super) struct Fields<'a> {
    direction: Direction,
    source: Option<&'a [u8; 6]>,
    vlans: [Option<u16>; 2],
}

impl Fields<'_> {
    #[inline]
    pub fn of_interface(self, interface: u8) -> LinkFields {
        LinkFields {
            direction: self.direction,
            source: self.source.copied(),
            vlans: self.vlans,
            interface,
            tunnel: None,
        }
    }
}

/// VLAN tags that are followed; more are nonsense or an attack on the reader.
const TAGS_MAX: usize = 8;

/// The frame most met: Ethernet that carries IPv4, without a tag. `None` for all others; where there is
/// one, [`walk`] gives the same.
#[inline]
pub(super) fn plain(link: LinkType, frame: &[u8]) -> Option<Framed<'_>> {
    untagged(link, frame, [0x08, 0x00], Carried::V4)
}

/// The same of IPv6.
#[inline]
pub(super) fn plain_v6(link: LinkType, frame: &[u8]) -> Option<Framed<'_>> {
    untagged(link, frame, [0x86, 0xdd], Carried::V6)
}

#[inline]
fn untagged(
    link: LinkType,
    frame: &[u8],
    ether_type: [u8; 2],
    carried: Carried,
) -> Option<Framed<'_>> {
    let (header, octets) = frame.split_first_chunk::<14>()?;
    if link != LinkType::Ethernet || header[12..] != ether_type {
        return None;
    }
    Some(Framed {
        fields: Fields {
            source: header[6..12].first_chunk(),
            ..Fields::default()
        },
        carried,
        octets,
    })
}

pub(super) fn walk(link: LinkType, frame: &[u8]) -> Result<Framed<'_>, Unread> {
    match link {
        LinkType::Ethernet => ethernet(frame),
        LinkType::LinuxSll => cooked(frame),
        LinkType::LinuxSll2 => cooked_v2(frame),
        LinkType::Raw => Ok(Framed {
            fields: Fields::default(),
            carried: Carried::Ip,
            octets: frame,
        }),
        LinkType::Null | LinkType::Loop => loopback(frame),
    }
}

fn ethernet(frame: &[u8]) -> Result<Framed<'_>, Unread> {
    let (header, rest) = header::<14>(frame)?;
    let fields = Fields {
        source: header[6..12].first_chunk(),
        ..Fields::default()
    };
    tagged(fields, u16::from_be_bytes([header[12], header[13]]), rest)
}

/// `LINKTYPE_LINUX_SLL`: packet type, ARPHRD type, address length (16 bits each), address, protocol.
fn cooked(frame: &[u8]) -> Result<Framed<'_>, Unread> {
    let (header, rest) = header::<16>(frame)?;
    let fields = Fields {
        direction: direction(u16::from_be_bytes([header[0], header[1]])),
        source: address(u16::from_be_bytes([header[4], header[5]]), &header[6..]),
        ..Fields::default()
    };
    tagged(fields, u16::from_be_bytes([header[14], header[15]]), rest)
}

/// `LINKTYPE_LINUX_SLL2`: protocol, reserved, interface index (32 bits), ARPHRD type, packet type and
/// address length (8 bits each), address.
fn cooked_v2(frame: &[u8]) -> Result<Framed<'_>, Unread> {
    let (header, rest) = header::<20>(frame)?;
    let fields = Fields {
        direction: direction(u16::from(header[10])),
        source: address(u16::from(header[11]), &header[12..]),
        ..Fields::default()
    };
    tagged(fields, u16::from_be_bytes([header[0], header[1]]), rest)
}

/// The address family stands in either byte order (a file may come from another machine); families
/// are small, so the order shows.
fn loopback(frame: &[u8]) -> Result<Framed<'_>, Unread> {
    let (header, octets) = header::<4>(frame)?;
    let family = match header {
        [family, 0, 0, 0] | [0, 0, 0, family] => *family,
        _ => return Err(Unread::NotIp),
    };
    let carried = match family {
        2 => Carried::V4,
        // AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, Darwin.
        10 | 24 | 28 | 30 => Carried::V6,
        _ => return Err(Unread::NotIp),
    };
    Ok(Framed {
        fields: Fields::default(),
        carried,
        octets,
    })
}

/// Follows VLAN tags (802.1Q, 802.1ad, and the types used before it) to what they stand before.
fn tagged<'a>(
    mut fields: Fields<'a>,
    mut ether_type: u16,
    mut rest: &'a [u8],
) -> Result<Framed<'a>, Unread> {
    for depth in 0..=TAGS_MAX {
        let carried = match ether_type {
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let (tag, inner) = rest.split_at_checked(4).ok_or(Unread::CutInLink)?;
                if let Some(vlan) = fields.vlans.get_mut(depth) {
                    *vlan = be16(tag, 0).map(|control| control & 0x0fff);
                }
                ether_type = be16(tag, 2).ok_or(Unread::CutInLink)?;
                rest = inner;
                continue;
            }
            other => Carried::from_ether_type(other).ok_or(Unread::NotIp)?,
        };
        return Ok(Framed {
            fields,
            carried,
            octets: rest,
        });
    }
    Err(Unread::TooManyHeaders)
}

fn header<const LEN: usize>(frame: &[u8]) -> Result<(&[u8; LEN], &[u8]), Unread> {
    frame.split_first_chunk().ok_or(Unread::CutInLink)
}

/// Linux packet types (`if_packet.h`): 0 to us, 1 broadcast, 2 multicast, 3 to another host (seen in
/// promiscuous mode), 4 sent by us.
const fn direction(packet_type: u16) -> Direction {
    match packet_type {
        0..=2 => Direction::In,
        4 => Direction::Out,
        _ => Direction::Unknown,
    }
}

fn address(len: u16, octets: &[u8]) -> Option<&[u8; 6]> {
    if len == 6 { octets.first_chunk() } else { None }
}

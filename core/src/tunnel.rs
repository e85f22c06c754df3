//! Tunnels that segments travel in.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The tunnel around a segment at a vantage; with several inside each other, the innermost.
///
/// It is evidence of the place, not of the segment: at the next vantage it may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tunnel {
    pub kind: TunnelKind,
    /// How many tunnels are inside each other, this one counted: from 1 on.
    pub depth: u8,
    /// Source and destination of the nearest IP header around; `None` where the tunnel lies on the
    /// link itself (MPLS, `PPPoE`).
    pub ends: Option<TunnelEnds>,
    /// The number that tells this tunnel from others between the same ends, where there is one: see
    /// [`TunnelKind`].
    pub id: Option<u32>,
}

/// The addresses that a tunnelled packet travels between, as its outer IP header has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TunnelEnds {
    pub src: IpAddr,
    pub dst: IpAddr,
}

/// How a tunnel wraps packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TunnelKind {
    /// RFC 7348; its number is the VNI.
    Vxlan,
    /// RFC 8926; its number is the VNI.
    Geneve,
    /// RFC 2784, 2890; its number is the key, if it has one.
    Gre,
    /// An IP packet in an IP packet (RFC 2003, 2473, 4213); it has no number.
    IpInIp,
    /// GTP-U (3GPP TS 29.281); its number is the TEID.
    Gtp,
    /// RFC 3032; its number is the label at the bottom of the stack.
    Mpls,
    /// A `PPPoE` session (RFC 2516); its number is the session's.
    Pppoe,
}

impl TunnelKind {
    pub const ALL: [Self; 7] = [
        Self::Vxlan,
        Self::Geneve,
        Self::Gre,
        Self::IpInIp,
        Self::Gtp,
        Self::Mpls,
        Self::Pppoe,
    ];

    /// The word in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::Gre => "gre",
            Self::IpInIp => "ip_in_ip",
            Self::Gtp => "gtp",
            Self::Mpls => "mpls",
            Self::Pppoe => "pppoe",
        }
    }

    /// The number in the protocol and in the database, from 1 on.
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The kind of a [number](Self::number).
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_number_of_its_own_that_leads_back_to_it() {
        for (before, kind) in TunnelKind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.number()), before + 1);
            assert_eq!(TunnelKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(TunnelKind::from_number(0), None);
        assert_eq!(TunnelKind::from_number(8), None);
    }
}

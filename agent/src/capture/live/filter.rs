//! The capture filter: every TCP segment that a digest can be made of, also in tunnels, and the user's
//! own condition.
//!
//! In pcap-filter(7) `tcp` alone is too narrow twice over. It misses IPv6 packets whose first
//! extension header is not the fragment header, so those kinds pass too and are sorted out by the
//! decoder. And `vlan` moves the rest of the expression behind a tag, so that tagged frames need an
//! alternative of their own. (IPv4 fragments pass: `tcp` looks at the protocol only.)
//!
//! What a tunnel carries is out of the filter's sight, so tunnels pass whole, and the user's condition
//! is put to the outer packet. The words `mpls`, `pppoes` and `geneve` are avoided: like `vlan` they
//! move the rest of the expression.

use parallax_core::decode::LinkType;

use super::Tunnels;

/// TCP, or an extension header (hop-by-hop, routing, authentication, destination) that may lead to
/// it; for IPv4 an authentication header, the only one there is.
const TCP: &str =
    "(tcp or (ip6 and (ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 51 or ip6[6] = 60)) or (ip proto 51))";

/// VXLAN (both its ports), GENEVE and GTP-U over UDP; IP in IP and GRE.
const OVER_IP: &str = "(udp dst port 4789 or udp dst port 8472 or udp dst port 6081 \
    or udp dst port 2152 or ip proto 4 or ip proto 41 or ip proto 47 \
    or ip6 proto 4 or ip6 proto 41 or ip6 proto 47)";

/// MPLS and `PPPoE` sessions, where the link has ether types.
const ON_LINK: &str = "(ether proto 0x8847 or ether proto 0x8848 or ether proto 0x8864)";

fn wanted(link: LinkType, tunnels: Tunnels) -> String {
    match (tunnels, link) {
        (Tunnels::Left, _) => TCP.to_owned(),
        (Tunnels::Taken, LinkType::Raw | LinkType::Null | LinkType::Loop) => {
            format!("({TCP} or {OVER_IP})")
        }
        (Tunnels::Taken, _) => format!("({TCP} or {OVER_IP} or {ON_LINK})"),
    }
}

/// The whole filter for a link type. The user's condition holds at each depth of tags; one that
/// speaks of `vlan` itself says where in the frame it stands, and is taken as it is.
pub(super) fn expression(link: LinkType, own: Option<&str>, tunnels: Tunnels) -> String {
    let wanted = wanted(link, tunnels);
    let plain = match own.map(str::trim) {
        None | Some("") => wanted,
        Some(own) => format!("({own}) and {wanted}"),
    };
    if link != LinkType::Ethernet || speaks_of_vlan(own) {
        return plain;
    }
    // Each `vlan` steps behind one tag more for all that follows it.
    format!("({plain}) or (vlan and {plain}) or (vlan and {plain})")
}

fn speaks_of_vlan(own: Option<&str>) -> bool {
    own.is_some_and(|own| {
        own.split(|letter: char| !letter.is_ascii_alphanumeric())
            .any(|word| word == "vlan")
    })
}

#[cfg(test)]
mod tests;

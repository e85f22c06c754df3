//! The capture filter: every TCP segment that a digest can be made of, and the user's own condition.
//!
//! In pcap-filter(7) `tcp` alone is too narrow twice over. It misses IPv6 packets whose first
//! extension header is not the fragment header, so those kinds pass too and are sorted out by the
//! decoder. And `vlan` moves the rest of the expression behind a tag, so that tagged frames need an
//! alternative of their own. (IPv4 fragments pass: `tcp` looks at the protocol only.)

use parallax_core::decode::LinkType;

/// TCP, or an extension header (hop-by-hop, routing, authentication, destination) that may lead to
/// it; for IPv4 an authentication header, the only one there is.
const TCP: &str =
    "(tcp or (ip6 and (ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 51 or ip6[6] = 60)) or (ip proto 51))";

/// The whole filter for a link type. The user's condition holds at each depth of tags; one that
/// speaks of `vlan` itself says where in the frame it stands, and is taken as it is.
pub(super) fn expression(link: LinkType, own: Option<&str>) -> String {
    let plain = match own.map(str::trim) {
        None | Some("") => TCP.to_owned(),
        Some(own) => format!("({own}) and {TCP}"),
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

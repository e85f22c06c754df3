//! What the claimed sender does besides: from where, how fast, and whether it knows of the RST.

use super::{Look, speed};
use crate::case::Case;
use crate::digest::{Digest, Direction, TcpFlags};
use crate::judge::wording::{duration, quoted, segment};
use crate::scene::Scene;
use crate::time::MILLISECOND;

type ConductRule = (&'static str, fn(&Scene<'_>, &Case<'_>) -> Look);

/// Independent of the packet's looks: their weights add up.
pub(super) const RULES: [ConductRule; 3] = [
    ("foreign_link", link),
    ("fingerprint_timing", speed::too_fast),
    ("data_after_reset", goes_on),
];

/// Port reuse and user-space stacks go on after a RST too, so this alone decides nothing.
const SENDER_GOES_ON: f64 = 1.2;
const FOREIGN_LINK: f64 = 1.5;

fn link(scene: &Scene<'_>, case: &Case<'_>) -> Look {
    foreign_link(scene, case).map(|text| (FOREIGN_LINK, text))
}

fn goes_on(scene: &Scene<'_>, case: &Case<'_>) -> Look {
    sender_goes_on(scene, case).map(|text| (SENDER_GOES_ON, text))
}

/// The RST did not come from where the sender's packets come from: received where its host sends, or
/// from another link-layer address than all of them.
pub(crate) fn foreign_link(scene: &Scene<'_>, case: &Case<'_>) -> Option<String> {
    let vantage = case.views[case.first].vantage;
    let seen = case.first_seen();
    let own_host = scene.host_side(vantage) == Some(case.sender);
    if own_host && seen.digest.link.direction == Direction::In {
        return Some(format!(
            "{} runs on the {}'s host, yet the RST came in from outside",
            quoted(scene, vantage),
            case.sender.as_str()
        ));
    }
    let source = seen.digest.link.source?;
    let mut others = scene
        .life(vantage, case.life)
        .filter(|other| other.sender == case.sender && !other.digest.is_rst())
        .filter(|other| other.digest.link.interface == seen.digest.link.interface)
        .filter_map(|other| other.digest.link.source)
        .peekable();
    others.peek()?;
    others.all(|other| other != source).then(|| {
        format!(
            "at {} the RST came from the link-layer address {}, none of the {}'s other packets did",
            quoted(scene, vantage),
            mac(source),
            case.sender.as_str()
        )
    })
}

fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}

/// How long after a RST a segment of the same sender is no mere reordering.
const GOES_ON_AFTER: i64 = 5 * MILLISECOND;

/// The claimed sender sends more of the same connection after its RST, which a TCP that reset it
/// does not.
fn sender_goes_on(scene: &Scene<'_>, case: &Case<'_>) -> Option<String> {
    let vantage = case.views[case.first].vantage;
    let reset = case.first_seen();
    let more = scene.life(vantage, case.life).find(|segment| {
        segment.sender == case.sender
            && is_more(segment.digest)
            && segment.at > reset.at + GOES_ON_AFTER
    })?;
    Some(format!(
        "{} after the RST the {} sent more of the same connection ({}), as if it knew of no RST",
        duration(more.at - reset.at),
        case.sender.as_str(),
        segment(more.digest)
    ))
}

fn is_more(digest: &Digest) -> bool {
    !digest.is_rst() && !digest.flags.has(TcpFlags::SYN)
}

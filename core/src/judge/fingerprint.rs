//! What a RST looks like beside its claimed sender's other packets. Fingerprints rank; they never
//! overrule where a packet was seen and where it was not.

use super::wording::{name, quoted};
use crate::case::Case;
use crate::digest::{Digest, Direction, TcpFlags};
use crate::report::Evidence;
use crate::scene::{Scene, Seen};
use crate::time::MILLISECOND;

/// Which way the looks of a RST point: positive log odds for a middlebox, negative for the endpoint.
pub(crate) struct Leaning {
    pub(crate) log_odds: f64,
    pub(crate) evidence: Vec<Evidence>,
}

/// In 1,365 RSTs of public captures read one by one, the hop count differed from the sender's other
/// packets in 325 of 451 injected ones and 1 of 735 honest ones. Devices that copy a TTL exist, and
/// these captures are not the world, so the weights stay below what the counts would allow.
const HOPS_DIFFER: f64 = 2.8;
const HOPS_AGREE: f64 = -2.0;
/// A RST+ACK that acknowledges a segment before its receiver can have had it.
const TOO_FAST: f64 = 3.5;
/// Port reuse and user-space stacks go on after a RST too, so this alone decides nothing.
const SENDER_GOES_ON: f64 = 1.2;
const FOREIGN_LINK: f64 = 1.5;

/// Weighs the RST of the first sighting against the claimed sender's packets at the same vantage.
pub(crate) fn lean(scene: &Scene<'_>, case: &Case<'_>) -> Leaning {
    let mut leaning = Leaning {
        log_odds: 0.0,
        evidence: Vec::new(),
    };
    let vantage = case.views[case.first].vantage;
    let mut add = |kind: &str, weight: f64, text: String| {
        leaning.log_odds += weight;
        leaning.evidence.push(Evidence {
            kind: kind.to_owned(),
            vantage: Some(name(scene, vantage)),
            text,
        });
    };
    if let Some((weight, text)) = hops(scene, case) {
        add("fingerprint_ttl", weight, text);
    }
    if let Some(text) = foreign_link(scene, case) {
        add("foreign_link", FOREIGN_LINK, text);
    }
    if let Some(text) = too_fast(scene, case) {
        add("fingerprint_timing", TOO_FAST, text);
    }
    if let Some(text) = sender_goes_on(scene, case) {
        add("data_after_reset", SENDER_GOES_ON, text);
    }
    leaning
}

fn hops_told(ttl: u8) -> String {
    match hop_count(ttl) {
        1 => "1 hop".to_owned(),
        count => format!("{count} hops"),
    }
}

/// Hops that a packet has come, by the common initial TTLs.
fn hop_count(ttl: u8) -> u8 {
    match ttl {
        0..=32 => 32 - ttl,
        33..=64 => 64 - ttl,
        65..=128 => 128 - ttl,
        _ => 255 - ttl,
    }
}

fn hops(scene: &Scene<'_>, case: &Case<'_>) -> Option<(f64, String)> {
    let vantage = case.views[case.first].vantage;
    let host = scene.ends.endpoint(case.sender).addr;
    let others: Vec<u8> = scene.evidence.vantages[vantage]
        .segments
        .iter()
        .chain(scene.evidence.vantages[vantage].nearby.iter())
        .filter(|digest| digest.tuple.src.addr == host && !digest.is_rst())
        .map(|digest| digest.ip.ttl)
        .collect();
    let ttl = case.digest().ip.ttl;
    let example = *others.first()?;
    let agree = others
        .iter()
        .any(|&other| hop_count(other) == hop_count(ttl));
    let sender = case.sender.as_str();
    let here = quoted(scene, vantage);
    Some(if agree {
        (
            HOPS_AGREE,
            format!(
                "at {here} the RST has come {} (TTL {ttl}), like other packets from the {sender}",
                hops_told(ttl)
            ),
        )
    } else {
        (
            HOPS_DIFFER,
            format!(
                "at {here} the RST has come {} (TTL {ttl}), other packets from the {sender} {} (TTL {example})",
                hops_told(ttl),
                hops_told(example)
            ),
        )
    })
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

/// A RST+ACK acknowledges a segment that passed here just before, in less than half of the shortest
/// time that its receiver ever took to answer.
fn too_fast(scene: &Scene<'_>, case: &Case<'_>) -> Option<String> {
    let vantage = case.views[case.first].vantage;
    let reset = case.first_seen();
    let acked = reset.digest.acked()?;
    let life: Vec<&Seen<'_>> = scene.life(vantage, case.life).collect();
    let provoking = life.iter().find(|segment| {
        segment.sender != case.sender
            && segment.digest.seq_len() > 0
            && segment.digest.seq_end() == acked
    })?;
    let answer = reset.at - provoking.at;
    let fastest = life
        .iter()
        .filter(|segment| segment.sender != case.sender && segment.digest.seq_len() > 0)
        .filter_map(|asked| first_answer(&life, asked))
        .min()?;
    (answer >= 0 && fastest > MILLISECOND && answer < fastest / 2).then(|| {
        format!(
            "the RST acknowledges a segment only {} after it passed {}; the {} never answered in less than {}",
            super::wording::duration(answer),
            quoted(scene, vantage),
            case.sender.as_str(),
            super::wording::duration(fastest)
        )
    })
}

fn first_answer(life: &[&Seen<'_>], asked: &Seen<'_>) -> Option<i64> {
    life.iter()
        .filter(|answer| answer.sender != asked.sender && !answer.digest.is_rst())
        .filter(|answer| answer.at >= asked.at)
        .find(|answer| {
            answer
                .digest
                .acked()
                .is_some_and(|ack| !ack.before(asked.digest.seq_end()))
        })
        .map(|answer| answer.at - asked.at)
}

/// How long after a RST a segment of the same sender is no mere reordering.
const GOES_ON_AFTER: i64 = 5 * MILLISECOND;

/// The claimed sender sends more of the same connection after its RST, which a TCP that reset it
/// does not.
pub(crate) fn sender_goes_on(scene: &Scene<'_>, case: &Case<'_>) -> Option<String> {
    let vantage = case.views[case.first].vantage;
    let reset = case.first_seen();
    let more = scene.life(vantage, case.life).find(|segment| {
        segment.sender == case.sender
            && goes_on(segment.digest)
            && segment.at > reset.at + GOES_ON_AFTER
    })?;
    Some(format!(
        "{} after the RST the {} sent more of the same connection ({}), as if it knew of no RST",
        super::wording::duration(more.at - reset.at),
        case.sender.as_str(),
        super::wording::segment(more.digest)
    ))
}

fn goes_on(digest: &Digest) -> bool {
    !digest.is_rst() && !digest.flags.has(TcpFlags::SYN)
}

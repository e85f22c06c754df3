//! Equal RSTs told apart by where they came from.
//!
//! A host answers each late segment alike, and what a box forges may equal what the host itself says a
//! moment later. Copies are matched between vantages in time; those that begin at one place are one reset.

use super::Group;
use crate::scene::{Scene, Seen};
use crate::time::MILLISECOND;

/// Copies nearer than this at one vantage are one packet: networks and mirror ports double packets.
const ONE_PACKET: i64 = 3 * MILLISECOND;
/// What a match may be off beside the jitter of the packets before.
const SLACK: i64 = 2 * MILLISECOND;

/// One packet at the vantages that saw it, as places on the way.
struct Copy<'a> {
    at: i64,
    sightings: Vec<(usize, Seen<'a>)>,
}

/// Parts equal packets whose first sightings lie at different places of the way. Where it is not clear which
/// sighting is which packet, they stay one reset.
pub(super) fn by_place<'a>(scene: &Scene<'a>, group: Group<'a>) -> Vec<Group<'a>> {
    let travel = scene.travel(group.sender);
    let found: Option<Vec<Vec<Seen<'a>>>> = travel
        .iter()
        .map(|vantage| recorded(&group, *vantage))
        .collect();
    let Some(at_place) = found else {
        return vec![group];
    };
    let most = at_place.iter().map(Vec::len).max().unwrap_or(0);
    let fewer = |seen: &Vec<Seen<'_>>| !seen.is_empty() && seen.len() < most;
    if most < 2 || !at_place.iter().any(fewer) {
        return vec![group];
    }
    match matched(scene, &travel, &at_place, most) {
        Some(copies) => parted(&travel, group, copies),
        None => vec![group],
    }
}

/// A vantage's copies in order of time; `None` where some may be one packet.
fn recorded<'a>(group: &Group<'a>, vantage: usize) -> Option<Vec<Seen<'a>>> {
    let mut seen: Vec<Seen<'a>> = group
        .sightings
        .iter()
        .filter(|(at, _)| *at == vantage)
        .map(|(_, seen)| *seen)
        .collect();
    seen.sort_by_key(|seen| seen.at);
    let apart = seen
        .windows(2)
        .all(|pair| pair[1].at - pair[0].at >= ONE_PACKET || ids_differ(&pair[0], &pair[1]));
    apart.then_some(seen)
}

/// Two IP IDs make two packets.
fn ids_differ(one: &Seen<'_>, other: &Seen<'_>) -> bool {
    let id = |seen: &Seen<'_>| seen.digest.ip.id.filter(|id| *id != 0);
    id(one)
        .zip(id(other))
        .is_some_and(|(one, other)| one != other)
}

fn matched<'a>(
    scene: &Scene<'a>,
    travel: &[usize],
    at_place: &[Vec<Seen<'a>>],
    most: usize,
) -> Option<Vec<Copy<'a>>> {
    let base = at_place.iter().position(|seen| seen.len() == most)?;
    let mut copies: Vec<Copy<'a>> = at_place[base]
        .iter()
        .map(|seen| Copy {
            at: seen.at,
            sightings: vec![(base, *seen)],
        })
        .collect();
    for (place, seen) in at_place
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != base)
    {
        for sighting in seen {
            let copy = nearest(scene, travel, &copies, (place, base), sighting)?;
            copies[copy].sightings.push((place, *sighting));
        }
    }
    Some(copies)
}

/// The copy that a sighting is of: on the way between two places a packet takes what the packets before it took.
fn nearest(
    scene: &Scene<'_>,
    travel: &[usize],
    copies: &[Copy<'_>],
    (place, base): (usize, usize),
    sighting: &Seen<'_>,
) -> Option<usize> {
    let [here, there] = [place, base].map(|place| {
        let clock = &scene.path.clocks[travel[place]];
        clock.is_known().then(|| clock.at_reference(sighting.at))
    });
    let (here, there) = (here?, there?);
    let takes = here.error.saturating_add(there.error);
    let expected = if place < base { takes } else { -takes };
    let off = |copy: &Copy<'_>| {
        (copy.at - sighting.at)
            .saturating_sub(expected)
            .saturating_abs()
    };
    let free = copies.iter().enumerate().filter(|(_, copy)| {
        let excluded =
            |(other, seen): &(usize, Seen<'_>)| *other == place || ids_differ(seen, sighting);
        !copy.sightings.iter().any(excluded)
    });
    let (best, copy) = free.min_by_key(|(_, copy)| off(copy))?;
    let slack = (here.jitter.saturating_add(there.jitter))
        .saturating_mul(2)
        .saturating_add(SLACK);
    (off(copy) <= slack).then_some(best)
}

/// One group for each place at which copies begin.
fn parted<'a>(travel: &[usize], group: Group<'a>, copies: Vec<Copy<'a>>) -> Vec<Group<'a>> {
    let mut by_first: std::collections::BTreeMap<usize, Vec<(usize, Seen<'a>)>> =
        std::collections::BTreeMap::new();
    for copy in copies {
        let first = copy.sightings.iter().map(|(place, _)| *place).min();
        let sightings = copy.sightings.into_iter();
        by_first
            .entry(first.unwrap_or(0))
            .or_default()
            .extend(sightings.map(|(place, seen)| (travel[place], seen)));
    }
    if by_first.len() < 2 {
        return vec![group];
    }
    by_first
        .into_values()
        .enumerate()
        .map(|(rank, sightings)| Group {
            origin: group.origin.wrapping_add(ELSEWHERE * rank as i16),
            sender: group.sender,
            life: group.life,
            sightings,
            among_equals: rank > 0,
        })
        .collect()
}

/// Sets the identities of equal resets from different places apart, beyond any difference of hops.
const ELSEWHERE: i16 = 1000;

//! Proxies: two connections of which one carries what the other does.

use std::collections::{HashMap, HashSet};

use super::bunch::Bunches;
use super::strand::Strand;
use crate::digest::Digest;
use crate::evidence::FlowEvidence;
use crate::flow::{Flow, Way};
use crate::report::Side;

/// Another connection whose payload is that of one of the flow's lives.
#[derive(Debug, Clone)]
pub(crate) struct Relay {
    /// Index into the lives.
    pub(crate) life: usize,
    pub(crate) flow: Flow,
    /// Payloads that both carry.
    pub(crate) shared: usize,
    /// The side at which the proxy stands in the flow in question: its server, where requests are in the flow
    /// first and answers last.
    pub(crate) proxy: Side,
}

/// Shorter payloads are too alike.
const PAYLOAD_TELLS: u32 = 16;

/// What a connection carries, by whether its client sent it.
type Contents = HashMap<(bool, u64), Vec<Place>>;

/// Where and when a payload was seen.
#[derive(Clone, Copy)]
struct Place {
    vantage: usize,
    time: i64,
}

/// Finds for each life the connection whose payload it shares; of several the one that is nearest in
/// time, and none when two are as near.
pub(super) fn find(evidence: &FlowEvidence, strands: &[Strand], bunches: &Bunches) -> Vec<Relay> {
    let others: Vec<(Flow, Contents)> = bunches
        .other()
        .map(|members| (strands[members[0]].flow, contents(evidence, strands, members.iter().copied())))
        .filter(|(_, contents)| !contents.is_empty())
        .collect();
    if others.is_empty() {
        return Vec::new();
    }
    bunches
        .own()
        .enumerate()
        .flat_map(|(life, members)| {
            let own = contents(evidence, strands, members.iter().map(|member| member.strand));
            let mut found: Vec<(Likeness, Flow)> = others
                .iter()
                .filter_map(|(flow, other)| Some((compare(&own, other)?, *flow)))
                .collect();
            found.sort_by_key(|(alike, flow)| (std::cmp::Reverse(alike.shared), alike.apart, *flow));
            choose(&found).map(|(alike, flow)| Relay {
                life,
                flow,
                shared: alike.shared,
                proxy: alike.proxy,
            })
        })
        .collect()
}

/// What two connections have in common.
#[derive(Clone, Copy)]
struct Likeness {
    /// Payloads that both carry.
    shared: usize,
    /// How far apart in time they carry them, at least.
    apart: i64,
    proxy: Side,
}

/// The best of the candidates, unless the second is as good.
fn choose(found: &[(Likeness, Flow)]) -> Option<(Likeness, Flow)> {
    let (best, flow) = *found.first()?;
    let clear = found.get(1).is_none_or(|(second, _)| {
        second.shared < best.shared
            || (second.apart > best.apart.saturating_mul(5) && second.apart > best.apart + MARGIN)
    });
    clear.then_some((best, flow))
}

/// Copies that follow each other within this cannot be told apart by time.
const MARGIN: i64 = crate::time::MILLISECOND;

/// How long a proxy may hold a payload, clocks that differ included.
const HELD: i64 = 20 * crate::time::SECOND;

/// What two connections share: by times at a vantage that saw both, else by clocks as they are.
fn compare(own: &Contents, other: &Contents) -> Option<Likeness> {
    let mut shared = 0;
    let mut nearest: [Option<i64>; 2] = [None; 2];
    // How much later the other carries requests, and answers.
    let mut later: [Option<i64>; 2] = [None; 2];
    for (content, ours) in own {
        let Some(theirs) = other.get(content) else {
            continue;
        };
        shared += 1;
        for (one, other) in ours.iter().flat_map(|one| theirs.iter().map(move |other| (one, other))) {
            let after = other.time.saturating_sub(one.time);
            keep_nearest(&mut nearest[usize::from(one.vantage != other.vantage)], after.saturating_abs());
            keep_nearest(&mut later[usize::from(content.0)], after);
        }
    }
    let apart = nearest[0].or(nearest[1])?;
    let [answers, requests] = later.map(|later| later.unwrap_or(0));
    // An offset between clocks cancels out, where both are there.
    let proxy = if requests.saturating_sub(answers) > 0 {
        Side::Server
    } else {
        Side::Client
    };
    (apart <= HELD).then_some(Likeness {
        shared,
        apart,
        proxy,
    })
}

fn keep_nearest(known: &mut Option<i64>, new: i64) {
    if known.is_none_or(|known| new.saturating_abs() < known.saturating_abs()) {
        *known = Some(new);
    }
}

fn contents(
    evidence: &FlowEvidence,
    strands: &[Strand],
    members: impl Iterator<Item = usize>,
) -> Contents {
    let mut contents = Contents::new();
    let mut seen: HashSet<(usize, u64)> = HashSet::new();
    for member in members {
        let strand = &strands[member];
        let segments = &evidence.vantages[strand.vantage].segments;
        for index in &strand.segments {
            let digest = &segments[*index];
            let Some(hash) = telling(digest).filter(|hash| seen.insert((strand.vantage, *hash))) else {
                continue;
            };
            let from_client = digest.tuple.way() == client_way(strand);
            contents.entry((from_client, hash)).or_default().push(Place {
                vantage: strand.vantage,
                time: digest.time.nanos(),
            });
        }
    }
    contents
}

/// By the opening, else the end with the higher port asked.
fn client_way(strand: &Strand) -> Way {
    let low_asked = strand.flow.low().port > strand.flow.high().port;
    strand.opener.unwrap_or(if low_asked {
        Way::LowToHigh
    } else {
        Way::HighToLow
    })
}

fn telling(digest: &Digest) -> Option<u64> {
    digest
        .payload_hash
        .filter(|_| digest.payload_len >= PAYLOAD_TELLS)
}

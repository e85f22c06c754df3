//! Proxies: two connections of which one carries what the other does.

use std::collections::{HashMap, HashSet};

use super::bunch::Bunches;
use super::strand::Strand;
use crate::digest::Digest;
use crate::evidence::FlowEvidence;
use crate::flow::{Flow, Way};

/// Another connection whose payload is that of one of the flow's lives.
#[derive(Debug, Clone)]
pub(crate) struct Relay {
    /// Index into the lives.
    pub(crate) life: usize,
    pub(crate) flow: Flow,
    /// Payloads that both carry.
    pub(crate) shared: usize,
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
            let mut found: Vec<(usize, i64, Flow)> = others
                .iter()
                .filter_map(|(flow, other)| {
                    let (shared, apart) = compare(&own, other)?;
                    Some((shared, apart, *flow))
                })
                .collect();
            found.sort_by_key(|(shared, apart, flow)| (std::cmp::Reverse(*shared), *apart, *flow));
            choose(&found).map(|(shared, flow)| Relay { life, flow, shared })
        })
        .collect()
}

/// The best of the candidates, unless the second is as good.
fn choose(found: &[(usize, i64, Flow)]) -> Option<(usize, Flow)> {
    let (shared, apart, flow) = *found.first()?;
    let clear = found.get(1).is_none_or(|(second, their, _)| {
        *second < shared || (*their > apart.saturating_mul(3) && *their > apart + MARGIN)
    });
    clear.then_some((shared, flow))
}

/// Copies that follow each other within this cannot be told apart by time.
const MARGIN: i64 = crate::time::MILLISECOND;

/// How long a proxy may hold a payload.
const HELD: i64 = 5 * crate::time::SECOND;

/// How many payloads both carry, and how far apart in time at a vantage that saw both, at least.
fn compare(own: &Contents, other: &Contents) -> Option<(usize, i64)> {
    let mut shared = 0;
    let mut apart = None;
    for (content, ours) in own {
        let Some(theirs) = other.get(content) else {
            continue;
        };
        shared += 1;
        let pairs = ours.iter().flat_map(|one| {
            theirs
                .iter()
                .filter(|other| other.vantage == one.vantage)
                .map(|other| other.time.saturating_sub(one.time).saturating_abs())
        });
        apart = apart.into_iter().chain(pairs).min();
    }
    // Never seen at one vantage, their clocks say nothing.
    let apart = apart.unwrap_or(HELD);
    (shared > 0 && apart <= HELD).then_some((shared, apart))
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

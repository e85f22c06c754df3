//! Proxies: two connections of which one carries what the other does.

use hashbrown::{HashMap, HashSet};

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
    let others: Vec<(&Strand, Contents)> = bunches
        .other()
        .map(|members| {
            let found = contents(evidence, strands, members.iter().copied());
            (&strands[members[0]], found)
        })
        .filter(|(_, contents)| !contents.is_empty())
        .collect();
    if others.is_empty() {
        return Vec::new();
    }
    bunches
        .own()
        .enumerate()
        .filter_map(|(life, members)| {
            let own = contents(
                evidence,
                strands,
                members.iter().map(|member| member.strand),
            );
            let mut found: Vec<(Likeness, Flow)> = others
                .iter()
                .filter(|(strand, _)| can_meet(&strands[members[0].strand], strand))
                .filter_map(|(strand, other)| Some((compare(&own, other)?, strand.flow)))
                .collect();
            found
                .sort_by_key(|(alike, flow)| (std::cmp::Reverse(alike.shared), alike.apart, *flow));
            choose(&found).map(|(alike, flow)| Relay {
                life,
                flow,
                shared: alike.shared,
                proxy: alike.proxy,
            })
        })
        .collect()
}

/// Whether one host can be the server of the one and the client of the other. Two connections of one client,
/// or to one server, are that client's or that server's, however alike they are.
fn can_meet(one: &Strand, other: &Strand) -> bool {
    let (one, other) = (
        one.flow.tuple(client_way(one)),
        other.flow.tuple(client_way(other)),
    );
    let meet = one.dst.addr == other.src.addr || other.dst.addr == one.src.addr;
    meet || (one.src.addr != other.src.addr && one.dst.addr != other.dst.addr)
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

/// How long a proxy holds a payload.
const FORWARDED: i64 = crate::time::SECOND;
/// The same by clocks that differ.
const HELD: i64 = 20 * crate::time::SECOND;

/// What two connections share, if one can carry what the other does.
fn compare(own: &Contents, other: &Contents) -> Option<Likeness> {
    let mut shared = 0;
    let mut together = Apart::default();
    let mut elsewhere = Apart::default();
    for (content, ours) in own {
        let Some(theirs) = other.get(content) else {
            continue;
        };
        shared += 1;
        for one in ours {
            for other in theirs {
                let after = other.time.saturating_sub(one.time);
                let at_once = one.vantage == other.vantage;
                let apart = if at_once {
                    &mut together
                } else {
                    &mut elsewhere
                };
                apart.take(content.0, after);
            }
        }
    }
    let (proxy, apart) = if together.is_empty() {
        elsewhere.proxy_by_offset()?
    } else {
        together.proxy_on_one_clock()?
    };
    Some(Likeness {
        shared,
        apart,
        proxy,
    })
}

/// How much later the other connection carries requests, and answers; the nearest of each.
#[derive(Default)]
struct Apart {
    requests: Option<i64>,
    answers: Option<i64>,
}

impl Apart {
    fn take(&mut self, from_client: bool, after: i64) {
        if from_client {
            keep_nearest(&mut self.requests, after);
        } else {
            keep_nearest(&mut self.answers, after);
        }
    }

    fn is_empty(&self) -> bool {
        self.requests.is_none() && self.answers.is_none()
    }

    fn nearest(&self) -> Option<i64> {
        let both = [self.requests, self.answers];
        both.into_iter().flatten().map(i64::saturating_abs).min()
    }

    /// At one vantage: requests come out of a proxy after they went in, answers the other way round.
    fn proxy_on_one_clock(&self) -> Option<(Side, i64)> {
        let nearest = self.nearest().filter(|nearest| *nearest <= FORWARDED)?;
        let at_server = self.requests.is_none_or(|after| after > 0)
            && self.answers.is_none_or(|after| after < 0);
        let at_client = self.requests.is_none_or(|after| after < 0)
            && self.answers.is_none_or(|after| after > 0);
        match (at_server, at_client) {
            (true, false) => Some((Side::Server, nearest)),
            (false, true) => Some((Side::Client, nearest)),
            _ => None,
        }
    }

    /// At different vantages an offset between the clocks cancels out where both directions are there.
    fn proxy_by_offset(&self) -> Option<(Side, i64)> {
        let nearest = self.nearest()?;
        let most = match (self.requests, self.answers) {
            (Some(_), Some(_)) => HELD,
            _ => FORWARDED,
        };
        let there = self
            .requests
            .unwrap_or(0)
            .saturating_sub(self.answers.unwrap_or(0));
        let side = if there > 0 {
            Side::Server
        } else {
            Side::Client
        };
        (nearest <= most && there != 0).then_some((side, nearest))
    }
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
            let Some(hash) = telling(digest).filter(|hash| seen.insert((strand.vantage, *hash)))
            else {
                continue;
            };
            let from_client = digest.tuple.way() == client_way(strand);
            contents
                .entry((from_client, hash))
                .or_default()
                .push(Place {
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

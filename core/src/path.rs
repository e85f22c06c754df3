//! The path of a flow: which vantages its packets passed, client side first, and how far their
//! clocks differ.

use std::cmp::Reverse;

use crate::digest::Digest;
use crate::evidence::FlowEvidence;
use crate::flow::Endpoint;
use crate::matching::{Comparison, Recognisable};
use crate::report::Side;

/// The order of the vantages on one flow's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// Indices into the evidence's vantages, client side first. Vantages of which nothing says that
    /// the flow passes them are left out.
    pub(crate) order: Vec<usize>,
    /// For every vantage of the evidence: its clock minus the clock of the first vantage on the path,
    /// in nanoseconds; `None` where no packets tell.
    pub(crate) offsets: Vec<Option<i64>>,
    /// How far each offset can be off, nanoseconds.
    pub(crate) errors: Vec<i64>,
}

/// The two ends of a flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
}

impl Ends {
    /// Who asked for the connection: by its SYN or SYN+ACK; else the higher port, since servers
    /// listen on low ones.
    pub(crate) fn of(evidence: &FlowEvidence) -> Self {
        let opening = evidence
            .vantages
            .iter()
            .flat_map(|at| &at.segments)
            .filter(|digest| digest.is_syn() || digest.is_syn_ack())
            .min_by_key(|digest| Reverse(digest.is_syn()));
        let (low, high) = (evidence.flow.low(), evidence.flow.high());
        let client = match opening {
            Some(syn) if syn.is_syn() => syn.tuple.src,
            Some(syn_ack) => syn_ack.tuple.dst,
            None if low.port > high.port => low,
            None => high,
        };
        let server = if client == low { high } else { low };
        Self { client, server }
    }

    pub(crate) fn sender(&self, digest: &Digest) -> Side {
        if digest.tuple.src == self.client {
            Side::Client
        } else {
            Side::Server
        }
    }

    pub(crate) fn endpoint(&self, side: Side) -> Endpoint {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }

    /// The side whose host sent a segment of another flow between the same two hosts.
    fn sender_by_host(&self, digest: &Digest) -> Option<Side> {
        let (src, dst) = (digest.tuple.src.addr, digest.tuple.dst.addr);
        let (client, server) = (self.client.addr, self.server.addr);
        if client == server {
            return None;
        }
        if (src, dst) == (client, server) {
            Some(Side::Client)
        } else if (src, dst) == (server, client) {
            Some(Side::Server)
        } else {
            None
        }
    }

    /// Every segment of a vantage that went between the two hosts, with its sender.
    pub(crate) fn between_hosts<'a>(
        &'a self,
        evidence: &'a FlowEvidence,
        vantage: usize,
    ) -> impl Iterator<Item = (&'a Digest, Side)> {
        let at = &evidence.vantages[vantage];
        let own = at
            .segments
            .iter()
            .map(|digest| (digest, self.sender(digest)));
        let nearby = at
            .nearby
            .iter()
            .filter_map(|digest| Some((digest, self.sender_by_host(digest)?)));
        own.chain(nearby)
    }
}

/// Finds the path of a flow from the configured order, the hosts, TTLs and two-way timing; the order
/// of the evidence breaks ties.
pub(crate) fn find(evidence: &FlowEvidence, ends: &Ends) -> Path {
    let pairs = Pairs::compare(evidence, ends);
    let members = members(evidence, ends);
    let inferred = pairs.sort(evidence, ends, &members);
    let order = match &evidence.configured_path {
        Some(configured) => pairs.merge(configured, &inferred, evidence, ends),
        None => inferred,
    };
    let (offsets, errors) = pairs.offsets(&order);
    Path {
        order,
        offsets,
        errors,
    }
}

/// Vantages that the flow's packets pass as far as anything tells.
fn members(evidence: &FlowEvidence, ends: &Ends) -> Vec<usize> {
    (0..evidence.vantages.len())
        .filter(|&index| {
            host_side(evidence, ends, index).is_some()
                || ends.between_hosts(evidence, index).next().is_some()
        })
        .collect()
}

/// The end on whose host a vantage runs.
pub(crate) fn host_side(evidence: &FlowEvidence, ends: &Ends, index: usize) -> Option<Side> {
    let vantage = &evidence.vantages[index].vantage;
    let client = vantage.is_host_of(ends.client.addr);
    let server = vantage.is_host_of(ends.server.addr);
    match (client, server) {
        (true, false) => Some(Side::Client),
        (false, true) => Some(Side::Server),
        _ => None,
    }
}

/// What the common packets of every two vantages tell.
struct Pairs {
    compared: Vec<Vec<Option<Comparison>>>,
}

impl Pairs {
    fn compare(evidence: &FlowEvidence, ends: &Ends) -> Self {
        let count = evidence.vantages.len();
        let sets: Vec<Recognisable<'_>> = (0..count)
            .map(|index| Recognisable::new(ends.between_hosts(evidence, index)))
            .collect();
        let compared = (0..count)
            .map(|a| {
                (0..count)
                    .map(|b| (a != b).then(|| sets[a].compare(&sets[b])))
                    .collect()
            })
            .collect();
        Self { compared }
    }

    /// Positive: `a` is nearer to the client.
    fn vote(&self, a: usize, b: usize) -> i32 {
        self.compared[a][b].map_or(0, |pair| pair.client_side_first())
    }

    /// Members by the number of others that they precede, hosts at their ends.
    fn sort(&self, evidence: &FlowEvidence, ends: &Ends, members: &[usize]) -> Vec<usize> {
        let before = self.precedence(evidence, ends, members);
        let mut order = members.to_vec();
        order.sort_by_key(|&a| {
            let wins = members.iter().filter(|&&b| before[a][b]).count();
            let losses = members.iter().filter(|&&b| before[b][a]).count();
            (Reverse(wins as i64 - losses as i64), a)
        });
        order
    }

    /// Who precedes whom: direct votes, closed over intermediate vantages where there is no vote.
    fn precedence(
        &self,
        evidence: &FlowEvidence,
        ends: &Ends,
        members: &[usize],
    ) -> Vec<Vec<bool>> {
        let count = evidence.vantages.len();
        let side: Vec<Option<Side>> = (0..count)
            .map(|index| host_side(evidence, ends, index))
            .collect();
        let mut before = vec![vec![false; count]; count];
        for &a in members {
            for &b in members {
                let (at_client, at_server) = (Some(Side::Client), Some(Side::Server));
                let by_host = match (side[a], side[b]) {
                    (x, y) if x == y => None,
                    (x, y) if x == at_client || y == at_server => Some(true),
                    (x, y) if x == at_server || y == at_client => Some(false),
                    _ => None,
                };
                before[a][b] = a != b && by_host.unwrap_or_else(|| self.vote(a, b) > 0);
            }
        }
        for &via in members {
            for &a in members {
                for &b in members {
                    if before[a][via] && before[via][b] && !before[b][a] && a != b {
                        before[a][b] = true;
                    }
                }
            }
        }
        before
    }

    /// The configured order, turned round when TTLs say that this flow's client is at its far end,
    /// with vantages that it does not name put where the votes want them.
    fn merge(
        &self,
        configured: &[usize],
        inferred: &[usize],
        evidence: &FlowEvidence,
        ends: &Ends,
    ) -> Vec<usize> {
        let mut order = configured.to_vec();
        if self.runs_against(configured, evidence, ends) {
            order.reverse();
        }
        for &extra in inferred {
            if !order.contains(&extra) {
                let place = order
                    .iter()
                    .rposition(|&named| self.vote(named, extra) > 0)
                    .map_or(0, |index| index + 1);
                order.insert(place, extra);
            }
        }
        order
    }

    fn runs_against(&self, configured: &[usize], evidence: &FlowEvidence, ends: &Ends) -> bool {
        let last = configured.len().saturating_sub(1);
        for (place, &index) in configured.iter().enumerate() {
            match host_side(evidence, ends, index) {
                Some(Side::Client) if place == 0 => return false,
                Some(Side::Server) if place == last => return false,
                Some(Side::Client) if place == last => return true,
                Some(Side::Server) if place == 0 => return true,
                _ => {}
            }
        }
        let votes: i32 = configured
            .iter()
            .enumerate()
            .flat_map(|(place, &a)| configured[place + 1..].iter().map(move |&b| (a, b)))
            .filter_map(|(a, b)| Some(self.compared[a][b]?.ttl_votes()))
            .sum();
        votes < 0
    }

    /// Clock offsets along the path and their errors: directly against the first vantage, else through
    /// those whose offset is known; two-way comparisons before one-way ones.
    fn offsets(&self, order: &[usize]) -> (Vec<Option<i64>>, Vec<i64>) {
        let mut offsets = vec![None; self.compared.len()];
        let mut errors = vec![0_i64; self.compared.len()];
        let Some(&first) = order
            .iter()
            .find(|&&a| order.iter().any(|&b| self.offset(a, b).is_some()))
            .or(order.first())
        else {
            return (offsets, errors);
        };
        offsets[first] = Some(0);
        for two_way in [true, false] {
            while let Some((from, to)) = self.next_known(order, &offsets, two_way) {
                let Some(pair) = self.compared[from][to] else {
                    break;
                };
                let step = pair.clock_offset().unwrap_or(0);
                offsets[to] = offsets[from].map(|known: i64| known.saturating_add(step));
                errors[to] = errors[from].saturating_add(pair.clock_error());
            }
        }
        (offsets, errors)
    }

    /// A vantage whose offset follows from one that is known.
    fn next_known(
        &self,
        order: &[usize],
        offsets: &[Option<i64>],
        two_way: bool,
    ) -> Option<(usize, usize)> {
        let known = order.iter().filter(|&&from| offsets[from].is_some());
        let unknown = || order.iter().filter(|&&to| offsets[to].is_none());
        known
            .flat_map(|&from| unknown().map(move |&to| (from, to)))
            .find(|&(from, to)| {
                self.compared[from][to].is_some_and(|pair| {
                    pair.clock_offset().is_some() && (!two_way || pair.is_two_way())
                })
            })
    }

    fn offset(&self, a: usize, b: usize) -> Option<i64> {
        self.compared[a][b]?.clock_offset()
    }
}

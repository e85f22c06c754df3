//! The path of a flow: which vantages its packets passed, client side first, and how far their
//! clocks differ.

use std::cmp::Reverse;

use hashbrown::DefaultHashBuilder;

use crate::clock::{Clock, Walk};
use crate::ends::Ends;
use crate::join::{Joined, Segment};
use crate::matching::{Comparison, Recognisable, Recorded};
use crate::report::Side;
use crate::time::CaptureTime;

/// The order of the vantages on one flow's way.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    /// Indices into the evidence's vantages, client side first. Vantages of which nothing says that
    /// the flow passes them are left out.
    pub(crate) order: Vec<usize>,
    /// For every vantage of the evidence its clock against the reference, which is one of them.
    pub(crate) clocks: Vec<Clock>,
}

impl Path {
    /// When a packet that passed `seen_at` at a moment of the reference clock passed another vantage, by that
    /// vantage's own clock, and how far that may be off: by the errors of both clocks, which are no less than
    /// the time that the packet took.
    pub(crate) fn own_time(&self, vantage: usize, seen_at: usize, at: i64) -> (CaptureTime, i64) {
        self.crossing(vantage, seen_at).own_time(at)
    }

    /// The same of one packet after the other.
    pub(crate) fn crossing(&self, vantage: usize, seen_at: usize) -> Crossing<'_> {
        Crossing {
            own: self.clocks[vantage].walk(),
            there: (vantage != seen_at).then(|| self.clocks[seen_at].walk()),
        }
    }
}

/// From the vantage that saw packets to another one.
pub(crate) struct Crossing<'a> {
    own: Walk<'a>,
    /// `None`: it is the same.
    there: Option<Walk<'a>>,
}

impl Crossing<'_> {
    /// As [`Path::own_time`].
    pub(crate) fn own_time(&mut self, at: i64) -> (CaptureTime, i64) {
        let offset = self.own.at_reference(at);
        let own = CaptureTime::from_nanos(at.saturating_add(offset.nanos));
        let Some(there) = &mut self.there else {
            return (own, offset.error);
        };
        let there = there.at_reference(at);
        let errors = [offset.error, there.error, offset.jitter, there.jitter];
        (own, errors.into_iter().fold(0, i64::saturating_add))
    }
}

/// Finds the path of a flow from the configured order, the hosts, TTLs and two-way timing; the order
/// of the evidence breaks ties.
pub(crate) fn find(joined: &Joined<'_>, ends: &Ends, nearby: &[Vec<Recorded<'_>>]) -> Path {
    let pairs = Pairs::compare(joined, ends, nearby);
    let members = members(joined, ends, nearby);
    let inferred = pairs.sort(ends, &members);
    let order = match &joined.evidence.configured_path {
        Some(configured) => pairs.merge(configured, &inferred, ends),
        None => inferred,
    };
    let mut clocks = pairs.clocks(&order, joined);
    ask_exchanges(joined, &mut clocks);
    Path { order, clocks }
}

/// Where packets tell nothing of a clock, exchanges of stamps with the collector may.
fn ask_exchanges(joined: &Joined<'_>, clocks: &mut [Clock]) {
    let exchanged = |vantage: usize| joined.evidence.vantages[vantage].clock;
    let reference = clocks
        .iter()
        .position(|clock| matches!(clock, Clock::Reference));
    let Some(reference) = reference.and_then(exchanged) else {
        return;
    };
    for (vantage, clock) in clocks.iter_mut().enumerate() {
        if let (false, Some(own)) = (clock.is_known(), exchanged(vantage)) {
            *clock = Clock::exchanged(own, reference);
        }
    }
}

/// Vantages that the flow's packets pass as far as anything tells.
fn members(joined: &Joined<'_>, ends: &Ends, nearby: &[Vec<Recorded<'_>>]) -> Vec<usize> {
    (0..joined.at.len())
        .filter(|&index| {
            ends.host_side(index).is_some()
                || !joined.at[index].is_empty()
                || !nearby[index].is_empty()
        })
        .collect()
}

/// Whether a vantage's clock never went back while it recorded.
fn goes_on(segments: &[Segment<'_>]) -> bool {
    segments
        .windows(2)
        .all(|pair| pair[0].carried.time <= pair[1].carried.time)
}

/// At each vantage the segments of other connections that went between the two hosts. They stand in the order of
/// capture where their time puts them among the flow's own.
pub(crate) fn nearby<'a>(joined: &Joined<'a>, ends: &Ends) -> Vec<Vec<Recorded<'a>>> {
    let at = joined.at.iter().enumerate().map(|(vantage, own)| {
        let times: Vec<CaptureTime> = own.iter().map(|own| own.carried.time).collect();
        let mut all = Vec::with_capacity(joined.evidence.vantages[vantage].nearby.iter().count());
        let nearby = ends.neighbours(joined.evidence, vantage);
        nearby.for_each(|(digest, sender)| {
            let place = times.partition_point(|time| *time <= digest.time);
            all.push(Recorded {
                digest,
                sender,
                order: place as i64 * 2 - 1,
            });
        });
        all
    });
    at.collect()
}

/// Every segment of a vantage that went between the two hosts.
fn recorded<'a>(
    own: &'a [Segment<'_>],
    ends: &'a Ends,
    nearby: &'a [Recorded<'_>],
) -> impl Iterator<Item = Recorded<'a>> {
    let own = own.iter().zip(0_i64..).map(|(segment, place)| Recorded {
        digest: &segment.digest,
        sender: ends.sender(&segment.digest),
        order: place * 2,
    });
    own.chain(nearby.iter().copied())
}

/// What the common packets of every two vantages tell.
struct Pairs {
    compared: Vec<Vec<Comparison>>,
}

impl Pairs {
    fn compare(joined: &Joined<'_>, ends: &Ends, nearby: &[Vec<Recorded<'_>>]) -> Self {
        let count = joined.at.len();
        let hashing = DefaultHashBuilder::default();
        let at = joined.at.iter().zip(nearby);
        let sets: Vec<Recognisable<'_>> = at
            .map(|(own, nearby)| Recognisable::new(recorded(own, ends, nearby), &hashing))
            .collect();
        let mut compared = vec![vec![Comparison::default(); count]; count];
        for a in 0..count {
            for b in a + 1..count {
                let found = sets[a].compare(&sets[b]);
                compared[b][a] = found.turned();
                compared[a][b] = found;
            }
        }
        Self { compared }
    }

    /// Positive: `a` is nearer to the client.
    fn vote(&self, a: usize, b: usize) -> i32 {
        self.compared[a][b].client_side_first()
    }

    /// Members by the number of others that they precede, hosts at their ends.
    fn sort(&self, ends: &Ends, members: &[usize]) -> Vec<usize> {
        let before = self.precedence(ends, members);
        let mut order = members.to_vec();
        order.sort_by_key(|&a| {
            let wins = members.iter().filter(|&&b| before[a][b]).count();
            let losses = members.iter().filter(|&&b| before[b][a]).count();
            (Reverse(wins as i64 - losses as i64), a)
        });
        order
    }

    /// Who precedes whom: direct votes, closed over intermediate vantages where there is no vote.
    fn precedence(&self, ends: &Ends, members: &[usize]) -> Vec<Vec<bool>> {
        let count = self.compared.len();
        let mut before = vec![vec![false; count]; count];
        for &a in members {
            for &b in members {
                let (at_client, at_server) = (Some(Side::Client), Some(Side::Server));
                let by_host = match (ends.host_side(a), ends.host_side(b)) {
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
    fn merge(&self, configured: &[usize], inferred: &[usize], ends: &Ends) -> Vec<usize> {
        let mut order = configured.to_vec();
        if self.runs_against(configured, ends) {
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

    fn runs_against(&self, configured: &[usize], ends: &Ends) -> bool {
        let last = configured.len().saturating_sub(1);
        for (place, &index) in configured.iter().enumerate() {
            match ends.host_side(index) {
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
            .map(|(a, b)| self.compared[a][b].client_side_first())
            .sum();
        votes < 0
    }

    /// Clocks along the path: directly against a first one, else through those that are known;
    /// two-way comparisons before one-way ones.
    fn clocks(&self, order: &[usize], joined: &Joined<'_>) -> Vec<Clock> {
        let mut clocks = vec![Clock::Unknown; self.compared.len()];
        let met = |a: usize, b: usize| !self.compared[a][b].samples.is_empty();
        // A clock that was set back shows one time twice, and cannot tell when anything was.
        let meets = |a: &&usize| order.iter().any(|&b| met(**a, b));
        let Some(&first) = order
            .iter()
            .filter(meets)
            .find(|&&a| goes_on(&joined.at[a]))
            .or(order.iter().find(meets))
            .or(order.first())
        else {
            return clocks;
        };
        clocks[first] = Clock::Reference;
        for two_way in [true, false] {
            while let Some((from, to)) = self.next_known(order, &clocks, two_way) {
                // In order of capture at `to`.
                let mut samples = self.compared[from][to].samples.clone();
                samples.sort_unstable_by_key(|sample| (sample.orders[1], sample.times[1]));
                clocks[to] = Clock::against(&clocks[from], &samples);
            }
        }
        clocks
    }

    /// A vantage whose clock follows from one that is known.
    fn next_known(
        &self,
        order: &[usize],
        clocks: &[Clock],
        two_way: bool,
    ) -> Option<(usize, usize)> {
        let known = order.iter().filter(|&&from| clocks[from].is_known());
        let unknown = || order.iter().filter(|&&to| !clocks[to].is_known());
        known
            .flat_map(|&from| unknown().map(move |&to| (from, to)))
            .find(|&(from, to)| {
                let pair = &self.compared[from][to];
                !pair.samples.is_empty() && (!two_way || pair.is_two_way())
            })
    }
}

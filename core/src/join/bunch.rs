//! Strands bunched into connections: first those of one name, then those under other names.

mod ties;

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::strand::Strand;
use super::tie::{self, CERTAIN, Tie, TiedBy, Turn, View};
use crate::digest::Digest;
use crate::evidence::FlowEvidence;
use crate::flow::{Flow, Way};
use crate::seq::TcpSeq;
use ties::Ties;

/// A strand as part of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) strand: usize,
    /// From the flow in question to how this strand carries it.
    pub(super) turn: Turn,
    /// What told that it belongs; `None`: name and numbers are the flow's own.
    pub(super) by: Option<TiedBy>,
}

/// Every strand in its bunch.
pub(super) struct Bunches {
    own: Vec<Vec<Member>>,
    /// Bunches, by the roots of their strands, that were not joined because of others as good, and the
    /// vantages of those.
    refused: Vec<(BTreeSet<usize>, BTreeSet<usize>)>,
    other: Vec<Vec<usize>>,
}

/// More names than this near one flow are no translation but a scan.
const NAMES_MAX: usize = 96;

impl Bunches {
    pub(super) fn gather(evidence: &FlowEvidence, strands: &[Strand]) -> Self {
        let mut union = Union::of(strands.len());
        let view = |index: usize| View::of(evidence, &strands[index]);
        same_numbers(strands, &mut union);
        let mut by_flow: BTreeMap<Flow, Vec<usize>> = BTreeMap::new();
        for (index, strand) in strands.iter().enumerate() {
            by_flow.entry(strand.flow).or_default().push(index);
        }
        for of_flow in by_flow.values() {
            same_name(strands, of_flow, &view, &mut union);
            only_life(strands, of_flow, &mut union);
            stragglers(evidence, strands, of_flow, &mut union);
        }
        let refused = Ties::between_names(strands, &mut union, &view);
        Self::sorted(evidence, strands, &mut union, refused)
    }

    fn sorted(
        evidence: &FlowEvidence,
        strands: &[Strand],
        union: &mut Union,
        refused: Vec<(BTreeSet<usize>, BTreeSet<usize>)>,
    ) -> Self {
        let mut bunches: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for index in 0..strands.len() {
            bunches.entry(union.root(index).0).or_default().push(index);
        }
        let mut own = Vec::new();
        let mut other = Vec::new();
        for members in bunches.into_values() {
            let base = members
                .iter()
                .copied()
                .find(|index| strands[*index].flow == evidence.flow);
            match base {
                Some(base) => own.push(told_from(base, &members, union)),
                None => other.push(members),
            }
        }
        Self {
            own,
            refused,
            other,
        }
    }

    /// The lives of the flow in question.
    pub(super) fn own(&self) -> impl Iterator<Item = &Vec<Member>> {
        self.own.iter()
    }

    /// Connections that are none of the flow's.
    pub(super) fn other(&self) -> impl Iterator<Item = &Vec<usize>> {
        self.other.iter()
    }

    /// Vantages where a connection of these members may have been recorded under a name that was not told from
    /// another: refused as one of several, or too weakly tied.
    pub(super) fn refused(&self, strands: &[Strand], members: &[Member]) -> Vec<usize> {
        let here: BTreeSet<usize> = members
            .iter()
            .map(|member| strands[member.strand].vantage)
            .collect();
        let of_these =
            |set: &BTreeSet<usize>| members.iter().any(|member| set.contains(&member.strand));
        let tied = self
            .refused
            .iter()
            .filter(|(of, _)| of_these(of))
            .flat_map(|(_, at)| at.iter().copied());
        let numbers = |strand: &Strand| {
            [Way::LowToHigh, Way::HighToLow]
                .into_iter()
                .filter_map(|way| strand.isn(way))
                .map(|number| number.0)
                .collect::<Vec<u32>>()
        };
        let own: BTreeSet<u32> = members
            .iter()
            .flat_map(|member| numbers(&strands[member.strand]))
            .collect();
        let alike = self
            .other
            .iter()
            .flatten()
            .filter(|index| {
                numbers(&strands[**index])
                    .iter()
                    .any(|number| own.contains(number))
            })
            .map(|index| strands[*index].vantage);
        let all: BTreeSet<usize> = tied.chain(alike).collect();
        all.difference(&here).copied().collect()
    }
}

fn told_from(base: usize, members: &[usize], union: &mut Union) -> Vec<Member> {
    let back = union.root(base).1.undone();
    members
        .iter()
        .map(|&strand| {
            let (_, turn, by) = union.root(strand);
            Member {
                strand,
                turn: back.then(turn),
                by,
            }
        })
        .collect()
}

/// Strands of one flow whose SYN has one number are one connection.
fn same_numbers(strands: &[Strand], union: &mut Union) {
    let mut known: HashMap<(Flow, Way, TcpSeq), usize> = HashMap::new();
    for (index, strand) in strands.iter().enumerate() {
        let Some((opener, [Some(client), server])) = strand.opener.zip(strand.initial()) else {
            continue;
        };
        let first = *known.entry((strand.flow, opener, client)).or_insert(index);
        let other = strands[first].isn(opener.opposite());
        let mut shift = [0; 2];
        if let (Some(theirs), Some(ours)) = (server, other) {
            shift[opener.opposite() as usize] = theirs.0.wrapping_sub(ours.0);
        }
        let turn = Turn { flip: false, shift };
        let by = (turn != Turn::NONE).then_some(TiedBy::Handshake);
        union.join(first, index, turn, by);
    }
}

/// Strands of one flow at different vantages, where a box rewrites numbers or the opening is missing.
fn same_name<'a>(
    strands: &'a [Strand],
    of_flow: &[usize],
    view: &impl Fn(usize) -> View<'a>,
    union: &mut Union,
) {
    let mut found: Vec<(Tie, usize, usize)> = Vec::new();
    let groups = groups(of_flow, union);
    for (number, ours) in groups.iter().enumerate().take(NAMES_MAX) {
        for theirs in groups.iter().skip(number + 1).take(NAMES_MAX) {
            if meet(strands, ours, theirs)
                && !is_fragment(strands, ours)
                && !is_fragment(strands, theirs)
            {
                continue;
            }
            if let Some((tie, a, b)) =
                best(strands, ours, theirs, view).or_else(|| shared_packet(ours, theirs, view))
            {
                found.push((tie, a, b));
            }
        }
    }
    found.sort_by_key(|(tie, a, b)| (std::cmp::Reverse(tie.bits), *a, *b));
    for (tie, a, b) in found {
        let (ours, theirs) = (union.members(of_flow, a), union.members(of_flow, b));
        let fragment = is_fragment(strands, &ours) || is_fragment(strands, &theirs);
        if fragment || !meet(strands, &ours, &theirs) {
            let by = (tie.turn != Turn::NONE).then_some(tie.by);
            union.join(a, b, tie.turn, by);
        }
    }
}

/// A packet that strands of one flow have in common makes them one connection, however odd its numbers.
fn shared_packet<'a>(
    ours: &[usize],
    theirs: &[usize],
    view: &impl Fn(usize) -> View<'a>,
) -> Option<(Tie, usize, usize)> {
    ours.iter().find_map(|&a| {
        let own = view(a).packets();
        let b = *theirs
            .iter()
            .find(|&&b| !own.is_disjoint(&view(b).packets()))?;
        let tie = Tie {
            turn: Turn::NONE,
            bits: CERTAIN,
            by: TiedBy::Payload,
        };
        Some((tie, a, b))
    })
}

/// A flow of which every vantage recorded one opening, where nothing else of it tells: it is the same one, with
/// other numbers.
fn only_life(strands: &[Strand], of_flow: &[usize], union: &mut Union) {
    let opened: Vec<usize> = of_flow
        .iter()
        .copied()
        .filter(|index| strands[*index].syn.is_some())
        .collect();
    let mut vantages: Vec<usize> = opened.iter().map(|index| strands[*index].vantage).collect();
    vantages.sort_unstable();
    vantages.dedup();
    let alone = vantages.len() == opened.len();
    let Some((&first, others)) = opened.split_first().filter(|_| alone) else {
        return;
    };
    for &other in others {
        let (ours, theirs) = (&strands[first], &strands[other]);
        if ours.opener != theirs.opener {
            continue;
        }
        let shift = [Way::LowToHigh, Way::HighToLow].map(|way| {
            let both = ours.isn(way).zip(theirs.isn(way));
            both.map_or(0, |(ours, theirs)| theirs.0.wrapping_sub(ours.0))
        });
        let turn = Turn { flip: false, shift };
        union.join(first, other, turn, Some(TiedBy::Handshake));
    }
}

/// What is left without an opening belongs to the connection whose numbers fit.
fn stragglers(evidence: &FlowEvidence, strands: &[Strand], of_flow: &[usize], union: &mut Union) {
    let groups = groups(of_flow, union);
    let opened: Vec<&Vec<usize>> = groups
        .iter()
        .filter(|members| !is_fragment(strands, members))
        .collect();
    let loose: Vec<&Vec<usize>> = groups
        .iter()
        .filter(|members| is_fragment(strands, members))
        .collect();
    // With no opening anywhere the largest recording is the connection.
    let anchors: Vec<&Vec<usize>> = if opened.is_empty() {
        let size = |members: &&&Vec<usize>| -> usize {
            members
                .iter()
                .map(|index| strands[*index].segments.len())
                .sum()
        };
        loose.iter().max_by_key(size).into_iter().copied().collect()
    } else {
        opened
    };
    for members in loose {
        let others = || anchors.iter().filter(|anchor| anchor[0] != members[0]);
        let fit = others().rev().find_map(|anchor| {
            let fits = |index: &usize| fits(evidence, &strands[*index], strands, members);
            anchor.iter().copied().find(fits)
        });
        let resets = only_resets(evidence, strands, members);
        let last = || {
            others()
                .next_back()
                .filter(|_| resets)
                .map(|anchor| anchor[0])
        };
        if let Some(strand) = fit.or_else(last) {
            union.join(strand, members[0], Turn::NONE, None);
        }
    }
}

fn only_resets(evidence: &FlowEvidence, strands: &[Strand], members: &[usize]) -> bool {
    members.iter().all(|index| {
        let strand = &strands[*index];
        let segments = &evidence.vantages[strand.vantage].segments;
        strand.segments.iter().all(|at| segments[*at].is_rst())
    })
}

/// Streams of one connection stay within this of each other while one of them is recorded in part.
const WITHIN: u32 = 1 << 26;

/// The numbers that the loose strands carry are near to what the anchor carries that way.
fn fits(evidence: &FlowEvidence, anchor: &Strand, strands: &[Strand], loose: &[usize]) -> bool {
    let near = |number: TcpSeq, way: Way| {
        let known = anchor.last(way).or(anchor.isn(way))?;
        Some(number.since(known).unsigned_abs() < WITHIN)
    };
    let digests = loose.iter().flat_map(|index| {
        let strand = &strands[*index];
        let segments = &evidence.vantages[strand.vantage].segments;
        strand.segments.iter().map(move |at| &segments[*at])
    });
    let told: Vec<bool> = digests
        .flat_map(|digest: &Digest| {
            let way = digest.tuple.way();
            let ack = digest.acked().and_then(|ack| near(ack, way.opposite()));
            [near(digest.seq, way), ack]
        })
        .flatten()
        .collect();
    !told.is_empty() && told.iter().filter(|near| **near).count() * 10 >= told.len() * 9
}

/// No SYN or SYN+ACK in any of it.
fn is_fragment(strands: &[Strand], members: &[usize]) -> bool {
    members.iter().all(|index| strands[*index].opener.is_none())
}

/// Both were recorded at one vantage.
fn meet(strands: &[Strand], ours: &[usize], theirs: &[usize]) -> bool {
    ours.iter().any(|a| {
        theirs
            .iter()
            .any(|b| strands[*a].vantage == strands[*b].vantage)
    })
}

/// The bunches among some strands.
fn groups(of: &[usize], union: &mut Union) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &index in of {
        groups.entry(union.root(index).0).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_by_key(|members| members[0]);
    groups
}

/// How many strands of a bunch are held against another's.
const TRIED: usize = 3;

/// The strongest tie between two bunches, and the two strands that it ties.
fn best<'a>(
    strands: &[Strand],
    ours: &[usize],
    theirs: &[usize],
    view: &impl Fn(usize) -> View<'a>,
) -> Option<(Tie, usize, usize)> {
    let telling = |members: &[usize]| -> Vec<usize> {
        let mut telling = members.to_vec();
        telling.sort_by_key(|index| {
            let strand = &strands[*index];
            let numbers = strand
                .initial()
                .map_or(0, |both| both.iter().flatten().count());
            std::cmp::Reverse((numbers, strand.segments.len()))
        });
        telling.truncate(TRIED);
        telling
    };
    let (ours, theirs) = (telling(ours), telling(theirs));
    let mut best: Option<(Tie, usize, usize)> = None;
    for &a in &ours {
        for &b in &theirs {
            if let Some(tie) = tie::tie(view(a), view(b)) {
                if best.is_none_or(|(known, _, _)| tie.bits > known.bits) {
                    best = Some((tie, a, b));
                }
                if tie.bits >= CERTAIN {
                    return best;
                }
            }
        }
    }
    best
}

/// Sets of strands, each with the turn from the set's root to it.
struct Union {
    parent: Vec<usize>,
    turn: Vec<Turn>,
    by: Vec<Option<TiedBy>>,
}

impl Union {
    fn of(count: usize) -> Self {
        Self {
            parent: (0..count).collect(),
            turn: vec![Turn::NONE; count],
            by: vec![None; count],
        }
    }

    /// The root of a strand's set, the turn from it, and the weakest tie on the way.
    fn root(&mut self, index: usize) -> (usize, Turn, Option<TiedBy>) {
        let up = self.parent[index];
        if up == index {
            return (index, Turn::NONE, None);
        }
        let (root, above, by) = self.root(up);
        let turn = above.then(self.turn[index]);
        let by = by.max(self.by[index]);
        self.parent[index] = root;
        self.turn[index] = turn;
        self.by[index] = by;
        (root, turn, by)
    }

    /// Makes one set of two strands' sets; `turn` leads from `a` to `b`. The root stays the earliest strand.
    fn join(&mut self, a: usize, b: usize, turn: Turn, by: Option<TiedBy>) {
        let (root_a, to_a, by_a) = self.root(a);
        let (root_b, to_b, by_b) = self.root(b);
        if root_a == root_b {
            return;
        }
        let across = to_a.then(turn).then(to_b.undone());
        let by = by.max(by_a).max(by_b);
        let (root, leaf, across) = if root_a < root_b {
            (root_a, root_b, across)
        } else {
            (root_b, root_a, across.undone())
        };
        self.parent[leaf] = root;
        self.turn[leaf] = across;
        self.by[leaf] = by;
    }

    /// Those among some strands that are in one set with `index`.
    fn members(&mut self, among: &[usize], index: usize) -> Vec<usize> {
        let root = self.root(index).0;
        among
            .iter()
            .copied()
            .filter(|other| self.root(*other).0 == root)
            .collect()
    }
}

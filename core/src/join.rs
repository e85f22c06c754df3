//! The join: which recordings are one connection, under whatever addresses and numbers, and all of them
//! told in one name and one sequence space.
//!
//! Translators change addresses and ports and leave sequence numbers alone; some firewalls rewrite those
//! too, by a constant for each direction. What is left decides, and where two connections could be meant,
//! neither is taken.

mod bunch;
mod relay;
mod strand;
mod tie;

use crate::digest::{Digest, SackBlock, TcpFlags};
use crate::evidence::FlowEvidence;
use crate::flow::{Flow, FourTuple, Way};
use crate::seq::TcpSeq;
use bunch::Bunches;
pub(crate) use relay::Relay;
use strand::Strand;
pub(crate) use tie::TiedBy;
use tie::Turn;

/// One flow's connections with everything that belongs to them.
pub(crate) struct Joined<'a> {
    pub(crate) evidence: &'a FlowEvidence,
    /// For every vantage of the evidence its segments of these connections, in order of capture.
    pub(crate) at: Vec<Vec<Segment<'a>>>,
    pub(crate) lives: Vec<Life>,
    /// Other connections whose payload a proxy copies from or to these.
    pub(crate) relays: Vec<Relay>,
}

/// A segment of a connection.
pub(crate) struct Segment<'a> {
    /// In the name and the sequence space of the flow in question.
    pub(crate) digest: Digest,
    pub(crate) carried: &'a Digest,
    /// Index into [`Joined::lives`].
    pub(crate) life: usize,
}

/// One life of the flow: a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    /// What each vantage calls it; most vantages have one name for it, a translator's own has two.
    pub(crate) names: Vec<Name>,
    /// Vantages where more than one connection could be this one, so that none was taken.
    pub(crate) refused: Vec<usize>,
}

/// A connection at one vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) vantage: usize,
    /// As carried there, in the direction of the flow's low endpoint.
    pub(crate) low_to_high: FourTuple,
    /// What numbers are greater by there, by way.
    pub(crate) shift: [u32; 2],
    pub(crate) by: Option<TiedBy>,
}

impl Name {
    pub(crate) fn tuple(&self, way: Way) -> FourTuple {
        match way {
            Way::LowToHigh => self.low_to_high,
            Way::HighToLow => self.low_to_high.reversed(),
        }
    }
}

impl<'a> Joined<'a> {
    pub(crate) fn of(evidence: &'a FlowEvidence) -> Self {
        let strands = strand::cut(evidence);
        let bunches = Bunches::gather(evidence, &strands);
        let lives: Vec<Life> = bunches
            .own()
            .map(|members| life(evidence, &strands, members, &bunches))
            .collect();
        let mut members: Vec<Vec<Placed>> = evidence.vantages.iter().map(|_| Vec::new()).collect();
        for (life, own) in bunches.own().enumerate() {
            for member in own {
                let strand = &strands[member.strand];
                let turn = member.turn;
                let placed = strand
                    .segments
                    .iter()
                    .map(|&index| Placed { index, turn, life });
                members[strand.vantage].extend(placed);
            }
        }
        let relays = relay::find(evidence, &strands, &bunches);
        Self {
            evidence,
            at: members
                .into_iter()
                .zip(&evidence.vantages)
                .map(|(members, at)| in_order(members, &at.segments, evidence.flow))
                .collect(),
            lives,
            relays,
        }
    }
}

/// A segment of one of the connections, by its place in the order of capture.
struct Placed {
    index: usize,
    turn: Turn,
    life: usize,
}

/// The segments of one vantage in order of capture.
fn in_order(mut members: Vec<Placed>, segments: &[Digest], flow: Flow) -> Vec<Segment<'_>> {
    members.sort_by_key(|placed| placed.index);
    members
        .into_iter()
        .map(|Placed { index, turn, life }| Segment {
            digest: told(&segments[index], flow, turn),
            carried: &segments[index],
            life,
        })
        .collect()
}

/// A digest in the flow's own name; `turn` leads from the flow to how it was carried.
fn told(carried: &Digest, flow: Flow, turn: Turn) -> Digest {
    let way = turn.way(carried.tuple.way());
    let back = |number: TcpSeq, way: Way| TcpSeq(number.0.wrapping_sub(turn.shift[way as usize]));
    // A RST that answers what needs no answer carries 0 (RFC 9293, 3.10.7.1), which is no number of the stream.
    let no_number = carried.is_rst() && carried.seq.0 == 0;
    let mut digest = *carried;
    digest.tuple = flow.tuple(way);
    if !no_number {
        digest.seq = back(carried.seq, way);
    }
    if carried.flags.has(TcpFlags::ACK) {
        digest.ack = back(carried.ack, way.opposite());
    }
    digest.options.sack = carried.options.sack.map(|block| SackBlock {
        left: back(block.left, way.opposite()),
        right: back(block.right, way.opposite()),
    });
    digest
}

fn life(
    evidence: &FlowEvidence,
    strands: &[Strand],
    members: &[bunch::Member],
    bunches: &Bunches,
) -> Life {
    let mut names: Vec<Name> = Vec::new();
    for member in members {
        let strand = &strands[member.strand];
        let way = member.turn.way(Way::LowToHigh);
        let name = Name {
            vantage: strand.vantage,
            low_to_high: strand.flow.tuple(way),
            shift: member.turn.shift,
            by: member.by,
        };
        let known = names
            .iter()
            .any(|other| other.vantage == name.vantage && other.low_to_high == name.low_to_high);
        if !known {
            names.push(name);
        }
    }
    names.sort_by_key(|name| (name.vantage, name.low_to_high.flow() != evidence.flow));
    Life {
        names,
        refused: bunches.refused(strands, members),
    }
}

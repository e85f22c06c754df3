//! Strands: one life of one flow as one vantage recorded it.
//!
//! A 4-tuple that is used again is another connection, and a SYN with another number tells where the next
//! one begins. This looks at the order of capture only: no clock is compared.

use hashbrown::HashMap;

use crate::digest::{Digest, TcpFlags};
use crate::evidence::FlowEvidence;
use crate::flow::{Flow, Way};
use crate::seq::TcpSeq;

/// A segment of a vantage, by its index into the vantage's segments.
pub(super) type Index = usize;

#[derive(Debug, Clone)]
pub(super) struct Strand {
    pub(super) vantage: usize,
    pub(super) flow: Flow,
    /// In order of capture.
    pub(super) segments: Vec<Index>,
    /// Which way the SYN went, as far as SYN or SYN+ACK tell.
    pub(super) opener: Option<Way>,
    /// Initial sequence numbers by the way of their sender.
    isn: [Option<TcpSeq>; 2],
    pub(super) syn: Option<Index>,
    pub(super) syn_ack: Option<Index>,
    /// The end of the last segment of each way, RSTs left out.
    last: [Option<TcpSeq>; 2],
    /// Whether anything but SYNs went each way.
    talked: [bool; 2],
}

/// A number farther than this from the last one belongs to another connection: no window is as large in
/// practice, and Linux's initial numbers for one 4-tuple rise by as much in a second.
const FAR: u32 = 1 << 24;

impl Strand {
    fn new(vantage: usize, flow: Flow) -> Self {
        Self {
            vantage,
            flow,
            segments: Vec::new(),
            opener: None,
            isn: [None; 2],
            syn: None,
            syn_ack: None,
            last: [None; 2],
            talked: [false; 2],
        }
    }

    pub(super) fn isn(&self, way: Way) -> Option<TcpSeq> {
        self.isn[way as usize]
    }

    /// The end of what went one way, RSTs left out.
    pub(super) fn last(&self, way: Way) -> Option<TcpSeq> {
        self.last[way as usize]
    }

    /// The initial number of the client's side, then the server's.
    pub(super) fn initial(&self) -> Option<[Option<TcpSeq>; 2]> {
        let opener = self.opener?;
        Some([self.isn(opener), self.isn(opener.opposite())])
    }

    fn add(&mut self, index: Index, digest: &Digest) {
        self.segments.push(index);
        let way = digest.tuple.way();
        if digest.is_syn() {
            self.opener = Some(way);
            self.isn[way as usize] = Some(digest.seq);
            self.syn.get_or_insert(index);
        } else if digest.is_syn_ack() && self.syn_ack.is_none() {
            self.syn_ack = Some(index);
            self.isn[way as usize] = Some(digest.seq);
            let client = way.opposite();
            self.opener.get_or_insert(client);
            let before_ack = TcpSeq(digest.ack.0.wrapping_sub(1));
            self.isn[client as usize].get_or_insert(before_ack);
        }
        if !digest.is_rst() {
            self.last[way as usize] = Some(digest.seq_end());
            self.talked[way as usize] |= !digest.flags.has(TcpFlags::SYN);
        }
    }

    /// It acknowledges the number with which the other side began, and no more.
    fn answers(&self, digest: &Digest) -> bool {
        self.isn(digest.tuple.way().opposite())
            .is_some_and(|isn| digest.acked() == Some(isn.plus(1)))
    }

    /// Both numbers are far from where this strand's two streams are.
    fn is_far_from(&self, digest: &Digest) -> bool {
        let way = digest.tuple.way();
        let far = |number: TcpSeq, known: Option<TcpSeq>| {
            known.is_some_and(|known| number.since(known).unsigned_abs() > FAR)
        };
        self.talked == [true; 2]
            && !digest.is_rst()
            && far(digest.seq, self.last(way))
            && digest
                .acked()
                .is_some_and(|ack| far(ack, self.last(way.opposite())))
    }
}

/// Cuts everything that the vantages recorded into strands.
pub(super) fn cut(evidence: &FlowEvidence) -> Vec<Strand> {
    let mut all = Vec::new();
    for (vantage, at) in evidence.vantages.iter().enumerate() {
        let mut of_flow: HashMap<Flow, Vec<Strand>> = HashMap::new();
        for (index, digest) in at.segments.iter().enumerate() {
            let flow = digest.tuple.flow();
            let strands = of_flow.entry(flow).or_default();
            let place = place(strands, digest).unwrap_or_else(|| {
                strands.push(Strand::new(vantage, flow));
                strands.len() - 1
            });
            strands[place].add(index, digest);
        }
        let mut here: Vec<Strand> = of_flow.into_values().flatten().collect();
        here.sort_by_key(|strand| strand.segments.first().copied());
        all.extend(here);
    }
    all
}

/// The strand that a segment belongs to; `None`: it begins another.
fn place(strands: &[Strand], digest: &Digest) -> Option<usize> {
    let last = strands.len().checked_sub(1)?;
    let way = digest.tuple.way();
    if digest.is_syn() {
        let opens =
            |strand: &Strand| strand.opener == Some(way) && strand.isn(way) == Some(digest.seq);
        return strands.iter().rposition(opens);
    }
    if digest.is_syn_ack() {
        return strands
            .iter()
            .rposition(|strand| strand.answers(digest) || strand.isn(way) == Some(digest.seq))
            .or_else(|| {
                let asked = strands[last].syn.is_some() && strands[last].syn_ack.is_none();
                asked.then_some(last)
            });
    }
    if digest.is_rst() {
        let refuses = |strand: &Strand| strand.opener != Some(way) && strand.answers(digest);
        return strands.iter().rposition(refuses).or(Some(last));
    }
    if strands[last].is_far_from(digest) {
        return strands
            .iter()
            .rposition(|strand| strand.talked == [true; 2] && !strand.is_far_from(digest));
    }
    Some(last)
}

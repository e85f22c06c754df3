//! What to ask agents about a flow with resets.

use std::collections::BTreeSet;

use parallax_core::evidence::numbers;
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest, Flow, FlowEvidence, VantageEvidence};
use parallax_proto::batch;
use parallax_proto::v1::Recall;

use crate::store::Asking;

/// How far before a reset its connection is of interest.
const BEFORE: i64 = 30 * SECOND;
/// How far after it: the answers of both ends, and the first retransmissions.
const AFTER: i64 = 2 * SECOND;
/// Payloads are sought on the other side of a proxy: those that went shortly before.
const PAYLOADS_BEFORE: i64 = 5 * SECOND;
/// Shorter payloads are alike everywhere.
const TELLING: u32 = 16;
const NAMES_MAX: usize = 32;
const NUMBERS_MAX: usize = 64;
const PAYLOADS_MAX: usize = 16;

/// What is known of a connection, and what of it is of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// [`Flow::hash`] of the flow with resets, as the database carries it.
    pub flow: i64,
    pub names: BTreeSet<Flow>,
    pub numbers: BTreeSet<u32>,
    pub payloads: BTreeSet<u64>,
    /// The newest reset, by the database's clock as far as exchanges tell.
    pub moment: CaptureTime,
    /// The vantages that have to do with it, by id; `None`: all there are.
    pub vantages: Option<BTreeSet<i32>>,
}

impl Wanted {
    /// `None`: the evidence has no reset of its flow. `vantages`: those that have to do with it.
    pub fn of(evidence: &FlowEvidence, vantages: Option<&BTreeSet<i32>>) -> Option<Self> {
        let own = |digest: &&Digest| digest.tuple.flow() == evidence.flow;
        let newest = |at: &VantageEvidence| {
            let resets = at
                .segments
                .iter()
                .filter(own)
                .filter(|digest| digest.is_rst());
            let newest = resets.map(|digest| digest.time).max()?;
            Some(newest.plus(-at.clock.map_or(0, |clock| clock.offset)))
        };
        let moment = evidence.vantages.iter().filter_map(newest).max()?;
        let segments = || evidence.vantages.iter().flat_map(|at| &at.segments);
        let mut names = BTreeSet::from([evidence.flow]);
        names.extend(segments().map(|digest| digest.tuple.flow()).take(1 << 16));
        while names.len() > NAMES_MAX {
            let last = names.iter().rev().find(|name| **name != evidence.flow);
            let Some(last) = last.copied() else { break };
            names.remove(&last);
        }
        Some(Self {
            flow: evidence.flow.hash().cast_signed(),
            names,
            numbers: segments().flat_map(numbers).take(NUMBERS_MAX).collect(),
            payloads: payloads(evidence),
            moment,
            vantages: vantages.cloned(),
        })
    }

    /// The question, its times by the database's clock.
    pub fn question(&self) -> Asking {
        let vantages = self.vantages.as_ref();
        Asking {
            flow: self.flow,
            recall: self.recall(),
            vantages: vantages.map(|vantages| vantages.iter().copied().collect()),
        }
    }

    fn recall(&self) -> Recall {
        Recall {
            id: 0,
            quiet: false,
            flows: self.names.iter().copied().map(batch::flow_tuple).collect(),
            initial_numbers: self.numbers.iter().copied().collect(),
            payload_hashes: self.payloads.iter().copied().collect(),
            from: self.moment.plus(-BEFORE).nanos(),
            until: self.moment.plus(AFTER).nanos(),
        }
    }

    /// Whether an earlier question did not ask this.
    pub fn adds_to(&self, asked: &Self) -> bool {
        !self.names.is_subset(&asked.names)
            || !self.numbers.is_subset(&asked.numbers)
            || self.moment.since(asked.moment) > AFTER / 2
            || match (&self.vantages, &asked.vantages) {
                (Some(vantages), Some(asked)) => !vantages.is_subset(asked),
                (None, Some(_)) => true,
                (_, None) => false,
            }
    }

    /// What both asked.
    pub fn join(&mut self, earlier: &Self) {
        self.names.extend(&earlier.names);
        self.numbers.extend(&earlier.numbers);
        self.payloads.extend(&earlier.payloads);
        self.moment = self.moment.max(earlier.moment);
        self.vantages = match (self.vantages.take(), &earlier.vantages) {
            (Some(vantages), Some(earlier)) => Some(&vantages | earlier),
            _ => None,
        };
    }
}

/// What the connection carried last before its newest reset.
fn payloads(evidence: &FlowEvidence) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for at in &evidence.vantages {
        let own = |digest: &&Digest| digest.tuple.flow() == evidence.flow;
        let Some(newest) = at.segments.iter().rev().find(own).map(|digest| digest.time) else {
            continue;
        };
        let late = at
            .segments
            .iter()
            .rev()
            .filter(own)
            .take_while(|digest| newest.since(digest.time) <= PAYLOADS_BEFORE)
            .filter(|digest| digest.payload_len >= TELLING)
            .filter_map(|digest| digest.payload_hash);
        found.extend(late.take(PAYLOADS_MAX - found.len().min(PAYLOADS_MAX)));
    }
    found
}

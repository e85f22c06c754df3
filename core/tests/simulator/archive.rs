//! Evidence of each flow from whole records, as `parallax analyze` gathers it from files.

use std::collections::{BTreeSet, HashSet};

use parallax_core::evidence::moment;
use parallax_core::judge::{self, Judged};
use parallax_core::{
    CaptureTime, Coverage, Digest, Flow, FlowEvidence, Nearby, Selection, Vantage, VantageEvidence,
};

/// Everything that one vantage recorded.
pub struct Record {
    pub vantage: Vantage,
    pub selection: Selection,
    pub coverage: Vec<Coverage>,
    /// In the order of capture.
    pub digests: Vec<Digest>,
}

/// The records of all vantages.
pub struct Archive {
    records: Vec<Record>,
    configured_path: Option<Vec<usize>>,
}

impl Archive {
    pub fn new(records: Vec<Record>, configured_path: Option<Vec<usize>>) -> Self {
        Self {
            records,
            configured_path,
        }
    }

    pub fn judge(&self) -> Vec<Judged> {
        let all = self.records.iter().flat_map(|record| &record.digests);
        let flows: BTreeSet<Flow> = all
            .filter(|digest| digest.is_rst())
            .map(|digest| digest.tuple.flow())
            .collect();
        flows
            .into_iter()
            .flat_map(|flow| judge::judge_flow(&self.evidence(flow)))
            .collect()
    }

    fn evidence(&self, flow: Flow) -> FlowEvidence {
        let own: Vec<Vec<Digest>> = self
            .records
            .iter()
            .map(|record| segments(record, |digest| digest.tuple.flow() == flow))
            .collect();
        let resets = own.iter().flatten().filter(|digest| digest.is_rst());
        let newest = resets.map(|digest| digest.time).max().unwrap_or_default();
        let moments: Vec<CaptureTime> = own.iter().map(|own| moment(own, newest)).collect();
        let handshakes: Vec<Nearby> = self
            .records
            .iter()
            .zip(&moments)
            .map(|(record, moment)| {
                let found = segments(record, |digest| is_handshake_near(digest, flow));
                Nearby::new(*moment, found, Vec::new())
            })
            .collect();
        let neighbours: HashSet<Flow> = handshakes
            .iter()
            .flat_map(Nearby::handshakes)
            .map(|digest| digest.tuple.flow())
            .collect();
        let mut own = own.into_iter();
        let vantages = self.records.iter().zip(&handshakes).zip(moments);
        FlowEvidence {
            flow,
            vantages: vantages
                .map(|((record, near), moment)| VantageEvidence {
                    vantage: record.vantage.clone(),
                    selection: record.selection,
                    coverage: record.coverage.clone(),
                    segments: own.next().unwrap_or_default(),
                    nearby: nearby(record, flow, near, &neighbours, moment),
                })
                .collect(),
            configured_path: self.configured_path.clone(),
            known_ids: Vec::new(),
        }
    }
}

fn segments(record: &Record, wanted: impl Fn(&Digest) -> bool) -> Vec<Digest> {
    let mut found: Vec<Digest> = record.digests.iter().copied().filter(wanted).collect();
    found.sort_by_key(|digest| digest.time);
    found
}

fn is_between_hosts(digest: &Digest, flow: Flow) -> bool {
    let other = digest.tuple.flow();
    let pair = |flow: Flow| {
        let (low, high) = (flow.low().addr, flow.high().addr);
        (low.min(high), low.max(high))
    };
    other != flow && pair(other) == pair(flow)
}

fn is_handshake_near(digest: &Digest, flow: Flow) -> bool {
    let opens = digest.is_syn() || digest.is_syn_ack();
    let of_endpoint = || [flow.low(), flow.high()].contains(&digest.tuple.src);
    opens && is_between_hosts(digest, flow)
        || digest.is_syn_ack() && digest.tuple.flow() != flow && of_endpoint()
}

fn nearby(
    record: &Record,
    flow: Flow,
    near: &Nearby,
    neighbours: &HashSet<Flow>,
    moment: CaptureTime,
) -> Nearby {
    let others = segments(record, |digest| {
        !(digest.is_syn() || digest.is_syn_ack())
            && is_between_hosts(digest, flow)
            && neighbours.contains(&digest.tuple.flow())
    });
    Nearby::new(moment, near.handshakes().to_vec(), others)
}

//! What the files say about one flow.

use std::collections::HashSet;

use parallax_core::evidence::{self, Selection};
use parallax_core::{CaptureTime, Flow, FlowEvidence, Nearby, VantageEvidence};

use super::gather::{Gathered, Watched};

/// Everything about one flow, as the judge wants it.
pub fn of(gathered: &Gathered, flow: Flow, path: Option<&[usize]>) -> FlowEvidence {
    let newest = gathered
        .watched
        .iter()
        .flat_map(|at| at.segments(flow))
        .filter(|digest| digest.is_rst())
        .map(|digest| digest.time)
        .max()
        .unwrap_or_default();
    let moments: Vec<CaptureTime> = gathered
        .watched
        .iter()
        .map(|at| evidence::moment(at.segments(flow), newest))
        .collect();
    let handshakes: Vec<Nearby> = gathered
        .watched
        .iter()
        .zip(&moments)
        .map(|(at, moment)| {
            let found = at.nearby.handshakes(flow, *moment);
            Nearby::new(*moment, found, Vec::new())
        })
        .collect();
    let neighbours: HashSet<Flow> = handshakes
        .iter()
        .flat_map(Nearby::handshakes)
        .map(|digest| digest.tuple.flow())
        .collect();
    let vantages = gathered.watched.iter().zip(handshakes).zip(moments);
    FlowEvidence {
        flow,
        vantages: vantages
            .map(|((at, near), moment)| {
                let others = at.nearby.others(flow, moment, &neighbours);
                vantage(
                    at,
                    flow,
                    Nearby::new(moment, near.handshakes().to_vec(), others),
                )
            })
            .collect(),
        configured_path: path.map(<[usize]>::to_vec),
        known_ids: Vec::new(),
    }
}

fn vantage(at: &Watched, flow: Flow, nearby: Nearby) -> VantageEvidence {
    VantageEvidence {
        vantage: at.vantage.clone(),
        selection: Selection::All,
        coverage: at.coverage.clone(),
        segments: at.segments(flow).to_vec(),
        nearby,
    }
}

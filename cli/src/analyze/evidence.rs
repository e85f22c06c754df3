//! What the files say about one flow.

use parallax_core::evidence::Selection;
use parallax_core::{CaptureTime, Digest, Flow, FlowEvidence, VantageEvidence};

use super::gather::{Gathered, Watched};

/// Everything about one flow, as the judge wants it.
pub fn of(gathered: &Gathered, flow: Flow, path: Option<&[usize]>) -> FlowEvidence {
    let everywhere = reset_times(gathered.watched.iter().flat_map(|at| at.segments(flow)));
    FlowEvidence {
        flow,
        vantages: gathered
            .watched
            .iter()
            .map(|at| vantage(at, flow, &everywhere))
            .collect(),
        configured_path: path.map(<[usize]>::to_vec),
        known_ids: Vec::new(),
    }
}

fn vantage(at: &Watched, flow: Flow, everywhere: &[CaptureTime]) -> VantageEvidence {
    let segments = at.segments(flow);
    let mut times = reset_times(segments);
    if times.is_empty() {
        // No reset here: the end of what this vantage saw of the flow, else the others' clocks.
        times = segments
            .last()
            .map_or_else(|| everywhere.to_vec(), |last| vec![last.time]);
    }
    VantageEvidence {
        vantage: at.vantage.clone(),
        selection: Selection::All,
        coverage: at.coverage.clone(),
        nearby: at.nearby.near(flow, &times),
        segments: segments.to_vec(),
    }
}

/// When resets were seen, sorted.
fn reset_times<'a>(segments: impl IntoIterator<Item = &'a Digest>) -> Vec<CaptureTime> {
    let resets = segments.into_iter().filter(|digest| digest.is_rst());
    let mut times: Vec<CaptureTime> = resets.map(|digest| digest.time).collect();
    times.sort_unstable();
    times.dedup();
    times
}

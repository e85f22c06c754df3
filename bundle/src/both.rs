//! Two sides' bundles joined and judged.

use std::collections::BTreeSet;

use parallax_core::CaptureTime;
use parallax_core::evidence::FlowEvidence;
use parallax_core::flow::Flow;
use parallax_core::judge::{self, Judged};
use parallax_core::report::Explanation;

use crate::body::{Body, Told};

/// What stands before the names of each side's vantages.
pub const OURS: &str = "ours:";
pub const THEIRS: &str = "theirs:";

/// Why two bundles are not judged together.
#[derive(Debug, thiserror::Error)]
pub enum BothError {
    #[error("the two bundles were made with different keys: make both with the one that you share")]
    OtherKey,
    #[error("the vantage {0:?} of --path is in neither bundle; there are {1}")]
    NoVantage(String, String),
    #[error(
        "the two bundles tell of different connections: nothing that one side recorded is the other's reset"
    )]
    Apart,
    #[error(
        "neither bundle tells of a reset: the side that saw it exports it by its id, the other one by connection and time"
    )]
    NoReset,
}

/// The verdict on our reset over what both sides recorded; on theirs where we saw none, or a box between rewrote ours. `path` orders all vantages, client side first; empty: it is inferred.
pub fn judge(ours: &Body, theirs: &Body, path: &[String]) -> Result<Explanation, BothError> {
    if ours.key_check != theirs.key_check {
        return Err(BothError::OtherKey);
    }
    let told = [ours.reset.as_ref(), theirs.reset.as_ref()];
    let meant = told
        .into_iter()
        .flatten()
        .next()
        .ok_or(BothError::NoReset)?;
    let mut evidence = FlowEvidence {
        flow: Flow::between(meant.src, meant.dst),
        vantages: Vec::new(),
        configured_path: None,
        known_ids: Vec::new(),
    };
    for (side, body) in [(OURS, ours), (THEIRS, theirs)] {
        for recorded in &body.vantages {
            let name = format!("{side}{}", recorded.name);
            let segments = recorded.segments.iter();
            let newest = segments.map(|digest| digest.time).max();
            evidence
                .vantages
                .push(recorded.evidence(name, moment(recorded, newest)));
        }
    }
    evidence.configured_path = order(&evidence, path)?;
    let flows: BTreeSet<Flow> = evidence
        .vantages
        .iter()
        .flat_map(|at| &at.segments)
        .filter(|digest| digest.is_rst())
        .map(|digest| digest.tuple.flow())
        .collect();
    let mut best: Option<((bool, i64), FlowEvidence, Judged)> = None;
    for flow in flows {
        let evidence = FlowEvidence {
            flow,
            ..evidence.clone()
        };
        for judged in judge::judge_flow(&evidence) {
            let is_first = is_meant(&judged, meant);
            let is_other = told
                .into_iter()
                .flatten()
                .any(|told| is_meant(&judged, told));
            if !(is_first || is_other) || !is_joined(&judged) {
                continue;
            }
            let away = judged.report.time.since(meant.time).saturating_abs();
            let away = (!is_first, away);
            if best.as_ref().is_none_or(|(least, ..)| away < *least) {
                best = Some((away, evidence.clone(), judged));
            }
        }
    }
    let (_, evidence, judged) = best.ok_or(BothError::Apart)?;
    judge::explain(&evidence, judged.report.id).ok_or(BothError::Apart)
}

/// The moment around which a vantage's other resets were gathered: its newest reset of the connection, else its
/// last segment.
fn moment(recorded: &crate::body::Recorded, newest: Option<CaptureTime>) -> CaptureTime {
    let resets = recorded.segments.iter().filter(|digest| digest.is_rst());
    let reset = resets.map(|digest| digest.time).max();
    reset.or(newest).unwrap_or_default()
}

/// Whether a verdict is on a bundle's reset, by the numbers that it bears there.
fn is_meant(judged: &Judged, told: &Told) -> bool {
    let report = &judged.report;
    report.seq == told.seq && report.ack == told.ack && report.flags == told.flags
}

/// Whether vantages of both sides are on its way.
fn is_joined(judged: &Judged) -> bool {
    let on = |side: &str| judged.report.path.iter().any(|name| name.starts_with(side));
    on(OURS) && on(THEIRS)
}

fn order(evidence: &FlowEvidence, path: &[String]) -> Result<Option<Vec<usize>>, BothError> {
    if path.is_empty() {
        return Ok(None);
    }
    let names = || evidence.vantages.iter().map(|at| at.vantage.name.as_str());
    let place = |name: &String| {
        names().position(|there| there == name).ok_or_else(|| {
            let all: Vec<&str> = names().collect();
            BothError::NoVantage(name.clone(), all.join(", "))
        })
    };
    path.iter().map(place).collect::<Result<_, _>>().map(Some)
}

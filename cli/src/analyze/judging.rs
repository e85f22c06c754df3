//! Judging on all processors.

use parallax_core::Flow;
use parallax_core::archive::Archive;
use parallax_core::judge::{self, Judged};

use super::progress::Progress;
use super::threads;

/// Every flow with resets and their verdicts, in the archive's order.
pub fn judge_all(archive: &Archive, progress: &Progress) -> Vec<(Flow, Vec<Judged>)> {
    let flows = archive.flows_by_time();
    let steps = progress.judge(flows.len() as u64);
    let mut all = threads::share(flows, |flow| {
        let judged = judge::judge_flow(&archive.evidence(flow));
        steps.done();
        (flow, judged)
    });
    all.sort_unstable_by_key(|(flow, _)| *flow);
    all
}

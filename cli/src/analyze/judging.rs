//! Judging on all processors.

use parallax_core::Flow;
use parallax_core::archive::Archive;
use parallax_core::judge::{self, Judged};

use super::progress::Progress;
use super::threads;

/// Every flow with resets and their verdicts, in the archive's order.
pub fn judge_all(archive: &Archive, progress: &Progress) -> Vec<(Flow, Vec<Judged>)> {
    let flows = archive.flows();
    let steps = progress.judge(flows.len() as u64);
    threads::share(flows.to_vec(), |flow| {
        let judged = judge::judge_flow(&archive.evidence(flow));
        steps.done();
        (flow, judged)
    })
}

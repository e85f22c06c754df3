//! Judging on all processors.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parallax_core::Flow;
use parallax_core::archive::Archive;
use parallax_core::judge::{self, Judged};

use super::progress::Progress;

/// Every flow with resets and their verdicts, in the archive's order.
pub fn judge_all(archive: &Archive, progress: &Progress) -> Vec<(Flow, Vec<Judged>)> {
    let flows = archive.flows();
    let steps = progress.judge(flows.len() as u64);
    let next = AtomicUsize::new(0);
    // Flows differ much in what they take, so each judge takes the next one when it is done.
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(flow) = flows.get(index) else {
                return done;
            };
            done.push((index, judge::judge_flow(&archive.evidence(*flow))));
            steps.done();
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut judged: Vec<(usize, Vec<Judged>)> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(flows.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    judged.sort_unstable_by_key(|(index, _)| *index);
    judged
        .into_iter()
        .map(|(index, judged)| (flows[index], judged))
        .collect()
}

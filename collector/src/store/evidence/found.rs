//! What was found for each post, and the evidence that it makes.

use std::collections::{BTreeSet, HashMap};

use parallax_core::{
    CaptureTime, Coverage, Digest, ExchangedClock, FlowEvidence, KnownId, LossRecord, Selection,
    Testimony, Vantage, VantageEvidence,
};

use super::memory::Memory;
use super::segments::Loaded;
use super::{AFTER_LIMIT, AROUND, BEFORE_LIMIT, CoverageRow, Post, VantageRow, nearby};
use crate::store::losses;
use crate::store::rows::{RowError, RowName};
use crate::store::runs::selection_of;

/// Answers by post (index into the posts).
pub(super) struct Found {
    pub segments: Loaded,
    /// Segments of the flow and its kin.
    pub digests: Vec<Result<Vec<Digest>, RowError>>,
    pub nearby: nearby::Around,
    pub coverage: HashMap<usize, Vec<CoverageRow>>,
    pub losses: HashMap<usize, Vec<losses::LossRow>>,
    pub memory: Memory,
    pub clocks: HashMap<usize, ExchangedClock>,
    pub testimony: HashMap<usize, Result<Testimony, RowError>>,
}

impl Found {
    pub fn is_part(&self, start: usize, posts: &[Post]) -> bool {
        (start..).zip(posts).any(|(index, post)| {
            let own = self.segments.own(index);
            let is_before = |time: CaptureTime| time.nanos() <= post.moment;
            let before = own.iter().filter(|stored| is_before(stored.digest.time));
            let before = before.count();
            before >= BEFORE_LIMIT || own.len() - before >= AFTER_LIMIT
        })
    }

    pub fn build(
        &mut self,
        start: usize,
        posts: &[Post],
        vantages: &[&VantageRow],
        path: &[String],
        known_ids: &[KnownId],
    ) -> Result<FlowEvidence, RowError> {
        let all: Result<Vec<VantageEvidence>, RowError> = (start..)
            .zip(posts)
            .zip(vantages)
            .map(|((index, post), vantage)| self.at(index, post, vantage))
            .collect();
        Ok(FlowEvidence {
            flow: posts[0].flow,
            vantages: all?,
            configured_path: configured(path, vantages),
            known_ids: known_ids.to_vec(),
        })
    }

    fn at(
        &mut self,
        index: usize,
        post: &Post,
        vantage: &VantageRow,
    ) -> Result<VantageEvidence, RowError> {
        let spans = self.coverage.get(&index).map_or(&[][..], Vec::as_slice);
        let lost = self.losses.get(&index).map_or(&[][..], Vec::as_slice);
        Ok(VantageEvidence {
            vantage: Vantage::try_from(vantage)?,
            selection: selection(index, post, &self.segments, &self.coverage),
            complete: self.memory.complete(index),
            clock: self.clocks.get(&index).copied(),
            coverage: spans.iter().map(span).collect::<Result<_, _>>()?,
            losses: lost
                .iter()
                .map(LossRecord::try_from)
                .collect::<Result<_, _>>()?,
            segments: std::mem::replace(&mut self.digests[index], Ok(Vec::new()))?,
            nearby: self.nearby.evidence(index, post, &self.memory)?,
            testimony: self
                .testimony
                .remove(&index)
                .unwrap_or_else(|| Ok(Testimony::default()))?,
        })
    }
}

/// The segments at each post, of the flow and of its kin, in the order of capture.
pub(super) fn digests_of(
    posts: &[Post],
    segments: &Loaded,
    memory: &Memory,
) -> Vec<Result<Vec<Digest>, RowError>> {
    posts
        .iter()
        .enumerate()
        .map(|(index, post)| {
            if let Some(refusal) = segments.refusal(index) {
                return Err(refusal.clone());
            }
            // Another 4-tuple of the same hash is nobody's kin.
            let is_other = |digest: &Digest| {
                let flow = digest.tuple.flow();
                flow != post.flow && flow.hash() == post.flow.hash()
            };
            let all = memory.as_captured(segments.all(index)).into_iter();
            Ok(all.filter(|digest| !is_other(digest)).copied().collect())
        })
        .collect()
}

fn span(row: &CoverageRow) -> Result<Coverage, RowError> {
    let name = RowName {
        table: "coverage",
        row: format!("run {} from {}", row.run_id, row.from_ns),
    };
    Ok(Coverage {
        from: CaptureTime::from_nanos(row.from_ns),
        until: CaptureTime::from_nanos(row.until_ns),
        received: name.narrow("received", row.received)?,
        dropped: name.narrow("dropped", row.dropped)?,
    })
}

/// The least that any run ships that recorded the flow, or watched while it lived.
pub(super) fn selection(
    index: usize,
    post: &Post,
    segments: &Loaded,
    coverage: &HashMap<usize, Vec<CoverageRow>>,
) -> Selection {
    let segments = segments.own(index);
    let spans = coverage.get(&index).map_or(&[][..], Vec::as_slice);
    let times = || segments.iter().map(|stored| stored.digest.time.nanos());
    let from = times().min().unwrap_or(post.moment).saturating_sub(AROUND);
    let until = times().max().unwrap_or(post.moment).saturating_add(AROUND);
    let runs: BTreeSet<i32> = segments.iter().map(|stored| stored.run_id).collect();
    let matters = |span: &&CoverageRow| {
        runs.contains(&span.run_id) || (span.from_ns <= until && from <= span.until_ns)
    };
    let shipped = spans.iter().filter(matters).map(|span| {
        selection_of(&span.selection, span.sample_one_in).unwrap_or(Selection::Context)
    });
    shipped.fold(Selection::All, least)
}

/// The one by which less travels.
fn least(one: Selection, other: Selection) -> Selection {
    match (one, other) {
        (Selection::Context, _) | (_, Selection::Context) => Selection::Context,
        (Selection::Sampled(one), Selection::Sampled(other)) => Selection::Sampled(one.max(other)),
        (Selection::Sampled(one_in), Selection::All)
        | (Selection::All, Selection::Sampled(one_in)) => Selection::Sampled(one_in),
        (Selection::All, Selection::All) => Selection::All,
    }
}

/// The configured path as indices; `None` unless two of its vantages are known.
fn configured(path: &[String], vantages: &[&VantageRow]) -> Option<Vec<usize>> {
    let indices: Vec<usize> = path
        .iter()
        .filter_map(|name| vantages.iter().position(|vantage| vantage.name == *name))
        .collect();
    (indices.len() > 1).then_some(indices)
}

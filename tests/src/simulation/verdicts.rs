//! What the stored evidence comes to: the real judge over the simulation's tables.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use parallax_core::archive::{Archive, Record};
use parallax_core::evidence::{in_order_of_capture, with_recalled};
use parallax_core::judge;
use parallax_core::report::ResetReport;
use parallax_core::{
    CaptureTime, Coverage, Digest, Flow, FlowEvidence, Nearby, Selection, Testimony, Vantage,
    VantageEvidence,
};

use super::database::{Stored, Tables};
use super::plan::Plan;
use super::run;
use super::traffic::STORIES;

/// A reset, by its client's port and its number, and what is said of it: everything but ids and clocks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdicts(pub BTreeMap<(u16, u32, String), Said>);

/// A verdict's substance.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub origin: String,
    pub between: Option<[Option<String>; 2]>,
    pub at: Option<String>,
    pub cause: String,
    pub seen_at: Vec<String>,
    pub absent_at: Vec<(String, bool)>,
    pub confidence: f64,
}

impl Verdicts {
    pub fn of(tables: &Tables) -> Self {
        let records = records(tables);
        let archive = Archive::new(&records, None);
        let mut said = BTreeMap::new();
        for flow in archive.flows() {
            let evidence = whole(tables, &archive, *flow);
            for judged in judge::judge_flow(&evidence) {
                let report = judged.report;
                let port = report.sport.max(report.dport);
                said.insert((port, report.seq, report.flags.clone()), Said::of(&report));
            }
        }
        Self(said)
    }
}

impl Said {
    fn of(report: &ResetReport) -> Self {
        Self {
            origin: format!("{:?}", report.origin),
            between: report.between.clone(),
            at: report.at.clone(),
            cause: report.cause.as_str().to_owned(),
            seen_at: report.seen_at.clone(),
            absent_at: report
                .absent_at
                .iter()
                .map(|absence| (absence.vantage.clone(), absence.attested))
                .collect(),
            confidence: report.confidence,
        }
    }
}

/// As much of a flow's evidence as tells what to ask about it: its segments; `None` without a reset of it.
pub fn segments(tables: &Tables, flow: Flow) -> Option<FlowEvidence> {
    let own = |stored: &&Stored| stored.digest.tuple.flow() == flow;
    let mut digests = tables.digests.iter().filter(own);
    if !digests.any(|stored| stored.digest.is_rst()) {
        return None;
    }
    let moment = CaptureTime::default();
    let at = |(index, vantage): (usize, &Vantage)| {
        let here = tables.digests.iter().filter(own);
        let mut segments: Vec<Digest> = here
            .filter(|stored| tables.runs[stored.run].vantage == index)
            .map(|stored| stored.digest)
            .collect();
        segments.sort_by_key(|digest| digest.time);
        VantageEvidence {
            vantage: vantage.clone(),
            selection: Selection::Context,
            complete: Vec::new(),
            clock: None,
            coverage: Vec::new(),
            losses: Vec::new(),
            segments,
            nearby: Nearby::new(moment, &[], &[], &[]),
            testimony: Testimony::default(),
        }
    };
    Some(FlowEvidence {
        flow,
        vantages: tables.vantages.iter().enumerate().map(at).collect(),
        configured_path: None,
        known_ids: Vec::new(),
    })
}

fn whole(tables: &Tables, archive: &Archive, flow: Flow) -> FlowEvidence {
    let mut evidence = archive.evidence(flow);
    for (vantage, at) in by_name(tables).into_iter().zip(&mut evidence.vantages) {
        let here = |run: usize| tables.runs[run].vantage == vantage;
        let remembered = tables.remembered.iter();
        at.complete = remembered
            .filter(|said| said.flow == flow && here(said.run))
            .map(|said| said.span)
            .collect();
        let losses = tables.losses.iter();
        at.losses = losses
            .filter(|((run, ..), _)| here(*run))
            .map(|(_, loss)| loss.clone())
            .collect();
    }
    evidence
}

fn records(tables: &Tables) -> Vec<Record> {
    let of = |index: usize| {
        let runs: Vec<usize> = (0..tables.runs.len())
            .filter(|run| tables.runs[*run].vantage == index)
            .collect();
        let mut coverage: Vec<Coverage> = tables
            .coverage
            .iter()
            .filter(|(run, _)| runs.contains(run))
            .map(|(_, row)| row.span)
            .collect();
        coverage.sort_by_key(|span| span.from);
        let parts = runs.iter().map(|run| captured(tables, *run)).collect();
        Record {
            vantage: tables.vantages[index].clone(),
            selection: tables.runs[runs[0]].selection,
            coverage,
            digests: in_order_of_capture(parts),
        }
    };
    by_name(tables).into_iter().map(of).collect()
}

/// The vantages in one order: who registers first breaks ties in the service, and is by chance here.
fn by_name(tables: &Tables) -> Vec<usize> {
    let mut order: Vec<usize> = (0..tables.vantages.len()).collect();
    order.sort_by_key(|index| &tables.vantages[*index].name);
    order
}

/// A run's digests as the service reads them: in the order of their numbers, what memory brought in its place.
fn captured(tables: &Tables, run: usize) -> Vec<Digest> {
    let mut stored: Vec<&Stored> = tables
        .digests
        .iter()
        .filter(|stored| stored.run == run)
        .collect();
    stored.sort_by_key(|stored| stored.number);
    let is_recalled = |number: u64| {
        let ranges = tables.recalled.range((run, 0, 0)..(run + 1, 0, 0));
        ranges
            .into_iter()
            .any(|(_, first, next)| (*first..*next).contains(&number))
    };
    let (recalled, captured): (Vec<&Stored>, Vec<&Stored>) = stored
        .into_iter()
        .partition(|stored| is_recalled(stored.number));
    let digests = |of: Vec<&Stored>| of.into_iter().map(|stored| stored.digest).collect();
    with_recalled(digests(captured), digests(recalled))
}

/// The verdicts of a story where nothing goes wrong, worked out once.
///
/// # Errors
/// When that cannot be played, or does not go well.
pub fn reference(story: u64, folder: &Path) -> Result<Verdicts> {
    static KNOWN: Mutex<Option<HashMap<u64, Verdicts>>> = Mutex::new(None);
    debug_assert!(story < STORIES, "a story that is told");
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(verdicts) = known.get(&story) {
        return Ok(verdicts.clone());
    }
    let outcome = run(&Plan::without_faults(story), None, folder)?;
    anyhow::ensure!(
        outcome.violations.is_empty(),
        "story {story} without any fault: {:?}",
        outcome.violations
    );
    known.insert(story, outcome.report.verdicts.clone());
    Ok(outcome.report.verdicts)
}

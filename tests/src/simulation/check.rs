//! What must hold after every schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use parallax_core::{Digest, LossCause};
use uuid::Uuid;

use super::agent::{Log, is_plain};
use super::database::Tables;
use super::plan::{Keep, Plan};
use super::traffic::{Maker, Story};
use super::verdicts::{Said, Verdicts};

/// Verdicts that are surer than this must be right.
const SURE: f64 = 0.9;
/// Confidence may differ by so much: an agent that was away may not have been asked what it remembers.
const ALIKE: f64 = 0.01;

/// What does not hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Violation {
    /// An agent's stream ended with an error, or a part of it did not begin.
    Failed(String),
    /// What was left to say was not said in time.
    Stuck,
    /// A digest is stored more than once.
    Twice { run: Uuid, number: u64 },
    /// Numbers that a collector said it had committed are not stored.
    Acknowledged { run: Uuid, missing: u64 },
    /// What an agent had taken in, and kept, did not arrive, nor was it counted as lost.
    Missing { run: Uuid, missing: u64 },
    /// A digest is stored that is not the one that was sent under its number.
    Other { run: Uuid, number: u64 },
    /// Packets watched, as told and as stored.
    Watched { run: Uuid, told: u64, stored: u64 },
    /// The run said goodbye and is not known to be over.
    Unfinished { run: Uuid },
    /// A verdict depends on what the network did.
    Verdict { said: String, elsewhere: String },
    /// A verdict accuses the wrong one.
    Wrong(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// What is stored against what was handed over.
pub fn stored(logs: &[Vec<Log>], tables: &Tables) -> Vec<Violation> {
    let logs = logs.iter().flatten();
    logs.flat_map(|log| of_run(log, tables)).collect()
}

fn of_run(log: &Log, tables: &Tables) -> Vec<Violation> {
    let run = log.run_id;
    let mut violations = Vec::new();
    let id = tables.runs.iter().position(|row| row.run_id == run);
    let mut found: BTreeMap<u64, &Digest> = BTreeMap::new();
    for stored in tables.digests.iter().filter(|row| Some(row.run) == id) {
        let number = stored.number;
        if found.insert(number, &stored.digest).is_some() {
            violations.push(Violation::Twice { run, number });
        }
    }
    let sent = log.digests.len() as u64;
    for (number, digest) in &found {
        if log.digests.get(*number as usize) != Some(*digest) {
            let number = *number;
            violations.push(Violation::Other { run, number });
        }
    }
    let losses = || tables.losses.iter().filter(|((of, ..), _)| Some(*of) == id);
    let counted: u64 = losses()
        .filter(|(_, loss)| matches!(loss.cause, LossCause::Spool | LossCause::SpoolDamaged))
        .filter_map(|(_, loss)| loss.count)
        .sum();
    let missing_below = |end: u64| end - found.range(..end).count() as u64;
    let missing = missing_below(log.acknowledged.min(sent));
    // A disk that is large enough gives nothing up.
    let allowed = if log.keep == Keep::Memory { counted } else { 0 };
    if missing > allowed || log.acknowledged > sent {
        violations.push(Violation::Acknowledged { run, missing });
    }
    let outlives = log.keep != Keep::Memory || log.ended.is_some();
    let missing = missing_below(sent);
    if outlives && missing > allowed {
        violations.push(Violation::Missing { run, missing });
    }
    let told: u64 = log.spans.iter().map(|span| span.coverage.received).sum();
    let stored = id.map_or(0, |id| tables.runs[id].received);
    let in_rows: u64 = tables
        .coverage
        .iter()
        .filter(|(of, _)| Some(*of) == id)
        .map(|(_, row)| row.span.received)
        .sum();
    debug_assert!(log.spans.iter().all(is_plain));
    let whole = told == stored || log.is_vague;
    if in_rows != stored || stored > told || outlives && !whole {
        violations.push(Violation::Watched { run, told, stored });
    }
    if log.ended.is_some() && !id.is_some_and(|id| tables.runs[id].finished) {
        violations.push(Violation::Unfinished { run });
    }
    violations
}

/// The verdicts against those of the same story without faults, and against the truth.
pub fn verdicts(plan: &Plan, verdicts: &Verdicts, reference: &Verdicts) -> Vec<Violation> {
    let mut violations = Vec::new();
    if plan.loses_nothing() {
        violations.extend(differences(verdicts, reference));
    }
    let story = Story::of(plan.story);
    for ((port, ..), said) in &verdicts.0 {
        let maker = story.resets.iter().find(|(of, _)| of == port);
        let wrong = match maker.map(|(_, maker)| *maker) {
            Some(Maker::Forger) => said.origin == "Endpoint",
            Some(Maker::Client | Maker::Server) => said.origin == "Middlebox",
            None => true,
        };
        if wrong && said.confidence >= SURE {
            violations.push(Violation::Wrong(format!("port {port}: {said:?}")));
        }
    }
    violations
}

fn differences(verdicts: &Verdicts, reference: &Verdicts) -> Vec<Violation> {
    let keys: BTreeSet<_> = verdicts.0.keys().chain(reference.0.keys()).collect();
    let pairs = keys
        .into_iter()
        .map(|key| (verdicts.0.get(key), reference.0.get(key)));
    pairs
        .filter(|(one, two)| !alike(*one, *two))
        .map(|(one, two)| Violation::Verdict {
            said: format!("{one:?}"),
            elsewhere: format!("{two:?}"),
        })
        .collect()
}

fn alike(one: Option<&Said>, two: Option<&Said>) -> bool {
    let (Some(one), Some(two)) = (one, two) else {
        return one == two;
    };
    let close = (one.confidence - two.confidence).abs() < ALIKE;
    let two = Said {
        confidence: if close {
            one.confidence
        } else {
            two.confidence
        },
        ..two.clone()
    };
    *one == two
}

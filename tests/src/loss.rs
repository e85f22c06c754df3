//! Vantages that lost packets or stopped early, and what a verdict may then still say.

use std::path::Path;

use anyhow::{Context, Result};
use parallax_core::report::{Origin, ResetReport, Side};

use crate::analysis::{Order, analyze, files};
use crate::captures::{Record, copy};
use crate::lab::path;
use crate::programs::Programs;
use crate::scenario::Act;
use crate::truth::{Expected, claimed_sender, of_act};

/// What happened to one vantage.
#[derive(Debug, Clone, Copy)]
pub enum Damage {
    /// Every third record is gone, and every reset.
    Lossy,
    /// Nothing was recorded from this time on, in nanoseconds since the Unix epoch.
    CutOff(i64),
}

impl Damage {
    /// The cut right before the earliest reset of an act; `None` when it has none.
    pub fn before_the_reset(folder: &Path, act: &Act) -> Result<Option<Self>> {
        Ok(first_reset(folder, act)?.map(Self::CutOff))
    }

    fn spares(self, record: &Record) -> bool {
        match self {
            Self::Lossy => !record.is_reset() && record.number % 3 != 1,
            Self::CutOff(end) => record.time < end,
        }
    }
}

/// Damages each vantage of an act's captures in turn; returns every accusation that follows.
pub fn without_each(
    programs: &Programs,
    folder: &Path,
    act: &Act,
    how: Damage,
) -> Result<Vec<String>> {
    let damaged = tempfile::tempdir().context("making a folder")?;
    let mut found = Vec::new();
    for vantage in path() {
        damage(folder, damaged.path(), vantage, how)?;
        for order in [Order::Told, Order::Inferred] {
            let document = analyze(programs, damaged.path(), order)?;
            let accused = accusations(act, &document.resets);
            found.extend(
                accused
                    .iter()
                    .map(|accusation| format!("without {vantage}, path {order:?}: {accusation}")),
            );
        }
    }
    Ok(found)
}

/// Copies a run's captures into `to`, one vantage's damaged.
fn damage(from: &Path, to: &Path, vantage: &str, damage: Damage) -> Result<()> {
    for ((name, whole), (_, copied)) in files(from).into_iter().zip(files(to)) {
        copy(&whole, &copied, |record| {
            name != vantage || damage.spares(record)
        })?;
    }
    Ok(())
}

/// The earliest reset of an act in a folder's captures; `None` when there is none.
fn first_reset(folder: &Path, act: &Act) -> Result<Option<i64>> {
    let mut first: Option<i64> = None;
    for (_, file) in files(folder) {
        copy(&file, Path::new("/dev/null"), |record| {
            if record.is_reset() && record.is_at(act.port) {
                first = Some(first.map_or(record.time, |first| first.min(record.time)));
            }
            false
        })?;
    }
    Ok(first)
}

/// Verdicts that say more than the truth holds: a wrong origin, or a place that leaves the true one
/// out. "Undetermined", a wider interval and silence are none.
fn accusations(act: &Act, resets: &[ResetReport]) -> Vec<String> {
    let mut expected = (act.scenario.truth)();
    of_act(act, resets)
        .into_iter()
        .filter_map(|verdict| {
            let found = expected.iter().position(|truth| {
                truth.flags == verdict.flags
                    && claimed_sender(verdict, act.port) == Some(truth.from)
            })?;
            let wrong = accusation(&expected.remove(found), verdict)?;
            Some(format!("{} seq {}: {wrong}", verdict.flags, verdict.seq))
        })
        .collect()
}

fn accusation(truth: &Expected, verdict: &ResetReport) -> Option<String> {
    let wrong_origin = verdict.origin != Origin::Undetermined && verdict.origin != truth.origin;
    if wrong_origin {
        return Some(format!(
            "said {:?} {:?} ({}), was {:?} {:?}",
            verdict.origin, verdict.between, verdict.confidence, truth.origin, truth.between
        ));
    }
    if verdict.origin == Origin::Middlebox
        && !holds(verdict.between.as_ref(), truth.between, truth.from)
    {
        return Some(format!(
            "said between {:?}, was {:?}",
            verdict.between, truth.between
        ));
    }
    let said_lost = verdict.lost_between.as_ref();
    if said_lost.is_some() && !holds(said_lost, truth.lost_between, truth.from) {
        return Some(format!(
            "said lost between {said_lost:?}, was {:?}",
            truth.lost_between
        ));
    }
    None
}

/// Whether the interval that was said contains the true one.
fn holds(said: Option<&[Option<String>; 2]>, truth: Option<[&str; 2]>, from: Side) -> bool {
    let mut travel = path();
    if from == Side::Server {
        travel.reverse();
    }
    let place = |name: &str| travel.iter().position(|vantage| *vantage == name);
    let (Some([start, end]), Some([true_start, true_end])) = (said, truth) else {
        return said.is_none();
    };
    let starts_before = start
        .as_deref()
        .is_none_or(|start| place(start) <= place(true_start));
    let ends_after = end
        .as_deref()
        .is_none_or(|end| place(end) >= place(true_end));
    starts_before && ends_after
}

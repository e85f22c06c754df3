//! The whole in a simulated world: `make simulate` plays more schedules.

use std::ops::Range;

use parallax_tests::simulation::{self, Planted, Series, check::Violation};

/// More of them in a release build.
const SCHEDULES: u64 = if cfg!(debug_assertions) { 200 } else { 10_000 };

fn play(seeds: Range<u64>, planted: Option<Planted>) -> Series {
    let folder = simulation::folder().unwrap();
    simulation::play_all(seeds, planted, folder.path()).unwrap()
}

#[test]
fn whatever_fails_when_nothing_acknowledged_is_lost_nothing_is_stored_twice_and_verdicts_stay() {
    let series = play(0..SCHEDULES, None);
    let told: Vec<String> = series
        .failed
        .iter()
        .map(|outcome| format!("seed {}: {:?}", outcome.seed, outcome.violations))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    let report = &series.report;
    assert!(report.connections > 6 * series.schedules, "{report:?}");
    assert!(report.runs as u64 > 3 * series.schedules, "{report:?}");
    assert!(report.recalled as u64 > series.schedules / 2, "{report:?}");
}

/// That one of a few schedules finds a planted fault.
fn finds(planted: Planted, is_it: fn(&Violation) -> bool) {
    let found = (0..60).step_by(4).any(|first| {
        let series = play(first..first + 4, Some(planted));
        let violations = series.failed.iter().flat_map(|outcome| &outcome.violations);
        violations.clone().any(is_it)
    });
    assert!(found, "{planted:?}");
}

#[test]
fn an_acknowledgement_before_the_commit_is_found() {
    finds(Planted::EarlyAcknowledgement, |found| {
        matches!(found, Violation::Acknowledged { .. } | Violation::Failed(_))
    });
}

#[test]
fn a_lost_segment_of_the_spool_is_found() {
    finds(Planted::LostSegment, |found| {
        matches!(found, Violation::Missing { .. })
    });
}

#[test]
fn a_double_insert_is_found() {
    finds(Planted::DoubleInsert, |found| {
        matches!(found, Violation::Twice { .. })
    });
}

//! The whole in a simulated world: `make simulate` plays more schedules.

use parallax_tests::simulation::{self, Planted, Series, check::Violation};

fn play(schedules: u64, planted: Option<Planted>) -> Series {
    let folder = simulation::folder().unwrap();
    simulation::play_all(0..schedules, planted, folder.path()).unwrap()
}

#[test]
fn whatever_fails_when_nothing_acknowledged_is_lost_nothing_is_stored_twice_and_verdicts_stay() {
    let series = play(SCHEDULES, None);
    let first = series.failed.first();
    assert!(
        first.is_none(),
        "{} of {} schedules; the first: {first:#?}",
        series.failed.len(),
        series.schedules
    );
    let report = &series.report;
    assert!(report.connections > 6 * series.schedules, "{report:?}");
    assert!(report.runs as u64 > 3 * series.schedules, "{report:?}");
    assert!(report.recalled as u64 > series.schedules, "{report:?}");
}

const SCHEDULES: u64 = 600;

/// Whether one of a few schedules finds a planted fault.
fn finds(planted: Planted, is_it: fn(&Violation) -> bool) {
    let series = play(60, Some(planted));
    let violations = series.failed.iter().flat_map(|outcome| &outcome.violations);
    assert!(
        violations.clone().any(is_it),
        "{planted:?}: {:#?}",
        series.failed
    );
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

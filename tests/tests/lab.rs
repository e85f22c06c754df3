//! The product before real kernels, firewalls and an injector, where the truth is known.
//!
//! One run plays everything before live agents; the tests look at its verdicts and at its captures.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parallax_tests::agreement::{Evidence, differences};
use parallax_tests::analysis::{Order, analyze, files};
use parallax_tests::built::Built;
use parallax_tests::captures::copy;
use parallax_tests::live::{Played, RUN_FILE, Run, now};
use parallax_tests::loss::{Damage, without_each};
use parallax_tests::programs::Programs;
use parallax_tests::replay::replay;
use parallax_tests::scenario::{Act, acts};
use parallax_tests::truth::compare;

/// A finished run, and where everything is.
struct Stage {
    programs: Programs,
    folder: PathBuf,
    run: Run,
}

/// The run that all tests of this process share.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab")).expect("the programs");
        let programs = built.programs().expect("programs");
        let folder = new_run(built.bin()).expect("a folder for the run");
        built.run(&["live"], &folder).expect("the run");
        let text = std::fs::read(folder.join(RUN_FILE)).expect("the run's file");
        let run: Run = serde_json::from_slice(&text).expect("the run's document");
        for played in &run.acts {
            cut_out(&folder, played);
        }
        Stage {
            programs,
            folder,
            run,
        }
    })
}

/// How many runs are kept.
const KEPT: usize = 8;

/// Makes a folder for this run's captures, and forgets the oldest runs.
fn new_run(bin: &Path) -> std::io::Result<PathBuf> {
    let runs = std::env::var_os("PARALLAX_RUNS")
        .map_or_else(|| bin.with_file_name("lab-runs"), PathBuf::from);
    let folder = runs.join(format!("live-{}-{}", now(), std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut kept: Vec<PathBuf> = std::fs::read_dir(&runs)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("live-"))
        })
        .collect();
    kept.sort();
    for old in kept.iter().rev().skip(KEPT) {
        std::fs::remove_dir_all(old)?;
    }
    Ok(folder)
}

/// The act that was played under a name.
fn act(played: &Played) -> Act {
    acts()
        .into_iter()
        .find(|act| act.name() == played.name)
        .expect("an act of that name")
}

/// Cuts one act's packets out of the run's captures, into a folder of the act's name.
fn cut_out(folder: &Path, played: &Played) {
    let act = folder.join(&played.name);
    std::fs::create_dir_all(&act).expect("a folder");
    for ((_, whole), (_, part)) in files(folder).into_iter().zip(files(&act)) {
        copy(&whole, &part, |record| {
            (played.from..=played.to).contains(&record.time)
        })
        .expect("a capture");
    }
}

/// Fails with all of `problems`, if there are any.
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn live_verdicts_are_right_in_every_scenario() {
    let stage = stage();
    assert_eq!(stage.run.acts.len(), acts().len());
    let mut problems = Vec::new();
    for played in &stage.run.acts {
        problems.extend(
            played
                .wrong
                .iter()
                .map(|wrong| format!("{}: {wrong}", played.name)),
        );
        let at_the_end = compare(&act(played), &stage.run.document.resets);
        problems.extend(
            at_the_end
                .iter()
                .map(|wrong| format!("{}, at the end: {wrong}", played.name)),
        );
    }
    none(&problems);
}

#[test]
fn a_second_agent_under_one_vantages_name_is_refused() {
    let (said, status) = &stage().run.twin;
    assert_eq!(*status, Some(1), "{said}");
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("parallax-agent: "))
        .collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert!(
        errors[0].contains("client") && errors[0].contains("--vantage"),
        "{said}"
    );
}

#[test]
fn analyze_gives_the_right_verdicts_on_each_scenarios_captures_with_and_without_a_path() {
    let stage = stage();
    let mut problems = Vec::new();
    for played in &stage.run.acts {
        let folder = stage.folder.join(&played.name);
        for order in [Order::Told, Order::Inferred] {
            let document = analyze(&stage.programs, &folder, order).expect("analyze");
            let wrong = compare(&act(played), &document.resets);
            problems.extend(
                wrong
                    .iter()
                    .map(|wrong| format!("{} {order:?}: {wrong}", played.name)),
            );
        }
    }
    none(&problems);
}

#[test]
fn analyze_and_replayed_captures_agree_with_the_live_verdicts_with_and_without_a_path() {
    let stage = stage();
    let mut problems = Vec::new();
    for order in [Order::Told, Order::Inferred] {
        let analyzed = analyze(&stage.programs, &stage.folder, order).expect("analyze");
        let replayed = replay(&stage.programs, &stage.folder, order).expect("replay");
        for (name, evidence, one, other) in [
            (
                "live and analyzed",
                Evidence::Live,
                &stage.run.document,
                &analyzed,
            ),
            (
                "analyzed and replayed",
                Evidence::Same,
                &analyzed,
                &replayed,
            ),
        ] {
            let found = differences(one, other, evidence);
            problems.extend(
                found
                    .iter()
                    .map(|found| format!("{name}, {order:?}: {found}")),
            );
        }
    }
    none(&problems);
}

#[test]
fn a_vantage_that_lost_a_third_of_its_packets_and_the_reset_accuses_nobody_wrongly() {
    no_accusation(|_, _| Some(Damage::Lossy));
}

#[test]
fn a_vantage_that_stopped_before_the_reset_accuses_nobody_wrongly() {
    no_accusation(|folder, act| Damage::before_the_reset(folder, act).expect("captures"));
}

/// Damages each vantage in turn, in every scenario, and looks for verdicts that say too much.
fn no_accusation(how: impl Fn(&Path, &Act) -> Option<Damage>) {
    let stage = stage();
    let mut problems = Vec::new();
    for played in &stage.run.acts {
        let act = act(played);
        let folder = stage.folder.join(&played.name);
        if let Some(damage) = how(&folder, &act) {
            let found = without_each(&stage.programs, &folder, &act, damage).expect("analyze");
            problems.extend(
                found
                    .iter()
                    .map(|found| format!("{}: {found}", played.name)),
            );
        }
    }
    none(&problems);
}

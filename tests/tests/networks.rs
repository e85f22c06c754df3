//! The product in networks that translate, rewrite, encapsulate, cut and merge, end and begin again
//! what passes, and before attackers, where the truth is known.
//!
//! One run plays everything before recorders and live agents; the tests look at what they left.

use std::path::PathBuf;
use std::sync::OnceLock;

use parallax_tests::built::Built;
use parallax_tests::networks::check::{WAYS, analyze, read, truth};
use parallax_tests::networks::compare::compare;
use parallax_tests::networks::run::{LIVE_FILE, Live};
use parallax_tests::networks::{Network, all, sightings};
use parallax_tests::programs::Programs;

/// A finished run.
struct Stage {
    programs: Programs,
    folder: PathBuf,
}

/// The run that all tests of this process share.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab")).expect("the programs");
        let programs = built.programs().expect("programs");
        // The newest run stays, to look into.
        let folder = built.folder("networks");
        let arguments = ["networks", "--play-only", "--live"];
        built.run(&arguments, &folder).expect("the run");
        Stage { programs, folder }
    })
}

/// Asks for what is wrong in each network, and fails with all of it.
fn nothing_wrong(ask: impl Fn(&Stage, &Network, PathBuf) -> Vec<String>) {
    let stage = stage();
    let mut problems = Vec::new();
    for network in all() {
        let wrong = ask(stage, &network, stage.folder.join(network.name));
        problems.extend(
            wrong
                .iter()
                .map(|wrong| format!("{}: {wrong}", network.name)),
        );
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_captures_hold_every_reset_of_the_truth_where_it_passed_and_no_other() {
    nothing_wrong(|_, _, folder| {
        let truth = truth(&folder).expect("the truth");
        sightings::differences(&truth, &folder).expect("captures")
    });
}

#[test]
fn analyze_gives_the_right_verdicts_in_every_network_whatever_it_is_told() {
    nothing_wrong(|stage, _, folder| {
        let truth = truth(&folder).expect("the truth");
        let mut problems = Vec::new();
        for (order, hosts) in WAYS {
            let document =
                analyze(&stage.programs, &folder, &truth, order, hosts).expect("analyze");
            let wrong = compare(&truth, &document.resets, hosts);
            let how = |wrong: &String| format!("path {order:?}, hosts {hosts:?}: {wrong}");
            problems.extend(wrong.iter().map(how));
        }
        problems
    });
}

#[test]
fn live_verdicts_are_right_in_every_network() {
    nothing_wrong(|_, _, folder| {
        let live: Live = read(&folder.join(LIVE_FILE)).expect("the live verdicts");
        live.wrong
    });
}

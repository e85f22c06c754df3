//! Agents that ship context only, asked for what they remember, before real kernels and a real firewall.

use parallax_tests::built::{Built, heard};
use parallax_tests::bytes::{BYTES_FILE, Measured};
use parallax_tests::recall::{Outcome, RECALL_FILE};

#[test]
fn memory_attests_absence_and_its_gaps_widen_the_verdict_over_one_collector_and_two() {
    verdicts_are_right(1);
}

#[test]
fn the_memories_of_three_threads_say_what_that_of_one_says() {
    verdicts_are_right(3);
}

/// Plays every phase, with agents of so many capture threads.
fn verdicts_are_right(threads: u32) {
    let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab")).expect("the programs");
    let folder = built.folder(&format!("recall-{threads}"));
    let mut lab = built.command(&["recall"], &folder);
    // Every agent hears it.
    lab.env("PARALLAX_THREADS", threads.to_string());
    heard(&mut lab).expect("the run");
    let text = std::fs::read(folder.join(RECALL_FILE)).expect("the run's file");
    let outcome: Outcome = serde_json::from_slice(&text).expect("the run's outcome");
    let wrong: Vec<String> = outcome
        .phases
        .iter()
        .flat_map(|phase| {
            phase
                .wrong
                .iter()
                .map(|wrong| format!("{}: {wrong}", phase.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(outcome.phases.len(), 5);
}

#[test]
fn an_agent_at_a_hop_sends_less_than_half_a_percent_of_what_it_observes() {
    let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab")).expect("the programs");
    let folder = built.folder("bytes");
    let arguments = ["bytes", "--connections", "50000"];
    built.run(&arguments, &folder).expect("the run");
    let text = std::fs::read(folder.join(BYTES_FILE)).expect("the run's file");
    let measured: Measured = serde_json::from_slice(&text).expect("the result");
    assert!(measured.observed_octets > 1_000_000_000, "{measured:?}");
    assert!(measured.percent() < 0.5, "{measured:?}");
}

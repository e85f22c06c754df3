//! What docs/FAULTS.md tells of interfaces and disks, before the real programs.

use parallax_tests::built::Built;

#[test]
fn in_a_flood_of_flows_memory_stays_bounded_and_open_connections_resets_are_judged() {
    // The whole, on a release build: `parallax-lab flood --flows 5000000`.
    play(&["flood", "--flows", "200000", "--rate", "15000"], "flood");
}

#[test]
fn an_interface_that_goes_leaves_a_gap_and_a_full_disk_a_count_and_verdicts_stay_right() {
    play(&["faults"], "faults");
}

fn play(arguments: &[&str], folder: &str) {
    let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab")).expect("the programs");
    built
        .run(arguments, &built.folder(folder))
        .expect("the run");
}

//! What docs/FAULTS.md tells of interfaces and disks, before the real programs.

use std::path::Path;
use std::process::Command;

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
    let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    let bin = lab.parent().expect("a program lies in a folder");
    let output = Command::new(lab)
        .args(arguments)
        .arg("--out")
        .arg(bin.with_file_name("lab-runs").join(folder))
        .output()
        .expect("starting the lab");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

//! What docs/FAULTS.md tells of interfaces and disks, before the real programs.

use std::path::Path;
use std::process::Command;

#[test]
fn an_interface_that_goes_leaves_a_gap_and_a_full_disk_a_count_and_verdicts_stay_right() {
    let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    let bin = lab.parent().expect("a program lies in a folder");
    let output = Command::new(lab)
        .args(["faults", "--out"])
        .arg(bin.with_file_name("lab-runs").join("faults"))
        .output()
        .expect("starting the lab");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

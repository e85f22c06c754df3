//! Kills, outages and cuts under load, the short version of `make chaos`.

use std::path::Path;
use std::process::Command;

/// Builds the programs that the lab starts; a test of one package alone would not.
fn build(bin: &Path) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--bins"]);
    if bin.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("starting cargo");
    assert!(status.success(), "cargo build failed");
}

#[test]
fn every_reset_at_a_live_tap_is_judged_once_or_counted_as_lost() {
    let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    let bin = lab.parent().expect("a program lies in a folder");
    build(bin);
    // The newest run stays, to look into.
    let folder = bin.with_file_name("lab-runs").join("chaos");
    let output = Command::new(lab)
        .args([
            "chaos",
            "--rounds",
            "14",
            "--seed",
            "4",
            "--database",
            "5",
            "--link",
            "8",
            "--out",
        ])
        .arg(&folder)
        .output()
        .expect("starting the lab");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

//! Pseudonyms with live agents, before a real address translation.

use std::path::Path;
use std::process::Command;

#[test]
fn across_an_address_translation_pseudonyms_join_as_addresses_do() {
    let lab = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    let bin = lab.parent().expect("a program lies in a folder");
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, (0..32).collect::<Vec<u8>>()).expect("a key");
    let output = Command::new(lab)
        .args(["veiled", "--out"])
        .arg(bin.with_file_name("lab-runs").join("veiled"))
        .env("PARALLAX_PSEUDONYM_KEY", &key)
        .output()
        .expect("starting the lab");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

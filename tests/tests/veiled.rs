//! Pseudonyms with live agents, before a real address translation.

use parallax_tests::built::{Built, heard};

#[test]
fn across_an_address_translation_pseudonyms_join_as_addresses_do() {
    let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab")).expect("the programs");
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, (0..32).collect::<Vec<u8>>()).expect("a key");
    let mut lab = built.command(&["veiled"], &built.folder("veiled"));
    lab.env("PARALLAX_PSEUDONYM_KEY", &key);
    heard(&mut lab).expect("the run");
}

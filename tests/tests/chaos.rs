//! Kills, outages and cuts under load, the short version of `make chaos`.

use parallax_tests::built::Built;

#[test]
fn every_reset_at_a_live_tap_is_judged_once_or_counted_as_lost() {
    let built = Built::new(env!("CARGO_BIN_EXE_parallax-lab")).expect("the programs");
    // The newest run stays, to look into.
    let folder = built.folder("chaos");
    let arguments = [
        "chaos",
        "--rounds",
        "14",
        "--seed",
        "4",
        "--database",
        "5",
        "--link",
        "8",
    ];
    built.run(&arguments, &folder).expect("the run");
}

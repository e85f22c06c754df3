//! A run of fixed length over every fuzz target; `make fuzz MINUTES=60` goes on for longer.

use parallax_tests::fuzz::{TARGETS, folder};

/// Mutations of each target's corpus, some seconds' worth.
const COUNTS: [(&str, u64); 5] = [
    ("decode", 30_000),
    ("file", 7_000),
    ("message", 15_000),
    ("judge", 700),
    ("query", 20_000),
];

#[test]
fn no_input_makes_a_reader_or_the_judge_panic() {
    std::thread::scope(|scope| {
        for target in &TARGETS {
            let count = COUNTS.iter().find(|(name, _)| *name == target.name);
            let (_, count) = count.expect("a count for every target");
            scope.spawn(move || target.drive(1, *count, None).expect("a corpus"));
        }
    });
}

/// What is in the repository is what libFuzzer begins with. `PARALLAX_WRITE_CORPUS=1` writes it anew.
#[test]
fn every_seed_is_a_file_of_the_corpus() {
    let writes = std::env::var_os("PARALLAX_WRITE_CORPUS").is_some();
    for target in &TARGETS {
        let folder = folder(target.name);
        for (index, seed) in (target.seeds)().into_iter().enumerate() {
            let path = folder.join(format!("seed-{index:02}"));
            if writes {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &seed).unwrap();
            }
            let found = std::fs::read(&path).unwrap_or_default();
            assert!(
                found == seed,
                "{}: PARALLAX_WRITE_CORPUS=1 writes it",
                path.display()
            );
        }
    }
}

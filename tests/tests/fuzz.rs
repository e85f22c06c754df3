//! A run of fixed length over every fuzz target; `make fuzz MINUTES=60` goes on for longer.

use parallax_tests::fuzz::TARGETS;

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

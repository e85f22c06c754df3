//! Random networks in which it is known who sent every RST: what the judge's verdicts and their confidence
//! are worth. Seeds in the tables play again with
//! `SEED=… cargo test -p parallax-core --test simulator replay -- --ignored --nocapture`
//! (`SOUND=1` for the population of sound vantages).

mod capture;
mod chance;
mod forgery;
mod hosts;
mod middlebox;
mod network;
mod packet;
mod play;
mod program;
mod receive;
mod report;
mod score;
mod send;
mod tally;
mod topology;
mod traffic;
mod truth;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use network::Population;
use tally::Tally;

/// Plays runs until so many resets were recorded somewhere. The result does not depend on the machine.
fn simulate(resets: u64, population: Population) -> Tally {
    const ROUND: u64 = 128;
    let mut total = Tally::default();
    let mut from = 0;
    while total.resets < resets {
        let next = AtomicU64::new(from);
        let mut played: Vec<(u64, Tally)> = std::thread::scope(|scope| {
            let play = || {
                let mut own = Vec::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + ROUND {
                        return own;
                    }
                    own.push((seed, Tally::of(seed, population)));
                }
            };
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(play)).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("a run does not panic"))
                .collect()
        });
        played.sort_by_key(|(seed, _)| *seed);
        for (_, tally) in played {
            total.merge(tally);
        }
        from += ROUND;
    }
    total
}

/// Boxes of 14 kinds, endpoints for 14 reasons.
const STORIES: usize = 28;

fn wanted(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn with_all_troubles_of_the_field_confidence_is_worth_what_it_says() {
    let tally = simulate(4000, Population::Troubled);
    println!("{}", tally.tables());
    let rare: Vec<_> = tally
        .stories
        .iter()
        .filter(|story| story.1.verdicts < 5)
        .collect();
    assert!(
        tally.stories.len() == STORIES && rare.is_empty(),
        "{} kinds of resets, too few of {rare:?}",
        tally.stories.len()
    );
    let accusations = tally.sure_accusations.len() as u64;
    assert!(
        accusations * 1000 <= tally.resets,
        "{accusations} false accusations at 0.9 or above in {} resets, seeds {:?}",
        tally.resets,
        tally.sure_accusations
    );
    for bin in tally.bins.iter().filter(|bin| bin.verdicts >= 200) {
        assert!(
            (bin.mean() - bin.share_right()).abs() <= 0.05,
            "{} verdicts at {:.3}, of which {:.3} are right",
            bin.verdicts,
            bin.mean(),
            bin.share_right()
        );
    }
    assert!(
        tally.brier_score() <= 0.03,
        "Brier {:.4}",
        tally.brier_score()
    );
}

#[test]
fn where_every_vantage_is_sound_origin_and_place_are_right() {
    let tally = simulate(4000, Population::Sound);
    println!("{}", tally.tables());
    let right = tally.count(score::Grade::Right);
    assert!(
        right * 1000 >= tally.verdicts * 999,
        "{right} of {} right",
        tally.verdicts
    );
    let apart = tally.duplicates + tally.unjudged;
    assert!(
        apart * 200 <= tally.verdicts,
        "{apart} resets under two names or taken for others"
    );
    assert!(
        tally.sure_accusations.is_empty(),
        "{:?}",
        tally.sure_accusations
    );
}

#[test]
fn a_seed_plays_the_same_run_again() {
    for seed in 0..10 {
        let (one, again) = (
            play::play(seed, Population::Troubled),
            play::play(seed, Population::Troubled),
        );
        assert!(one.verdicts == again.verdicts, "seed {seed}");
    }
}

#[test]
#[ignore = "minutes; make calibrate"]
fn calibrate() {
    let resets = wanted("RESETS").unwrap_or(100_000);
    println!("\n## Vantages with all troubles of the field");
    println!("{}", simulate(resets, Population::Troubled).tables());
    println!("\n## Sound vantages, hosts at both ends");
    println!("{}", simulate(resets / 4, Population::Sound).tables());
}

/// Every wrong verdict of some runs in a line each; `WITHOUT=a,b` leaves out runs with these features.
#[test]
#[ignore = "lists what is wrong: RUNS=…"]
fn list_wrong() {
    let without = std::env::var("WITHOUT").unwrap_or_default();
    for seed in 0..wanted("RUNS").unwrap_or(300) {
        let run = play::play(seed, population());
        let left_out = |feature: &&&str| without.split(',').any(|other| other == **feature);
        if run.features.iter().find(left_out).is_none() {
            print!("{}", report::wrong(&run, wanted("EXACT").is_some()));
        }
    }
}

fn population() -> Population {
    if wanted("SOUND").is_some() {
        Population::Sound
    } else {
        Population::Troubled
    }
}

#[test]
#[ignore = "tells one run: SEED=…"]
fn replay() {
    let seed = wanted("SEED").unwrap_or(0);
    println!("{}", report::tell(&play::play(seed, population())));
}

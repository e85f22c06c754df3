//! Thousands of random networks: what share of the verdicts is right, and what the confidence is worth.

use parallax_core::report::{Origin, ResetReport, Side};
use parallax_core::time::SECOND;

use crate::wire::{Chance, Wire, flags};

/// What really happened, by construction.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Truth {
    /// The claimed sender sent it.
    Endpoint,
    /// Forged in front of this place on the way from the claimed sender (0: before the first vantage).
    Forged(usize),
}

struct Run {
    names: Vec<String>,
    sender: Side,
    truth: Truth,
    reports: Vec<ResetReport>,
}

fn network(chance: &mut Chance, lossy: bool) -> (Wire, Vec<String>) {
    let count = 1 + chance.below(6) as usize;
    let mut names: Vec<String> = (0..count).map(|place| format!("v{place}")).collect();
    for end in [0, count - 1] {
        if chance.percent(60) && !names[end].ends_with('@') && (end == 0 || count > 1) {
            names[end].push('@');
        }
    }
    let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut wire = Wire::new(&borrowed);
    wire.seed(chance.number());
    wire.set_hops(1 + chance.below(3) as u8);
    for place in 0..count {
        if chance.percent(40) {
            wire.set_clock(place, chance.below(10) as i64 * SECOND - 5 * SECOND);
        }
        if lossy && chance.percent(40) {
            wire.lose(place, chance.below(20) as f64 / 100.0);
        }
    }
    let names = names
        .iter()
        .map(|name| name.trim_end_matches('@').to_owned())
        .collect();
    (wire, names)
}

fn play(seed: u64, lossy: bool) -> Run {
    let mut chance = Chance(seed);
    let (mut wire, names) = network(&mut chance, lossy);
    for _ in 0..chance.below(4) {
        wire.neighbour();
    }
    wire.handshake();
    for _ in 0..=chance.below(6) {
        wire.exchange();
    }
    let sender = if chance.percent(50) {
        Side::Client
    } else {
        Side::Server
    };
    let truth = if chance.percent(50) {
        let window = if chance.percent(50) { 501 } else { 0 };
        wire.send(sender, flags("RA").window(window));
        Truth::Endpoint
    } else {
        forge(&mut wire, &mut chance, sender, &names)
    };
    wire.wait(50);
    for _ in 0..=chance.below(3) {
        wire.neighbour();
    }
    Run {
        reports: wire.judge().into_iter().map(|one| one.report).collect(),
        names,
        sender,
        truth,
    }
}

/// A middlebox forges a RST: on the way, with a TTL of its own or one that fits.
fn forge(wire: &mut Wire, chance: &mut Chance, sender: Side, names: &[String]) -> Truth {
    let on_way = |place: usize| match sender {
        Side::Client => &names[place],
        Side::Server => &names[names.len() - 1 - place],
    };
    let hosted = wire.is_host(on_way(0));
    let earliest = usize::from(hosted);
    if earliest >= names.len() {
        wire.send(sender, flags("RA"));
        return Truth::Endpoint;
    }
    let place = earliest + chance.below((names.len() - earliest) as u64) as usize;
    let seq = wire.next(sender);
    let ttl = match chance.below(4) {
        0 => 255 - chance.below(12) as u8,
        1 => 128 - chance.below(12) as u8,
        2 => 64,
        _ => 64 - wire.hops_to(place),
    };
    let letters = if chance.percent(50) { "R" } else { "RA" };
    wire.forge(sender, flags(letters).seq(seq).ttl(ttl), on_way(place));
    Truth::Forged(place)
}

impl Run {
    fn position(&self, name: &str) -> i64 {
        let place = self.names.iter().position(|known| known == name).unwrap() as i64;
        match self.sender {
            Side::Client => place,
            Side::Server => self.names.len() as i64 - 1 - place,
        }
    }

    /// Whether a verdict is right; `None` when it leaves the question open.
    fn is_right(&self, report: &ResetReport) -> Option<bool> {
        match (report.origin, self.truth) {
            (Origin::Undetermined, _) => None,
            (Origin::Endpoint, truth) => Some(truth == Truth::Endpoint),
            (Origin::Middlebox, Truth::Endpoint) => Some(false),
            (Origin::Middlebox, Truth::Forged(place)) => {
                let [from, to] = report.between.as_ref()?;
                let from = from.as_deref().map_or(-1, |name| self.position(name));
                let to = to.as_deref().map_or(i64::MAX, |name| self.position(name));
                let place = place as i64;
                Some(from < place && place <= to)
            }
        }
    }
}

#[derive(Default, Debug)]
struct Tally {
    total: u32,
    open: u32,
    right: u32,
    wrong: u32,
    wrong_and_sure: u32,
    /// Verdicts and right ones by tenths of confidence.
    bins: [(u32, u32); 11],
}

fn simulate(runs: u64, lossy: bool) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..runs {
        let run = play(seed.wrapping_mul(0x2545_F491_4F6C_DD1D), lossy);
        for report in &run.reports {
            tally.total += 1;
            let Some(right) = run.is_right(report) else {
                tally.open += 1;
                continue;
            };
            let bin = &mut tally.bins[(report.confidence * 10.0) as usize];
            bin.0 += 1;
            bin.1 += u32::from(right);
            if right {
                tally.right += 1;
            } else {
                tally.wrong += 1;
                tally.wrong_and_sure += u32::from(report.confidence >= 0.95);
            }
        }
    }
    tally
}

#[test]
fn without_loss_and_with_all_vantages_sure_verdicts_are_right() {
    let tally = simulate(5000, false);
    println!("{tally:?}");
    assert!(tally.right > tally.total / 2, "{tally:?}");
    assert_eq!(tally.wrong_and_sure, 0, "{tally:?}");
}

#[test]
fn with_loss_of_captures_wrong_verdicts_are_rare_and_unsure() {
    let tally = simulate(5000, true);
    println!("{tally:?}");
    assert!(tally.right > tally.total / 3, "{tally:?}");
    assert!(tally.wrong_and_sure * 1000 <= tally.total, "{tally:?}");
}

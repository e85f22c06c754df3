//! Counts over many runs.

use std::collections::BTreeMap;

use parallax_core::report::Origin;

use crate::network::Population;
use crate::play::{Run, play};
use crate::score::{Grade, LossGrade, Scored, score};
use crate::truth::Maker;

/// Bounds of the bins of confidence.
pub const BINS: [f64; 8] = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

#[derive(Debug, Default, Clone, Copy)]
pub struct Bin {
    pub verdicts: u64,
    pub said: f64,
    pub right: u64,
}

/// Verdicts of some kind, how many of them wrong, and where to look.
#[derive(Debug, Default, Clone)]
pub struct Slice {
    pub verdicts: u64,
    pub open: u64,
    pub grades: BTreeMap<Grade, u64>,
    pub seeds: Vec<u64>,
}

/// Counts over many runs.
#[derive(Debug, Default)]
pub struct Tally {
    pub runs: u64,
    pub resets: u64,
    pub verdicts: u64,
    pub exact: u64,
    /// Further verdicts on a reset that has one under another name.
    pub duplicates: u64,
    /// Right, and the only verdict on its reset.
    pub once_right: u64,
    pub claims: u64,
    pub brier: f64,
    pub sure_accusations: Vec<u64>,
    pub unjudged: u64,
    pub confusion: BTreeMap<(&'static str, &'static str), u64>,
    pub bins: [Bin; BINS.len()],
    pub grades: BTreeMap<Grade, u64>,
    /// Claims of loss: right, wrong, unsaid.
    pub loss: [u64; 3],
    /// By what made it: right ones, and what the others said.
    pub causes: BTreeMap<String, (u64, BTreeMap<String, u64>)>,
    pub features: BTreeMap<&'static str, Slice>,
    pub stories: BTreeMap<&'static str, Slice>,
}

impl Tally {
    pub fn of(seed: u64, population: Population) -> Self {
        let run = play(seed, population);
        let scores = score(&run);
        let mut tally = Self {
            runs: 1,
            resets: scores.resets,
            unjudged: scores.unjudged.len() as u64,
            ..Self::default()
        };
        for scored in &scores.verdicts {
            tally.add(&run, scored);
        }
        tally
    }

    fn add(&mut self, run: &Run, scored: &Scored<'_>) {
        self.verdicts += 1;
        self.exact += u64::from(scored.exact);
        self.duplicates += u64::from(scored.duplicate);
        self.once_right += u64::from(scored.grade == Grade::Right && !scored.duplicate);
        *self.grades.entry(scored.grade).or_default() += 1;
        let truth = match scored.truth.map(|truth| truth.maker) {
            Some(Maker::Endpoint(_)) => "endpoint",
            Some(Maker::Forged { .. }) => "middlebox",
            None => "nobody",
        };
        let said = match scored.report.origin {
            Origin::Endpoint => "endpoint",
            Origin::Middlebox => "middlebox",
            Origin::Undetermined => "undetermined",
        };
        *self.confusion.entry((truth, said)).or_default() += 1;
        let confidence = scored.report.confidence;
        if scored.grade.claims() {
            let right = scored.grade == Grade::Right;
            self.claims += 1;
            self.brier += (confidence - f64::from(u8::from(right))).powi(2);
            let bin = BINS.partition_point(|from| *from <= confidence).max(1) - 1;
            self.bins[bin].verdicts += 1;
            self.bins[bin].said += confidence;
            self.bins[bin].right += u64::from(right);
        }
        if scored.grade == Grade::FalseAccusation && confidence >= 0.9 {
            self.sure_accusations.push(run.seed);
        }
        match scored.loss {
            LossGrade::NothingToSay => {}
            LossGrade::Right => self.loss[0] += 1,
            LossGrade::Wrong => self.loss[1] += 1,
            LossGrade::Unsaid => self.loss[2] += 1,
        }
        self.slices(run, scored);
    }

    fn slices(&mut self, run: &Run, scored: &Scored<'_>) {
        for feature in &run.features {
            self.features
                .entry(feature)
                .or_default()
                .add(run.seed, scored);
        }
        if run.features.is_empty() {
            self.features
                .entry("plain")
                .or_default()
                .add(run.seed, scored);
        }
        let story = scored.truth.map_or("nobody", |truth| truth.story);
        self.stories.entry(story).or_default().add(run.seed, scored);
        if let Some(right) = scored.cause {
            let (rights, wrongs) = self.causes.entry(story.to_owned()).or_default();
            if right {
                *rights += 1;
            } else {
                *wrongs
                    .entry(format!("{:?}", scored.report.cause))
                    .or_default() += 1;
            }
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.resets += other.resets;
        self.verdicts += other.verdicts;
        self.exact += other.exact;
        self.duplicates += other.duplicates;
        self.once_right += other.once_right;
        self.claims += other.claims;
        self.brier += other.brier;
        self.sure_accusations.extend(other.sure_accusations);
        self.unjudged += other.unjudged;
        sum(&mut self.confusion, other.confusion);
        sum(&mut self.grades, other.grades);
        for (bin, more) in self.bins.iter_mut().zip(other.bins) {
            bin.verdicts += more.verdicts;
            bin.said += more.said;
            bin.right += more.right;
        }
        for (count, more) in self.loss.iter_mut().zip(other.loss) {
            *count += more;
        }
        for (story, (right, wrong)) in other.causes {
            let own = self.causes.entry(story).or_default();
            own.0 += right;
            sum(&mut own.1, wrong);
        }
        for (name, slice) in other.features {
            self.features.entry(name).or_default().merge(slice);
        }
        for (name, slice) in other.stories {
            self.stories.entry(name).or_default().merge(slice);
        }
    }
}

impl Slice {
    fn add(&mut self, seed: u64, scored: &Scored<'_>) {
        self.verdicts += 1;
        match scored.grade {
            Grade::Right => {}
            Grade::Open => self.open += 1,
            wrong => {
                *self.grades.entry(wrong).or_default() += 1;
                if self.seeds.last() != Some(&seed) {
                    self.seeds.push(seed);
                }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.verdicts += other.verdicts;
        self.open += other.open;
        sum(&mut self.grades, other.grades);
        self.seeds.extend(other.seeds);
        self.seeds.truncate(4);
    }

    pub fn wrong(&self) -> u64 {
        self.grades.values().sum()
    }
}

fn sum<K: Ord>(into: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(key).or_default() += count;
    }
}

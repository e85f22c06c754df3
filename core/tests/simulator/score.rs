//! Verdicts against the truth.

use std::collections::{BTreeMap, HashMap};

use parallax_core::report::{Cause, Origin, ResetReport, Side};

use crate::network::{Element, Population};
use crate::play::{Run, play};
use crate::truth::{Class, Maker, Reset};

/// What a verdict is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Right,
    Open,
    /// The claimed sender sent it, a middlebox is accused.
    FalseAccusation,
    /// A middlebox forged it, the endpoint is named.
    MissedForgery,
    /// Forged elsewhere.
    WrongPlace,
    WrongSide,
    /// One reset under two names.
    Duplicate,
    /// Nobody sent such a packet.
    Phantom,
}

impl Grade {
    pub fn claims(self) -> bool {
        self != Self::Open
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossGrade {
    NothingToSay,
    Right,
    Wrong,
    /// It was lost, and the verdict does not say so.
    Unsaid,
}

/// One verdict with what it was about.
pub struct Scored<'a> {
    pub report: &'a ResetReport,
    pub truth: Option<&'a Reset>,
    pub grade: Grade,
    /// The interval is exactly the neighbouring vantages, or the vantage is the nearest.
    pub exact: bool,
    pub loss: LossGrade,
    pub cause: Option<bool>,
}

/// All verdicts of a run, and the resets that have none.
pub struct Scores<'a> {
    pub verdicts: Vec<Scored<'a>>,
    pub resets: u64,
    pub unjudged: Vec<&'a Reset>,
}

pub fn score(run: &Run) -> Scores<'_> {
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut known: HashMap<Class, usize> = HashMap::new();
    for (index, reset) in run.world.resets.iter().enumerate() {
        if !reset.recorded.is_empty() {
            let first = *known.entry(reset.class()).or_insert(index);
            classes.entry(first).or_default().push(index);
        }
    }
    let mut said: HashMap<usize, usize> = HashMap::new();
    let mut verdicts = Vec::new();
    for judged in &run.verdicts {
        let reset = find(run, &judged.report);
        let mut scored = grade(run, &judged.report, reset);
        if let Some(reset) = reset {
            let class = known[&run.world.resets[reset].class()];
            let times = said.entry(class).or_default();
            *times += 1;
            if *times > classes[&class].len() {
                scored.grade = Grade::Duplicate;
                scored.exact = false;
            }
            scored.loss = loss(run, &judged.report, &classes[&class]);
        }
        verdicts.push(scored);
    }
    let unjudged = classes
        .keys()
        .filter(|class| !said.contains_key(class))
        .map(|class| &run.world.resets[*class])
        .collect();
    Scores {
        verdicts,
        resets: classes.len() as u64,
        unjudged,
    }
}

/// The packet that a verdict's first sighting recorded.
fn find(run: &Run, report: &ResetReport) -> Option<usize> {
    report.seen_at.iter().find_map(|name| {
        let recorder = run
            .world
            .recorders
            .iter()
            .find(|recorder| recorder.vantage.name == *name)?;
        let same = recorder.taken.iter().filter(|taken| {
            let digest = &taken.digest;
            digest.is_rst()
                && digest.seq.0 == report.seq
                && digest.flags.to_string() == report.flags
                && digest.acked().map(|ack| ack.0) == report.ack
        });
        same.min_by_key(|taken| taken.digest.time.since(report.time).saturating_abs())?
            .reset
    })
}

fn grade<'a>(run: &'a Run, report: &'a ResetReport, reset: Option<usize>) -> Scored<'a> {
    let truth = reset.map(|reset| &run.world.resets[reset]);
    let mut scored = Scored {
        report,
        truth,
        grade: Grade::Phantom,
        exact: false,
        loss: LossGrade::NothingToSay,
        cause: None,
    };
    let Some(truth) = truth else {
        return scored;
    };
    let way = Way::of(run, truth);
    scored.grade = match (report.origin, truth.maker) {
        (Origin::Undetermined, _) => Grade::Open,
        (Origin::Endpoint, Maker::Endpoint(side)) if report.emitter == Some(side) => Grade::Right,
        (Origin::Endpoint, Maker::Endpoint(_)) => Grade::WrongSide,
        (Origin::Endpoint, Maker::Forged { .. }) => Grade::MissedForgery,
        (Origin::Middlebox, Maker::Endpoint(_)) => Grade::FalseAccusation,
        (Origin::Middlebox, Maker::Forged { place }) => {
            if report
                .between
                .as_ref()
                .is_some_and(|span| way.holds(span, place))
            {
                Grade::Right
            } else {
                Grade::WrongPlace
            }
        }
    };
    scored.exact = scored.grade == Grade::Right && way.is_exact(report, truth.maker);
    scored.cause = (scored.grade == Grade::Right && !truth.causes.is_empty())
        .then(|| truth.causes.contains(&report.cause));
    scored
}

fn loss(run: &Run, report: &ResetReport, class: &[usize]) -> LossGrade {
    let mut places = class
        .iter()
        .map(|index| &run.world.resets[*index])
        .filter_map(|reset| Some((Way::of(run, reset), reset.lost_at?)))
        .peekable();
    match &report.lost_between {
        None if places.peek().is_some() => LossGrade::Unsaid,
        None => LossGrade::NothingToSay,
        Some(span) if places.any(|(way, place)| way.holds(span, place)) => LossGrade::Right,
        Some(_) => LossGrade::Wrong,
    }
}

/// The way of one reset: places as it passed them.
struct Way<'a> {
    run: &'a Run,
    span: (usize, usize),
    sender: Side,
    branch: u8,
}

impl<'a> Way<'a> {
    fn of(run: &'a Run, reset: &Reset) -> Self {
        let connection = &run.world.connections[reset.packet.connection];
        Self {
            run,
            span: connection.span,
            sender: reset.packet.sender,
            branch: connection.branch,
        }
    }

    /// A place's rank on the way from the claimed sender.
    fn rank(&self, place: usize) -> i64 {
        match self.sender {
            Side::Client => place as i64,
            Side::Server => -(place as i64),
        }
    }

    fn rank_of(&self, name: &str) -> Option<i64> {
        let world = &self.run.world;
        let vantage = world
            .recorders
            .iter()
            .position(|recorder| recorder.vantage.name == name)?;
        let place = world.network.place_of(vantage, self.span)?;
        Some(self.rank(place))
    }

    /// Whether something at a place is within an interval, which may be wide.
    fn holds(&self, between: &[Option<String>; 2], place: usize) -> bool {
        let at = self.rank(place);
        let after = |name: &String| self.rank_of(name).is_some_and(|rank| rank < at);
        let before = |name: &String| self.rank_of(name).is_some_and(|rank| at < rank);
        between[0].as_ref().is_none_or(after) && between[1].as_ref().is_none_or(before)
    }

    /// The vantages that the way passes, with their ranks, in order.
    fn vantages(&self) -> Vec<(i64, &'a str)> {
        let world = &self.run.world;
        let mut all: Vec<(i64, &str)> = (self.span.0..=self.span.1)
            .filter(|place| world.network.places[*place].carries(self.sender, self.branch))
            .filter_map(|place| match world.network.places[place].element {
                Element::Tap(vantage) => Some((
                    self.rank(place),
                    world.recorders[vantage].vantage.name.as_str(),
                )),
                _ => None,
            })
            .collect();
        all.sort_unstable();
        all
    }

    fn is_exact(&self, report: &ResetReport, maker: Maker) -> bool {
        let vantages = self.vantages();
        match (maker, &report.between) {
            (Maker::Endpoint(_), _) => {
                report.at.as_deref() == vantages.first().map(|(_, name)| *name)
            }
            (Maker::Forged { place }, Some([from, to])) => {
                let split = vantages.partition_point(|(rank, _)| *rank < self.rank(place));
                let name = |index: Option<usize>| Some(vantages.get(index?)?.1);
                from.as_deref() == name(split.checked_sub(1)) && to.as_deref() == name(Some(split))
            }
            _ => false,
        }
    }
}

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
    pub claims: u64,
    pub brier: f64,
    pub sure_accusations: Vec<u64>,
    pub unjudged: u64,
    pub confusion: BTreeMap<(&'static str, &'static str), u64>,
    pub bins: [Bin; BINS.len()],
    pub grades: BTreeMap<Grade, u64>,
    /// Claims of loss: right, wrong, unsaid.
    pub loss: [u64; 3],
    pub causes: BTreeMap<String, (u64, BTreeMap<Cause2, u64>)>,
    pub features: BTreeMap<&'static str, Slice>,
    pub stories: BTreeMap<&'static str, Slice>,
}

/// A cause's name as documents carry it.
pub type Cause2 = String;

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
                let cause: Cause = scored.report.cause;
                *wrongs.entry(format!("{cause:?}")).or_default() += 1;
            }
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.resets += other.resets;
        self.verdicts += other.verdicts;
        self.exact += other.exact;
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
                self.seeds.push(seed);
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

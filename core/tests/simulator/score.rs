//! Verdicts against the truth.

use std::collections::{BTreeMap, HashMap};

use parallax_core::report::{Origin, ResetReport, Side};

use crate::network::{Element, Population};
use crate::play::Run;
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
    /// The same reset has a verdict under another name already.
    pub duplicate: bool,
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
        if !reset.recorded.is_empty() && counts(run, reset) {
            let first = *known.entry(reset.class()).or_insert(index);
            classes.entry(first).or_default().push(index);
        }
    }
    let mut said: HashMap<usize, usize> = HashMap::new();
    let mut verdicts = Vec::new();
    for judged in &run.verdicts {
        let reset = find(run, &judged.report);
        if reset.is_some_and(|reset| !counts(run, &run.world.resets[reset])) {
            continue;
        }
        let mut scored = grade(run, &judged.report, reset);
        if let Some(reset) = reset {
            let class = known[&run.world.resets[reset].class()];
            let times = said.entry(class).or_default();
            *times += 1;
            if *times > classes[&class].len() {
                scored.duplicate = true;
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

/// Sound networks promise something only of connections with a vantage on either host.
fn counts(run: &Run, reset: &Reset) -> bool {
    let connection = &run.world.connections[reset.packet.connection];
    let network = &run.world.network;
    run.population == Population::Troubled
        || network.hosts_watched(connection.span, connection.branch)
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
        duplicate: false,
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

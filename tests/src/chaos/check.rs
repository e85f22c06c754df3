//! What was sent against what became of it.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use parallax_core::report::{LossAt, Origin, ResetReport};
use parallax_core::{LossOf, Strength};

use super::load::Sent;
use super::world::{Agent, World};

/// The most resets that are asked for.
const LIMIT: usize = 100_000;

/// What became of the RSTs.
#[derive(Debug, Default)]
pub struct Tally {
    pub sent: usize,
    /// That crossed at least one live agent's tap.
    pub crossed: usize,
    /// One reset, one verdict.
    pub judged: usize,
    /// Sightings that were due, and that were there.
    pub due: usize,
    pub seen: usize,
    /// Sightings that a loss record answers for.
    pub counted: usize,
    pub undetermined: usize,
    pub wrong: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} RSTs sent, {} crossed a live agent's tap, {} judged ({} undetermined); of {} sightings {} came, \
             {} are counted as lost; {} wrong",
            self.sent,
            self.crossed,
            self.judged,
            self.undetermined,
            self.due,
            self.seen,
            self.counted,
            self.wrong.len()
        )
    }
}

/// Holds every RST against the verdicts, and every agent's silence against its losses.
pub fn hold(sent: &[Sent], world: &World<'_>) -> Result<Tally> {
    let document = world.document(&format!("/v1/resets?limit={LIMIT}"))?;
    ensure!(
        document.resets.len() < LIMIT,
        "more resets than can be asked for"
    );
    let mut resets: HashMap<(SocketAddr, SocketAddr), Vec<&ResetReport>> = HashMap::new();
    for reset in &document.resets {
        let src = SocketAddr::new(reset.src, reset.sport);
        let dst = SocketAddr::new(reset.dst, reset.dport);
        resets.entry((src, dst)).or_default().push(reset);
    }
    let mut losses = Vec::new();
    for agent in &world.agents {
        losses.push(world.losses(agent.point.name)?);
    }
    let mut tally = Tally {
        sent: sent.len(),
        ..Tally::default()
    };
    for sent in sent {
        let found = resets.remove(&(sent.src, sent.dst)).unwrap_or_default();
        hold_one(sent, &found, world, &losses, &mut tally);
    }
    for (src, dst) in resets.keys() {
        tally
            .wrong
            .push(format!("a reset nobody sent: {src} > {dst}"));
    }
    Ok(tally)
}

fn hold_one(
    sent: &Sent,
    found: &[&ResetReport],
    world: &World<'_>,
    losses: &[Vec<LossAt>],
    tally: &mut Tally,
) {
    let name = format!("{} > {} at {}", sent.src, sent.dst, sent.between.0);
    let alive = |agent: &&(&Agent<'_>, &Vec<LossAt>)| agent.0.lived(sent.between);
    let agents: Vec<_> = world.agents.iter().zip(losses).collect();
    let alive: Vec<_> = agents.iter().filter(alive).collect();
    tally.crossed += usize::from(!alive.is_empty());
    tally.judged += usize::from(found.len() == 1);
    if found.len() > 1 {
        tally.wrong.push(format!("{name}: {} resets", found.len()));
    }
    let reset = found.first();
    if let Some(reset) = reset {
        tally.undetermined += usize::from(reset.origin == Origin::Undetermined);
        if reset.origin == Origin::Middlebox {
            let between = &reset.between;
            tally
                .wrong
                .push(format!("{name}: a false accusation, between {between:?}"));
        }
        if reset.count != 1 {
            tally
                .wrong
                .push(format!("{name}: counted {} times", reset.count));
        }
    }
    for (agent, losses) in alive {
        tally.due += 1;
        let vantage = agent.point.name;
        if reset.is_some_and(|reset| reset.seen_at.iter().any(|seen| seen == vantage)) {
            tally.seen += 1;
        } else if losses.iter().any(|loss| answers_for(loss, sent)) {
            tally.counted += 1;
        } else {
            tally
                .wrong
                .push(format!("{name}: neither seen nor counted at {vantage}"));
        }
    }
}

/// Whether a RST that passed then may be among what was certainly lost.
fn answers_for(loss: &LossAt, sent: &Sent) -> bool {
    let loss = &loss.loss;
    let (from, until) = sent.between;
    loss.strength == Strength::Certain
        && matches!(loss.of, LossOf::Packets | LossOf::Resets)
        && loss.from.nanos() <= until
        && loss.until.is_some_and(|end| from <= end.nanos())
}

//! What goes wrong when, from a seed.

use std::ops::Range;
use std::time::Duration;

use super::Planted;
use super::chance::Chance;
use super::traffic::{END, STORIES, VANTAGES};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An agent's connection breaks. `late`: the collector learns of it so much later, and gets meanwhile what was on
    /// the way, while the agent may be connected again.
    Cut {
        agent: usize,
        late: Duration,
    },
    /// Nothing passes over an agent's connection for a time, and neither end knows.
    Stall {
        agent: usize,
        length: Duration,
    },
    AgentDies {
        agent: usize,
        away: Duration,
    },
    CollectorDies {
        collector: usize,
        away: Duration,
    },
    DatabaseAway {
        length: Duration,
    },
}

/// How the database behaves.
#[derive(Debug, Clone)]
pub struct DatabasePlan {
    /// What a transaction takes before and after it is durable, microseconds each.
    pub latency: Range<u64>,
    /// One transaction in so many fails before it is durable, and one after; 0: none.
    pub fails_one_in: u64,
}

/// Where an agent keeps what is not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Memory,
    /// With so many octets for each run.
    Disk(u64),
}

/// How an agent is set up.
#[derive(Debug, Clone, Copy)]
pub struct AgentPlan {
    pub keep: Keep,
    /// Digests in memory.
    pub outbox: usize,
}

/// A schedule.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub story: u64,
    pub collectors: usize,
    pub agents: Vec<AgentPlan>,
    /// One way over a cable, microseconds.
    pub latency: Range<u64>,
    pub database: DatabasePlan,
    /// In order of time.
    pub faults: Vec<(Duration, Fault)>,
}

/// Room for everything that a story makes.
const AMPLE: usize = 1 << 16;

impl Plan {
    pub fn of(seed: u64, planted: Option<Planted>) -> Self {
        let chance = Chance::new(seed);
        let mut plan = Self::without_faults(chance.below(STORIES));
        plan.seed = seed;
        plan.collectors = 1 + chance.below(3) as usize;
        plan.latency = [100..500, 1_000..20_000, 1_000..200_000][chance.below(3) as usize].clone();
        plan.database = DatabasePlan {
            latency: [200..2_000, 1_000..50_000, 10_000..800_000][chance.below(3) as usize].clone(),
            fails_one_in: [0, 0, 20, 5][chance.below(4) as usize],
        };
        let mortal = chance.one_in(2) || planted == Some(Planted::LostSegment);
        for agent in &mut plan.agents {
            agent.keep = match chance.below(4) {
                0 if planted.is_none() => Keep::Memory,
                _ => Keep::Disk([1 << 18, 1 << 22][chance.below(2) as usize]),
            };
            if agent.keep != Keep::Memory {
                agent.outbox = [8, 40, AMPLE][chance.below(3) as usize];
            } else if chance.one_in(4) {
                agent.outbox = 64;
            }
        }
        let count = 1 + chance.below(8);
        for _ in 0..count {
            let at = Duration::from_millis(chance.below(END.as_millis() as u64 + 2_000));
            let fault = plan.fault(&chance, mortal);
            plan.faults.push((at, fault));
        }
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// A story as it goes where all is well.
    pub fn without_faults(story: u64) -> Self {
        Self {
            seed: story,
            story,
            collectors: 1,
            agents: vec![
                AgentPlan {
                    keep: Keep::Memory,
                    outbox: AMPLE,
                };
                VANTAGES
            ],
            latency: 100..500,
            database: DatabasePlan {
                latency: 200..2_000,
                fails_one_in: 0,
            },
            faults: Vec::new(),
        }
    }

    fn fault(&self, chance: &Chance, mortal: bool) -> Fault {
        let agent = chance.below(self.agents.len() as u64) as usize;
        let millis = |range: Range<u64>| Duration::from_millis(chance.within(&range));
        match chance.below(if mortal { 6 } else { 5 }) {
            0 => Fault::Cut {
                agent,
                late: Duration::ZERO,
            },
            1 => Fault::Cut {
                agent,
                late: millis(1..3_000),
            },
            2 => Fault::Stall {
                agent,
                length: millis(10..15_000),
            },
            3 => Fault::CollectorDies {
                collector: chance.below(self.collectors as u64) as usize,
                away: millis(100..4_000),
            },
            4 => Fault::DatabaseAway {
                length: millis(100..4_000),
            },
            _ => Fault::AgentDies {
                agent,
                away: millis(50..2_000),
            },
        }
    }

    /// Whether every segment must be stored in the end: no agent's memory dies with it, and none is too small.
    pub fn loses_nothing(&self) -> bool {
        let dies = |(_, fault): &(Duration, Fault)| matches!(fault, Fault::AgentDies { .. });
        let small = |agent: &AgentPlan| agent.keep == Keep::Memory && agent.outbox < AMPLE;
        !self.faults.iter().any(dies) && !self.agents.iter().any(small)
    }
}

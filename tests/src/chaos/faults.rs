//! Which fault strikes when: seeded.

use std::fmt;
use std::time::Duration;

use super::Extent;

/// What happens in a round, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Killed with SIGKILL, started again.
    Collector(Duration),
    /// The agent of this index, killed with SIGKILL, started again.
    Agent(usize, Duration),
    /// The database ends, and as often as the collector starts it again.
    DatabaseDown(Duration),
    /// The database hangs: all its processes are stopped (SIGSTOP).
    DatabaseFrozen(Duration),
    /// The wire between the collector and the agent of this index carries nothing.
    Link(usize, Duration),
    /// An agent is killed while its wire is cut.
    AgentBehindCut(usize, Duration),
}

/// How many agents there are.
pub const AGENTS: usize = 4;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |duration: &Duration| format!("{:.1} s", duration.as_secs_f64());
        match self {
            Self::Collector(away) => write!(f, "collector killed, {}", seconds(away)),
            Self::Agent(agent, away) => write!(f, "agent {agent} killed, {}", seconds(away)),
            Self::DatabaseDown(away) => write!(f, "database down, {}", seconds(away)),
            Self::DatabaseFrozen(away) => write!(f, "database frozen, {}", seconds(away)),
            Self::Link(agent, away) => write!(f, "link of agent {agent} cut, {}", seconds(away)),
            Self::AgentBehindCut(agent, away) => {
                write!(
                    f,
                    "agent {agent} killed behind a cut link, {}",
                    seconds(away)
                )
            }
        }
    }
}

/// The rounds of a run: first each kind of fault at its longest, then any.
#[derive(Debug)]
pub struct Plan {
    extent: Extent,
    round: u32,
    state: u64,
}

impl Plan {
    pub fn new(extent: Extent) -> Self {
        Self {
            extent,
            round: 0,
            state: extent.seed,
        }
    }

    /// splitmix64.
    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    fn any(&mut self) -> Fault {
        let agent = self.below(AGENTS as u64) as usize;
        let short = Duration::from_millis(100 + self.below(2900));
        match self.below(10) {
            0..=1 => Fault::Collector(short),
            2..=5 => Fault::Agent(agent, short / 2),
            6 => Fault::DatabaseDown(short),
            7 => Fault::DatabaseFrozen(short),
            8 => Fault::Link(agent, short),
            _ => Fault::AgentBehindCut(agent, short),
        }
    }
}

impl Iterator for Plan {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        if self.round == self.extent.rounds {
            return None;
        }
        self.round += 1;
        let any = self.any();
        let Extent { database, link, .. } = self.extent;
        Some(match self.round {
            1 => Fault::DatabaseDown(database),
            2 => Fault::Link(1, link),
            3 => Fault::Collector(Duration::from_secs(3)),
            4 => Fault::AgentBehindCut(0, Duration::from_secs(2)),
            5 => Fault::DatabaseFrozen(database / 2),
            6 => Fault::Agent(2, Duration::from_millis(300)),
            _ => any,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_rounds_and_every_kind_strikes() {
        let extent = Extent {
            rounds: 100,
            seed: 7,
            database: Duration::from_secs(30),
            link: Duration::from_mins(1),
        };
        let one: Vec<Fault> = Plan::new(extent).collect();
        let other: Vec<Fault> = Plan::new(extent).collect();
        assert_eq!(one, other);
        assert_eq!(one.len(), 100);
        let kinds: std::collections::HashSet<_> = one.iter().map(std::mem::discriminant).collect();
        assert_eq!(kinds.len(), 6);
        for agent in 0..AGENTS {
            assert!(
                one.iter()
                    .any(|fault| matches!(fault, Fault::Agent(killed, _) if *killed == agent))
            );
        }
    }
}

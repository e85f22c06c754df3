//! Who brings more flows to judge than the judge can follow waits behind those who do not: pure, the time is an
//! argument. So a vantage that makes resets up, or is flooded, holds up its own.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

/// Flows that a vantage may bring at once.
const BURST: f64 = 2000.0;
/// And a second: some of these are judged in any case.
const EACH_SECOND: f64 = 50.0;
/// How often it is said that a vantage exceeds its share.
const SAID_EACH: Duration = Duration::from_mins(1);

#[derive(Debug)]
struct Share {
    room: f64,
    at: Instant,
    said: Option<Instant>,
}

/// What each vantage may still bring.
#[derive(Debug, Default)]
pub(super) struct Shares {
    by_vantage: HashMap<i32, Share>,
}

/// What is beyond the shares.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Beyond {
    /// Flows that nobody with room has brought.
    pub flows: HashSet<i64>,
    /// Vantages of which that is to be said.
    pub say: Vec<i32>,
}

impl Shares {
    /// Takes in who brought which flow.
    pub fn take(&mut self, brought: &[(i32, i64)], now: Instant) -> Beyond {
        let mut beyond = Beyond::default();
        let mut within = HashSet::new();
        for (vantage, flow) in brought {
            let share = self.by_vantage.entry(*vantage).or_insert(Share {
                room: BURST,
                at: now,
                said: None,
            });
            let passed = now.saturating_duration_since(share.at).as_secs_f64();
            share.room = (share.room + passed * EACH_SECOND).min(BURST);
            share.at = now;
            if share.room >= 1.0 {
                share.room -= 1.0;
                within.insert(*flow);
                continue;
            }
            beyond.flows.insert(*flow);
            if share.said.is_none_or(|said| now >= said + SAID_EACH) {
                share.said = Some(now);
                beyond.say.push(*vantage);
            }
        }
        beyond.flows.retain(|flow| !within.contains(flow));
        beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_beyond_its_share_and_what_others_bring_is_not() {
        let (mut shares, start) = (Shares::default(), Instant::now());
        let flood: Vec<(i32, i64)> = (0..5000).map(|flow| (1, flow)).collect();
        let beyond = shares.take(&flood, start);
        assert_eq!(beyond.flows.len(), 3000);
        assert_eq!(beyond.say, [1]);
        // One of its flows was seen elsewhere too, and another vantage has its own.
        let beyond = shares.take(&[(1, 9000), (2, 9000), (2, 9001)], start);
        assert_eq!(beyond, Beyond::default());
        let more = shares.take(&[(1, 9002)], start);
        assert_eq!((more.flows.len(), more.say.len()), (1, 0));
        let later = start + Duration::from_secs(1);
        assert_eq!(shares.take(&[(1, 9003)], later), Beyond::default());
    }
}

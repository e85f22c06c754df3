//! Interfaces that were down: for so long nothing is covered, and the gap is told as a loss.

use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Strength};
use tracing::{info, warn};

use crate::capture::live::Standing;

/// From when on which interfaces are down.
#[derive(Debug, Default)]
pub(super) struct Outage {
    begun: Option<(CaptureTime, Standing)>,
}

impl Outage {
    /// Whether nothing can be seen now.
    pub fn is_whole(&self) -> bool {
        matches!(self.begun, Some((_, Standing::Down(_))))
    }

    /// Takes in how the interfaces were between `from` and `until`; what ended with that, as a loss.
    pub fn look(
        &mut self,
        (from, until): (CaptureTime, CaptureTime),
        now: Standing,
    ) -> Option<LossRecord> {
        if self
            .begun
            .as_ref()
            .is_some_and(|(_, before)| *before == now)
        {
            return None;
        }
        let ended = self.end(until);
        match &now {
            Standing::Up => {}
            Standing::Partly(names) | Standing::Down(names) => {
                warn!(
                    "{} is down: what passes there is not seen",
                    names.join(", ")
                );
                self.begun = Some((from, now));
            }
        }
        ended
    }

    /// Nothing more is seen of it: up again, or the capture ends.
    pub fn end(&mut self, until: CaptureTime) -> Option<LossRecord> {
        let (from, standing) = self.begun.take()?;
        let (strength, names) = match standing {
            Standing::Up => return None,
            Standing::Partly(names) => (Strength::Possible, names),
            Standing::Down(names) => (Strength::Certain, names),
        };
        let names = names.join(", ");
        let seconds = until.since(from) as f64 / 1e9;
        info!("{names} was down for {seconds:.1} s");
        Some(LossRecord {
            strength,
            cause: LossCause::Interface,
            of: LossOf::Packets,
            from: from.min(until),
            until: Some(until),
            count: None,
            detail: Some(format!("{names} was down")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: i64) -> CaptureTime {
        CaptureTime::from_nanos(nanos)
    }

    fn down() -> Standing {
        Standing::Down(vec!["eth0".to_owned()])
    }

    #[test]
    fn an_outage_is_told_once_when_it_is_over_from_the_last_moment_that_was_seen() {
        let mut outage = Outage::default();
        assert_eq!(outage.look((at(0), at(9)), Standing::Up), None);
        assert_eq!(outage.look((at(10), at(19)), down()), None);
        assert!(outage.is_whole());
        assert_eq!(outage.look((at(20), at(29)), down()), None);
        let loss = outage.look((at(30), at(39)), Standing::Up).unwrap();
        assert_eq!((loss.from, loss.until), (at(10), Some(at(39))));
        assert_eq!(
            (loss.strength, loss.cause),
            (Strength::Certain, LossCause::Interface)
        );
        assert!(!outage.is_whole());
        assert_eq!(outage.end(at(50)), None);
    }

    #[test]
    fn one_of_several_that_is_down_makes_silence_doubtful_and_blinds_nobody() {
        let mut outage = Outage::default();
        let partly = Standing::Partly(vec!["eth1".to_owned()]);
        assert_eq!(outage.look((at(0), at(9)), partly), None);
        assert!(!outage.is_whole());
        let possible = outage.look((at(10), at(19)), down()).unwrap();
        assert_eq!(possible.strength, Strength::Possible);
        assert_eq!(possible.detail.as_deref(), Some("eth1 was down"));
        assert!(outage.is_whole());
        assert_eq!(outage.end(at(25)).unwrap().from, at(10));
    }
}

//! Losses as messages, and back.

use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Strength};
use parallax_proto::v1::{
    Loss, LossCause as CauseSaid, LossOf as OfSaid, LossStrength as StrengthSaid,
};

const CAUSES: [(LossCause, CauseSaid); 12] = [
    (LossCause::Kernel, CauseSaid::Kernel),
    (LossCause::Interface, CauseSaid::Interface),
    (LossCause::Ring, CauseSaid::Ring),
    (LossCause::Spool, CauseSaid::Spool),
    (LossCause::SpoolDamaged, CauseSaid::SpoolDamaged),
    (LossCause::Restart, CauseSaid::Restart),
    (LossCause::ClockStep, CauseSaid::ClockStep),
    (LossCause::Filter, CauseSaid::Filter),
    (LossCause::Sampling, CauseSaid::Sampling),
    (LossCause::OneDirection, CauseSaid::OneDirection),
    (LossCause::HostFirewall, CauseSaid::HostFirewall),
    (LossCause::Unreadable, CauseSaid::Unreadable),
];

const WHAT: [(LossOf, OfSaid); 4] = [
    (LossOf::Packets, OfSaid::Packets),
    (LossOf::Segments, OfSaid::Segments),
    (LossOf::Context, OfSaid::Context),
    (LossOf::Resets, OfSaid::Resets),
];

/// The message that says a loss.
pub fn write(loss: &LossRecord, next_number: u64) -> Loss {
    let cause = CAUSES.iter().find(|(cause, _)| *cause == loss.cause);
    let of = WHAT.iter().find(|(of, _)| *of == loss.of);
    Loss {
        from: loss.from.nanos(),
        until: loss.until.map(CaptureTime::nanos),
        strength: match loss.strength {
            Strength::Certain => StrengthSaid::Certain,
            Strength::Possible => StrengthSaid::Possible,
        }
        .into(),
        cause: cause
            .map_or(CauseSaid::Unspecified, |(_, said)| *said)
            .into(),
        of: of.map_or(OfSaid::Unspecified, |(_, said)| *said).into(),
        count: loss.count,
        next_number,
        detail: loss.detail.clone(),
    }
}

/// The loss that a message says; none where it says nothing that is known here.
pub fn read(said: Loss) -> Option<LossRecord> {
    Some(LossRecord {
        strength: match said.strength() {
            StrengthSaid::Certain => Strength::Certain,
            StrengthSaid::Possible => Strength::Possible,
            StrengthSaid::Unspecified => return None,
        },
        cause: CAUSES.iter().find(|(_, known)| *known == said.cause())?.0,
        of: WHAT.iter().find(|(_, known)| *known == said.of())?.0,
        from: CaptureTime::from_nanos(said.from),
        until: said.until.map(CaptureTime::from_nanos),
        count: said.count,
        detail: said.detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_survives_the_way_through_a_message() {
        for cause in LossCause::ALL {
            for of in LossOf::ALL {
                for (strength, until) in [(Strength::Certain, Some(9)), (Strength::Possible, None)]
                {
                    let loss = LossRecord {
                        strength,
                        cause,
                        of,
                        from: CaptureTime::from_nanos(1),
                        until: until.map(CaptureTime::from_nanos),
                        count: until.map(i64::cast_unsigned),
                        detail: Some("port 443".to_owned()),
                    };
                    assert_eq!(read(write(&loss, 7)), Some(loss));
                }
            }
        }
    }
}

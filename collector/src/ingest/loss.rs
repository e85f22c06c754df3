//! Losses as agents tell them, checked.

use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Strength};
use parallax_proto::v1::{
    Loss, LossCause as CauseSaid, LossOf as OfSaid, LossStrength as StrengthSaid,
};
use thiserror::Error;

/// The longest detail, in octets.
const DETAIL_MAX: usize = 1024;

/// Why a loss is refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum LossError {
    #[error("a loss ends at {until} before it begins at {from}")]
    Order { from: i64, until: i64 },
    #[error("a loss does not say how sure it is")]
    Strength,
    #[error("a loss has a cause that this collector does not know; use agents of its version")]
    Cause,
    #[error("a loss does not say what was lost")]
    Of,
    #[error("a loss's detail is longer than {DETAIL_MAX} octets or has a zero octet")]
    Detail,
}

pub(super) fn check(loss: Loss) -> Result<LossRecord, LossError> {
    if let Some(until) = loss.until.filter(|until| *until < loss.from) {
        return Err(LossError::Order {
            from: loss.from,
            until,
        });
    }
    let odd = |detail: &String| detail.len() > DETAIL_MAX || detail.contains('\0');
    if loss.detail.as_ref().is_some_and(odd) {
        return Err(LossError::Detail);
    }
    Ok(LossRecord {
        strength: strength(loss.strength())?,
        cause: cause(loss.cause())?,
        of: of(loss.of())?,
        from: CaptureTime::from_nanos(loss.from),
        until: loss.until.map(CaptureTime::from_nanos),
        count: loss.count,
        detail: loss.detail,
    })
}

fn strength(said: StrengthSaid) -> Result<Strength, LossError> {
    match said {
        StrengthSaid::Certain => Ok(Strength::Certain),
        StrengthSaid::Possible => Ok(Strength::Possible),
        StrengthSaid::Unspecified => Err(LossError::Strength),
    }
}

fn cause(said: CauseSaid) -> Result<LossCause, LossError> {
    Ok(match said {
        CauseSaid::Unspecified => return Err(LossError::Cause),
        CauseSaid::Kernel => LossCause::Kernel,
        CauseSaid::Interface => LossCause::Interface,
        CauseSaid::Ring => LossCause::Ring,
        CauseSaid::Spool => LossCause::Spool,
        CauseSaid::SpoolDamaged => LossCause::SpoolDamaged,
        CauseSaid::Restart => LossCause::Restart,
        CauseSaid::ClockStep => LossCause::ClockStep,
        CauseSaid::Filter => LossCause::Filter,
        CauseSaid::Sampling => LossCause::Sampling,
        CauseSaid::OneDirection => LossCause::OneDirection,
        CauseSaid::HostFirewall => LossCause::HostFirewall,
        CauseSaid::Unreadable => LossCause::Unreadable,
    })
}

fn of(said: OfSaid) -> Result<LossOf, LossError> {
    match said {
        OfSaid::Packets => Ok(LossOf::Packets),
        OfSaid::Segments => Ok(LossOf::Segments),
        OfSaid::Context => Ok(LossOf::Context),
        OfSaid::Resets => Ok(LossOf::Resets),
        OfSaid::Unspecified => Err(LossError::Of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss() -> Loss {
        Loss {
            from: 10,
            until: Some(20),
            strength: StrengthSaid::Certain.into(),
            cause: CauseSaid::Kernel.into(),
            of: OfSaid::Packets.into(),
            count: Some(3),
            next_number: 0,
            detail: None,
        }
    }

    #[test]
    fn a_loss_without_an_end_lasts_as_long_as_its_run() {
        let mut standing = loss();
        standing.until = None;
        assert_eq!(check(standing).unwrap().until, None);
        assert_eq!(check(loss()).unwrap().count, Some(3));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let refuse = |change: fn(&mut Loss)| {
            let mut loss = loss();
            change(&mut loss);
            check(loss).unwrap_err()
        };
        assert_eq!(
            refuse(|l| l.until = Some(9)),
            LossError::Order { from: 10, until: 9 }
        );
        assert_eq!(refuse(|l| l.strength = 0), LossError::Strength);
        assert_eq!(refuse(|l| l.cause = 99), LossError::Cause);
        assert_eq!(refuse(|l| l.of = 0), LossError::Of);
        assert_eq!(
            refuse(|l| l.detail = Some("\0".to_owned())),
            LossError::Detail
        );
        assert_eq!(
            refuse(|l| l.detail = Some("x".repeat(1025))),
            LossError::Detail
        );
    }
}

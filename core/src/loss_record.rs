//! Loss as data: what a vantage lost, or may have lost, when and why.
//!
//! Agents tell it, the collector keeps it, the judge weighs it. A certain loss around a reset makes the
//! vantage's silence say nothing; a possible one makes it say less.

use serde::{Deserialize, Serialize};

use crate::coverage::Coverage;
use crate::decode::UnreadCounts;
use crate::time::{CaptureTime, MILLISECOND};

/// One loss at one vantage. Times are by its own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossRecord {
    pub strength: Strength,
    pub cause: LossCause,
    pub of: LossOf,
    pub from: CaptureTime,
    /// `None`: as long as the run lasts.
    pub until: Option<CaptureTime>,
    /// `None`: nobody knows how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What else there is to say, for instance the filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How sure a loss is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    Certain,
    Possible,
}

/// Why something was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    Kernel,
    Interface,
    Ring,
    Spool,
    SpoolDamaged,
    Restart,
    ClockStep,
    Filter,
    Sampling,
    OneDirection,
    HostFirewall,
    Unreadable,
}

/// What was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossOf {
    /// Packets as they passed, RSTs among them.
    Packets,
    /// Digests that no RST was near to.
    Segments,
    /// Digests around RSTs.
    Context,
    /// Digests of RSTs.
    Resets,
}

impl Strength {
    pub const ALL: [Self; 2] = [Self::Certain, Self::Possible];

    /// The word in tables and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Possible => "possible",
        }
    }
}

impl LossCause {
    pub const ALL: [Self; 12] = [
        Self::Kernel,
        Self::Interface,
        Self::Ring,
        Self::Spool,
        Self::SpoolDamaged,
        Self::Restart,
        Self::ClockStep,
        Self::Filter,
        Self::Sampling,
        Self::OneDirection,
        Self::HostFirewall,
        Self::Unreadable,
    ];

    /// The word in tables and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Interface => "interface",
            Self::Ring => "ring",
            Self::Spool => "spool",
            Self::SpoolDamaged => "spool_damaged",
            Self::Restart => "restart",
            Self::ClockStep => "clock_step",
            Self::Filter => "filter",
            Self::Sampling => "sampling",
            Self::OneDirection => "one_direction",
            Self::HostFirewall => "host_firewall",
            Self::Unreadable => "unreadable",
        }
    }

    /// What happened, as the end of a sentence about a vantage.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Kernel => "its kernel dropped packets for want of buffer",
            Self::Interface => "its interface dropped packets or was down",
            Self::Ring => "its agent could not keep up",
            Self::Spool => "its spool was full while the collector was away",
            Self::SpoolDamaged => "a part of its spool could not be read back",
            Self::Restart => "its agent was killed and started again",
            Self::ClockStep => "its clock was stepped",
            Self::Filter => "its capture filter leaves packets out",
            Self::Sampling => "it ships only some segments (RSTs always)",
            Self::OneDirection => "it shows only one direction of connections",
            Self::HostFirewall => {
                "it captures outside the host's firewall: what that drops is seen coming in and not going out"
            }
            Self::Unreadable => "it met packets that may have been TCP and could not be read",
        }
    }
}

impl LossOf {
    pub const ALL: [Self; 4] = [Self::Packets, Self::Segments, Self::Context, Self::Resets];

    /// The word in tables and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Segments => "segments",
            Self::Context => "context",
            Self::Resets => "resets",
        }
    }

    /// Whether a RST may be among what was lost.
    const fn may_be_reset(self) -> bool {
        matches!(self, Self::Packets | Self::Resets)
    }
}

/// How far around a reset a loss makes the silence doubtful: a beat's span and the clocks' error.
const DOUBT: i64 = 50 * MILLISECOND;

/// A vantage that surely loses more than this share of the packets around a reset may have lost the reset.
const SHARE_MAX: f64 = 0.02;

/// What a possible loss of unknown extent adds to the chance of a miss.
const POSSIBLE: f64 = 0.1;

/// No possible loss makes a miss likelier than this.
const POSSIBLE_MAX: f64 = 0.5;

impl LossRecord {
    /// Packets of a span that may have been TCP but could not be read; `None`: there were none.
    pub fn unreadable(span: &Coverage, unread: &UnreadCounts) -> Option<Self> {
        let count = unread.may_be_tcp();
        (count > 0).then_some(Self {
            strength: Strength::Possible,
            cause: LossCause::Unreadable,
            of: LossOf::Packets,
            from: span.from,
            until: Some(span.until),
            count: Some(count),
            detail: None,
        })
    }

    /// Whether the vantage may have lost a RST that passed within `error` nanoseconds of a moment.
    fn touches(&self, moment: CaptureTime, error: i64) -> bool {
        let reach = DOUBT.saturating_add(error);
        self.of.may_be_reset()
            && self.from <= moment.plus(reach)
            && self
                .until
                .is_none_or(|until| moment.plus(reach.saturating_neg()) <= until)
    }

    /// Properties of a whole run tell nothing about a connection that the vantage recorded.
    const fn is_standing(&self) -> bool {
        self.until.is_none()
    }

    /// The share of a vantage's packets that were lost in this time; `None`: nobody knows.
    fn share(&self, coverage: &[Coverage]) -> Option<f64> {
        let count = self.count? as f64;
        let until = self.until?;
        let received: u64 = coverage
            .iter()
            .filter(|span| span.from <= until && self.from <= span.until)
            .fold(0, |sum, span| sum.saturating_add(span.received));
        Some(count / (count + received as f64).max(1.0))
    }
}

/// What losses take from a silence that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Doubt {
    /// Probability of a miss by them.
    pub(crate) miss: f64,
    /// The worst of them.
    pub(crate) cause: Option<LossCause>,
}

/// What losses take from a silence, or the certain loss that makes it say nothing. `recorded`: the vantage recorded this connection in this direction.
pub(crate) fn weigh<'a>(
    losses: &'a [LossRecord],
    coverage: &[Coverage],
    moment: CaptureTime,
    error: i64,
    recorded: bool,
) -> Result<Doubt, &'a LossRecord> {
    let mut worst = Doubt::default();
    for loss in losses.iter().filter(|loss| loss.touches(moment, error)) {
        let told_by_record = loss.is_standing() || leaves_out(loss.cause);
        if told_by_record && (recorded || !leaves_out(loss.cause)) {
            continue;
        }
        let share = loss.share(coverage);
        let miss = match loss.strength {
            Strength::Certain if share.is_none_or(|share| share > SHARE_MAX) => return Err(loss),
            Strength::Certain => share.unwrap_or(0.0),
            Strength::Possible => share.unwrap_or(POSSIBLE).min(POSSIBLE_MAX),
        };
        if miss > worst.miss {
            worst = Doubt {
                miss,
                cause: Some(loss.cause),
            };
        }
    }
    Ok(worst)
}

/// Whether a standing property can hide a RST of a connection that the vantage shows nothing of.
const fn leaves_out(cause: LossCause) -> bool {
    matches!(cause, LossCause::Filter | LossCause::OneDirection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    fn at(nanos: i64) -> CaptureTime {
        CaptureTime::from_nanos(nanos)
    }

    fn loss(strength: Strength, count: Option<u64>) -> LossRecord {
        LossRecord {
            strength,
            cause: LossCause::Kernel,
            of: LossOf::Packets,
            from: at(10 * SECOND),
            until: Some(at(11 * SECOND)),
            count,
            detail: None,
        }
    }

    fn weigh_at(loss: &LossRecord, seconds: i64, recorded: bool) -> Result<f64, LossCause> {
        let coverage = [Coverage {
            from: at(0),
            until: at(100 * SECOND),
            received: 1000,
            dropped: 0,
        }];
        let moment = at(seconds * SECOND + SECOND / 2);
        weigh(std::slice::from_ref(loss), &coverage, moment, 0, recorded)
            .map(|doubt| doubt.miss)
            .map_err(|loss| loss.cause)
    }

    #[test]
    fn a_certain_loss_blinds_around_its_time_and_nowhere_else() {
        let unknown = loss(Strength::Certain, None);
        assert_eq!(weigh_at(&unknown, 10, true), Err(LossCause::Kernel));
        assert_eq!(weigh_at(&unknown, 9, true), Ok(0.0));
        assert_eq!(weigh_at(&unknown, 12, true), Ok(0.0));
        assert!(weigh_at(&loss(Strength::Certain, Some(100)), 10, true).is_err());
    }

    #[test]
    fn one_lost_packet_of_thousands_leaves_nearly_all_of_the_weight() {
        let miss = weigh_at(&loss(Strength::Certain, Some(1)), 10, true).unwrap();
        assert!(miss > 0.0 && miss < 0.002, "{miss}");
    }

    #[test]
    fn a_possible_loss_lowers_the_weight_and_never_blinds() {
        assert_eq!(
            weigh_at(&loss(Strength::Possible, None), 10, true),
            Ok(POSSIBLE)
        );
        let many = weigh_at(&loss(Strength::Possible, Some(9_000)), 10, true);
        assert_eq!(many, Ok(POSSIBLE_MAX));
    }

    #[test]
    fn given_up_segments_leave_the_word_on_resets_whole() {
        let mut given_up = loss(Strength::Certain, None);
        given_up.of = LossOf::Segments;
        assert_eq!(weigh_at(&given_up, 10, true), Ok(0.0));
        given_up.of = LossOf::Resets;
        assert!(weigh_at(&given_up, 10, true).is_err());
    }

    #[test]
    fn a_filter_matters_only_where_nothing_of_the_connection_was_recorded() {
        let mut filter = loss(Strength::Possible, None);
        filter.cause = LossCause::Filter;
        filter.until = None;
        assert_eq!(weigh_at(&filter, 50, true), Ok(0.0));
        assert_eq!(weigh_at(&filter, 50, false), Ok(POSSIBLE));
        filter.cause = LossCause::HostFirewall;
        assert_eq!(weigh_at(&filter, 50, false), Ok(0.0));
    }
}

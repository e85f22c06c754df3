//! Why a reset was sent.

mod endpoint;
mod idle;
mod middlebox;
mod transcript;
mod trigger;

use super::chain::Placed;
use super::witness;
use super::wording::duration;
use crate::case::Case;
use crate::digest::Digest;
use crate::report::{Cause, Evidence, Origin};
use crate::scene::{Scene, Seen};
use crate::time::SECOND;
use idle::{Occasion, Resets, Silence};
pub(crate) use transcript::{Transcript, highest};

/// A cause with what provoked the reset and why we think so.
pub(crate) struct Finding<'a> {
    pub(crate) cause: Cause,
    pub(crate) trigger: Option<&'a Digest>,
    pub(crate) text: String,
    /// Index of the reset that made this one happen.
    pub(crate) root: Option<usize>,
    /// Nanoseconds of silence before the trigger, or before the reset where it has none; above
    /// [`SILENCE_TOLD`].
    pub(crate) idle: Option<i64>,
    /// A known product whose idle timeout fits.
    product: Option<String>,
}

/// A silence from which on it is worth telling.
const SILENCE_TOLD: i64 = SECOND;

impl<'a> Finding<'a> {
    pub(crate) fn new(cause: Cause, trigger: Option<&Seen<'a>>, text: impl Into<String>) -> Self {
        Self {
            cause,
            trigger: trigger.map(|seen| seen.digest),
            text: text.into(),
            root: None,
            idle: None,
            product: None,
        }
    }

    /// Why, and the silence before it.
    pub(crate) fn evidence(&self, vantage: &str) -> Vec<Evidence> {
        let said = |kind: &str, text: String| Evidence {
            kind: kind.to_owned(),
            vantage: Some(vantage.to_owned()),
            text,
        };
        let mut evidence = vec![said("cause", self.text.clone())];
        if let Some(idle) = self.idle {
            let before = match self.trigger {
                Some(_) => "the segment that provoked it",
                None => "it",
            };
            let product = self
                .product
                .as_ref()
                .map_or_else(String::new, |product| format!("; {product}"));
            evidence.push(said(
                "idle",
                format!(
                    "nothing had passed for {} before {before}{product}",
                    duration(idle)
                ),
            ));
        }
        evidence
    }
}

/// Whether a RST carries a number that its claimed sender would have used: its next one, one that it
/// used before (the start of a segment that offload merged into a larger one too), or one that the receiver
/// acknowledged. `None` where too little was heard.
pub(crate) fn is_exact(scene: &Scene<'_>, case: &Case<'_>) -> Option<bool> {
    let transcript = Transcript::of(scene, case);
    let seq = transcript.reset.digest.seq;
    let used = transcript.own.iter().any(|seen| {
        let into = seq.since(seen.digest.seq);
        into == 0
            || (seen.digest.payload_len > LARGEST_ON_THE_WIRE
                && into > 0
                && i64::from(into) < i64::from(seen.digest.payload_len))
    });
    let mut acks = transcript
        .peer
        .iter()
        .filter_map(|seen| seen.digest.acked())
        .peekable();
    let heard = acks.peek().is_some() || !transcript.own.is_empty();
    heard.then(|| used || transcript.own_end() == Some(seq) || acks.any(|ack| ack == seq))
}

/// A longer payload is not one segment of an Ethernet: it was merged by offload, or has not been cut yet.
const LARGEST_ON_THE_WIRE: u32 = 1460;

/// Finds the cause of one placed reset.
pub(crate) fn find<'a>(scene: &Scene<'a>, all: &[Placed<'a>], index: usize) -> Finding<'a> {
    let transcript = Transcript::of(scene, &all[index].case);
    let origin = all[index].position.origin;
    let mut finding = match origin {
        Origin::Endpoint => {
            let found = endpoint::find(scene, all, index, &transcript);
            witness::corrected(&all[index].heard, &transcript, found)
        }
        Origin::Middlebox => middlebox::find(scene, all, index, &transcript),
        Origin::Undetermined => undetermined(&transcript),
    };
    finding.idle =
        trigger::idle(&transcript, finding.trigger).filter(|silence| *silence > SILENCE_TOLD);
    if origin != Origin::Endpoint {
        let silence = finding.idle.map(|lasted| Silence {
            lasted,
            ended_by: if finding.trigger.is_some() {
                Occasion::Segment
            } else {
                Occasion::Expiry
            },
            resets: resets(all, index),
        });
        finding.product = silence.and_then(idle::best).map(idle::Timeout::told);
    }
    finding
}

/// Resets this near in time belong to one act.
const ONE_ACT: i64 = 2 * SECOND;

/// Whether the other end was reset in the same act, by nobody who is known to be an endpoint.
fn resets(all: &[Placed<'_>], index: usize) -> Resets {
    let this = &all[index];
    let other = all.iter().any(|other| {
        other.position.origin != Origin::Endpoint
            && other.case.sender != this.case.sender
            && other.case.life == this.case.life
            && (other.at() - this.at()).abs() <= ONE_ACT
    });
    if other { Resets::Both } else { Resets::Sender }
}

fn undetermined<'a>(transcript: &Transcript<'a>) -> Finding<'a> {
    let trigger = transcript.mirrored();
    Finding::new(
        Cause::Unknown,
        trigger,
        "without knowing who sent it, its cause stays open",
    )
}

//! Causes of resets that were forged on the way.

mod burst;

use super::idle::{self, Occasion, Resets, Silence};
use super::trigger::{self, provoking};
use super::{Finding, ONE_ACT, Transcript, resets};
use crate::judge::chain::Placed;
use crate::judge::wording::{duration, segment};
use crate::report::{Cause, Origin};
use crate::scene::{Scene, Seen};
use crate::time::{MILLISECOND, SECOND};

/// What a box does because of a segment it does within this time of the segment's passing.
const MOMENT: i64 = 100 * MILLISECOND;
/// The shortest idle time after which boxes are known to forget a connection.
const IDLE: i64 = 60 * SECOND;

pub(super) fn find<'a>(
    scene: &Scene<'a>,
    all: &[Placed<'a>],
    index: usize,
    transcript: &Transcript<'a>,
) -> Finding<'a> {
    let trigger = provoking(transcript);
    if let Some(syn) = answered_syn(transcript) {
        return Finding::new(
            Cause::FirewallRejectSyn,
            Some(syn),
            "it answers a SYN in the server's name",
        );
    }
    burst::guessed(all, index, transcript)
        .or_else(|| expired(all, index, transcript))
        .or_else(|| both_ways(all, index, trigger))
        .or_else(|| idle(scene, &all[index], transcript, trigger))
        .or_else(|| content(scene, all, index, transcript))
        .unwrap_or_else(|| {
            Finding::new(
                Cause::Injected,
                trigger,
                "it was forged on the path; nothing more specific can be said",
            )
        })
}

fn answered_syn<'b, 'a>(transcript: &'b Transcript<'a>) -> Option<&'b Seen<'a>> {
    let unanswered = transcript.own.is_empty();
    transcript
        .last_peer()
        .filter(|seen| seen.digest.is_syn() && unanswered)
}

/// Nothing passed for as long as a known product waits, and then the reset came unasked.
fn expired<'a>(
    all: &[Placed<'a>],
    index: usize,
    transcript: &Transcript<'a>,
) -> Option<Finding<'a>> {
    let lasted = trigger::idle(transcript, None).filter(|silence| *silence >= IDLE - SECOND)?;
    let silence = Silence {
        lasted,
        ended_by: Occasion::Expiry,
        resets: resets(all, index),
    };
    idle::best(silence)?;
    let whom = match silence.resets {
        Resets::Both => "both ends",
        Resets::Sender => "this end",
    };
    Some(Finding::new(
        Cause::FirewallIdleTimeout,
        None,
        format!(
            "{whom} got it unasked after {} of silence, as from a box whose idle time was over",
            duration(lasted)
        ),
    ))
}

/// Resets to both ends from between the same two vantages.
fn both_ways<'a>(
    all: &[Placed<'a>],
    index: usize,
    trigger: Option<&Seen<'a>>,
) -> Option<Finding<'a>> {
    let this = &all[index];
    let other = all.iter().find(|other| {
        other.position.origin == Origin::Middlebox
            && other.case.sender != this.case.sender
            && other.case.life == this.case.life
            && (other.at() - this.at()).abs() <= ONE_ACT
            && overlap(this, other)
    })?;
    Some(Finding::new(
        Cause::InjectedBothWays,
        trigger,
        format!(
            "the other end was reset too, {} {}, from the same place",
            duration((other.at() - this.at()).abs()),
            if other.at() < this.at() {
                "before"
            } else {
                "after"
            }
        ),
    ))
}

/// Whether two resets of opposite directions can have come from one place on the path.
fn overlap(one: &Placed<'_>, other: &Placed<'_>) -> bool {
    let (Some(a), Some(b)) = (one.segment(), other.segment()) else {
        return false;
    };
    a.0 < b.1 && b.0 < a.1
}

/// A box that has forgotten a connection answers its next segment and lets it not pass.
fn idle<'a>(
    scene: &Scene<'a>,
    placed: &Placed<'a>,
    transcript: &Transcript<'a>,
    trigger: Option<&Seen<'a>>,
) -> Option<Finding<'a>> {
    let trigger = trigger?;
    let silence = trigger::idle(transcript, Some(trigger.digest)).filter(|gap| *gap >= IDLE)?;
    (!passed_on(scene, placed, trigger)).then(|| {
        Finding::new(
            Cause::FirewallIdleTimeout,
            Some(trigger),
            format!(
                "it answers the first segment after {} of silence: the box had forgotten the connection",
                duration(silence)
            ),
        )
    })
}

/// A payload segment passed, and in the same moment, or in its place, came the reset.
fn content<'a>(
    scene: &Scene<'a>,
    all: &[Placed<'a>],
    index: usize,
    transcript: &Transcript<'a>,
) -> Option<Finding<'a>> {
    let reset = transcript.reset.digest;
    let payload = transcript
        .peer
        .iter()
        .chain(&transcript.own)
        .filter(|seen| seen.digest.payload_len > 0)
        .max_by_key(|seen| seen.at)?;
    let follows = if payload.sender == all[index].case.sender {
        reset.seq == payload.digest.seq_end() || reset.seq == payload.digest.seq
    } else {
        payload.digest.acked() == Some(reset.seq) || reset.acked() == Some(payload.digest.seq_end())
    };
    let delay = transcript.since(payload);
    if !follows || delay > MOMENT {
        return None;
    }
    let withheld =
        payload.sender != all[index].case.sender && !passed_on(scene, &all[index], payload);
    Some(Finding::new(
        Cause::FirewallRejectContent,
        Some(payload),
        format!(
            "it came {} after a particular payload segment ({}){}",
            duration(delay),
            segment(payload.digest),
            if withheld {
                ", which never got past the same place"
            } else {
                ""
            }
        ),
    ))
}

/// The provoking segment was seen beyond the place from which the reset came.
fn passed_on(scene: &Scene<'_>, placed: &Placed<'_>, provoking: &Seen<'_>) -> bool {
    let case = &placed.case;
    provoking.sender != case.sender
        && case.views[..case.first].iter().any(|view| {
            scene.life(view.vantage, case.life).any(|seen| {
                seen.sender == provoking.sender
                    && seen.digest.seq == provoking.digest.seq
                    && seen.digest.payload_len > 0
            })
        })
}

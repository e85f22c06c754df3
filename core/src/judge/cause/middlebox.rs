//! Causes of resets that were forged on the way.

use super::{Finding, Transcript};
use crate::judge::chain::Placed;
use crate::judge::wording::{duration, segment};
use crate::report::{Cause, Origin};
use crate::scene::{Scene, Seen};
use crate::time::{MILLISECOND, SECOND};

/// Resets this near in time belong to one act.
const ONE_ACT: i64 = 2 * SECOND;
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
    guessed(all, index, transcript)
        .or_else(|| both_ways(all, index, trigger))
        .or_else(|| idle(transcript, trigger))
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

/// The segment that the reset answers, or follows.
fn provoking<'b, 'a>(transcript: &'b Transcript<'a>) -> Option<&'b Seen<'a>> {
    let followed = transcript.own.last();
    match (transcript.mirrored(), followed) {
        (Some(mirrored), Some(own)) if own.at > mirrored.at && own.digest.payload_len > 0 => {
            Some(own)
        }
        (Some(mirrored), _) => Some(mirrored),
        (None, _) => transcript.last_peer(),
    }
}

/// Numbers that miss the stream: guessed from outside, or spread so that one of them hits.
fn guessed<'a>(
    all: &[Placed<'a>],
    index: usize,
    transcript: &Transcript<'a>,
) -> Option<Finding<'a>> {
    let this = &all[index];
    let burst: Vec<&Placed<'_>> = all
        .iter()
        .filter(|other| {
            other.position.origin == Origin::Middlebox
                && other.case.sender == this.case.sender
                && other.case.life == this.case.life
                && (other.at() - this.at()).abs() <= ONE_ACT
        })
        .collect();
    let mut numbers: Vec<u32> = burst
        .iter()
        .map(|other| other.case.digest().seq.0)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let exact = burst
        .iter()
        .filter(|other| other.exact == Some(true))
        .count();
    let this_exact = this.exact?;
    if exact == burst.len() || (numbers.len() == 1 && this_exact) {
        return None;
    }
    let count = numbers.len();
    Some(if exact == 0 {
        Finding::new(
            Cause::BlindAttack,
            None,
            format!(
                "none of {count} sequence numbers is one that the sender would have used: they were guessed"
            ),
        )
    } else {
        Finding::new(
            Cause::InjectedOffPath,
            provoking(transcript),
            format!("a burst of resets at {count} sequence numbers races the real segments"),
        )
    })
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

fn idle<'a>(transcript: &Transcript<'a>, trigger: Option<&Seen<'a>>) -> Option<Finding<'a>> {
    let trigger = trigger?;
    let silence = transcript
        .silence_before(trigger)
        .filter(|gap| *gap >= IDLE)?;
    Some(Finding::new(
        Cause::FirewallIdleTimeout,
        Some(trigger),
        format!(
            "it answers the first segment after {} of silence: the box had forgotten the connection",
            duration(silence)
        ),
    ))
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
    let withheld = withheld(scene, &all[index], payload);
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

/// The provoking segment was not seen beyond the place from which the reset came.
fn withheld(scene: &Scene<'_>, placed: &Placed<'_>, payload: &Seen<'_>) -> bool {
    let case = &placed.case;
    payload.sender != case.sender
        && case.views[..case.first].iter().all(|view| {
            scene
                .life(view.vantage, case.life)
                .all(|seen| seen.digest.seq != payload.digest.seq || seen.digest.payload_len == 0)
        })
}

//! Resets that a proxy passes from one of its connections to the other.

use uuid::Uuid;

use super::chain::{Placed, root_of};
use super::wording::duration;
use crate::evidence::FlowEvidence;
use crate::join::Joined;
use crate::report::{Cause, Evidence, Origin};
use crate::scene::Scene;
use crate::time::SECOND;

/// A reset of the proxy's other connection, which made this one happen.
pub(super) struct PassedOn {
    pub(super) root: Uuid,
    pub(super) evidence: Evidence,
}

/// How long a proxy takes to give one connection up after the other.
const WITHIN: i64 = 2 * SECOND;

/// What another connection's reset has to do with this one, whose own packets show only that a program gave
/// it up.
pub(super) fn passed_on(
    scene: &Scene<'_>,
    all: &[Placed<'_>],
    index: usize,
    cause: Cause,
) -> Option<PassedOn> {
    let this = &all[index];
    let given_up = matches!(
        cause,
        Cause::AbortLinger | Cause::AbortUnreadData | Cause::NoSocket
    );
    if this.position.origin != Origin::Endpoint || !given_up {
        return None;
    }
    let relay = scene
        .joined
        .relays
        .iter()
        .find(|relay| scene.life_of(relay.life) == Some(this.case.life))
        .filter(|relay| relay.proxy == this.case.sender)?;
    let other = FlowEvidence {
        flow: relay.flow,
        ..scene.evidence.clone()
    };
    let joined = Joined::of(&other);
    let elsewhere = Scene::new(&joined);
    let placed = super::place(&elsewhere);
    let (cause_of_it, before) = placed
        .iter()
        .enumerate()
        .filter(|(_, reset)| {
            reset.case.sender == this.case.sender && reset.position.lost.is_none()
        })
        .map(|(place, reset)| (place, since(scene, this, reset)))
        .filter(|(_, before)| (-SLACK..=WITHIN).contains(before))
        .min_by_key(|(_, before)| before.abs())?;
    let root = root_of(&placed, cause_of_it).map_or(cause_of_it, |(root, _)| root);
    let carried = placed[cause_of_it].case.first_seen().carried.tuple;
    Some(PassedOn {
        root: placed[root].case.id,
        evidence: Evidence {
            kind: "cause".to_owned(),
            vantage: Some(scene.name(this.case.views[this.case.first].vantage).to_owned()),
            text: format!(
                "the {} is a proxy: its other connection carries the same {} ({carried}), and was reset {} before",
                this.case.sender.as_str(),
                if relay.shared == 1 {
                    "payload".to_owned()
                } else {
                    format!("{} payloads", relay.shared)
                },
                duration(before.max(0))
            ),
        },
    })
}

/// Time stamps of two captures on one machine are this exact.
const SLACK: i64 = SECOND / 50;

/// Time from another connection's reset to this one: at a vantage that saw both, else between where each was
/// first seen.
fn since(scene: &Scene<'_>, this: &Placed<'_>, other: &Placed<'_>) -> i64 {
    let both = (0..this.case.views.len()).find_map(|place| {
        let ours = this.case.seen_at(place)?;
        let vantage = this.case.views[place].vantage;
        let theirs = other
            .case
            .views
            .iter()
            .position(|view| view.vantage == vantage)
            .and_then(|place| other.case.seen_at(place))?;
        Some(ours.carried.time.since(theirs.carried.time))
    });
    both.unwrap_or_else(|| {
        let theirs = other.case.last();
        let vantage = other.case.views[theirs].vantage;
        let met = other
            .case
            .seen_at(theirs)
            .map_or(0, |seen| scene.moment(vantage, seen.carried));
        this.at().saturating_sub(met)
    })
}

//! What would decide an open verdict, or narrow a wide one: which vantage, of which role, where.

use super::position::Position;
use super::wording;
use crate::case::{Blindness, Case, Sight};
use crate::report::{Advice, Cause, Origin, Role};
use crate::scene::Scene;
use crate::vantage::VantageKind;

/// An endpoint's verdict below this rests on the packet's looks.
const SURE: f64 = 0.95;

/// The most useful single change; none where the verdict is as narrow as it can be.
pub(super) fn give(
    scene: &Scene<'_>,
    case: &Case<'_>,
    position: &Position,
    reason: Cause,
) -> Option<Advice> {
    match position.origin {
        Origin::Endpoint if position.confidence >= SURE => lost(scene, case, position),
        Origin::Endpoint => Some(at_the_sender(scene, case)),
        Origin::Middlebox => {
            middlebox(scene, case, position, reason).or_else(|| lost(scene, case, position))
        }
        Origin::Undetermined => Some(undetermined(scene, case, position)),
    }
}

fn middlebox(
    scene: &Scene<'_>,
    case: &Case<'_>,
    position: &Position,
    reason: Cause,
) -> Option<Advice> {
    let (from, to) = position.between?;
    if let Some(advice) = inside(scene, case, from, to) {
        return Some(advice);
    }
    if from.is_some() {
        return None;
    }
    if matches!(reason, Cause::InjectedOffPath | Cause::BlindAttack) {
        return Some(beyond(scene, case, to));
    }
    Some(at_the_sender(scene, case))
}

/// What the vantages between two places need so that the interval narrows. `from` itself counts where it
/// attests nothing.
fn inside(scene: &Scene<'_>, case: &Case<'_>, from: Option<usize>, to: usize) -> Option<Advice> {
    let start = from.unwrap_or(0);
    (start..to.min(case.views.len()))
        .rev()
        .find_map(|place| match &case.views[place].sight {
            Sight::Blind(why) => Some(mend(scene, case, place, *why)),
            _ => None,
        })
}

fn undetermined(scene: &Scene<'_>, case: &Case<'_>, position: &Position) -> Advice {
    if let Some(advice) = inside(scene, case, None, case.first) {
        return advice;
    }
    let attesting = (0..case.first)
        .rev()
        .find(|place| matches!(case.views[*place].sight, Sight::Absent(_)));
    match (attesting, &position.decide) {
        (Some(place), Some(text)) => of_vantage(
            scene,
            case.views[place].vantage,
            "its record is too short to be sure that it would have seen the RST".to_owned(),
            text.clone(),
        ),
        _ => at_the_sender(scene, case),
    }
}

/// Seen up to one place and absent further on, with silence in between that says nothing.
fn lost(scene: &Scene<'_>, case: &Case<'_>, position: &Position) -> Option<Advice> {
    let (last, absent) = position.lost?;
    inside(scene, case, Some(last + 1), absent)
}

/// A vantage that is there and says nothing.
fn mend(scene: &Scene<'_>, case: &Case<'_>, place: usize, blindness: Blindness) -> Advice {
    let vantage = case.views[place].vantage;
    let quoted = wording::quoted(scene, vantage);
    let why = wording::blindness(blindness);
    match blindness {
        Blindness::NotOnPath => hop_beside(scene, case, place, &why),
        Blindness::OneWay => {
            let text = format!("{quoted} seeing both directions: {why}");
            of_vantage(scene, vantage, why, text)
        }
        Blindness::Ambiguous => {
            let text = format!("{quoted} recording the connection from its handshake on: {why}");
            of_vantage(scene, vantage, why, text)
        }
        Blindness::NoCoverage
        | Blindness::StartedAfter
        | Blindness::EndedBefore(_)
        | Blindness::Gap => {
            let text = format!("{quoted} capturing at that moment: {why}");
            of_vantage(scene, vantage, why, text)
        }
        Blindness::Dropping(_) | Blindness::Lost(..) | Blindness::Lossy(_) | Blindness::Missed => {
            let listens = !scene.evidence.vantages[vantage]
                .testimony
                .watches
                .is_empty();
            if scene.host_side(vantage) == Some(case.sender) && !listens {
                let text = format!(
                    "repair {quoted}, or give it the kernel witness, whose word does not hang on the capture: {why}"
                );
                let advice = of_vantage(scene, vantage, why, text);
                return Advice {
                    role: Role::Witness,
                    ..advice
                };
            }
            let text = format!("repair {quoted}: {why}");
            of_vantage(scene, vantage, why, text)
        }
    }
}

fn of_vantage(scene: &Scene<'_>, vantage: usize, why: String, text: String) -> Advice {
    let known = &scene.evidence.vantages[vantage].vantage;
    Advice {
        role: match known.kind {
            VantageKind::Host { .. } => Role::Host,
            VantageKind::Hop => Role::Hop,
        },
        vantage: Some(known.name.clone()),
        between: None,
        at: None,
        why,
        text,
    }
}

/// A vantage is where the connection does not pass, or nothing says that it does: one between its
/// neighbours would tell.
fn hop_beside(scene: &Scene<'_>, case: &Case<'_>, place: usize, why: &str) -> Advice {
    let name = |place: usize| scene.name(case.views[place].vantage).to_owned();
    let passes = |place: &usize| {
        !matches!(
            case.views[*place].sight,
            Sight::Blind(Blindness::NotOnPath | Blindness::OneWay)
        )
    };
    let before = (0..place).rev().find(passes).map(name);
    let after = (place + 1..case.views.len()).find(passes).map(name);
    let here = wording::quoted(scene, case.views[place].vantage);
    let Some(before) = before else {
        return at_the_sender(scene, case);
    };
    let end = after.as_ref().map_or_else(
        || format!("the {}", case.sender.other().as_str()),
        |after| format!("\"{after}\""),
    );
    Advice {
        role: Role::Hop,
        vantage: None,
        text: format!("a hop vantage between \"{before}\" and {end}: of {here}, {why}"),
        between: Some([Some(before), after]),
        at: None,
        why: why.to_owned(),
    }
}

/// Only the claimed sender's host can swear that it did not send it.
fn at_the_sender(scene: &Scene<'_>, case: &Case<'_>) -> Advice {
    let sender = case.sender.as_str();
    let address = scene.ends.endpoint(case.sender).addr;
    let first = wording::quoted(scene, case.views[case.first].vantage);
    let why = if case.views.len() == 1 {
        format!("{first} alone cannot tell what the {sender} sent from what was forged before it")
    } else {
        format!("nothing between the {sender} and {first} says whether the RST passed there")
    };
    Advice {
        role: Role::Host,
        vantage: None,
        between: None,
        at: Some(address),
        text: format!(
            "a host vantage (with the kernel witness) on the {sender} {address}, watching while it happens: {why}"
        ),
        why,
    }
}

/// Somebody off the path sent it: the question is where it enters.
fn beyond(scene: &Scene<'_>, case: &Case<'_>, first: usize) -> Advice {
    let sender = case.sender.as_str();
    let name = scene.name(case.views[first].vantage).to_owned();
    let why = format!("the forged RSTs come in before \"{name}\", nothing tells where");
    Advice {
        role: Role::Hop,
        vantage: None,
        text: format!(
            "a hop vantage between the {sender} and \"{name}\", on each way into the network: {why}"
        ),
        between: Some([None, Some(name)]),
        at: None,
        why,
    }
}

//! Where a reset came from, by where it was seen and where it was not (DESIGN: rules of a verdict).

use super::fingerprint::{self, Leaning};
use super::wording::{name, quoted};
use crate::case::{Blindness, Case, Sight};
use crate::report::{Evidence, Origin};
use crate::scene::Scene;

/// Origin and place of one reset.
pub(crate) struct Position {
    pub(crate) origin: Origin,
    /// For a middlebox: indices into the case's views, from the claimed sender's side. `None` stands
    /// for beyond the outermost vantage.
    pub(crate) between: Option<(Option<usize>, usize)>,
    /// Where it got lost after its last sighting: indices into the views.
    pub(crate) lost: Option<(usize, usize)>,
    pub(crate) confidence: f64,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) decide: Option<String>,
}

/// Odds that a reset is forged before anything is known of it: two of three are honest.
const FORGED_BEFORE_LOOKING: f64 = 0.5;

/// The same for one that equals others of which its claimed sender sent some.
const FORGED_AMONG_EQUALS: f64 = 0.02;

/// A middlebox is accused from this probability on: rather miss one than accuse wrongly.
const ACCUSE_FROM: f64 = 0.72;

/// However much a RST looks like its claimed sender's own, it weighs no more than this against a vantage that
/// would have seen it: log odds.
const AGAINST_SIGHT: f64 = 1.8;

/// Nothing is surer than this: the model of the network itself may be wrong.
const SUREST: f64 = 0.999;

pub(crate) fn judge(scene: &Scene<'_>, case: &Case<'_>) -> Position {
    let mut position = origin(scene, case);
    position.evidence.insert(0, sighting(scene, case));
    if let Some(lost) = lost(case) {
        position.evidence.push(lost_evidence(scene, case, lost));
        position.lost = Some(lost);
    }
    blindness(scene, case, &mut position);
    position
}

fn origin(scene: &Scene<'_>, case: &Case<'_>) -> Position {
    if let Some(nearest) = nearest_absence(case, case.first) {
        return forged_by_absence(scene, case, nearest);
    }
    let first = case.views[case.first].vantage;
    if scene.host_side(first) == Some(case.sender) {
        return match fingerprint::foreign_link(scene, case) {
            Some(text) => forged_on_segment(scene, case, text),
            None => emitted_by_host(scene, case),
        };
    }
    by_fingerprint(scene, case)
}

/// Between these bounds verdicts prove right more often than the sum of their parts says: in 83 of 100 cases of
/// simulated networks.
fn calibrated(probability: f64) -> f64 {
    if (0.75..0.8).contains(&probability) {
        probability + 0.05
    } else {
        probability
    }
}

fn nearest_absence(case: &Case<'_>, before: usize) -> Option<usize> {
    (0..before)
        .rev()
        .find(|&place| matches!(case.views[place].sight, Sight::Absent(_)))
}

/// First sighting after a vantage that would have seen it: it came in between.
fn forged_by_absence(scene: &Scene<'_>, case: &Case<'_>, nearest: usize) -> Position {
    let mut all_wrong = 1.0;
    let mut evidence = Vec::new();
    for view in &case.views[..case.first] {
        if let Sight::Absent(attestation) = &view.sight {
            all_wrong *= attestation.miss_rate.max(0.001);
            evidence.push(absence_evidence(scene, case, view.vantage, *attestation));
        }
    }
    let leaning = fingerprint::lean(scene, case);
    evidence.extend(leaning.evidence);
    let before = if case.among_equals {
        FORGED_AMONG_EQUALS
    } else {
        FORGED_BEFORE_LOOKING
    };
    let odds = before / all_wrong * leaning.log_odds.clamp(-AGAINST_SIGHT, 0.0).exp();
    let probability = odds / (1.0 + odds);
    if probability < ACCUSE_FROM {
        return Position {
            origin: Origin::Undetermined,
            between: None,
            lost: None,
            confidence: probability.max(1.0 - probability),
            evidence,
            decide: Some(format!(
                "more packets at {}, or a live agent there, which counts its losses: the RST looks like the {}'s own, and so short a record may have missed it",
                quoted(scene, case.views[nearest].vantage),
                case.sender.as_str()
            )),
        };
    }
    Position {
        origin: Origin::Middlebox,
        between: Some((Some(nearest), case.first)),
        lost: None,
        confidence: calibrated(probability).min(SUREST),
        evidence,
        decide: None,
    }
}

fn absence_evidence(
    scene: &Scene<'_>,
    case: &Case<'_>,
    vantage: usize,
    attestation: crate::case::Attestation,
) -> Evidence {
    use crate::case::OnPath;
    let sender = case.sender.as_str();
    let path = match attestation.on_path {
        OnPath::SawConnection => {
            format!("it recorded this connection's packets from the {sender}")
        }
        OnPath::Host => "it runs on that host".to_owned(),
        OnPath::SawHosts => format!(
            "it recorded other connections' packets from the {sender} to the {}",
            case.sender.other().as_str()
        ),
        OnPath::Configured => "the configured path passes it".to_owned(),
    };
    let memory = if attestation.remembered {
        "; asked for all that it remembers of the connection around that moment, it had no RST"
    } else {
        ""
    };
    let doubt = attestation.doubt.map_or_else(String::new, |cause| {
        format!(
            "; but {} around then, so its silence weighs less",
            cause.words()
        )
    });
    Evidence {
        kind: "attested_absence".to_owned(),
        vantage: Some(name(scene, vantage)),
        text: format!(
            "{} did not see the RST and would have: it was capturing at that moment{}, and {path}{memory}{doubt}",
            quoted(scene, vantage),
            if attestation.doubt.is_none() {
                " without loss"
            } else {
                ""
            }
        ),
    }
}

fn emitted_by_host(scene: &Scene<'_>, case: &Case<'_>) -> Position {
    let vantage = case.views[case.first].vantage;
    Position {
        origin: Origin::Endpoint,
        between: None,
        lost: None,
        confidence: 0.995,
        evidence: vec![Evidence {
            kind: "host_sighting".to_owned(),
            vantage: Some(name(scene, vantage)),
            text: format!(
                "{} runs on the {}'s host and saw the RST leave it",
                quoted(scene, vantage),
                case.sender.as_str()
            ),
        }],
        decide: None,
    }
}

/// The host's own tap saw it, but from outside.
fn forged_on_segment(scene: &Scene<'_>, case: &Case<'_>, text: String) -> Position {
    Position {
        origin: Origin::Middlebox,
        between: Some((Some(case.first), next_place(case))),
        lost: None,
        confidence: 0.97,
        evidence: vec![Evidence {
            kind: "foreign_link".to_owned(),
            vantage: Some(name(scene, case.views[case.first].vantage)),
            text,
        }],
        decide: None,
    }
}

fn next_place(case: &Case<'_>) -> usize {
    (case.first + 1).min(case.views.len() - 1)
}

/// The first sighting is at a hop with nothing before it that could attest: only what the packet
/// looks like is left.
fn by_fingerprint(scene: &Scene<'_>, case: &Case<'_>) -> Position {
    let Leaning { log_odds, evidence } = fingerprint::lean(scene, case);
    let probability = 1.0 / (1.0 + (-log_odds).exp());
    let sender_host = (0..case.first)
        .rev()
        .find(|&place| scene.host_side(case.views[place].vantage) == Some(case.sender));
    // A silence that says nothing may hide the sender's own sighting, or the lack of one.
    let hidden = case.views[..case.first].iter().any(|view| {
        matches!(&view.sight, Sight::Blind(why)
            if !matches!(why, Blindness::NotOnPath | Blindness::OneWay))
    });
    let (origin, between, confidence) = if probability >= 0.8 {
        let between = (sender_host, case.first);
        (Origin::Middlebox, Some(between), probability.min(0.95))
    } else if probability <= 0.2 && !hidden {
        (Origin::Endpoint, None, (1.0 - probability).min(0.93))
    } else {
        (
            Origin::Undetermined,
            None,
            probability.max(1.0 - probability),
        )
    };
    Position {
        origin,
        between,
        lost: None,
        confidence,
        evidence,
        decide: Some(format!(
            "a vantage on the {}'s host {}, watching while it happens",
            case.sender.as_str(),
            scene.ends.endpoint(case.sender).addr
        )),
    }
}

fn sighting(scene: &Scene<'_>, case: &Case<'_>) -> Evidence {
    let vantage = case.views[case.first].vantage;
    let seen = case.digest();
    let further = case
        .views
        .iter()
        .enumerate()
        .skip(case.first + 1)
        .filter(|(place, _)| case.seen_at(*place).is_some())
        .map(|(_, view)| quoted(scene, view.vantage))
        .collect::<Vec<_>>();
    let and_then = if further.is_empty() {
        String::new()
    } else {
        format!(", then at {}", further.join(", "))
    };
    Evidence {
        kind: "first_sighting".to_owned(),
        vantage: Some(name(scene, vantage)),
        text: format!(
            "going from the {} the RST was first seen at {} (TTL {}){and_then}",
            case.sender.as_str(),
            quoted(scene, vantage),
            seen.ip.ttl
        ),
    }
}

/// Seen up to one vantage and attested absent further on.
fn lost(case: &Case<'_>) -> Option<(usize, usize)> {
    let last = case.last();
    let absent = (last + 1..case.views.len())
        .find(|&place| matches!(case.views[place].sight, Sight::Absent(_)))?;
    Some((last, absent))
}

fn lost_evidence(scene: &Scene<'_>, case: &Case<'_>, lost: (usize, usize)) -> Evidence {
    let (here, never) = (case.views[lost.0].vantage, case.views[lost.1].vantage);
    Evidence {
        kind: "lost".to_owned(),
        vantage: Some(name(scene, never)),
        text: format!(
            "the RST was last seen at {} and never came to {}, which would have seen it: it was lost or dropped between them",
            quoted(scene, here),
            quoted(scene, never)
        ),
    }
}

/// Blind vantages widen the answer: say which, why, and that repairing them would narrow it.
fn blindness(scene: &Scene<'_>, case: &Case<'_>, position: &mut Position) {
    let mut nearest = None;
    for view in &case.views[..case.first] {
        if let Sight::Blind(why) = &view.sight {
            nearest = Some(view.vantage);
            position.evidence.push(Evidence {
                kind: "blind".to_owned(),
                vantage: Some(name(scene, view.vantage)),
                text: format!(
                    "{} says nothing about it: {}",
                    quoted(scene, view.vantage),
                    super::wording::blindness(*why)
                ),
            });
        }
    }
    let wide = position
        .between
        .is_some_and(|(from, to)| from.is_none_or(|from| to - from > 1));
    match nearest {
        Some(vantage) if wide || position.origin == Origin::Undetermined => {
            position.decide = Some(format!(
                "{} capturing this connection without loss at that moment",
                quoted(scene, vantage)
            ));
        }
        _ => {}
    }
}

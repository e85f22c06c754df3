//! Evidence to verdicts: a pure function, the same for the live service and for capture files.

mod advice;
mod cause;
mod chain;
mod claim;
mod connection;
mod effect;
mod fingerprint;
mod ladder;
mod library;
mod naming;
mod position;
mod proxy;
mod sentence;
mod witness;
mod wording;

use uuid::Uuid;

use crate::case::{self, Case, Sight};
use crate::clock::Offset;
use crate::evidence::FlowEvidence;
use crate::join::Joined;
use crate::loss;
use crate::report::{
    AbsenceReport, Cause, ClockOffset, Connection, Explanation, Origin, ResetReport, SCHEMA,
};
use crate::scene::Scene;
use chain::Placed;

pub use connection::{Recorded, RecordedPacket};

/// A verdict on one reset of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What makes this reset the same one when it is judged again: a hash over the connection's initial
    /// sequence number, direction, sequence and acknowledgement number, flags and window.
    pub identity: u64,
    pub report: ResetReport,
}

/// Joins the sightings of each reset of a flow and judges them, in order of time.
pub fn judge_flow(evidence: &FlowEvidence) -> Vec<Judged> {
    let joined = Joined::of(evidence);
    let scene = Scene::new(&joined);
    let all = place(&scene);
    report_all(&scene, &all)
}

/// Tells one reset of a flow in full; `None` when the evidence holds no such reset.
pub fn explain(evidence: &FlowEvidence, id: Uuid) -> Option<Explanation> {
    let joined = Joined::of(evidence);
    let scene = Scene::new(&joined);
    let all = place(&scene);
    let index = all.iter().position(|placed| placed.case.id == id)?;
    let mut reports: Vec<ResetReport> = report_all(&scene, &all)
        .into_iter()
        .map(|judged| judged.report)
        .collect();
    // Cases that are another flow's to tell have no report here.
    let told = reports.iter().position(|report| report.id == id)?;
    let root_sentence = reports[told].root.and_then(|root| {
        let root = reports.iter().find(|report| report.id == root)?;
        Some(sentence::tell(root))
    });
    let ladder = ladder::draw(&scene, &all, index);
    let reset = reports.swap_remove(told);
    Some(Explanation {
        schema: SCHEMA,
        sentence: sentence::tell(&reset),
        root_sentence,
        ladder,
        reset,
    })
}

/// Tells the connection of one reset of a flow; `None` when the evidence holds no such reset.
pub fn connection(evidence: &FlowEvidence, id: Uuid) -> Option<Connection> {
    look(evidence, id, connection::tell)
}

/// What each vantage on the path recorded of the connection of one reset, client side first; `None` when the
/// evidence holds no such reset.
pub fn recorded(evidence: &FlowEvidence, id: Uuid) -> Option<Vec<Recorded>> {
    look(evidence, id, |scene, all, index| {
        connection::recorded(scene, &all[index])
    })
}

fn look<T>(
    evidence: &FlowEvidence,
    id: Uuid,
    tell: impl Fn(&Scene<'_>, &[Placed<'_>], usize) -> T,
) -> Option<T> {
    let joined = Joined::of(evidence);
    let scene = Scene::new(&joined);
    let all = place(&scene);
    let index = all.iter().position(|placed| placed.case.id == id)?;
    Some(tell(&scene, &all, index))
}

fn place<'a>(scene: &Scene<'a>) -> Vec<Placed<'a>> {
    let passed = loss::count(scene);
    let cases = case::all(scene, &passed);
    let heard = witness::hear(scene, &cases);
    cases
        .into_iter()
        .zip(heard)
        .map(|(case, heard)| Placed {
            position: witness::weigh(scene, &case, &heard, position::judge(scene, &case)),
            exact: cause::is_exact(scene, &case),
            effect: witness::felt(scene, &heard, effect::of(scene, &case)),
            heard,
            case,
        })
        .collect()
}

fn report_all(scene: &Scene<'_>, all: &[Placed<'_>]) -> Vec<Judged> {
    (0..all.len())
        .filter(|index| all[*index].case.owner == scene.evidence.flow)
        .map(|index| Judged {
            identity: all[index].case.identity,
            report: report(scene, all, index),
        })
        .collect()
}

fn report(scene: &Scene<'_>, all: &[Placed<'_>], index: usize) -> ResetReport {
    let Placed {
        case,
        position,
        effect,
        ..
    } = &all[index];
    let finding = cause::find(scene, all, index);
    let passed_on = proxy::passed_on(scene, all, index, finding.cause);
    let digest = case.first_seen().carried;
    let name = |place: usize| scene.name(case.views[place].vantage).to_owned();
    let endpoint = position.origin == Origin::Endpoint;
    let advice = advice::give(scene, case, position, finding.cause);
    ResetReport {
        id: case.id,
        time: digest.time,
        src: digest.tuple.src.addr,
        sport: digest.tuple.src.port,
        dst: digest.tuple.dst.addr,
        dport: digest.tuple.dst.port,
        seq: digest.seq.0,
        ack: digest.acked().map(|ack| ack.0),
        flags: digest.flags.to_string(),
        count: case.count,
        origin: position.origin,
        emitter: endpoint.then_some(case.sender),
        between: position
            .between
            .map(|(from, to)| between(case, from, to).map(|place| place.map(name))),
        at: endpoint.then(|| name(case.first)),
        lost_between: position
            .lost
            .map(|(last, absent)| [Some(name(last)), Some(name(absent))]),
        seen_at: (0..case.views.len())
            .filter(|&place| case.seen_at(place).is_some())
            .map(name)
            .collect(),
        absent_at: absences(scene, case),
        cause: match passed_on {
            Some(_) => Cause::ProxyAbort,
            None => finding.cause,
        },
        root: passed_on
            .as_ref()
            .map(|passed_on| passed_on.root)
            .or(finding.root.map(|root| all[root].case.id)),
        confidence: rounded(position.confidence),
        effective: effect.effective,
        idle_ns: finding.idle,
        trigger: finding.trigger.map(wording::segment),
        decide: advice.as_ref().map(|advice| advice.text.clone()),
        advice,
        evidence: position
            .evidence
            .iter()
            .cloned()
            .chain(match &passed_on {
                Some(passed_on) => vec![passed_on.evidence.clone()],
                None => finding.evidence(&name(case.first)),
            })
            .chain(effect.evidence.clone())
            .chain(claim::evidence(scene, case, position.origin))
            .chain(naming::evidence(scene, case))
            .collect(),
        path: scene
            .path
            .order
            .iter()
            .map(|&vantage| scene.name(vantage).to_owned())
            .collect(),
        clocks: clocks(scene, case),
        names: naming::names(scene, case),
        changes: naming::changes(scene, case),
    }
}

/// A forged RST that only its claimed sender's own tap saw, coming in, came from beyond it.
fn between(case: &Case<'_>, from: Option<usize>, to: usize) -> [Option<usize>; 2] {
    if from == Some(to) || case.views.len() <= to {
        [from, None]
    } else {
        [from, Some(to)]
    }
}

fn rounded(confidence: f64) -> f64 {
    (confidence * 1000.0).round() / 1000.0
}

fn absences(scene: &Scene<'_>, case: &Case<'_>) -> Vec<AbsenceReport> {
    case.views
        .iter()
        .filter_map(|view| {
            let (attested, why) = match &view.sight {
                Sight::Seen(_) => return None,
                Sight::Absent(_) => (true, None),
                Sight::Blind(why) => (false, Some(wording::blindness(*why))),
            };
            Some(AbsenceReport {
                vantage: scene.name(view.vantage).to_owned(),
                attested,
                why,
            })
        })
        .collect()
}

/// Clocks as they were when the reset passed, against the first on the path.
fn clocks(scene: &Scene<'_>, case: &Case<'_>) -> Vec<ClockOffset> {
    let at = case.first_seen().at;
    let known: Vec<(usize, Offset)> = scene
        .path
        .order
        .iter()
        .filter(|vantage| scene.path.clocks[**vantage].is_known())
        .map(|&vantage| (vantage, scene.path.clocks[vantage].at_reference(at)))
        .collect();
    let first = known.first().map(|(_, offset)| *offset).unwrap_or_default();
    known
        .iter()
        .enumerate()
        .map(|(place, (vantage, offset))| ClockOffset {
            vantage: scene.name(*vantage).to_owned(),
            offset_ns: offset.nanos.saturating_sub(first.nanos),
            error_ns: if place == 0 {
                0
            } else {
                offset.error.saturating_add(first.error)
            },
        })
        .collect()
}

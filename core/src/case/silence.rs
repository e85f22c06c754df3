//! What the silence of a vantage about a reset says.

use super::{Attestation, Blindness, Group, OnPath, Sight};
use crate::coverage::Coverage;
use crate::digest::Digest;
use crate::loss::{Losses, Passed};
use crate::loss_record;
use crate::report::Side;
use crate::scene::{Scene, Seen};
use crate::time::CaptureTime;

/// Where and when a reset passed another vantage.
pub(super) struct Passing<'s, 'a> {
    pub(super) seen: &'s Seen<'a>,
    /// The vantage of that sighting.
    pub(super) at: usize,
    /// The silent vantage lies before it on the reset's way.
    pub(super) upstream: bool,
}

impl Passing<'_, '_> {
    /// When the reset passed a silent vantage, by that vantage's own clock: not before, most likely, not after.
    /// What passes it first cannot have passed later than here, by clocks set by packets that went this way.
    fn moments(&self, scene: &Scene<'_>, vantage: usize) -> [CaptureTime; 3] {
        let (moment, error) = scene.path.own_time(vantage, self.at, self.seen.at);
        let own = scene.path.clocks[vantage].is_told_by_packets();
        match (own, self.upstream) {
            (true, true) => [moment.plus(error.saturating_neg()), moment, moment],
            (true, false) => [moment, moment, moment.plus(error)],
            (false, _) => [
                moment.plus(error.saturating_neg()),
                moment,
                moment.plus(error),
            ],
        }
    }
}

/// What the silence of a vantage about a reset says.
pub(super) fn silence<'a>(
    scene: &Scene<'a>,
    passed: &Passed,
    vantage: usize,
    group: &Group<'a>,
    passing: &Passing<'_, 'a>,
) -> Sight<'a> {
    let moments = passing.moments(scene, vantage);
    let on_path = match on_path(scene, vantage, group, moments) {
        Ok(on_path) => on_path,
        Err(blindness) => return Sight::Blind(blindness),
    };
    let coverage = &scene.evidence.vantages[vantage].coverage;
    let drop_rate = match watched(coverage, moments) {
        Ok(drop_rate) => drop_rate,
        Err(blindness) => return Sight::Blind(blindness),
    };
    if passed.is_lossy() {
        return Sight::Blind(Blindness::Lossy(passed.total()));
    }
    let evidence = &scene.evidence.vantages[vantage];
    let [earliest, moment, latest] = moments;
    let error = moment.since(earliest).max(latest.since(moment));
    let recorded = on_path == OnPath::SawConnection;
    let lost = match loss_record::weigh(
        &evidence.losses,
        &evidence.coverage,
        moment,
        error,
        recorded,
    ) {
        Ok(lost) => lost,
        Err(loss) => return Sight::Blind(Blindness::Lost(loss.cause, loss.count)),
    };
    let losses = Losses::of(evidence.selection);
    let missed = passed
        .miss_rate(losses, passing.seen.at)
        .max(drop_rate)
        .max(lost.miss);
    let elsewhere = match on_path {
        OnPath::SawHosts => passed.goes_elsewhere(),
        OnPath::SawConnection | OnPath::Host | OnPath::Configured => 0.0,
    };
    Sight::Absent(Attestation {
        on_path,
        remembered: evidence.is_complete(earliest, latest),
        doubt: lost.cause,
        miss_rate: 1.0 - (1.0 - missed) * (1.0 - elsewhere),
    })
}

fn on_path(
    scene: &Scene<'_>,
    vantage: usize,
    group: &Group<'_>,
    moments: [CaptureTime; 3],
) -> Result<OnPath, Blindness> {
    let mut other_way = false;
    for segment in scene.life(vantage, group.life) {
        if segment.sender == group.sender {
            return Ok(OnPath::SawConnection);
        }
        other_way = true;
    }
    let elsewhere = if other_way {
        Blindness::OneWay
    } else {
        Blindness::NotOnPath
    };
    if passed_by(scene, vantage, group.life) {
        // It shows none of what went past its place: the packets take another way, or wear other
        // addresses there.
        return Err(elsewhere);
    }
    let records_sender = scene.neighbours[vantage]
        .iter()
        .any(|neighbour| neighbour.sender == group.sender);
    if records_sender {
        return Ok(OnPath::SawHosts);
    }
    if scene.joined_life(group.life).refused.contains(&vantage)
        || may_be_renamed(scene, vantage, group, moments)
    {
        return Err(Blindness::Ambiguous);
    }
    if scene.host_side(vantage).is_some() {
        return Ok(OnPath::Host);
    }
    let configured = scene.evidence.configured_path.as_ref();
    if configured.is_some_and(|path| path.contains(&vantage)) && !other_way {
        return Ok(OnPath::Configured);
    }
    Err(elsewhere)
}

/// Whether a vantage that never saw these two hosts recorded a RST like this one of other flows around then:
/// the same packet, maybe, under addresses that nothing links.
fn may_be_renamed(
    scene: &Scene<'_>,
    vantage: usize,
    group: &Group<'_>,
    [earliest, _, latest]: [CaptureTime; 3],
) -> bool {
    let doubt = if scene.path.clocks[vantage].is_known() {
        RENAMED_WITHIN
    } else {
        UNKNOWN_CLOCK
    };
    let (from, until) = (earliest.plus(-doubt), latest.plus(doubt));
    let nearby = &scene.evidence.vantages[vantage].nearby;
    let like = |digest: &Digest| {
        let known = group.sightings.iter().map(|(_, seen)| seen.carried);
        known
            .into_iter()
            .any(|carried| carried.flags == digest.flags && carried.window == digest.window)
    };
    let around = |digest: &&Digest| (from..=until).contains(&digest.time);
    !nearby.holds_resets(from, until) || nearby.resets().iter().filter(around).any(like)
}

/// How far apart one packet can be recorded by clocks that are known, beside their errors.
const RENAMED_WITHIN: i64 = 200 * crate::time::MILLISECOND;
/// The same by clocks of which nothing is known.
const UNKNOWN_CLOCK: i64 = 6 * crate::time::SECOND;

/// Whether packets of a connection went from one side of a vantage to the other without it recording any
/// of that direction.
fn passed_by(scene: &Scene<'_>, vantage: usize, life: usize) -> bool {
    [Side::Client, Side::Server].into_iter().any(|sender| {
        let sent = |other: usize| {
            scene
                .life(other, life)
                .any(|segment| segment.sender == sender && !segment.digest.is_rst())
        };
        let travel = scene.travel(sender);
        let further = travel.iter().skip_while(|&&other| other != vantage).skip(1);
        !sent(vantage) && further.copied().any(sent)
    })
}

/// How far around a reset a drop makes the silence doubtful: a beat's span and the clocks' error.
const DOUBT: i64 = 50 * crate::time::MILLISECOND;

/// A vantage that loses more than this share of the packets around a reset may have lost the reset.
const DROP_RATE_MAX: f64 = 0.02;

/// Whether coverage holds a moment that is known within bounds; then the share of packets dropped around it.
fn watched(
    coverage: &[Coverage],
    [earliest, moment, latest]: [CaptureTime; 3],
) -> Result<f64, Blindness> {
    let (Some(first), Some(last)) = (
        coverage.iter().map(|span| span.from).min(),
        coverage.iter().map(|span| span.until).max(),
    ) else {
        return Err(Blindness::NoCoverage);
    };
    if earliest < first {
        return Err(Blindness::StartedAfter);
    }
    if latest > last {
        return Err(Blindness::EndedBefore(latest.since(last)));
    }
    if !coverage.iter().any(|span| span.covers(moment)) {
        return Err(Blindness::Gap);
    }
    let near = coverage
        .iter()
        .filter(|span| span.from <= moment.plus(DOUBT) && moment.plus(-DOUBT) <= span.until);
    let (received, dropped) = near.fold((0_u64, 0_u64), |(received, dropped), span| {
        (
            received.saturating_add(span.received),
            dropped.saturating_add(span.dropped),
        )
    });
    let rate = dropped as f64 / (received as f64 + dropped as f64).max(1.0);
    if rate > DROP_RATE_MAX {
        return Err(Blindness::Dropping(dropped));
    }
    Ok(rate)
}

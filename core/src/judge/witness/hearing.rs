//! Statements matched to resets: by 4-tuple under the name that the host knows, direction and time; one to one.

use super::reject::{self, Looks};
use super::{Filter, Heard, Silent, Word, place_of};
use crate::case::Case;
use crate::report::Side;
use crate::scene::Scene;
use crate::testimony::{Act, Oath, Statement, TapPlace, Watch, listeners};
use crate::time::{CaptureTime, MILLISECOND, SECOND};

/// A RST may wait so long for the link-layer address of its next hop after its kernel spoke of it.
const WAITS: i64 = 1100 * MILLISECOND;
/// A kernel speaks of its own accord's RST after it has left, once it gets to run.
const SPEAKS_LATE: i64 = 100 * MILLISECOND;
/// A statement and its RST are this near unless something holds one of them up.
const TOGETHER: i64 = 2 * MILLISECOND;
/// Within this a statement that belongs to another reset might be this one's.
const CONFUSABLE: i64 = 50 * MILLISECOND;
/// A moment that is known no better than this matches nothing.
const VAGUE: i64 = SECOND / 2;

/// A reset at a host's vantage, by that vantage's clock.
#[derive(Debug, Clone, Copy)]
struct Moment {
    case: usize,
    time: CaptureTime,
    error: i64,
    /// Equal packets.
    count: u32,
}

/// What the witnesses say of each reset.
pub(crate) fn hear<'a>(scene: &Scene<'a>, cases: &[Case<'a>]) -> Vec<Heard<'a>> {
    let mut heard = vec![Heard::default(); cases.len()];
    for vantage in 0..scene.evidence.vantages.len() {
        let testimony = &scene.evidence.vantages[vantage].testimony;
        let Some(side) = scene.host_side(vantage) else {
            continue;
        };
        if testimony.statements.is_empty() && testimony.watches.is_empty() {
            continue;
        }
        sent_or_not(scene, cases, vantage, side, &mut heard);
        accepted(scene, cases, vantage, side, &mut heard);
    }
    heard
}

/// Resets in a side's name, when they were or would have been at a vantage.
fn moments(scene: &Scene<'_>, cases: &[Case<'_>], vantage: usize, sender: Side) -> Vec<Moment> {
    let of_sender = cases
        .iter()
        .enumerate()
        .filter(|(_, case)| case.sender == sender);
    of_sender
        .filter_map(|(index, case)| {
            let seen = place_of(case, vantage).and_then(|place| case.seen_at(place));
            let (time, error) = match seen {
                Some(seen) => (seen.carried.time, 0),
                None => scene.path.own_time(
                    vantage,
                    case.views[case.first].vantage,
                    case.first_seen().at,
                ),
            };
            (error <= VAGUE).then_some(Moment {
                case: index,
                time,
                error,
                count: case.count,
            })
        })
        .collect()
}

/// The vantage's statements on RSTs from a side, of one kind.
fn statements<'s>(
    scene: &'s Scene<'_>,
    vantage: usize,
    sender: Side,
    is: impl Fn(&Act) -> bool + 's,
) -> Vec<&'s Statement> {
    let names = scene.ends.at(vantage);
    let all = scene.evidence.vantages[vantage].testimony.statements.iter();
    all.filter(|said| {
        is(&said.act)
            && !said.is_of_listener()
            && names.iter().any(|name| {
                said.tuple.src == name.endpoint(sender)
                    && said.tuple.dst == name.endpoint(sender.other())
            })
    })
    .collect()
}

/// A statement given to a reset.
struct Match {
    statement: usize,
    case: usize,
    /// From the statement to the reset, nanoseconds.
    later: i64,
}

/// Gives each statement to the nearest reset that has room for it. `before` and `after`: how long a statement may
/// come before its reset, and after it.
fn assign(moments: &[Moment], statements: &[&Statement], before: i64, after: i64) -> Vec<Match> {
    let mut pairs: Vec<(i64, usize, usize, i64)> = Vec::new();
    for (place, moment) in moments.iter().enumerate() {
        for (index, said) in statements.iter().enumerate() {
            let later = moment.time.since(said.time);
            let error = moment.error.saturating_add(said.error);
            if later <= before.saturating_add(error)
                && later >= after.saturating_add(error).saturating_neg()
            {
                pairs.push((later.saturating_abs(), place, index, later));
            }
        }
    }
    pairs.sort_unstable();
    let mut room: Vec<u32> = moments.iter().map(|moment| moment.count).collect();
    let mut given = vec![false; statements.len()];
    let mut matches = Vec::new();
    for (_, place, statement, later) in pairs {
        if room[place] == 0 || given[statement] {
            continue;
        }
        room[place] -= 1;
        given[statement] = true;
        matches.push(Match {
            statement,
            case: moments[place].case,
            later,
        });
    }
    matches
}

fn sent_or_not<'a>(
    scene: &Scene<'a>,
    cases: &[Case<'a>],
    vantage: usize,
    side: Side,
    heard: &mut [Heard<'a>],
) {
    let moments = moments(scene, cases, vantage, side);
    let said = statements(scene, vantage, side, |act| matches!(act, Act::Sent { .. }));
    let matches = assign(&moments, &said, WAITS, SPEAKS_LATE);
    for moment in &moments {
        let case = &cases[moment.case];
        let refusals = refusals(scene, vantage, side, moment);
        if matches!(heard[moment.case].sender, Word::Sent { .. }) {
            continue;
        }
        if let Some(own) = matches.iter().find(|one| one.case == moment.case) {
            heard[moment.case].sender = Word::Sent {
                vantage,
                statement: *said[own.statement],
            };
        } else if reject::may_be_without_connection(case.digest()) && !refusals.is_empty() {
            heard[moment.case].sender = by_listener(case, vantage, moment, &refusals);
        } else if !confusable(moment, &said, &matches)
            && let Some(watch) = sworn(scene, case, vantage, moment)
        {
            heard[moment.case].sender = silence(scene, case, vantage, watch.tap);
        }
    }
}

/// What listening sockets at a side's port refused around a moment.
fn refusals(scene: &Scene<'_>, vantage: usize, sender: Side, moment: &Moment) -> Vec<Statement> {
    let names = scene.ends.at(vantage);
    let all = scene.evidence.vantages[vantage].testimony.statements.iter();
    all.filter(|said| {
        let error = moment.error.saturating_add(said.error);
        let apart = moment.time.since(said.time).saturating_abs();
        said.is_of_listener()
            && apart <= CONFUSABLE.saturating_add(error)
            && names
                .iter()
                .any(|name| listeners(name.endpoint(sender)).any(|tuple| tuple == said.tuple))
    })
    .copied()
    .collect()
}

/// A listening socket's refusal that the tap saw leave in the same moment is this reset; one of some other moment
/// leaves it open whose it is.
fn by_listener<'a>(
    case: &Case<'_>,
    vantage: usize,
    moment: &Moment,
    refusals: &[Statement],
) -> Word<'a> {
    let seen = place_of(case, vantage).is_some_and(|place| case.seen_at(place).is_some());
    let at_once = |said: &&Statement| {
        let later = moment.time.since(said.time);
        (-said.error..=TOGETHER.saturating_add(said.error)).contains(&later)
    };
    let nearest = refusals
        .iter()
        .filter(at_once)
        .min_by_key(|said| moment.time.since(said.time).saturating_abs());
    match nearest {
        Some(statement) if seen => Word::Sent {
            vantage,
            statement: *statement,
        },
        _ => Word::None,
    }
}

/// Whether a statement that went to another reset, and not as a matter of course, might be this one's.
fn confusable(moment: &Moment, said: &[&Statement], matches: &[Match]) -> bool {
    matches.iter().any(|other| {
        let statement = said[other.statement];
        let apart = moment.time.since(statement.time).saturating_abs();
        let error = moment.error.saturating_add(statement.error);
        apart <= CONFUSABLE.saturating_add(error)
            && (other.later.saturating_abs() > TOGETHER || moment.error > TOGETHER)
    })
}

/// The watch at the moment, if the witness would have heard of such a RST and the connection comes to its host.
fn sworn<'s>(
    scene: &'s Scene<'_>,
    case: &Case<'_>,
    vantage: usize,
    moment: &Moment,
) -> Option<&'s Watch> {
    scene.life(vantage, case.life).next()?;
    let by_a_socket = !reject::may_be_without_connection(case.digest());
    let swears = |watch: &Watch| {
        watch.lost == 0
            && match watch.oath {
                Oath::Everything => true,
                Oath::WithSocket => by_a_socket,
                Oath::Nothing => false,
            }
    };
    let watches = &scene.evidence.vantages[vantage].testimony.watches;
    let end = moment.time.plus(SPEAKS_LATE.saturating_add(moment.error));
    let mut from = moment.time.plus(-WAITS.saturating_add(moment.error));
    while from <= end {
        let reach = watches
            .iter()
            .filter(|watch| watch.from <= from && from <= watch.until && swears(watch))
            .map(|watch| watch.until)
            .max()?;
        from = reach.plus(1);
    }
    watches
        .iter()
        .find(|watch| watch.from <= moment.time && moment.time <= watch.until)
}

fn silence<'a>(scene: &Scene<'a>, case: &Case<'a>, vantage: usize, tap: TapPlace) -> Word<'a> {
    let silent = |filter| {
        Word::Silent(Silent {
            vantage,
            tap,
            filter,
        })
    };
    match reject::looks(scene, case, vantage, tap) {
        Looks::Other => silent(Filter::Excluded),
        Looks::Rejected(trigger) if tap == TapPlace::OwnInterface => {
            Word::HostFirewall { vantage, trigger }
        }
        Looks::Rejected(_) | Looks::Maybe => silent(Filter::Possible),
    }
}

fn accepted<'a>(
    scene: &Scene<'a>,
    cases: &[Case<'a>],
    vantage: usize,
    side: Side,
    heard: &mut [Heard<'a>],
) {
    let moments = moments(scene, cases, vantage, side.other());
    let said = statements(scene, vantage, side.other(), |act| {
        matches!(act, Act::Accepted)
    });
    // A statement comes as soon as the RST has been processed, which a busy host may delay.
    for one in assign(&moments, &said, 10 * MILLISECOND, SECOND) {
        heard[one.case].accepted = Some((vantage, one.later.saturating_neg()));
    }
}

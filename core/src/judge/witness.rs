//! What the hosts' kernels say of a reset: it sent it, why, it accepted it, or it heard itself send none.
//!
//! A kernel's silence proves that its TCP did not send a RST in its host's name. The host's packet filter may have
//! (Linux: `nf_send_reset`), past the tracepoint: that is told apart by the packet's looks, what provoked it, and
//! where the tap stands.

mod cause;
mod hearing;
mod reject;

use super::effect::Effect;
use super::fingerprint;
use super::position::Position;
use super::wording::{duration, name, quoted};
use crate::case::{Case, Sight};
use crate::digest::{Digest, Direction};
use crate::report::{Evidence, Origin};
use crate::scene::{Scene, Seen};
use crate::testimony::{Act, Prompt, Statement, TapPlace};

pub(crate) use cause::corrected;
pub(crate) use hearing::hear;

/// What is heard of one reset.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard<'a> {
    pub(crate) sender: Word<'a>,
    /// The vantage whose kernel accepted it, and when after the sighting there, nanoseconds.
    accepted: Option<(usize, i64)>,
}

/// The word of its claimed sender's kernel.
#[derive(Debug, Clone, Default)]
pub(crate) enum Word<'a> {
    /// There is no witness, or it cannot say.
    #[default]
    None,
    /// Its TCP sent it.
    Sent {
        vantage: usize,
        statement: Statement,
    },
    /// Its packet filter sent it.
    HostFirewall { vantage: usize, trigger: Seen<'a> },
    /// Its TCP did not send it.
    Silent(Silent),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Silent {
    pub(crate) vantage: usize,
    tap: TapPlace,
    /// Whether the host's packet filter may have made it.
    filter: Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Excluded,
    Possible,
}

/// As sure as anything gets: the model of the host itself may be wrong.
const PROVEN: f64 = 0.999;
/// The kernel named the listening socket, and the moment tells which of its refusals this was.
const BY_LISTENER: f64 = 0.99;
/// The tap did not see what its kernel sent, though it should have.
const SENT_UNSEEN: f64 = 0.97;
/// Something else on the host than its TCP and its packet filter may have made it, through a raw socket.
const FROM_OWN_INTERFACE: f64 = 0.9;
/// The look and the occasion of a packet filter's RST, from the host's own interface.
const HOST_FIREWALL: f64 = 0.97;
const OPEN: f64 = 0.6;

/// A position, after the witness was heard.
pub(crate) fn weigh(
    scene: &Scene<'_>,
    case: &Case<'_>,
    heard: &Heard<'_>,
    position: Position,
) -> Position {
    match &heard.sender {
        Word::None => position,
        Word::Sent { vantage, statement } => sent(scene, case, *vantage, statement, position),
        Word::HostFirewall { vantage, .. } => Position {
            confidence: HOST_FIREWALL,
            ..endpoint(
                position,
                told(
                    scene,
                    *vantage,
                    format!(
                        "the kernel under {} did not send it by its TCP, yet it left the host's own interface in answer to the segment before, as the host's packet filter rejects",
                        quoted(scene, *vantage)
                    ),
                ),
            )
        },
        Word::Silent(silent) => not_sent(scene, case, *silent, position),
    }
}

fn told(scene: &Scene<'_>, vantage: usize, text: String) -> Evidence {
    Evidence {
        kind: "kernel_witness".to_owned(),
        vantage: Some(name(scene, vantage)),
        text,
    }
}

fn endpoint(mut position: Position, evidence: Evidence) -> Position {
    position.evidence.push(evidence);
    Position {
        origin: Origin::Endpoint,
        between: None,
        decide: None,
        ..position
    }
}

fn place_of(case: &Case<'_>, vantage: usize) -> Option<usize> {
    case.views.iter().position(|view| view.vantage == vantage)
}

fn sent(
    scene: &Scene<'_>,
    case: &Case<'_>,
    vantage: usize,
    statement: &Statement,
    position: Position,
) -> Position {
    let why = match statement.act {
        Act::Sent {
            reason: Some(reason),
            prompt,
        } => format!(" for the reason {reason}{}", prompted(prompt)),
        Act::Sent { prompt, .. } => prompted(prompt).to_owned(),
        Act::Accepted => String::new(),
    };
    let unseen = place_of(case, vantage)
        .is_some_and(|place| matches!(case.views[place].sight, Sight::Absent(_)));
    let whose = if statement.is_of_listener() {
        format!(
            "the listening socket at port {} refused a segment at that moment",
            statement.tuple.src.port
        )
    } else {
        "its TCP sent it".to_owned()
    };
    let text = format!(
        "the kernel under {} says that {whose}{why} (tcp:tcp_send_reset)",
        quoted(scene, vantage)
    );
    Position {
        confidence: match (unseen, statement.is_of_listener()) {
            (true, _) => SENT_UNSEEN,
            (false, true) => BY_LISTENER,
            (false, false) => PROVEN,
        },
        ..endpoint(position, told(scene, vantage, text))
    }
}

const fn prompted(prompt: Prompt) -> &'static str {
    match prompt {
        Prompt::Segment => ", in answer to a segment",
        Prompt::Itself => ", of its own accord",
    }
}

fn not_sent(
    scene: &Scene<'_>,
    case: &Case<'_>,
    silent: Silent,
    mut position: Position,
) -> Position {
    let here = quoted(scene, silent.vantage);
    position.evidence.push(told(scene, silent.vantage, format!(
        "the kernel under {here} did not send it: its tcp:tcp_send_reset was heard without loss at that moment and said nothing of it"
    )));
    if position.origin == Origin::Middlebox {
        position.confidence = position.confidence.max(PROVEN);
        return position;
    }
    if silent.filter == Filter::Possible {
        return open(
            position,
            format!(
                "a vantage on the {}'s own interface, in its network namespace: it tells whether the host's packet filter made the RST, whose looks it has",
                case.sender.as_str()
            ),
        );
    }
    let seen = place_of(case, silent.vantage).and_then(|place| Some((place, case.seen_at(place)?)));
    let out = |digest: &Digest| digest.link.direction == Direction::Out;
    match (seen, silent.tap) {
        (Some((_, seen)), TapPlace::OwnInterface) if out(seen.digest) => open(
            position,
            format!(
                "what on the {}'s host sends packets past its TCP, by a raw socket for instance: the RST left the host's own interface",
                case.sender.as_str()
            ),
        ),
        (Some(_), tap) => {
            let next = (case.first + 1).min(case.views.len() - 1);
            let sure =
                tap == TapPlace::Elsewhere || fingerprint::foreign_link(scene, case).is_some();
            Position {
                confidence: if sure { PROVEN } else { FROM_OWN_INTERFACE },
                ..forged(position, Some(case.first), next)
            }
        }
        (None, _) => Position {
            confidence: PROVEN,
            ..forged(position, place_of(case, silent.vantage), case.first)
        },
    }
}

fn open(position: Position, decide: String) -> Position {
    Position {
        origin: Origin::Undetermined,
        between: None,
        confidence: OPEN,
        decide: Some(decide),
        ..position
    }
}

fn forged(position: Position, from: Option<usize>, to: usize) -> Position {
    Position {
        origin: Origin::Middlebox,
        between: Some((from, to)),
        decide: None,
        ..position
    }
}

/// An effect, after the receiver's witness was heard.
pub(crate) fn felt(scene: &Scene<'_>, heard: &Heard<'_>, effect: Effect) -> Effect {
    let Some((vantage, after)) = heard.accepted else {
        return effect;
    };
    let when = if after >= 0 {
        format!("{} after it came there", duration(after))
    } else {
        "at that moment".to_owned()
    };
    Effect {
        effective: Some(true),
        evidence: Some(told(
            scene,
            vantage,
            format!(
                "the kernel under {} accepted it {when} (tcp:tcp_receive_reset)",
                quoted(scene, vantage)
            ),
        )),
    }
}

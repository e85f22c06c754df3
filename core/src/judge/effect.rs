//! Whether a reset ended the connection at its receiver.

use crate::case::Case;
use crate::scene::Scene;
use crate::time::MILLISECOND;

/// Segments already on their way when the reset arrived come out this long after it at most.
const IN_FLIGHT: i64 = 2 * MILLISECOND;

/// Whether the receiver accepted the reset: not when it went on with the connection, or answered
/// with a challenge ACK (RFC 5961, 3.2); yes when the number was the one that it awaited. `None`
/// where the packets do not tell.
pub(crate) fn effective(scene: &Scene<'_>, case: &Case<'_>) -> Option<bool> {
    let last = case.last();
    let seen = case.seen_at(last)?;
    let vantage = case.views[last].vantage;
    let receiver = case.sender.other();
    let from_receiver = || {
        scene
            .life(vantage, case.life)
            .filter(move |segment| segment.sender == receiver && !segment.digest.is_rst())
    };
    let goes_on = from_receiver().any(|segment| segment.at > seen.at + IN_FLIGHT);
    if goes_on {
        return Some(false);
    }
    if lost(case, last) {
        return None;
    }
    let reset = seen.digest;
    let before = || from_receiver().filter(|segment| segment.at <= seen.at);
    let awaited = before()
        .filter_map(|segment| segment.digest.acked())
        .reduce(|high, ack| if ack.after(high) { ack } else { high });
    let asked = before()
        .last()
        .is_some_and(|segment| segment.digest.is_syn() && reset.acked().is_some());
    (asked || awaited == Some(reset.seq)).then_some(true)
}

fn lost(case: &Case<'_>, last: usize) -> bool {
    case.views[last + 1..]
        .iter()
        .any(|view| matches!(view.sight, crate::case::Sight::Absent(_)))
}

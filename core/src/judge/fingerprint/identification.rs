//! The IPv4 identification field against the sender's counter.

use super::{Look, Specimen};

/// A forger hits the next few numbers of a counter by chance once in a thousand times, but some copy the
/// sender's last and add one.
const NEXT: f64 = -1.5;
/// Stacks count apart for packets without a socket (per destination, or at random), so a jump is weak.
const ELSEWHERE: f64 = 0.5;

/// So many numbers tell whether a sender counts.
const ENOUGH: usize = 4;
/// The longest step between two packets of a connection, on a host that counts over all of them.
const STEP: u16 = 64;

/// Whether the RST's number is the next of a sender that counts. Zero is what Linux sends without a socket and
/// says nothing.
pub(super) fn counter(s: &Specimen<'_, '_>) -> Look {
    let id = s.digest().ip.id.filter(|id| *id != 0)?;
    let ids: Vec<u16> = s
        .own_before()
        .filter_map(|seen| seen.digest.ip.id)
        .filter(|other| *other != 0)
        .collect();
    let counts = ids
        .windows(2)
        .all(|pair| (1..=STEP).contains(&pair[1].wrapping_sub(pair[0])));
    let last = *ids.last().filter(|_| ids.len() >= ENOUGH && counts)?;
    let who = s.who();
    Some(if (1..=STEP).contains(&id.wrapping_sub(last)) {
        (
            NEXT,
            format!("its IP ID {id} goes on from the {who}'s counter, which stood at {last}"),
        )
    } else {
        (
            ELSEWHERE,
            format!("its IP ID {id} is far from the {who}'s counter, which stood at {last}"),
        )
    })
}

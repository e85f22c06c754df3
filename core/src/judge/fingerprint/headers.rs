//! Window and IP header fields against the sender's other packets.

use super::{Look, Specimen};
use crate::digest::TcpFlags;

/// A live socket resets with the window that it last told; forgers put zero, a constant, or the window of
/// the segment that provoked them, which may be the sender's own.
const WINDOW_GOES_ON: f64 = -1.5;
/// Windows shrink and grow, so one that was never told says little.
const WINDOW_NEW: f64 = 0.3;

/// Zero says nothing: it is honest without a socket, and usual in forgeries.
pub(super) fn window(s: &Specimen<'_, '_>) -> Look {
    let window = s.digest().window;
    let told: Vec<u16> = s
        .own_before()
        .filter(|seen| !seen.digest.flags.has(TcpFlags::SYN))
        .map(|seen| seen.digest.window)
        .collect();
    let last = *told.last().filter(|_| window != 0)?;
    let who = s.who();
    if told.iter().rev().take(2).any(|own| near(*own, window)) {
        return Some((
            WINDOW_GOES_ON,
            format!(
                "its window {window} goes on from the {who}'s last, {last}: a live socket resets like that"
            ),
        ));
    }
    let largest = told.iter().copied().max().unwrap_or(last);
    (u32::from(window) > 2 * u32::from(largest)).then(|| {
        (
            WINDOW_NEW,
            format!("its window {window} is far above what the {who} ever told ({largest})"),
        )
    })
}

/// Within an eighth.
fn near(own: u16, window: u16) -> bool {
    own != 0 && u32::from(own.abs_diff(window)) * 8 <= u32::from(own)
}

/// Stacks send RSTs without a socket by another way than data, so these differ honestly too.
const FIELD_DIFFERS: f64 = 0.3;

/// DF and DSCP. Linux answers with the DSCP of the segment that it answers, or with zero; ECN bits change
/// within a connection.
pub(super) fn ip_fields(s: &Specimen<'_, '_>) -> Look {
    s.own.first()?;
    let reset = s.digest();
    let fragments = s
        .own
        .iter()
        .all(|seen| seen.digest.ip.dont_fragment != reset.ip.dont_fragment);
    let dscp = |class: u8| class >> 2;
    let class = dscp(reset.ip.traffic_class);
    let mut classes = s.own.iter().chain(&s.peer);
    let foreign = class != 0 && classes.all(|seen| dscp(seen.digest.ip.traffic_class) != class);
    let who = s.who();
    match (fragments && reset.ip.id.is_some(), foreign) {
        (false, false) => None,
        (true, false) => Some((
            FIELD_DIFFERS,
            format!("its don't-fragment bit is none that the {who}'s other packets have"),
        )),
        (false, true) => Some((
            FIELD_DIFFERS,
            format!("its DSCP {class} is none that this connection's other packets have"),
        )),
        (true, true) => Some((
            2.0 * FIELD_DIFFERS,
            format!("its don't-fragment bit and DSCP are none that the {who}'s other packets have"),
        )),
    }
}

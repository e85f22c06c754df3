//! Sequence and acknowledgement number against what both sides had sent.

use super::{Look, Specimen};
use crate::judge::cause::highest;

/// Most forgeries carry the exact number, so exactness says nothing. A number a little ahead may follow data
/// that this vantage missed; any other is none that an honest stack would use.
const AHEAD: f64 = 0.7;
const NOWHERE: f64 = 1.5;
/// Octets that a vantage may have missed on their way.
const MISSED: i32 = 1 << 20;

pub(super) fn sequence(s: &Specimen<'_, '_>) -> Look {
    let reset = s.digest();
    // Number 0 with an ACK answers a segment without one (RFC 9293, 3.10.7.1).
    let without_number = reset.seq.0 == 0 && reset.acked().is_some();
    if without_number || s.is_exact() != Some(false) {
        return None;
    }
    let end = highest(s.own_before().map(|seen| seen.digest.seq_end()))?;
    let ahead = reset.seq.since(end);
    let who = s.who();
    let weight = if (0..MISSED).contains(&ahead) {
        AHEAD
    } else {
        NOWHERE
    };
    Some((
        weight,
        format!(
            "its number {} is none that the {who} would use: it had come to {end}",
            reset.seq
        ),
    ))
}

/// Live sockets never acknowledge less than before, nor what was never sent; the latter may also be missed
/// data.
const ACKS_BACK: f64 = 1.0;
const ACKS_UNSENT: f64 = 0.8;

pub(super) fn acknowledgement(s: &Specimen<'_, '_>) -> Look {
    let reset = s.digest();
    // A RST+ACK with number 0 acknowledges the very segment that it answers.
    let ack = reset.acked().filter(|_| reset.seq.0 != 0)?;
    let who = s.who();
    let acked = highest(s.own_before().filter_map(|seen| seen.digest.acked()));
    if let Some(before) = acked.filter(|before| ack.before(*before)) {
        return Some((
            ACKS_BACK,
            format!("it acknowledges {ack}, less than the {who} had before ({before})"),
        ));
    }
    let sent = highest(s.peer_before().map(|seen| seen.digest.seq_end()))?;
    ack.after(sent).then(|| {
        (
            ACKS_UNSENT,
            format!("it acknowledges {ack}, but its receiver had sent only up to {sent}"),
        )
    })
}

//! Programs that throw a live socket away, with or without unread data.

use super::{Finding, Scenery};
use crate::digest::TcpFlags;
use crate::report::{Cause, Side};
use crate::scene::Seen;
use crate::time::MILLISECOND;

/// What is left: a live socket was thrown away by its program.
pub(super) fn abort<'a>(s: &Scenery<'a, '_>) -> Finding<'a> {
    let last_data = s
        .transcript
        .peer
        .iter()
        .rev()
        .find(|seen| seen.digest.payload_len > 0);
    let unread = last_data.is_some_and(|data| match reading(s) {
        Reading::Stalled => true,
        Reading::GoesOn => false,
        Reading::Unknown if s.sender() == Side::Client => !answered(s, data) && !took_all(s, data),
        Reading::Unknown => !answered(s, data),
    });
    if unread {
        Finding::new(
            Cause::AbortUnreadData,
            last_data,
            format!(
                "the {} closed with received data unread, as far as the wire tells",
                s.who()
            ),
        )
    } else {
        Finding::new(
            Cause::AbortLinger,
            None,
            format!(
                "the {}'s program threw the connection away (SO_LINGER 0); nothing shows unread data",
                s.who()
            ),
        )
    }
}

/// The sender asked for the data (its own data came first), the answer is complete as far as it goes
/// (PSH ends it), and nothing more was on its way: whoever hung up then had what it wanted.
fn took_all(s: &Scenery<'_, '_>, data: &Seen<'_>) -> bool {
    let asked = s
        .transcript
        .own
        .iter()
        .any(|seen| seen.digest.payload_len > 0);
    let complete = data.digest.flags.has(TcpFlags::PSH);
    let more = s
        .transcript
        .peer_after
        .iter()
        .any(|seen| seen.digest.payload_len > 0);
    asked && complete && !more
}

/// The sender sent data of its own after the peer's last.
fn answered(s: &Scenery<'_, '_>, data: &Seen<'_>) -> bool {
    s.transcript
        .own
        .iter()
        .any(|seen| seen.digest.payload_len > 0 && seen.at > data.at)
}

/// Whether the sender's program reads what arrives, by the right edge of its window: it moves on only
/// as data is read.
enum Reading {
    Stalled,
    GoesOn,
    Unknown,
}

/// Data younger than this may simply not have been read yet.
const TIME_TO_READ: i64 = 5 * MILLISECOND;
/// Less data than this disappears in the rounding of scaled windows.
const WINDOW_TELLS: i64 = 1024;

fn reading(s: &Scenery<'_, '_>) -> Reading {
    let Some(scale) = s
        .transcript
        .own
        .iter()
        .find(|seen| seen.digest.flags.has(TcpFlags::SYN))
        .map(|seen| seen.digest.options.window_scale.unwrap_or(0))
    else {
        return Reading::Unknown;
    };
    let acks: Vec<&Seen<'_>> = s
        .transcript
        .own
        .iter()
        .filter(|seen| !seen.digest.flags.has(TcpFlags::SYN))
        .collect();
    let (Some(first), Some(last)) = (acks.first(), acks.last()) else {
        return Reading::Unknown;
    };
    if last.digest.window == 0 {
        // What fills the window is what nobody reads (RFC 9293, 3.8.6).
        return Reading::Stalled;
    }
    let edge = |seen: &Seen<'_>| {
        seen.digest
            .ack
            .plus(u32::from(seen.digest.window) << scale.min(14))
    };
    let arrived: i64 = s
        .transcript
        .peer
        .iter()
        .filter(|seen| seen.at >= first.at && seen.at + TIME_TO_READ <= last.at)
        .map(|seen| i64::from(seen.digest.payload_len))
        .sum();
    let moved = i64::from(edge(last).since(edge(first)));
    if arrived < WINDOW_TELLS {
        Reading::Unknown
    } else if moved < arrived / 4 {
        Reading::Stalled
    } else if moved >= arrived * 3 / 4 {
        Reading::GoesOn
    } else {
        Reading::Unknown
    }
}

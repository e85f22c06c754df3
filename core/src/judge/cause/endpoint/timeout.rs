//! Senders that gave up: nobody acknowledged what they sent, or answered their probes.

use super::{ANSWERS_WITHIN, Finding, Scenery};
use crate::digest::TcpFlags;
use crate::judge::cause::highest;
use crate::judge::wording::segment;
use crate::report::Cause;
use crate::scene::Seen;
use crate::seq::TcpSeq;
use crate::time::SECOND;

/// How often a segment is sent again before a stack gives up, at least.
const RETRANSMISSIONS: usize = 5;
/// The same for SYN+ACK, which some stacks send again only twice (Windows:
/// `TcpMaxConnectResponseRetransmissions`).
const SYN_ACK_RETRANSMISSIONS: usize = 2;
/// How many of the latest segments may be the one that was sent too often.
const CANDIDATES: usize = 64;

pub(super) fn retransmission_timeout<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let own = &s.transcript.own;
    let unacknowledged = s.transcript.acknowledged();
    let open = |seen: &&Seen<'a>| {
        is_data(seen) && unacknowledged.is_none_or(|ack| seen.digest.seq_end().after(ack))
    };
    // Copies count by the octet that they carry: offload splits and merges segments, and the same octet
    // comes again in other company.
    let octet = |seen: &Seen<'_>| match unacknowledged {
        Some(ack) if ack.after(seen.digest.seq) => ack,
        _ => seen.digest.seq,
    };
    let copies = |of: TcpSeq| own.iter().filter(move |seen| carries(seen, of));
    let (times, octet) = own
        .iter()
        .rev()
        .filter(open)
        .take(CANDIDATES)
        .map(|seen| (copies(octet(seen)).count(), octet(seen)))
        .max_by_key(|(times, _)| *times)?;
    let last = copies(octet).next_back()?;
    if times <= RETRANSMISSIONS || answers_later_segment(s, last) {
        return None;
    }
    Some(Finding::new(
        Cause::RetransmissionTimeout,
        Some(last),
        format!(
            "the {} sent the same segment ({}) {times} times without an answer, then gave up",
            s.who(),
            segment(last.digest)
        ),
    ))
}

fn is_data(seen: &Seen<'_>) -> bool {
    seen.digest.seq_len() > 0 && !seen.digest.flags.has(TcpFlags::SYN)
}

fn carries(seen: &Seen<'_>, octet: TcpSeq) -> bool {
    let into = octet.since(seen.digest.seq);
    is_data(seen) && into >= 0 && i64::from(into) < i64::from(seen.digest.seq_len())
}

/// A bare RST that mirrors a segment which came after the last copy answers that segment.
fn answers_later_segment(s: &Scenery<'_, '_>, last: &Seen<'_>) -> bool {
    let bare = s.transcript.reset.digest.acked().is_none();
    let later = s
        .transcript
        .mirrored()
        .is_some_and(|seen| seen.at > last.at && s.transcript.since(seen) <= ANSWERS_WITHIN);
    bare && later
}

/// SYN or SYN+ACK, sent again and again into silence. They are counted apart from data.
pub(super) fn handshake_timeout<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let first = s.transcript.own.first()?;
    let least = if first.digest.is_syn() {
        RETRANSMISSIONS
    } else if first.digest.is_syn_ack() {
        SYN_ACK_RETRANSMISSIONS
    } else {
        return None;
    };
    let own = &s.transcript.own;
    let same = own
        .iter()
        .all(|seen| seen.digest.flags.has(TcpFlags::SYN) && seen.digest.seq == first.digest.seq);
    let answered = s
        .transcript
        .peer
        .iter()
        .any(|seen| seen.at >= first.at && !seen.digest.is_syn());
    (same && !answered && own.len() > least).then(|| {
        Finding::new(
            Cause::RetransmissionTimeout,
            own.last(),
            format!(
                "the {} sent its {} {} times without an answer, then gave up",
                s.who(),
                if first.digest.is_syn() {
                    "SYN"
                } else {
                    "SYN+ACK"
                },
                own.len()
            ),
        )
    })
}

/// Probes carry no new data and the number before the next one (RFC 9293, 3.8.4).
pub(super) fn keepalive_timeout<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let probe = s.transcript.own.last()?;
    let end = next_number(s)?;
    if !is_probe(probe, end) {
        return None;
    }
    let heard = s.transcript.last_peer().map_or(i64::MIN, |seen| seen.at);
    let unanswered: Vec<i64> = s
        .transcript
        .own
        .iter()
        .rev()
        .take_while(|seen| is_probe(seen, end) && seen.at > heard)
        .map(|seen| seen.at)
        .collect();
    (waited_out(s.transcript.reset.at, &unanswered)).then(|| {
        Finding::new(
            Cause::KeepaliveTimeout,
            Some(probe),
            format!(
                "{} keep-alive probes of the {} stayed unanswered, then it gave up",
                unanswered.len(),
                s.who()
            ),
        )
    })
}

/// The sender's next number, as far as was heard. One octet alone may be a probe's.
fn next_number(s: &Scenery<'_, '_>) -> Option<TcpSeq> {
    let sent = s
        .transcript
        .own
        .iter()
        .filter(|seen| seen.digest.payload_len != 1 || seen.digest.seq_len() > 1)
        .map(|seen| seen.digest.seq_end());
    highest(sent.chain(s.transcript.acknowledged()))
}

fn is_probe(seen: &Seen<'_>, end: TcpSeq) -> bool {
    seen.digest.payload_len <= 1
        && seen.digest.seq.plus(1) == end
        && !seen.digest.flags.has(TcpFlags::SYN)
        && !seen.digest.is_fin()
}

/// Whoever gives up on a probe has waited for its answer about as long as for the one before. `probes`: times,
/// latest first.
fn waited_out(reset: i64, probes: &[i64]) -> bool {
    match probes {
        [] => false,
        [only] => reset - only >= SECOND,
        [last, before, ..] => reset - last >= (last - before) / 2,
    }
}

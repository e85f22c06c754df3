//! The RST of a host's own packet filter (Linux, `nf_reject_ipv4.c`): a bare answer to one segment,
//! made afresh.

use super::place_of;
use crate::case::{Case, Sight};
use crate::digest::{Digest, TcpFlags};
use crate::judge::fingerprint;
use crate::scene::{Scene, Seen};
use crate::testimony::TapPlace;
use crate::time::MILLISECOND;

/// How a RST looks that its host's TCP did not send.
pub(super) enum Looks<'a> {
    /// No packet filter makes such a RST.
    Other,
    /// As one that answers this segment, which came past the host's tap just before.
    Rejected(Seen<'a>),
    /// As one, but the host's tap did not hear what it would answer.
    Maybe,
}

/// A filter answers while it looks at the segment.
const AT_ONCE: i64 = 10 * MILLISECOND;
/// Hop limits that hosts begin with.
const INITIAL: [u8; 3] = [64, 128, 255];

pub(super) fn looks<'a>(
    scene: &Scene<'a>,
    case: &Case<'a>,
    vantage: usize,
    tap: TapPlace,
) -> Looks<'a> {
    let Some(place) = place_of(case, vantage) else {
        return Looks::Maybe;
    };
    let seen = match &case.views[place].sight {
        Sight::Seen(seen) => seen,
        Sight::Blind(_) if is_plain(case.digest()) => return Looks::Maybe,
        // The tap would have seen the RST of its host's own filter.
        Sight::Absent(_) | Sight::Blind(_) => return Looks::Other,
    };
    let digest = seen.digest;
    let from_outside = place == case.first && fingerprint::foreign_link(scene, case).is_some();
    if !is_plain(digest) || from_outside || !has_its_hops(scene, case, vantage, tap, digest) {
        return Looks::Other;
    }
    match provoking(scene, case, vantage, seen) {
        Some(segment) => Looks::Rejected(segment),
        None => Looks::Other,
    }
}

/// Without a connection a stack answers with a bare RST, or with number 0 (RFC 9293, 3.10.7.1).
pub(super) fn may_be_without_connection(digest: &Digest) -> bool {
    !digest.flags.has(TcpFlags::ACK) || digest.seq.0 == 0
}

/// No window, no options, no payload, not to be fragmented, without identification; number 0 unless it has
/// taken one from an acknowledgement.
fn is_plain(digest: &Digest) -> bool {
    let afresh = digest
        .ip
        .id
        .is_none_or(|id| id == 0 && digest.ip.dont_fragment);
    digest.window == 0
        && digest.options.order == 0
        && digest.payload_len == 0
        && may_be_without_connection(digest)
        && afresh
}

/// From the host's own interface it has come no hop; elsewhere none, or as many as the host's other packets.
fn has_its_hops(
    scene: &Scene<'_>,
    case: &Case<'_>,
    vantage: usize,
    tap: TapPlace,
    digest: &Digest,
) -> bool {
    let usual = scene.usual_ttl(vantage, case.life, case.sender);
    INITIAL.contains(&digest.ip.ttl)
        || (tap == TapPlace::Elsewhere && usual.is_none_or(|usual| usual == digest.ip.ttl))
}

/// The peer's segment that the RST answers: the last that it mirrors, at once, and whose payload the host's TCP
/// never acknowledged, since the filter kept it away.
fn provoking<'a>(
    scene: &Scene<'a>,
    case: &Case<'a>,
    vantage: usize,
    reset: &Seen<'a>,
) -> Option<Seen<'a>> {
    let life = || scene.life(vantage, case.life);
    let from_peer = life().filter(|seen| {
        seen.sender != case.sender
            && !seen.digest.is_rst()
            && seen.at <= reset.at
            && reset.at - seen.at <= AT_ONCE
    });
    let mirrored = |digest: &Digest| match reset.digest.acked() {
        None => digest.acked() == Some(reset.digest.seq),
        Some(ack) => digest.acked().is_none() && digest.seq_end() == ack,
    };
    let segment = *from_peer.filter(|seen| mirrored(seen.digest)).last()?;
    let end = segment.digest.seq_end();
    let taken = segment.digest.seq_len() > 0
        && life().any(|seen| {
            seen.sender == case.sender
                && seen.at <= reset.at
                && !seen.digest.is_rst()
                && seen.digest.acked().is_some_and(|ack| !ack.before(end))
        });
    (!taken).then_some(segment)
}

//! The segment that provoked a reset, and the silence before it.

use super::Transcript;
use crate::digest::Digest;
use crate::scene::Seen;

/// How far back a box is likely to find the segment whose fields it copies.
const COPIED_AMONG: usize = 4;

/// The segment that the reset answers, or follows: the one whose IP ID and window it copies, else the one
/// whose numbers it mirrors, unless data in its own name came later.
pub(super) fn provoking<'b, 'a>(transcript: &'b Transcript<'a>) -> Option<&'b Seen<'a>> {
    if let Some(copied) = copied(transcript) {
        return Some(copied);
    }
    let followed = transcript.own.last();
    match (transcript.mirrored(), followed) {
        (Some(mirrored), Some(own)) if own.at > mirrored.at && own.digest.payload_len > 0 => {
            Some(own)
        }
        (Some(mirrored), _) => Some(mirrored),
        (None, _) => transcript.last_peer(),
    }
}

/// A recent segment of the receiver whose IP ID and window a "reflecting" box put into its RST.
fn copied<'b, 'a>(transcript: &'b Transcript<'a>) -> Option<&'b Seen<'a>> {
    let reset = transcript.reset.digest;
    transcript
        .peer
        .iter()
        .rev()
        .take(COPIED_AMONG)
        .find(|segment| copies(reset, segment.digest))
}

fn copies(reset: &Digest, segment: &Digest) -> bool {
    let id = reset.ip.id.filter(|id| *id != 0);
    id.is_some() && id == segment.ip.id && reset.window == segment.window
}

/// Nanoseconds of silence before the provoking segment was first sent, or before the reset where nothing
/// provoked it.
pub(super) fn idle(transcript: &Transcript<'_>, trigger: Option<&Digest>) -> Option<i64> {
    let all = || transcript.own.iter().chain(&transcript.peer);
    let sent = |segment: &Seen<'_>| std::ptr::eq(segment.digest, trigger.unwrap_or(segment.digest));
    let Some(trigger) = trigger.and_then(|_| all().find(|segment| sent(segment))) else {
        return transcript.silence_before(&transcript.reset);
    };
    let first = all()
        .filter(|segment| is_resent(segment, trigger))
        .min_by_key(|segment| segment.at)
        .unwrap_or(trigger);
    transcript.silence_before(first)
}

/// Whether both carry the same octets of one side.
fn is_resent(segment: &Seen<'_>, trigger: &Seen<'_>) -> bool {
    segment.sender == trigger.sender
        && trigger.digest.seq_len() > 0
        && segment.digest.seq == trigger.digest.seq
        && segment.digest.seq_len() > 0
}

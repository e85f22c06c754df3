//! The conversation as one vantage heard it, split at the reset.

use crate::case::Case;
use crate::digest::Digest;
use crate::scene::{Scene, Seen};
use crate::seq::TcpSeq;

/// The conversation as the vantage of the first sighting heard it, split at the reset. RSTs are left out, and
/// copies of a packet that the vantage recorded twice.
pub(crate) struct Transcript<'a> {
    pub(crate) reset: Seen<'a>,
    /// From the reset's claimed sender, before it.
    pub(crate) own: Vec<Seen<'a>>,
    /// From its receiver, before it.
    pub(crate) peer: Vec<Seen<'a>>,
    /// From the claimed sender, after it.
    pub(crate) own_after: Vec<Seen<'a>>,
    /// From its receiver, after it.
    pub(crate) peer_after: Vec<Seen<'a>>,
}

/// How many of the latest segments may be the first copy of a doubled packet.
const DOUBLED_AMONG: usize = 4;

impl<'a> Transcript<'a> {
    pub(crate) fn of(scene: &Scene<'a>, case: &Case<'a>) -> Self {
        let reset = *case.first_seen();
        let vantage = case.views[case.first].vantage;
        let mut transcript = Self {
            reset,
            own: Vec::new(),
            peer: Vec::new(),
            own_after: Vec::new(),
            peer_after: Vec::new(),
        };
        let mut before = true;
        for segment in scene.life(vantage, case.life) {
            if std::ptr::eq(segment.digest, reset.digest) {
                before = false;
            }
            if segment.digest.is_rst() {
                continue;
            }
            let place = match (before, segment.sender == case.sender) {
                (true, true) => &mut transcript.own,
                (true, false) => &mut transcript.peer,
                (false, true) => &mut transcript.own_after,
                (false, false) => &mut transcript.peer_after,
            };
            let mut latest = place.iter().rev().take(DOUBLED_AMONG);
            if !latest.any(|known| is_copy(known.digest, segment.digest)) {
                place.push(*segment);
            }
        }
        transcript
    }

    /// The receiver's last segment before the reset.
    pub(super) fn last_peer(&self) -> Option<&Seen<'a>> {
        self.peer.last()
    }

    /// Where the claimed sender's sequence space ends, as far as was heard.
    pub(super) fn own_end(&self) -> Option<TcpSeq> {
        highest(self.own.iter().map(|segment| segment.digest.seq_end()))
    }

    /// The highest number that the receiver acknowledged.
    pub(super) fn acknowledged(&self) -> Option<TcpSeq> {
        highest(self.peer.iter().filter_map(|seen| seen.digest.acked()))
    }

    /// The receiver took part in an open connection: it acknowledged more than a SYN.
    pub(super) fn established_by_peer(&self) -> bool {
        let answered = self.own.iter().any(|seen| seen.digest.is_syn_ack());
        let went_on = |seen: &Seen<'_>| {
            !seen.digest.is_syn() && !seen.digest.is_syn_ack() && seen.digest.acked().is_some()
        };
        let offered = self.peer.iter().any(|seen| seen.digest.is_syn_ack());
        (answered && self.peer.iter().any(went_on)) || (offered && self.own.iter().any(went_on))
    }

    /// The receiver's segment that the reset mirrors: a bare RST carries its acknowledgement number,
    /// a RST+ACK acknowledges its end (RFC 9293, 3.10.7.1). Of equal ones the latest.
    pub(super) fn mirrored(&self) -> Option<&Seen<'a>> {
        let reset = self.reset.digest;
        self.peer.iter().rev().find(|segment| match reset.acked() {
            None => segment.digest.acked() == Some(reset.seq),
            Some(ack) => segment.digest.seq_len() > 0 && segment.digest.seq_end() == ack,
        })
    }

    /// The segment that the reset seems to answer: the one that it mirrors, else the receiver's last.
    pub(crate) fn answered(&self) -> Option<&Seen<'a>> {
        self.mirrored().or(self.last_peer())
    }

    /// Nanoseconds from a segment to the reset.
    pub(super) fn since(&self, segment: &Seen<'_>) -> i64 {
        self.reset.at - segment.at
    }

    /// How long nobody had said anything before `segment`.
    pub(super) fn silence_before(&self, segment: &Seen<'_>) -> Option<i64> {
        self.own
            .iter()
            .chain(&self.peer)
            .map(|other| segment.at - other.at)
            .filter(|gap| *gap > 0)
            .min()
    }
}

fn is_copy(known: &Digest, later: &Digest) -> bool {
    let what = |digest: &Digest| (digest.seq, digest.ack, digest.flags, digest.payload_len);
    what(known) == what(later) && known.is_doubled_by(later)
}

/// The highest of some numbers of one sequence space.
pub(crate) fn highest(numbers: impl Iterator<Item = TcpSeq>) -> Option<TcpSeq> {
    numbers.reduce(|high, number| if number.after(high) { number } else { high })
}

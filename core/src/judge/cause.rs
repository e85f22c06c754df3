//! Why a reset was sent.

mod endpoint;
mod middlebox;

use super::chain::Placed;
use crate::case::Case;
use crate::digest::Digest;
use crate::report::{Cause, Evidence, Origin};
use crate::scene::{Scene, Seen};

/// A cause with what provoked the reset and why we think so.
pub(crate) struct Finding<'a> {
    pub(crate) cause: Cause,
    pub(crate) trigger: Option<&'a Digest>,
    pub(crate) text: String,
    /// Index of the reset that made this one happen.
    pub(crate) root: Option<usize>,
}

impl<'a> Finding<'a> {
    fn new(cause: Cause, trigger: Option<&Seen<'a>>, text: impl Into<String>) -> Self {
        Self {
            cause,
            trigger: trigger.map(|seen| seen.digest),
            text: text.into(),
            root: None,
        }
    }

    pub(crate) fn evidence(&self, vantage: String) -> Evidence {
        Evidence {
            kind: "cause".to_owned(),
            vantage: Some(vantage),
            text: self.text.clone(),
        }
    }
}

/// The conversation as the vantage of the first sighting heard it, split at the reset.
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
            match (before, segment.sender == case.sender) {
                (true, true) => transcript.own.push(*segment),
                (true, false) => transcript.peer.push(*segment),
                (false, true) => transcript.own_after.push(*segment),
                (false, false) => transcript.peer_after.push(*segment),
            }
        }
        transcript
    }

    /// The receiver's last segment before the reset.
    fn last_peer(&self) -> Option<&Seen<'a>> {
        self.peer.last()
    }

    /// Where the claimed sender's sequence space ends, as far as was heard.
    fn own_end(&self) -> Option<crate::seq::TcpSeq> {
        self.own
            .iter()
            .map(|segment| segment.digest.seq_end())
            .reduce(|high, end| if end.after(high) { end } else { high })
    }

    /// The connection was asked for and answered.
    fn handshake_answered(&self) -> bool {
        self.own
            .iter()
            .chain(&self.peer)
            .any(|segment| segment.digest.is_syn_ack())
    }

    /// The receiver's segment that the reset mirrors: a bare RST carries its acknowledgement number,
    /// a RST+ACK acknowledges its end (RFC 9293, 3.10.7.1). Of equal ones the latest.
    fn mirrored(&self) -> Option<&Seen<'a>> {
        let reset = self.reset.digest;
        self.peer.iter().rev().find(|segment| match reset.acked() {
            None => segment.digest.acked() == Some(reset.seq),
            Some(ack) => segment.digest.seq_len() > 0 && segment.digest.seq_end() == ack,
        })
    }

    /// Nanoseconds from a segment to the reset.
    fn since(&self, segment: &Seen<'_>) -> i64 {
        self.reset.at - segment.at
    }

    /// How long nobody had said anything before `segment`.
    fn silence_before(&self, segment: &Seen<'_>) -> Option<i64> {
        self.own
            .iter()
            .chain(&self.peer)
            .map(|other| segment.at - other.at)
            .filter(|gap| *gap > 0)
            .min()
    }
}

/// Whether a RST carries a number that its claimed sender would have used: its next one, one that it
/// used before, or one that the receiver acknowledged. `None` where too little was heard.
pub(crate) fn is_exact(scene: &Scene<'_>, case: &Case<'_>) -> Option<bool> {
    let transcript = Transcript::of(scene, case);
    let seq = transcript.reset.digest.seq;
    let used = transcript.own.iter().any(|seen| seen.digest.seq == seq);
    let mut acks = transcript
        .peer
        .iter()
        .filter_map(|seen| seen.digest.acked())
        .peekable();
    let heard = acks.peek().is_some() || !transcript.own.is_empty();
    heard.then(|| used || transcript.own_end() == Some(seq) || acks.any(|ack| ack == seq))
}

/// Finds the cause of one placed reset.
pub(crate) fn find<'a>(scene: &Scene<'a>, all: &[Placed<'a>], index: usize) -> Finding<'a> {
    let transcript = Transcript::of(scene, &all[index].case);
    match all[index].position.origin {
        Origin::Endpoint => endpoint::find(scene, all, index, &transcript),
        Origin::Middlebox => middlebox::find(scene, all, index, &transcript),
        Origin::Undetermined => undetermined(&transcript),
    }
}

fn undetermined<'a>(transcript: &Transcript<'a>) -> Finding<'a> {
    let trigger = transcript.mirrored();
    Finding::new(
        Cause::Unknown,
        trigger,
        "without knowing who sent it, its cause stays open",
    )
}

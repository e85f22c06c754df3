//! Whether a reset ended the connection at its receiver.

use super::cause::highest;
use super::wording::{duration, name, segment};
use crate::case::{Case, Sight};
use crate::digest::Digest;
use crate::report::{Evidence, Side};
use crate::scene::{Scene, Seen};
use crate::seq::TcpSeq;
use crate::time::{MILLISECOND, SECOND};

/// Whether the receiver accepted a reset, and why we think so. `None` where the packets do not tell.
pub(crate) struct Effect {
    pub(crate) effective: Option<bool>,
    pub(crate) evidence: Option<Evidence>,
}

/// By RFC 5961, 3.2 a RST is accepted when its number is exactly the one that the receiver awaits, draws a
/// challenge ACK elsewhere in the window, and is ignored outside of it.
pub(crate) fn of(scene: &Scene<'_>, case: &Case<'_>) -> Effect {
    let told = Hearing::of(scene, case).and_then(|hearing| hearing.verdict());
    let vantage = case.views[case.last()].vantage;
    match told {
        None => Effect {
            effective: None,
            evidence: None,
        },
        Some((effective, text)) => Effect {
            effective,
            evidence: Some(Evidence {
                kind: "effect".to_owned(),
                vantage: Some(name(scene, vantage)),
                text,
            }),
        },
    }
}

/// So many of the latest answers tell the way there and back, each sought among so many segments: long
/// connections are not walked through for each of their resets.
const ANSWERS_WEIGHED: usize = 32;
const ANSWER_AMONG: usize = 256;

/// The connection as the last vantage that saw the reset, the nearest to its receiver, heard it.
struct Hearing<'a> {
    reset: Seen<'a>,
    life: Vec<Seen<'a>>,
    receiver: Side,
    /// The vantage runs on the receiver's host.
    at_receiver: bool,
    /// A vantage further on shows that it never arrived.
    lost: bool,
}

type Told = (Option<bool>, String);

impl<'a> Hearing<'a> {
    fn of(scene: &Scene<'a>, case: &Case<'a>) -> Option<Self> {
        let last = case.last();
        let receiver = case.sender.other();
        let vantage = case.views[last].vantage;
        Some(Self {
            reset: *case.seen_at(last)?,
            life: scene.life(vantage, case.life).copied().collect(),
            receiver,
            at_receiver: scene.host_side(vantage) == Some(receiver),
            lost: case.views[last + 1..]
                .iter()
                .any(|view| matches!(view.sight, Sight::Absent(_))),
        })
    }

    fn from(&self, side: Side) -> impl Iterator<Item = &Seen<'a>> {
        self.life
            .iter()
            .filter(move |seen| seen.sender == side && !seen.digest.is_rst())
    }

    fn verdict(&self) -> Option<Told> {
        if let Some(told) = self.went_on() {
            return Some(told);
        }
        if self.lost {
            return None;
        }
        match self.last_said() {
            Some(syn) if syn.is_syn() => Some(self.while_asking(syn)),
            _ => self.by_number(),
        }
    }

    fn before(&self) -> impl Iterator<Item = &Seen<'a>> {
        let at = self.reset.at;
        self.from(self.receiver).filter(move |seen| seen.at <= at)
    }

    fn last_said(&self) -> Option<&'a Digest> {
        self.before().last().map(|seen| seen.digest)
    }

    /// The receiver said more than what was already on its way when the reset arrived.
    fn went_on(&self) -> Option<Told> {
        let margin = self.in_flight();
        let more = self
            .from(self.receiver)
            .find(|seen| seen.at > self.reset.at + margin)?;
        let challenge = more.digest.seq_len() == 0
            && self.last_said().is_some_and(|said| {
                said.acked() == more.digest.acked() && said.seq_end() == more.digest.seq
            });
        let what = if challenge {
            "answered it with a challenge ACK (RFC 5961, 3.2)"
        } else {
            "went on with the connection"
        };
        Some((
            Some(false),
            format!(
                "{} after the RST the {} {what}: {}",
                duration(more.at - self.reset.at),
                self.receiver.as_str(),
                segment(more.digest)
            ),
        ))
    }

    /// How long after the reset's passing segments that know nothing of it may still pass: at the receiver's
    /// host they are out at once, elsewhere it takes the way there and back.
    fn in_flight(&self) -> i64 {
        const AT_ONCE: i64 = 2 * MILLISECOND;
        const UNKNOWN: i64 = SECOND;
        const MOST: i64 = 3 * SECOND;
        if self.at_receiver {
            return AT_ONCE;
        }
        let asked = self
            .life
            .iter()
            .enumerate()
            .filter(|(_, seen)| seen.sender != self.receiver && seen.digest.seq_len() > 0)
            .rev()
            .take(ANSWERS_WEIGHED);
        let slowest = asked
            .filter_map(|(place, asked)| self.answer_time(&self.life[place..], asked))
            .max();
        slowest.map_or(UNKNOWN, |slowest| {
            slowest.saturating_mul(2).clamp(AT_ONCE, MOST)
        })
    }

    fn answer_time(&self, from_here: &[Seen<'_>], asked: &Seen<'_>) -> Option<i64> {
        let end = asked.digest.seq_end();
        from_here
            .iter()
            .take(ANSWER_AMONG)
            .filter(|seen| seen.sender == self.receiver && !seen.digest.is_rst())
            .find(|answer| answer.digest.acked().is_some_and(|ack| !ack.before(end)))
            .map(|answer| answer.at - asked.at)
    }

    /// A receiver in SYN-SENT accepts a RST that acknowledges its SYN, and no other (RFC 9293, 3.10.7.3).
    fn while_asking(&self, syn: &Digest) -> Told {
        let who = self.receiver.as_str();
        match self.reset.digest.acked() {
            Some(ack) if ack.after(syn.seq) && !ack.after(syn.seq_end()) => (
                Some(true),
                format!("the {who} had asked for the connection, and the RST acknowledges its SYN"),
            ),
            Some(ack) => (
                Some(false),
                format!(
                    "the {who} had asked for the connection with number {}; a RST that acknowledges {ack} says nothing to it",
                    syn.seq
                ),
            ),
            None => (
                Some(false),
                format!(
                    "the {who} had only asked for the connection, and ignores a RST without ACK then"
                ),
            ),
        }
    }

    fn by_number(&self) -> Option<Told> {
        let seq = self.reset.digest.seq;
        let acknowledged = highest(self.before().filter_map(|seen| seen.digest.acked()))?;
        let awaited = self.contiguous_from(acknowledged);
        let who = self.receiver.as_str();
        if seq == awaited {
            return Some((
                Some(true),
                format!("its number {seq} is exactly the one that the {who} awaited"),
            ));
        }
        if seq.before(awaited) && !seq.before(acknowledged) && !self.at_receiver {
            // Whether the data arrived before it is not seen here.
            return None;
        }
        if seq.before(awaited) {
            return Some((
                Some(false),
                format!(
                    "its number {seq} is below {awaited}, which the {who} awaited: it is ignored"
                ),
            ));
        }
        let beyond = self
            .window()
            .is_some_and(|window| i64::from(seq.since(acknowledged)) >= i64::from(window));
        Some(if beyond {
            (
                Some(false),
                format!(
                    "its number {seq} is beyond the window of the {who}, who awaited {awaited}: it is ignored"
                ),
            )
        } else {
            (
                None,
                format!(
                    "its number {seq} is not the one that the {who} awaited ({awaited}): RFC 5961 wants a challenge ACK, older stacks accept it within the window"
                ),
            )
        })
    }

    /// The end of the unbroken data from the sender that passed here before the reset. What the receiver had time
    /// to acknowledge in what it said last, and did not, never came to it: its own packet filter may drop it.
    fn contiguous_from(&self, acknowledged: TcpSeq) -> TcpSeq {
        let sent = self.from(self.receiver.other());
        let margin = self.in_flight();
        let said = self.before().last().map_or(i64::MIN, |seen| seen.at);
        let mut ranges: Vec<(TcpSeq, TcpSeq)> = sent
            .filter(|seen| seen.at <= self.reset.at && seen.digest.seq_len() > 0)
            .filter(|seen| seen.at.saturating_add(margin) >= said)
            .map(|seen| (seen.digest.seq, seen.digest.seq_end()))
            .filter(|(_, end)| end.after(acknowledged))
            .collect();
        ranges.sort_by_key(|(start, _)| start.since(acknowledged));
        ranges.into_iter().fold(acknowledged, |end, (from, to)| {
            if !from.after(end) && to.after(end) {
                to
            } else {
                end
            }
        })
    }

    /// The receiver's last window in octets, where its scale is known.
    fn window(&self) -> Option<u32> {
        let both_scale = [self.receiver, self.receiver.other()].map(|side| {
            self.from(side)
                .find(|seen| seen.digest.flags.has(crate::digest::TcpFlags::SYN))
                .map(|seen| seen.digest.options.window_scale)
        });
        let scale = match both_scale {
            [Some(Some(scale)), Some(Some(_))] => scale.min(14),
            [Some(None), _] | [_, Some(None)] => 0,
            _ => return None,
        };
        let last = self.last_said()?;
        Some(u32::from(last.window) << scale)
    }
}

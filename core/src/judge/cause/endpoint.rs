//! Causes of resets that an endpoint emitted: which rule of its TCP made it do so.

use super::{Finding, Transcript};
use crate::digest::TcpFlags;
use crate::judge::chain::{self, Placed};
use crate::judge::wording::{duration, segment};
use crate::report::{Cause, Side};
use crate::scene::{Scene, Seen, corrected};
use crate::seq::TcpSeq;
use crate::time::{MILLISECOND, SECOND};

/// One of the rules, in the order in which they are asked; the first that answers decides.
type Rule = for<'a, 'b> fn(&Scenery<'a, 'b>) -> Option<Finding<'a>>;

const RULES: [Rule; 11] = [
    answer_to_syn,
    answer_to_syn_ack,
    unacceptable_ack_before_established,
    retransmission_timeout,
    keepalive_timeout,
    accept_queue_overflow,
    host_firewall,
    after_another_reset,
    late_after_close,
    out_of_window,
    no_socket,
];

struct Scenery<'a, 'b> {
    scene: &'b Scene<'a>,
    all: &'b [Placed<'a>],
    index: usize,
    transcript: &'b Transcript<'a>,
}

impl Scenery<'_, '_> {
    fn sender(&self) -> Side {
        self.all[self.index].case.sender
    }

    fn who(&self) -> &'static str {
        self.sender().as_str()
    }
}

pub(super) fn find<'a>(
    scene: &Scene<'a>,
    all: &[Placed<'a>],
    index: usize,
    transcript: &Transcript<'a>,
) -> Finding<'a> {
    let scenery = Scenery {
        scene,
        all,
        index,
        transcript,
    };
    RULES
        .iter()
        .find_map(|rule| rule(&scenery))
        .unwrap_or_else(|| abort(&scenery))
}

/// How near in time an accepted connection shows that the port was open when it refused another.
const ACCEPTED_AROUND: i64 = 5 * SECOND;

fn answer_to_syn<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let reset = s.transcript.reset.digest;
    let syn = s
        .transcript
        .peer
        .iter()
        .rev()
        .find(|seen| seen.digest.is_syn())?;
    let answered = s.transcript.own.iter().any(|seen| seen.digest.is_syn_ack());
    let acks_syn = reset
        .acked()
        .is_none_or(|ack| ack == syn.digest.seq.plus(1) || ack == syn.digest.seq_end());
    if answered || !acks_syn || s.transcript.peer.iter().any(|seen| !seen.digest.is_syn()) {
        return None;
    }
    if let Some(text) = time_wait(s, syn.digest.seq) {
        return Some(Finding::new(Cause::TimeWaitReuse, Some(syn), text));
    }
    let port = s.scene.ends.endpoint(s.sender());
    Some(match accepted_around(s, ACCEPTED_AROUND) {
        Some(gap) => Finding::new(
            Cause::ListenerOverloaded,
            Some(syn),
            format!(
                "the {} refused the SYN although {port} accepted another connection {} away from it",
                s.who(),
                duration(gap)
            ),
        ),
        None => Finding::new(
            Cause::ClosedPort,
            Some(syn),
            format!(
                "the {} answered the SYN with RST, and no connection to {port} was accepted around then",
                s.who()
            ),
        ),
    })
}

/// Time between the reset and the nearest SYN+ACK from the same address and port, if within `most`.
fn accepted_around(s: &Scenery<'_, '_>, most: i64) -> Option<i64> {
    let port = s.scene.ends.endpoint(s.sender());
    let now = s.transcript.reset.at;
    let mut nearest = None;
    for (index, vantage) in s.scene.evidence.vantages.iter().enumerate() {
        let offset = s.scene.path.offsets[index].unwrap_or(0);
        for digest in vantage.nearby.handshakes().iter().chain(&vantage.segments) {
            if digest.is_syn_ack() && digest.tuple.src == port {
                let gap = (corrected(digest, offset) - now).abs();
                if gap <= most && nearest.is_none_or(|known| gap < known) {
                    nearest = Some(gap);
                }
            }
        }
    }
    nearest
}

/// How long a closed connection's ports stay in `TIME_WAIT` at most: 2 MSL (RFC 9293, 3.4.2).
const TIME_WAIT_MAX: i64 = 240 * SECOND;

/// The life before this one ended with FIN a short time ago, and the new SYN's number is not above
/// its last.
fn time_wait(s: &Scenery<'_, '_>, isn: TcpSeq) -> Option<String> {
    let case = &s.all[s.index].case;
    let opener = case.sender.other();
    former_life(s, opener, isn)
}

fn former_life(s: &Scenery<'_, '_>, opener: Side, isn: TcpSeq) -> Option<String> {
    let life = s.all[s.index].case.life.checked_sub(1)?;
    let now = s.transcript.reset.at;
    let former: Vec<&Seen<'_>> = s
        .scene
        .path
        .order
        .iter()
        .flat_map(|&vantage| s.scene.life(vantage, life))
        .collect();
    let closed = former.iter().any(|seen| seen.digest.is_fin());
    let last = former
        .iter()
        .filter(|seen| seen.sender == opener && !seen.digest.is_rst())
        .map(|seen| seen.digest.seq_end())
        .reduce(|high, end| if end.after(high) { end } else { high })?;
    let age = now - former.iter().map(|seen| seen.at).max()?;
    (closed && age <= TIME_WAIT_MAX && !isn.after(last)).then(|| {
        format!(
            "the same ports were closed {} before, and the new SYN's number {isn} is not above the old connection's last, {last}",
            duration(age)
        )
    })
}

/// The client does not want the connection that it is offered.
fn answer_to_syn_ack<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let syn_ack = s
        .transcript
        .last_peer()
        .filter(|seen| seen.digest.is_syn_ack())?;
    let reset = s.transcript.reset.digest;
    let mirrors =
        reset.seq == syn_ack.digest.ack || reset.acked() == Some(syn_ack.digest.seq_end());
    let established = s.transcript.own.iter().any(|seen| !seen.digest.is_syn());
    if !mirrors || established {
        return None;
    }
    let own_syn = s
        .transcript
        .own
        .iter()
        .rev()
        .find(|seen| seen.digest.is_syn());
    if let Some(syn) = own_syn
        && syn_ack.digest.ack != syn.digest.seq.plus(1)
        && syn_ack.digest.ack != syn.digest.seq_end()
    {
        return Some(Finding::new(
            Cause::OutOfWindow,
            Some(syn_ack),
            format!(
                "the SYN+ACK acknowledges {}, which the {} never sent",
                syn_ack.digest.ack,
                s.who()
            ),
        ));
    }
    Some(Finding::new(
        Cause::SynAckRefused,
        Some(syn_ack),
        format!(
            "the {} answered the SYN+ACK with RST: it has no socket for this connection, or no longer wants it",
            s.who()
        ),
    ))
}

/// A plain ACK with old numbers answers a SYN (the peer still has an older connection on these
/// ports), and RFC 9293, 3.10.7.3 has the SYN's sender reset it.
fn unacceptable_ack_before_established<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let reset = s.transcript.reset.digest;
    let syn = s
        .transcript
        .own
        .last()
        .filter(|seen| seen.digest.is_syn())?;
    let old = s.transcript.last_peer()?;
    let ack = old.digest.acked()?;
    if old.digest.is_syn_ack() || ack != reset.seq || ack == syn.digest.seq.plus(1) {
        return None;
    }
    Some(match former_life(s, s.sender(), syn.digest.seq) {
        Some(text) => Finding::new(Cause::TimeWaitReuse, Some(old), text),
        None => Finding::new(
            Cause::OutOfWindow,
            Some(old),
            format!(
                "an ACK of {ack} answered the SYN with number {}: the peer holds an older connection on these ports",
                syn.digest.seq
            ),
        ),
    })
}

/// How often a segment is sent again before a stack gives up, at least.
const RETRANSMISSIONS: usize = 5;

fn retransmission_timeout<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let last = s
        .transcript
        .own
        .iter()
        .rev()
        .find(|seen| seen.digest.seq_len() > 0)?;
    if last.digest.flags.has(TcpFlags::SYN) {
        return None;
    }
    let times = s
        .transcript
        .own
        .iter()
        .filter(|seen| seen.digest.seq_len() > 0 && seen.digest.seq == last.digest.seq)
        .filter(|seen| !seen.digest.flags.has(TcpFlags::SYN))
        .count();
    let first = s
        .transcript
        .own
        .iter()
        .find(|seen| seen.digest.seq == last.digest.seq)?;
    let answered = s.transcript.peer.iter().any(|seen| {
        seen.at > first.at
            && seen
                .digest
                .acked()
                .is_some_and(|ack| ack.after(last.digest.seq))
    });
    (times > RETRANSMISSIONS && !answered).then(|| {
        Finding::new(
            Cause::RetransmissionTimeout,
            Some(last),
            format!(
                "the {} sent the same segment ({}) {times} times without an answer, then gave up",
                s.who(),
                segment(last.digest)
            ),
        )
    })
}

/// Probes carry no new data and the number before the next one (RFC 9293, 3.8.4).
fn keepalive_timeout<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let probe = s.transcript.own.last()?;
    let end = s
        .transcript
        .own
        .iter()
        .filter(|seen| seen.digest.payload_len != 1 || seen.digest.seq_len() > 1)
        .map(|seen| seen.digest.seq_end())
        .chain(
            s.transcript
                .peer
                .iter()
                .filter_map(|seen| seen.digest.acked()),
        )
        .reduce(|high, end| if end.after(high) { end } else { high })?;
    let is_probe = |seen: &Seen<'_>| {
        seen.digest.payload_len <= 1
            && seen.digest.seq.plus(1) == end
            && !seen.digest.flags.has(TcpFlags::SYN)
            && !seen.digest.is_fin()
    };
    if !is_probe(probe) {
        return None;
    }
    let unanswered = s
        .transcript
        .own
        .iter()
        .rev()
        .take_while(|seen| is_probe(seen))
        .filter(|seen| {
            s.transcript
                .peer
                .last()
                .is_none_or(|heard| heard.at < seen.at)
        })
        .count();
    (unanswered > 0).then(|| {
        Finding::new(
            Cause::KeepaliveTimeout,
            Some(probe),
            format!(
                "{unanswered} keep-alive probes of the {} stayed unanswered, then it gave up",
                s.who()
            ),
        )
    })
}

/// The handshake's last ACK finds the accept queue full, and the host is set to say so (Linux:
/// `tcp_abort_on_overflow`): a bare RST from a host that has sent nothing but its SYN+ACK.
fn accept_queue_overflow<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let reset = s.transcript.reset.digest;
    let only_syn_acks = !s.transcript.own.is_empty()
        && s.transcript.own.iter().all(|seen| seen.digest.is_syn_ack());
    let ack = s.transcript.last_peer()?;
    let isn = s.transcript.own.first()?.digest.seq;
    let mirrors = reset.acked().is_none() && reset.seq == isn.plus(1);
    (only_syn_acks && mirrors && ack.digest.acked() == Some(reset.seq)).then(|| {
        Finding::new(
            Cause::ListenerOverloaded,
            Some(ack),
            format!("the {} offered the connection and reset it when the handshake was completed: its accept queue was full", s.who()),
        )
    })
}

/// The host's TCP goes on as if nothing had been: its firewall, not its TCP, sent the RST.
fn host_firewall<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let reset = s.transcript.reset.digest;
    let provoking = s.transcript.mirrored()?;
    let bare = reset.acked().is_none() && reset.window == 0;
    let more = s.transcript.own_after.iter().find(|seen| {
        seen.at > s.transcript.reset.at + 5 * MILLISECOND && !seen.digest.flags.has(TcpFlags::SYN)
    })?;
    bare.then(|| {
        Finding::new(
            Cause::HostFirewallReject,
            Some(provoking),
            format!(
                "{} after its RST the {}'s own TCP sent more of the same connection ({}): the host's firewall reset it, not its TCP",
                duration(more.at - s.transcript.reset.at),
                s.who(),
                segment(more.digest)
            ),
        )
    })
}

/// The host's connection had been reset before, by a RST to it or by its own. A stack without a socket
/// answers with a bare RST, or with number 0 (RFC 9293, 3.10.7.1).
fn after_another_reset<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let reset = s.transcript.reset.digest;
    let without_socket = reset.acked().is_none() || reset.seq.0 == 0;
    let (root, first) = chain::root_of(s.all, s.index).filter(|_| without_socket)?;
    let mut finding = Finding::new(
        Cause::NoSocket,
        s.transcript.mirrored().or(s.transcript.last_peer()),
        format!(
            "a reset {} before had already ended the connection at the {}; what came later found no socket",
            duration(s.transcript.reset.at - first),
            s.who()
        ),
    );
    finding.root = Some(root);
    Some(finding)
}

fn late_after_close<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let fin = s.transcript.own.iter().find(|seen| seen.digest.is_fin())?;
    let late = s.transcript.mirrored().filter(|seen| seen.at > fin.at)?;
    s.transcript.reset.digest.acked().is_none().then(|| {
        Finding::new(
            Cause::NoSocket,
            Some(late),
            format!(
                "the {} had closed {} before; this segment came too late",
                s.who(),
                duration(s.transcript.since(fin))
            ),
        )
    })
}

fn out_of_window<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let reset = s.transcript.reset.digest;
    let last = s.transcript.last_peer()?;
    let end = s.transcript.own_end()?;
    if last.digest.is_syn() && s.transcript.handshake_answered() {
        return Some(Finding::new(
            Cause::OutOfWindow,
            Some(last),
            format!("a SYN came within the {}'s established connection", s.who()),
        ));
    }
    let ack = last.digest.acked()?;
    (reset.acked().is_none() && reset.seq == ack && ack.after(end)).then(|| {
        Finding::new(
            Cause::OutOfWindow,
            Some(last),
            format!(
                "a segment acknowledges {ack}, but the {} had sent only up to {end}",
                s.who()
            ),
        )
    })
}

/// How soon a host answers a segment for which it has no socket, seen from a hop nearby.
const ANSWERS_WITHIN: i64 = SECOND;

fn no_socket<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let provoking = s.transcript.mirrored()?;
    let prompt = s.transcript.since(provoking) <= ANSWERS_WITHIN;
    let bare = s.transcript.reset.digest.acked().is_none();
    (bare && prompt).then(|| {
        let silence = s
            .transcript
            .silence_before(provoking)
            .filter(|gap| *gap > SECOND)
            .map_or_else(String::new, |gap| format!(", after {} of silence", duration(gap)));
        Finding::new(
            Cause::NoSocket,
            Some(provoking),
            format!("the {} has no socket for this segment{silence}: it restarted, or had given the connection up", s.who()),
        )
    })
}

/// What is left: a live socket was thrown away by its program.
fn abort<'a>(s: &Scenery<'a, '_>) -> Finding<'a> {
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

//! Causes of resets that an endpoint emitted: which rule of its TCP made it do so.

mod abort;
mod opening;

use super::{Finding, Transcript};
use crate::digest::TcpFlags;
use crate::judge::chain::{self, Placed};
use crate::judge::wording::{duration, segment};
use crate::report::{Cause, Side};
use crate::scene::{Scene, Seen};
use crate::time::{MILLISECOND, SECOND};

/// One of the rules, in the order in which they are asked; the first that answers decides.
type Rule = for<'a, 'b> fn(&Scenery<'a, 'b>) -> Option<Finding<'a>>;

const RULES: [Rule; 11] = [
    opening::answer_to_syn,
    opening::answer_to_syn_ack,
    opening::unacceptable_ack_before_established,
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
        .unwrap_or_else(|| abort::abort(&scenery))
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

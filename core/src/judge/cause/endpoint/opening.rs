//! Resets while a connection is being opened.

use super::{Finding, Scenery};
use crate::digest::Digest;
use crate::flow::Endpoint;
use crate::judge::cause::highest;
use crate::judge::wording::duration;
use crate::report::{Cause, Side};
use crate::scene::Seen;
use crate::seq::TcpSeq;
use crate::time::SECOND;

/// How near in time an accepted connection shows that the port was open when it refused another.
const ACCEPTED_AROUND: i64 = 5 * SECOND;

pub(super) fn answer_to_syn<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
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
    if let Some(text) = former_life(s, s.sender().other(), syn.digest.seq) {
        return Some(Finding::new(Cause::TimeWaitReuse, Some(syn), text));
    }
    if let Some(text) = within_open_life(s) {
        return Some(Finding::new(Cause::OutOfWindow, Some(syn), text));
    }
    let port = nearest_name(s);
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

/// The sender's address and port as they are called nearest to it: further on one name may stand for many
/// hosts.
fn nearest_name(s: &Scenery<'_, '_>) -> Endpoint {
    let case = &s.all[s.index].case;
    let first = case.views.iter().find_map(|view| {
        s.scene
            .life(view.vantage, case.life)
            .find(|seen| seen.sender != s.sender())
            .map(|seen| seen.carried.tuple.dst)
    });
    first.unwrap_or_else(|| s.scene.ends.endpoint(s.sender()))
}

/// Time between the reset and the nearest SYN+ACK from the same address and port, if within `most`.
fn accepted_around(s: &Scenery<'_, '_>, most: i64) -> Option<i64> {
    let port = nearest_name(s);
    let now = s.transcript.reset.at;
    let mut nearest = None;
    let mut take = |at: i64| {
        let gap = (at - now).abs();
        if gap <= most && nearest.is_none_or(|known| gap < known) {
            nearest = Some(gap);
        }
    };
    for (index, vantage) in s.scene.evidence.vantages.iter().enumerate() {
        for digest in vantage.nearby.handshakes() {
            if digest.is_syn_ack() && digest.tuple.src == port {
                take(s.scene.moment(index, digest));
            }
        }
        for seen in &s.scene.seen[index] {
            if seen.carried.is_syn_ack() && seen.carried.tuple.src == port {
                take(seen.at);
            }
        }
    }
    nearest
}

/// How long a closed connection's ports stay in `TIME_WAIT` at most: 2 MSL (RFC 9293, 3.4.2).
const TIME_WAIT_MAX: i64 = 240 * SECOND;

/// The segments of the life before this one, at every vantage.
fn former<'a, 'b>(s: &'b Scenery<'a, 'b>) -> Option<Vec<&'b Seen<'a>>> {
    let life = s.all[s.index].case.life.checked_sub(1)?;
    let vantages = s.scene.path.order.iter();
    Some(
        vantages
            .flat_map(|&vantage| s.scene.life(vantage, life))
            .collect(),
    )
}

/// The life before this one ended with FIN a short time ago, and the new SYN's number is not above its last.
fn former_life(s: &Scenery<'_, '_>, opener: Side, isn: TcpSeq) -> Option<String> {
    let now = s.transcript.reset.at;
    let former = former(s)?;
    let closed = former.iter().any(|seen| seen.digest.is_fin());
    let last = highest(
        former
            .iter()
            .filter(|seen| seen.sender == opener && !seen.digest.is_rst())
            .map(|seen| seen.digest.seq_end()),
    )?;
    let age = now - former.iter().map(|seen| seen.at).max()?;
    (closed && age <= TIME_WAIT_MAX && !isn.after(last)).then(|| {
        format!(
            "the same ports were closed {} before, and the new SYN's number {isn} is not above the old connection's last, {last}",
            duration(age)
        )
    })
}

/// The connection before on these ports was never closed or reset, and its host was there a moment ago: it
/// resets a SYN in a synchronised state, as stacks did before RFC 5961.
fn within_open_life(s: &Scenery<'_, '_>) -> Option<String> {
    const A_MOMENT_AGO: i64 = 60 * SECOND;
    let former = former(s)?;
    let ended = former
        .iter()
        .any(|seen| seen.digest.is_fin() || seen.digest.is_rst());
    let plain = |seen: &&&Seen<'_>| !seen.digest.is_syn() && !seen.digest.is_syn_ack();
    let from = |side: Side| {
        let mut its = former.iter().filter(move |seen| seen.sender == side);
        its.any(|seen| plain(&seen))
    };
    let last = former
        .iter()
        .filter(|seen| seen.sender == s.sender())
        .map(|seen| seen.at)
        .max()?;
    let age = s.transcript.reset.at - last;
    (!ended && from(Side::Client) && from(Side::Server) && age <= A_MOMENT_AGO).then(|| {
        format!(
            "a SYN came within a connection on the same ports, in which the {} had spoken {} before",
            s.who(),
            duration(age)
        )
    })
}

/// The client does not want the connection that it is offered.
pub(super) fn answer_to_syn_ack<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
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
        match parallel(s) {
            Some(port) => format!(
                "the {} answered the SYN+ACK with RST: of its parallel SYNs it kept the one to port {port}",
                s.who()
            ),
            None => format!(
                "the {} answered the SYN+ACK with RST: it has no socket for this connection, or no longer wants it (parallel attempts, a half-open scan)",
                s.who()
            ),
        },
    ))
}

/// The port of another connection that the same client opened to the same host in the same moment, as SMB
/// clients try 445 and 139.
fn parallel(s: &Scenery<'_, '_>) -> Option<u16> {
    const TOGETHER: i64 = 2 * SECOND;
    let now = s.transcript.reset.at;
    let from_server = |index: usize, digest: &Digest| {
        s.scene.ends.at(index).iter().any(|names| {
            let server = names.endpoint(s.sender().other());
            let client = names.endpoint(s.sender());
            (digest.tuple.src.addr, digest.tuple.dst.addr) == (server.addr, client.addr)
                && digest.tuple.src.port != server.port
        })
    };
    let vantages = s.scene.evidence.vantages.iter().enumerate();
    vantages
        .flat_map(|(index, vantage)| {
            let handshakes = vantage.nearby.handshakes().iter();
            handshakes.map(move |digest| (index, digest))
        })
        .find(|(index, digest)| {
            digest.is_syn_ack()
                && from_server(*index, digest)
                && (s.scene.moment(*index, digest) - now).abs() <= TOGETHER
        })
        .map(|(_, digest)| digest.tuple.src.port)
}

/// A plain ACK with old numbers answers a SYN (the peer still has an older connection on these
/// ports), and RFC 9293, 3.10.7.3 has the SYN's sender reset it.
pub(super) fn unacceptable_ack_before_established<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
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

//! Segments for which a host has no socket, or that no state of its socket accepts.

use super::{ANSWERS_WITHIN, Finding, Scenery};
use crate::judge::chain;
use crate::judge::wording::{duration, segment};
use crate::report::Cause;
use crate::scene::Seen;
use crate::seq::TcpSeq;
use crate::time::{MILLISECOND, SECOND};

/// The host's TCP goes on as if nothing had been: its firewall, not its TCP, sent the RST. A segment that
/// acknowledges what was never sent draws a RST from TCP itself while a connection is opened (RFC 9293,
/// 3.10.7.3 and 3.10.7.4), and it goes on too.
pub(super) fn host_firewall<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let reset = s.transcript.reset.digest;
    let provoking = s.transcript.mirrored()?;
    let bare = reset.acked().is_none() && reset.window == 0;
    let more = s
        .transcript
        .own_after
        .iter()
        .find(|seen| goes_on(s, seen))?;
    let unacceptable = provoking
        .digest
        .acked()
        .is_some_and(|ack| never_sent(s, ack).is_some());
    (bare && !unacceptable).then(|| {
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

/// Not a segment of another handshake on these ports, nor one that overtook the RST.
fn goes_on(s: &Scenery<'_, '_>, seen: &Seen<'_>) -> bool {
    seen.at > s.transcript.reset.at + 5 * MILLISECOND
        && !seen.digest.is_syn()
        && !seen.digest.is_syn_ack()
}

/// The host's connection had been reset before, by a RST to it or by its own. A stack without a socket
/// answers with a bare RST, or with number 0 (RFC 9293, 3.10.7.1).
pub(super) fn after_another_reset<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
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

pub(super) fn late_after_close<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
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

/// A SYN in a synchronised state, or an acknowledgement of what was never sent. Stacks that follow RFC 5961
/// answer both with a challenge ACK once a connection is open; older ones reset.
pub(super) fn out_of_window<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
    let reset = s.transcript.reset.digest;
    let last = s.transcript.last_peer()?;
    if last.digest.is_syn() && s.transcript.established_by_peer() {
        return Some(Finding::new(
            Cause::OutOfWindow,
            Some(last),
            format!("a SYN came within the {}'s established connection", s.who()),
        ));
    }
    let ack = last.digest.acked()?;
    let end = never_sent(s, ack)?;
    (reset.acked().is_none() && reset.seq == ack).then(|| {
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

/// Where the sender's numbers end, if no vantage saw it send what `ack` acknowledges.
fn never_sent(s: &Scenery<'_, '_>, ack: TcpSeq) -> Option<TcpSeq> {
    let end = s.transcript.own_end()?;
    let life = s.all[s.index].case.life;
    let sent_elsewhere = || {
        s.scene.path.order.iter().any(|&vantage| {
            s.scene.life(vantage, life).any(|seen| {
                seen.sender == s.sender()
                    && !seen.digest.is_rst()
                    && !seen.digest.seq_end().before(ack)
            })
        })
    };
    (ack.after(end) && !sent_elsewhere()).then_some(end)
}

/// What is left for a bare RST that promptly mirrors a segment.
pub(super) fn no_socket<'a>(s: &Scenery<'a, '_>) -> Option<Finding<'a>> {
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

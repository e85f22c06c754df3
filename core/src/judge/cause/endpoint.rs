//! Causes of resets that an endpoint emitted: which rule of its TCP made it do so.

mod abort;
mod opening;
mod socket;
mod timeout;

use super::{Finding, Transcript};
use crate::judge::chain::Placed;
use crate::report::{Cause, Side};
use crate::scene::Scene;
use crate::time::SECOND;

/// One of the rules, in the order in which they are asked; the first that answers decides.
type Rule = for<'a, 'b> fn(&Scenery<'a, 'b>) -> Option<Finding<'a>>;

const RULES: [Rule; 12] = [
    opening::answer_to_syn,
    opening::answer_to_syn_ack,
    opening::unacceptable_ack_before_established,
    timeout::handshake_timeout,
    timeout::retransmission_timeout,
    timeout::keepalive_timeout,
    accept_queue_overflow,
    socket::host_firewall,
    socket::after_another_reset,
    socket::late_after_close,
    socket::out_of_window,
    socket::no_socket,
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

/// How soon a host answers a segment for which it has no socket, seen from a hop nearby.
const ANSWERS_WITHIN: i64 = SECOND;

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

//! The kernel's reason as a cause. Where the packets tell more (whose reset was the root, which segment), their
//! finding stays if it agrees.

use super::{Heard, Word};
use crate::judge::cause::{Finding, Transcript};
use crate::reason::{KernelReason, ResetReason};
use crate::report::Cause;
use crate::testimony::{Act, Prompt, Statement};

/// Causes that a kernel's reason leaves open, the one to take if the packets name none of them, and its words.
type Meaning = (&'static [Cause], Cause, &'static str);

/// A finding from packets, after the kernel was heard.
pub(crate) fn corrected<'a>(
    heard: &Heard<'a>,
    transcript: &Transcript<'a>,
    finding: Finding<'a>,
) -> Finding<'a> {
    match &heard.sender {
        Word::HostFirewall { trigger, .. } => Finding::new(
            Cause::HostFirewallReject,
            Some(trigger),
            "the host's packet filter rejects that segment; its TCP sent no RST",
        ),
        Word::Sent { statement, .. } => match statement.act {
            Act::Sent {
                reason: Some(ResetReason::Kernel(reason)),
                prompt,
            } => by_reason(statement, reason, prompt, transcript, finding),
            _ => finding,
        },
        Word::None | Word::Silent(_) => finding,
    }
}

fn by_reason<'a>(
    statement: &Statement,
    reason: KernelReason,
    prompt: Prompt,
    transcript: &Transcript<'a>,
    finding: Finding<'a>,
) -> Finding<'a> {
    let to_syn = transcript
        .answered()
        .is_some_and(|seen| seen.digest.is_syn());
    // A listening socket got the segment because no connection was there to take it.
    if statement.is_of_listener() {
        return finding;
    }
    let Some((open, cause, text)) = meaning(reason, prompt, to_syn) else {
        return finding;
    };
    if finding.cause == cause || open.contains(&finding.cause) {
        return finding;
    }
    let trigger = transcript.answered().filter(|_| prompt == Prompt::Segment);
    Finding::new(cause, trigger, text)
}

fn meaning(reason: KernelReason, prompt: Prompt, to_syn: bool) -> Option<Meaning> {
    use Cause::{
        AbortLinger, AbortUnreadData, ClosedPort, KeepaliveTimeout, ListenerOverloaded, NoSocket,
        OutOfWindow, SynAckRefused, TimeWaitReuse, Unknown,
    };
    Some(match reason {
        KernelReason::NoSocket if to_syn => (
            &[],
            ClosedPort,
            "the kernel found no socket that listens for this SYN",
        ),
        KernelReason::NoSocket => (
            &[SynAckRefused],
            NoSocket,
            "the kernel found no socket for this segment",
        ),
        KernelReason::TimeWaitSocket if to_syn => (
            &[],
            TimeWaitReuse,
            "the kernel still held the closed connection in TIME_WAIT",
        ),
        KernelReason::TimeWaitSocket => (
            &[TimeWaitReuse],
            NoSocket,
            "the connection was closed and in TIME_WAIT; the segment came too late",
        ),
        KernelReason::AbortOnClose => (
            &[],
            AbortUnreadData,
            "the program closed with received data unread, says its kernel",
        ),
        KernelReason::AbortOnData => (
            &[NoSocket],
            AbortUnreadData,
            "data came after the program had closed, and nobody can read it any more",
        ),
        KernelReason::AbortOnLinger | KernelReason::DisconnectWithData => (
            &[],
            AbortLinger,
            "the program threw the connection away, says its kernel",
        ),
        // Linux takes SO_LINGER 0 for a disconnect, and gives the state as the reason.
        KernelReason::State if prompt == Prompt::Itself => (
            &[],
            AbortLinger,
            "the program threw the connection away (SO_LINGER 0), says its kernel",
        ),
        KernelReason::KeepaliveTimeout => (
            &[],
            KeepaliveTimeout,
            "keep-alive probes stayed unanswered, says the kernel",
        ),
        KernelReason::AbortOnMemory => (
            &[],
            Unknown,
            "the kernel had no memory left for the connection, or too many without a program",
        ),
        KernelReason::InvalidAckSequence
        | KernelReason::TooOldAck
        | KernelReason::AckUnsentData
        | KernelReason::OldAck
        | KernelReason::Flags
        | KernelReason::Paws
        | KernelReason::InvalidSyn => (
            &[SynAckRefused, TimeWaitReuse, ListenerOverloaded, NoSocket],
            OutOfWindow,
            "the kernel found the segment unacceptable in the connection's state",
        ),
        KernelReason::NotSpecified
        | KernelReason::State
        | KernelReason::Error
        | KernelReason::Unlisted => return None,
    })
}

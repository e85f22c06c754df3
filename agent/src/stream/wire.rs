//! What the outbox gives, as messages.

use parallax_proto::batch;
use parallax_proto::packed::Packer;
use parallax_proto::testimony::Told;
use parallax_proto::v1::{AgentMessage, Beat, Goodbye, Skip, UnreadCount, agent_message::Message};

use crate::loss_message;
use crate::meter::Meter;
use crate::outbox::{KeptBeat, Outgoing};

/// The message that says it.
pub(crate) fn message(outgoing: &Outgoing) -> AgentMessage {
    let message = match outgoing {
        Outgoing::Batch { first, digests } => Message::Batch(batch::encode(*first, digests)),
        Outgoing::Beat(kept) => Message::Beat(beat(kept)),
        Outgoing::Loss(kept) => Message::Loss(loss_message::write(&kept.note, kept.next_number)),
        Outgoing::Skip { first, next } => Message::Skip(Skip {
            first_number: *first,
            next_number: *next,
        }),
    };
    AgentMessage {
        message: Some(message),
    }
}

/// The message with what the meter shows, if it is a beat.
pub(super) fn metered(mut message: AgentMessage, meter: &Meter) -> AgentMessage {
    if let Some(Message::Beat(beat)) = &mut message.message {
        beat.sent_octets = meter.sent();
        beat.observed_octets = meter.observed();
    }
    message
}

/// The message as it travels to a collector, which takes packed ones where there is a packer.
pub(super) fn packed(packer: &mut Option<Packer>, message: AgentMessage) -> AgentMessage {
    match packer {
        Some(packer) => packer.pack(message),
        None => message,
    }
}

pub(super) fn testimony(told: &Told) -> AgentMessage {
    AgentMessage {
        message: Some(Message::Testimony(told.message())),
    }
}

pub(super) fn goodbye() -> AgentMessage {
    AgentMessage {
        message: Some(Message::Goodbye(Goodbye {})),
    }
}

fn beat(kept: &KeptBeat) -> Beat {
    let coverage = &kept.note.coverage;
    let unread = kept.note.unread.iter();
    Beat {
        from: coverage.from.nanos(),
        until: coverage.until.nanos(),
        received: coverage.received,
        dropped: coverage.dropped,
        unread: unread
            .map(|(reason, count)| UnreadCount {
                reason: reason.as_str().to_owned(),
                count,
            })
            .collect(),
        next_number: kept.next_number,
        clock_epoch: kept.note.epoch,
        sent_octets: 0,
        observed_octets: 0,
    }
}

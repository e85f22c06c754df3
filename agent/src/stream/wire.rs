//! What the outbox gives, as messages.

use parallax_proto::batch;
use parallax_proto::packed::Packer;
use parallax_proto::testimony::Told;
use parallax_proto::v1::{
    AgentMessage, Beat, Goodbye, Skip, UnreadCount, Welcome, agent_message::Message,
};

use crate::loss_message;
use crate::meter::Meter;
use crate::outbox::{KeptBeat, Outgoing};

/// In which words a collector is spoken to: those that its `Welcome` accepts.
pub(super) struct Words {
    packer: Option<Packer>,
    flow_columns: bool,
}

impl Words {
    pub fn new(welcome: &Welcome) -> Self {
        let packer = welcome.accepts_packed.then(Packer::new);
        Self {
            packer: packer.transpose().ok().flatten(),
            flow_columns: welcome.accepts_flow_columns,
        }
    }

    /// The message that says it.
    pub fn message(&self, outgoing: &Outgoing) -> AgentMessage {
        match outgoing {
            Outgoing::Batch { first, digests } if self.flow_columns => AgentMessage {
                message: Some(Message::Batch(batch::encode_in_columns(*first, digests))),
            },
            _ => message(outgoing),
        }
    }

    /// The message as it travels.
    pub fn packed(&mut self, message: AgentMessage) -> AgentMessage {
        match &mut self.packer {
            Some(packer) => packer.pack(message),
            None => message,
        }
    }
}

/// The message that says it to any collector.
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

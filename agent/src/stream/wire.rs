//! What the outbox gives, as messages.

use parallax_proto::batch;
use parallax_proto::testimony::Told;
use parallax_proto::v1::{AgentMessage, Beat, Goodbye, UnreadCount, agent_message::Message};

use crate::outbox::{KeptBeat, Outgoing};

pub(super) fn message(outgoing: &Outgoing) -> AgentMessage {
    let message = match outgoing {
        Outgoing::Batch { first, digests } => Message::Batch(batch::encode(*first, digests)),
        Outgoing::Beat(kept) => Message::Beat(beat(kept)),
    };
    AgentMessage {
        message: Some(message),
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
    let coverage = &kept.span.coverage;
    let unread = kept.span.unread.iter();
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
    }
}

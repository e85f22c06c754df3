//! Records: messages with a checksum, one after the other.

use parallax_core::decode::{Unread, UnreadCounts};
use parallax_core::{CaptureTime, Coverage, LossRecord};
use parallax_proto::batch;
use parallax_proto::v1::{AgentMessage, Beat, Loss, agent_message::Message};
use prost::Message as _;
use xxhash_rust::xxh3::xxh3_64;

use crate::loss_message;
use crate::outbox::{Kept, Outgoing, Span};
use crate::stream::message;

/// Length (4 octets), checksum of the rest (8), number (8); all little-endian. The message follows.
pub(super) const HEADER: usize = 20;

/// No message is longer.
const LENGTH_MAX: usize = 32 << 20;

/// One record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Rises within a run; several records have the same one where a batch was taken apart.
    pub number: u64,
    pub outgoing: Outgoing,
}

/// Appends a record.
pub(super) fn write(to: &mut Vec<u8>, number: u64, outgoing: &Outgoing) {
    let body = message(outgoing).encode_to_vec();
    let mut checked = Vec::with_capacity(8 + body.len());
    checked.extend_from_slice(&number.to_le_bytes());
    checked.extend_from_slice(&body);
    to.extend_from_slice(&(body.len() as u32).to_le_bytes());
    to.extend_from_slice(&xxh3_64(&checked).to_le_bytes());
    to.extend_from_slice(&checked);
}

/// What is in a file, as far as it is whole, and how many octets that is.
pub(super) fn read_all(octets: &[u8]) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some((record, length)) = read(&octets[at..]) {
        records.push(record);
        at += length;
    }
    (records, at)
}

fn read(octets: &[u8]) -> Option<(Record, usize)> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<8>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > LENGTH_MAX {
        return None;
    }
    let checked = rest.get(..8 + length)?;
    if xxh3_64(checked) != u64::from_le_bytes(*checksum) {
        return None;
    }
    let (number, body) = checked.split_first_chunk::<8>()?;
    let message = AgentMessage::decode(body).ok()?;
    let record = Record {
        number: u64::from_le_bytes(*number),
        outgoing: outgoing(message.message?)?,
    };
    Some((record, HEADER + length))
}

/// A message as the outbox knows it; none for what it never writes.
fn outgoing(message: Message) -> Option<Outgoing> {
    Some(match message {
        Message::Batch(said) => {
            let first = said.first_number;
            let digests = batch::decode(said).ok()?;
            Outgoing::Batch {
                first,
                digests: digests.into_iter().map(|(_, digest)| digest).collect(),
            }
        }
        Message::Beat(said) => Outgoing::Beat(Kept {
            note: span(&said),
            next_number: said.next_number,
            record: 0,
        }),
        Message::Loss(said) => Outgoing::Loss(Kept {
            next_number: said.next_number,
            note: loss(said)?,
            record: 0,
        }),
        Message::Skip(said) => Outgoing::Skip {
            first: said.first_number,
            next: said.next_number,
        },
        _ => return None,
    })
}

fn loss(said: Loss) -> Option<LossRecord> {
    loss_message::read(said)
}

fn span(said: &Beat) -> Span {
    let mut unread = UnreadCounts::default();
    for counted in &said.unread {
        let known = Unread::ALL
            .into_iter()
            .find(|reason| reason.as_str() == counted.reason);
        if let Some(reason) = known {
            unread.add_many(reason, counted.count);
        }
    }
    Span {
        coverage: Coverage {
            from: CaptureTime::from_nanos(said.from),
            until: CaptureTime::from_nanos(said.until),
            received: said.received,
            dropped: said.dropped,
        },
        unread,
        epoch: said.clock_epoch,
    }
}

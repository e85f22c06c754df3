//! Beats as agents tell them, checked.

use parallax_core::{CaptureTime, Coverage};
use parallax_proto::v1::Beat as BeatMessage;
use tonic::Status;

use crate::store::Beat;

/// The most reasons in one beat.
const REASONS_MAX: usize = 64;
const REASON_LEN_MAX: usize = 64;

pub(super) fn check(beat: &BeatMessage) -> Result<(), Status> {
    let has_span = beat.until != 0;
    if has_span && beat.from > beat.until {
        return Err(Status::invalid_argument(format!(
            "a beat ends at {} before it begins at {}",
            beat.until, beat.from
        )));
    }
    if !has_span && (beat.received > 0 || beat.dropped > 0) {
        return Err(Status::invalid_argument(
            "a beat without a span counts packets",
        ));
    }
    if beat.unread.len() > REASONS_MAX {
        return Err(Status::invalid_argument("a beat has too many reasons"));
    }
    let odd = |reason: &str| {
        reason.is_empty() || reason.len() > REASON_LEN_MAX || reason.chars().any(char::is_control)
    };
    match beat.unread.iter().find(|unread| odd(&unread.reason)) {
        Some(unread) => Err(Status::invalid_argument(format!(
            "a beat counts packets unread for the reason {:?}, which is no word",
            unread.reason
        ))),
        None => Ok(()),
    }
}

/// As it is stored.
pub(super) fn counted(beat: BeatMessage) -> Beat {
    Beat {
        epoch: beat.clock_epoch,
        span: (beat.until != 0).then_some(Coverage {
            from: CaptureTime::from_nanos(beat.from),
            until: CaptureTime::from_nanos(beat.until),
            received: beat.received,
            dropped: beat.dropped,
        }),
        unread: beat
            .unread
            .into_iter()
            .map(|unread| (unread.reason, unread.count))
            .collect(),
    }
}

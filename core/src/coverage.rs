//! Coverage: what a vantage can swear to have watched.

use serde::{Deserialize, Serialize};

use crate::time::CaptureTime;

/// A span in which a vantage was capturing, with what it lost there. Times are by the vantage's own
/// clock.
///
/// A live agent's coverage goes on while nothing passes, since it reads its counters each beat. A
/// capture file covers its first record to its last and no more: nothing tells whether the capture
/// went on after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub from: CaptureTime,
    pub until: CaptureTime,
    /// Packets that passed the capture filter in this span.
    pub received: u64,
    /// Packets lost between wire and digest in this span (kernel buffer, interface, agent). A loss
    /// inside the span can be anywhere in it.
    pub dropped: u64,
}

impl Coverage {
    pub fn covers(&self, time: CaptureTime) -> bool {
        self.from <= time && time <= self.until
    }
}

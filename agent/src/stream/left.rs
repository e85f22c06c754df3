//! What earlier runs left is delivered before this run's own.

use parallax_proto::v1::Hello;
use tracing::warn;

use super::{Courier, StreamError};
use crate::outbox::Outbox;

impl Courier {
    /// What an earlier run left and the collector refuses must not keep this run from being delivered.
    pub(super) fn without_left(&mut self, error: StreamError) -> Result<(), StreamError> {
        let refused = matches!(
            error,
            StreamError::Refused { .. }
                | StreamError::NotNamed { .. }
                | StreamError::Contradiction { .. }
        );
        match self.left.pop_front() {
            Some(_) if refused => {
                warn!("what an earlier run left stays on disk: {error}");
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// What is being delivered: what the oldest run left, at last this run's own.
    pub(super) fn current(&mut self) -> &mut Outbox {
        match self.left.front_mut() {
            Some((_, outbox)) => outbox,
            None => &mut self.outbox,
        }
    }

    pub(super) fn hello(&self) -> Hello {
        let left = self.left.front();
        left.map_or_else(|| self.delivery.hello.clone(), |(hello, _)| hello.clone())
    }

    /// Whether nothing will be added to what is being delivered.
    pub(super) fn is_complete(&self) -> bool {
        self.feed_ended || !self.left.is_empty()
    }
}

//! Ending a capture from another thread, at once.

use std::io::{PipeReader, PipeWriter, Write as _, pipe};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use super::error::LiveError;

/// Ends a capture: a waiting [`poll`](super::LiveCapture::poll) returns at once, and so does every
/// later one. Dropping the last one ends the capture too.
#[derive(Debug, Clone)]
pub struct Stop(Arc<PipeWriter>);

impl Stop {
    pub fn stop(&self) {
        // It fails only when the capture is gone already.
        let _ = (&*self.0).write(&[1]);
    }
}

/// The end that waits: readable once stopped, for all that share it.
#[derive(Debug, Clone)]
pub(super) struct Stopped(Arc<PipeReader>);

impl Stopped {
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub(super) fn pair() -> Result<(Stop, Stopped), LiveError> {
    let (reader, writer) = pipe().map_err(|source| LiveError::Stop { source })?;
    Ok((Stop(Arc::new(writer)), Stopped(Arc::new(reader))))
}

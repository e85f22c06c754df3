//! The captured packets in a pcap file, beside their digests.

use std::path::{Path, PathBuf};

use pcap::{Packet, Savefile};

use super::error::LiveError;
use super::source::Source;

/// Packets written between two flushes while there is no pause.
const FLUSH_EVERY: usize = 4096;

pub(super) struct PacketWriter {
    path: PathBuf,
    file: Savefile,
    unflushed: usize,
}

impl PacketWriter {
    pub fn create(path: &Path, source: &Source) -> Result<Self, LiveError> {
        // The crate would panic.
        if path.to_str().is_none() {
            let file = path.to_owned();
            return Err(LiveError::WriteName { file });
        }
        let mut writer = Self {
            path: path.to_owned(),
            file: source.savefile(path).map_err(|source| LiveError::Write {
                file: path.to_owned(),
                source,
            })?,
            unflushed: 0,
        };
        // A reader finds the file header even when no packet comes.
        writer.flush()?;
        Ok(writer)
    }

    pub fn write(&mut self, packet: &Packet<'_>) {
        self.file.write(packet);
        self.unflushed += 1;
    }

    /// Flushes in pauses, and now and then when there are none. `taken`: packets just written.
    pub fn flush_if_due(&mut self, taken: usize) -> Result<(), LiveError> {
        let due = self.unflushed >= FLUSH_EVERY || taken == 0;
        if due && self.unflushed > 0 {
            self.flush()?;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), LiveError> {
        self.unflushed = 0;
        self.file.flush().map_err(|source| LiveError::Write {
            file: self.path.clone(),
            source,
        })
    }
}

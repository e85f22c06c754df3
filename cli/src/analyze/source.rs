//! The agent's file reader, as this program uses it.

use std::path::Path;

use parallax_agent::capture::file::{FileError, FileReader, FileSummary};
use parallax_core::Digest;
use parallax_core::archive::Glimpse;
use parallax_core::decode::{Head, RawPacket, Unread, decode_into};

use super::progress::Reading;

/// Why capture files could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    #[error("cannot read the capture of vantage \"{vantage}\": {source}{}", advice(.source))]
    Read { vantage: String, source: FileError },
}

/// What to do, where the file's own error does not say it.
fn advice(error: &FileError) -> &'static str {
    match error {
        FileError::Open { .. } => "; check the path after NAME= and the right to read it",
        FileError::Read { .. } => "; check the disk or the pipe it comes from",
        _ => "",
    }
}

/// Packets between two reports of progress: each takes a lock.
const LOT: u64 = 32 * 1024;

/// A segment where it lies in the file's buffer.
struct Lying<'a> {
    head: Head,
    packet: RawPacket<'a>,
}

impl Glimpse for Lying<'_> {
    #[inline]
    fn head(&self) -> Head {
        self.head
    }

    fn digest(&self) -> Digest {
        let mut digest = Digest::BLANK;
        let read = decode_into(&self.packet, &mut digest);
        debug_assert!(read.is_ok(), "a packet has a head and no digest");
        digest
    }
}

/// What takes the segments of a file.
pub trait Receive {
    fn receive(&mut self, segment: &impl Glimpse);
}

/// Reads a whole file and hands on its segments in the order of the file.
pub fn read(
    vantage: &str,
    file: &Path,
    reading: &Reading,
    receiver: &mut impl Receive,
) -> Result<FileSummary, AnalyzeError> {
    let failed = |source| AnalyzeError::Read {
        vantage: vantage.to_owned(),
        source,
    };
    let mut reader = FileReader::open(file).map_err(failed)?;
    let (mut packets, mut octets) = (0, 0);
    while let Some((head, packet)) = reader.next_head().map_err(failed)? {
        receiver.receive(&Lying { head, packet });
        if reader.packets() - packets >= LOT {
            packets = reader.packets();
            let read = reader.progress().read;
            reading.advance(read - octets);
            octets = read;
        }
    }
    reading.advance(reader.progress().read - octets);
    Ok(reader.summary())
}

/// What the reader must know about a file.
pub fn warnings(vantage: &str, summary: &FileSummary) -> Vec<String> {
    let mut warnings: Vec<String> = summary.warnings.iter().map(ToString::to_string).collect();
    let unreadable: Vec<String> = summary
        .unread
        .iter()
        .filter(|(reason, _)| may_hide_a_reset(*reason))
        .map(|(reason, count)| format!("{count} {}", reason.as_str()))
        .collect();
    if !unreadable.is_empty() {
        warnings.push(format!(
            "{}: packets that may be TCP could not be read ({}); resets among them are missed",
            summary.file,
            unreadable.join(", ")
        ));
    }
    warnings
        .into_iter()
        .map(|text| format!("vantage {vantage}: {text}"))
        .collect()
}

/// Later fragments are left aside: a reset fits into a first one.
fn may_hide_a_reset(reason: Unread) -> bool {
    reason.may_be_tcp() && reason != Unread::LaterFragment
}

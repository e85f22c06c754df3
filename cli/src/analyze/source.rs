//! The agent's file reader, as this program uses it.

use std::path::Path;

use parallax_agent::capture::file::{FileError, FileReader, FileSummary};
use parallax_core::Digest;
use parallax_core::decode::Unread;

use super::progress::Progress;

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
const LOT: u64 = 8192;

/// Reads a whole file and hands on its digests in the order of the file.
pub fn read(
    vantage: &str,
    file: &Path,
    progress: &Progress,
    mut take: impl FnMut(Digest),
) -> Result<FileSummary, AnalyzeError> {
    let failed = |source| AnalyzeError::Read {
        vantage: vantage.to_owned(),
        source,
    };
    let mut reader = FileReader::open(file).map_err(failed)?;
    progress.begin(reader.name(), reader.progress().total);
    let mut reported = 0;
    while let Some(digest) = reader.next_digest().map_err(failed)? {
        take(digest);
        if reader.packets() - reported >= LOT {
            reported = reader.packets();
            progress.at(reader.progress().read);
        }
    }
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

//! The agent's file reader, as this program uses it.

use std::path::Path;

use parallax_agent::capture::file::{FileError, FileReader, FileSummary, Place, Receive};
use parallax_core::decode::Unread;

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

/// Octets between two reports of progress, each of which takes a lock, and between two places from which a file can be
/// read on.
pub const LOT: u64 = 2 * 1024 * 1024;
/// More places than this are not kept of a file.
const PLACES_MAX: usize = 128;

/// What is known of a file that was read.
pub struct Known {
    pub summary: FileSummary,
    /// From where it can be read on.
    pub places: Vec<Place>,
}

/// Reads a file from a place, or from its beginning, and hands on its segments in its order. Before each part `claim`
/// is told where it begins, and tells where it ends, unless that is no more to be read.
pub fn read(
    vantage: &str,
    file: &Path,
    from: Option<&Place>,
    claim: impl Fn(u64) -> Option<u64>,
    reading: &Reading,
    receiver: &mut impl Receive,
) -> Result<Known, AnalyzeError> {
    let failed = |source| AnalyzeError::Read {
        vantage: vantage.to_owned(),
        source,
    };
    let mut reader = match from {
        Some(place) => FileReader::open_at(file, place),
        None => FileReader::open(file),
    }
    .map_err(failed)?;
    let mut places = Vec::new();
    let (mut octets, mut apart, mut next) = (0, LOT, LOT);
    let mut goes_on = true;
    while goes_on && let Some(until) = claim(reader.offset()) {
        goes_on = reader.read_on(until, receiver).map_err(failed)?;
        let read = reader.progress().read;
        reading.advance(read - octets);
        octets = read;
        if goes_on && reader.offset() >= next {
            places.extend(reader.place());
            if places.len() == PLACES_MAX {
                // Of longer files they are farther apart.
                let mut number = 0;
                places.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
                apart *= 2;
            }
            next = reader.offset() + apart;
        }
    }
    Ok(Known {
        summary: reader.summary(),
        places,
    })
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

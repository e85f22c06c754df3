//! What can be wrong with a capture file.

use std::fmt::Write as _;
use std::io;

use parallax_core::decode::UnsupportedLink;

/// Why a capture file cannot be read. The messages are one line and say what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{file}: cannot be opened: {source}")]
    Open { file: String, source: io::Error },
    #[error("{file}: reading failed: {source}")]
    Read { file: String, source: io::Error },
    #[error("{file}: is empty, not even a file header: give a capture that was written to its end")]
    Empty { file: String },
    #[error(
        "{file}: is no capture (begins with {begins}): give a pcap or pcapng file, plain or gzipped"
    )]
    NotACapture { file: String, begins: String },
    #[error("{file}: ends within its file header: give a capture that was written to its end")]
    CutHeader { file: String },
    #[error("{file}: {source}: capture with one of these")]
    UnsupportedLink {
        file: String,
        source: UnsupportedLink,
    },
    #[error(
        "{file}: is damaged at octet {offset}: {what}: capture again, or repair it with a capture editor"
    )]
    Corrupt {
        file: String,
        offset: u64,
        what: &'static str,
    },
}

/// What deserves a word although reading goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileWarning {
    /// `offset` is where the incomplete part begins, counted after decompression.
    #[error("{file}: ends at octet {offset} within {what}; what was there before is used")]
    Cut {
        file: String,
        offset: u64,
        what: &'static str,
    },
    #[error("{file}: packets of interface {interface} are not read: {source}")]
    UnsupportedInterface {
        file: String,
        interface: u32,
        source: UnsupportedLink,
    },
}

/// What a format's reader found; it does not know the file's name.
#[derive(Debug)]
pub(super) enum Flaw {
    Read(io::Error),
    Empty,
    Foreign { begins: String },
    CutHeader,
    UnsupportedLink(UnsupportedLink),
    Corrupt { offset: u64, what: &'static str },
    Cut { offset: u64, what: &'static str },
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl Flaw {
    pub fn foreign(octets: &[u8]) -> Self {
        let mut begins = String::new();
        for octet in octets.iter().take(4) {
            let _ = write!(
                begins,
                "{}{octet:02x}",
                if begins.is_empty() { "" } else { " " }
            );
        }
        Self::Foreign { begins }
    }

    pub fn in_file(self, file: &str) -> FileError {
        let file = file.to_owned();
        match self {
            Self::Read(source) => FileError::Read { file, source },
            Self::Empty => FileError::Empty { file },
            Self::Foreign { begins } => FileError::NotACapture { file, begins },
            Self::CutHeader => FileError::CutHeader { file },
            Self::UnsupportedLink(source) => FileError::UnsupportedLink { file, source },
            Self::Corrupt { offset, what } | Self::Cut { offset, what } => {
                FileError::Corrupt { file, offset, what }
            }
        }
    }
}

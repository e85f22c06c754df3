//! How a command fails.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use parallax_agent::enrol::EnrolError;
use parallax_bundle::both::BothError;
use parallax_bundle::keying::KeyFileError;
use parallax_identity::IdentityError;

use crate::analyze::AnalyzeError;
use crate::client::ClientError;
use crate::ids::IdError;

/// Why a command did not do its work. Its text is one line: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments contradict each other or name what is not there.
    #[error("{0}; see --help")]
    Usage(String),
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    #[error(transparent)]
    Id(#[from] IdError),
    #[error("cannot read {file}: {source}; check its name and who may read it", file = file.display())]
    ReadFile { file: PathBuf, source: io::Error },
    #[error("{file} is no key: {error}", file = file.display())]
    KeyFile { file: PathBuf, error: KeyFileError },
    /// A bundle that is not to be trusted.
    #[error("the bundle {file} is refused: {reason}", file = file.display())]
    Bundle { file: PathBuf, reason: String },
    #[error(transparent)]
    Both(#[from] BothError),
    #[error("cannot write {file}: {source}; choose another file with -o", file = file.display())]
    WriteFile { file: PathBuf, source: io::Error },
    /// `top` without a terminal.
    #[error(
        "`parallax top` needs a terminal for its input and output; elsewhere use `parallax watch` or `parallax resets`"
    )]
    NoTerminal,
    /// `doctor` found so much that does not work.
    #[error("{0} of these do not work; what is to be done stands below each")]
    Unwell(usize),
    #[error("cannot write to standard output: {0}; look for a full disk or a closed descriptor")]
    Write(#[from] io::Error),
}

impl Failure {
    /// The reader of our output went away: nothing failed.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// 2 for wrong usage, 3 for a bundle that is not to be trusted, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Bundle { .. } | Self::Both(BothError::OtherKey) => ExitCode::from(3),
            _ => ExitCode::FAILURE,
        }
    }
}

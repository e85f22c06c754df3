//! What goes wrong with identities.

use std::path::PathBuf;

use thiserror::Error;

/// Each says what, where, and what to do.
#[derive(Debug, Error)]
pub enum IdentityError {
    #[error("cannot read {path}: {source}; name the file that has it", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write {path}: {source}; choose another directory", path = path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is there already; choose another directory, or remove it if nothing relies on it", path = path.display())]
    There { path: PathBuf },
    #[error("{path} has no {what} in PEM; name the file that has it", path = path.display())]
    Empty { path: PathBuf, what: &'static str },
    #[error("{path} cannot be used: {reason}; name another file", path = path.display())]
    Unfit { path: PathBuf, reason: String },
    #[error("cannot make {what}: {source}")]
    Make {
        what: &'static str,
        source: rcgen::Error,
    },
    #[error("the certificate request cannot be used: {0}")]
    Request(rcgen::Error),
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("no randomness can be had from the system")]
    Randomness,
    #[error("{0:?} is no enrolment token; ask for one with `parallax token create --vantage NAME`")]
    Token(String),
    #[error("{0:?} is no host name or address that a certificate can name")]
    ServerName(String),
}

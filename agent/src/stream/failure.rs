//! Why digests could not be delivered: what ends the agent, and what is tried again.

use std::error::Error as StdError;

use thiserror::Error;
use tonic::{Code, Status};

use crate::outbox::OutboxError;

/// What ends delivery. Each says what, where, and what to do.
#[derive(Debug, Error)]
pub enum StreamError {
    #[error("collector address {url:?}: {reason}; give one like http://127.0.0.1:7600")]
    BadUrl { url: String, reason: String },
    #[error(
        "cannot reach a collector at {url}: {reason}; \
         start one with `parallax-collector serve`, or name another with --collector"
    )]
    Unreachable { url: String, reason: String },
    #[error(
        "vantage {vantage:?}: the collector at {url} refuses it: {reason}; \
         stop the other agent, or give this one another name with --vantage"
    )]
    VantageTaken {
        vantage: String,
        url: String,
        reason: String,
    },
    #[error(
        "the collector at {url} refuses what this agent sends: {reason}; \
         check that both are of the same version"
    )]
    Refused { url: String, reason: String },
    #[error(
        "vantage {vantage:?}: the collector at {url} does not let this agent write for it: {reason}"
    )]
    NotNamed {
        vantage: String,
        url: String,
        reason: String,
    },
    #[error("{url} is no collector: {reason}; give a collector's address with --collector")]
    NotACollector { url: String, reason: String },
    #[error("the collector at {url} is not to be trusted: {source}; start this agent again")]
    Contradiction {
        url: String,
        #[source]
        source: OutboxError,
    },
}

/// What happened to a connection, or to an attempt to make one.
#[derive(Debug)]
pub(super) enum Broken {
    /// Another attempt may succeed.
    Lost(String),
    /// None will.
    Fatal(StreamError),
}

impl Broken {
    /// The reason, if another attempt may succeed.
    pub fn lost(self) -> Result<String, StreamError> {
        match self {
            Self::Lost(reason) => Ok(reason),
            Self::Fatal(error) => Err(error),
        }
    }
}

/// Who talks to whom, for messages.
#[derive(Debug, Clone)]
pub(super) struct Parties {
    pub vantage: String,
    pub url: String,
}

impl Parties {
    /// What a status that ended the stream means.
    pub fn judge(&self, status: &Status) -> Broken {
        let url = self.url.clone();
        let reason = status.message().to_owned();
        Broken::Fatal(match status.code() {
            Code::FailedPrecondition => StreamError::VantageTaken {
                vantage: self.vantage.clone(),
                url,
                reason,
            },
            Code::PermissionDenied => StreamError::NotNamed {
                vantage: self.vantage.clone(),
                url,
                reason,
            },
            Code::InvalidArgument => StreamError::Refused { url, reason },
            Code::Unimplemented => StreamError::NotACollector {
                url,
                reason: if reason.is_empty() {
                    "it does not speak this protocol".to_owned()
                } else {
                    reason
                },
            },
            code => {
                return Broken::Lost(match innermost(status) {
                    inner if inner == status.to_string() => format!("{code}: {reason}"),
                    inner => inner,
                });
            }
        })
    }

    pub fn contradiction(&self, source: OutboxError) -> StreamError {
        StreamError::Contradiction {
            url: self.url.clone(),
            source,
        }
    }

    pub fn unreachable(&self, reason: String) -> StreamError {
        StreamError::Unreachable {
            url: self.url.clone(),
            reason,
        }
    }
}

/// The last error of a chain: transport errors say little before it.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

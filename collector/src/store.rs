//! Everything in Postgres: connecting, migrating, loading digests, gathering evidence, keeping
//! verdicts, answering questions.

use sqlx::postgres::PgPool;
use thiserror::Error;

mod answers;
mod asides;
mod audit;
mod clocks;
mod collectors;
mod compound;
mod connect;
mod copy;
mod days;
mod digest_row;
mod distribute;
mod erase;
mod evidence;
mod injections;
mod load;
mod looks;
mod losses;
mod openings;
mod packed;
mod payloads;
mod people;
mod policy;
mod questions;
mod rows;
mod runs;
mod shards;
mod spans;
mod testimony;
mod verdicts;
mod watching;

pub use answers::{Filters, Place};
pub use asides::{Answered, Asides, Change, Held, Octets};
pub use audit::{AuditRow, Entry, Outcome as AuditOutcome};
pub use collectors::Turn;
pub use connect::{ConnectError, Target};
pub use copy::{COPY_DIGESTS, encode_digests};
pub use distribute::{DISTRIBUTED, DistributeError};
pub use erase::Erased;
pub use evidence::{Ask, EVERYWHERE_MAX, Gathered, Kin, PortionOfFlow, SEGMENTS_MAX};
pub use injections::{Injection, Told};
pub use load::{Accepted, Beat, Fresh, Gain, Loaded, Outcome, Portion, accept};
pub use looks::{Count, Cursor, Group, Grouping, Link, Page, Steps};
pub use people::{BadToken, Role};
pub use policy::Policies;
pub use questions::{Asking, Question};
pub use rows::RowError;
pub use runs::{NewRun, RegisterError, Registered, Source};
pub use shards::routed_questions;
pub use spans::{Growth, Latest, Row};
pub use verdicts::{Settled, Settling, Verdicts, Written};
pub use watching::{RunState, WatchState};

/// The collector's database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    days: days::Asked,
    reach: shards::Reach,
    /// See [`EVERYWHERE_MAX`].
    everywhere_max: usize,
}

/// What the database did not do.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("cannot {what}: {source}")]
    Database {
        what: &'static str,
        source: sqlx::Error,
    },
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("cannot {what}: {source}")]
    Json {
        what: &'static str,
        source: serde_json::Error,
    },
}

impl StoreError {
    pub(crate) fn database(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { what, source }
    }

    /// Whether the statement itself was refused, rather than the database out of reach.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Database { source, .. } => source.as_database_error().is_some_and(|error| {
                // Classes 08 (connection), 53 (resources) and 57 (operator: shutdown) pass by themselves;
                // so do serialization failures and deadlocks (40). A day that another collector has just opened is
                // seen a moment before its partitions are known to all (CommitTransaction in xact.c shows rows first);
                // that none is found has the code of a check, and no constraint (execPartition.c).
                let code = error.code().unwrap_or_default();
                let passes = ["08", "40", "53", "57"]
                    .iter()
                    .any(|class| code.starts_with(class));
                let not_yet_known = code == "23514" && error.constraint().is_none();
                !passes && !not_yet_known
            }),
            Self::Row(_) | Self::Json { .. } => true,
        }
    }
}

impl Store {
    /// The pool, for tests and benchmarks.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The same, which asks at every vantage only up to another number of them: for tests and benchmarks.
    #[must_use]
    pub fn asking_everywhere_up_to(mut self, vantages: usize) -> Self {
        self.everywhere_max = vantages;
        self
    }

    /// Waits until no connection is in use and closes them.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

//! Vantages and runs.

use std::net::IpAddr;

use parallax_core::{CaptureTime, OneIn, Selection, Vantage, VantageKind};
use thiserror::Error;
use uuid::Uuid;

use super::{Store, StoreError};

/// Where a run's packets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Live,
    File,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::File => "file",
        }
    }
}

/// What an agent says of itself when it connects.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub vantage: Vantage,
    pub run_id: Uuid,
    pub source: Source,
    pub selection: Selection,
    pub agent_version: String,
    pub interfaces: Vec<String>,
    pub filter: String,
    /// Octets kept of each packet; 0: not known.
    pub snaplen: u32,
}

/// A run that the database knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// `run.id`.
    pub id: i32,
    pub vantage_id: i32,
    /// Every digest with a number below this is stored.
    pub committed: u64,
}

/// Why a run is not let in.
#[derive(Debug, Error)]
pub enum RegisterError {
    #[error(
        "run {run_id} belongs to vantage \"{theirs}\", not to \"{said}\"; an agent takes a new run id at each start"
    )]
    OtherVantage {
        run_id: Uuid,
        theirs: String,
        said: String,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A selection as columns carry it: a word, and one in how many.
pub(super) fn selection_columns(selection: Selection) -> (&'static str, i64) {
    match selection {
        Selection::All => ("all", 0),
        Selection::Context => ("context", 0),
        Selection::Sampled(one_in) => ("sampled", i64::from(one_in.get())),
    }
}

/// A selection from columns; `None` where they make no sense.
pub(super) fn selection_of(word: &str, sample_one_in: i64) -> Option<Selection> {
    match word {
        "all" => Some(Selection::All),
        "context" => Some(Selection::Context),
        "sampled" => OneIn::new(u32::try_from(sample_one_in).ok()?).map(Selection::Sampled),
        _ => None,
    }
}

impl Store {
    /// What a vantage is called.
    pub async fn vantage_name(&self, id: i32) -> Result<String, StoreError> {
        let (name,): (String,) = sqlx::query_as("SELECT name FROM vantage WHERE id = $1")
            .bind(id)
            .fetch_one(self.pool())
            .await
            .map_err(StoreError::database("name a vantage"))?;
        Ok(name)
    }

    /// Enters a vantage and a run, or finds them again. The latest word on a vantage's kind and
    /// addresses counts.
    pub async fn register(&self, run: &NewRun) -> Result<Registered, RegisterError> {
        let vantage_id = self.register_vantage(&run.vantage).await?;
        let (selection, sample_one_in) = selection_columns(run.selection);
        let (id, owner, committed, name): (i32, i32, i64, String) =
            sqlx::query_as(include_str!("../sql/register_run.sql"))
                .bind(run.run_id)
                .bind(vantage_id)
                .bind(run.source.as_str())
                .bind(selection)
                .bind(&run.agent_version)
                .bind(&run.interfaces)
                .bind(&run.filter)
                .bind(i64::from(run.snaplen))
                .bind(sample_one_in)
                .fetch_one(&self.pool)
                .await
                .map_err(StoreError::database("register a run"))?;
        if owner != vantage_id {
            return Err(RegisterError::OtherVantage {
                run_id: run.run_id,
                theirs: name,
                said: run.vantage.name.clone(),
            });
        }
        Ok(Registered {
            id,
            vantage_id,
            committed: committed.cast_unsigned(),
        })
    }

    /// From the start of a run's first coverage to the end of its last.
    pub async fn span_of_run(
        &self,
        id: i32,
    ) -> Result<Option<(CaptureTime, CaptureTime)>, StoreError> {
        let span: Option<(Option<i64>, Option<i64>)> =
            sqlx::query_as("SELECT first_ns, last_ns FROM run WHERE id = $1")
                .bind(id)
                .fetch_optional(&self.pool)
                .await
                .map_err(StoreError::database("read a run's coverage"))?;
        Ok(span.and_then(|(first, last)| {
            Some((
                CaptureTime::from_nanos(first?),
                CaptureTime::from_nanos(last?),
            ))
        }))
    }

    async fn register_vantage(&self, vantage: &Vantage) -> Result<i32, StoreError> {
        let (kind, addresses): (_, &[IpAddr]) = match &vantage.kind {
            VantageKind::Host { addresses } => ("host", addresses),
            VantageKind::Hop => ("hop", &[]),
        };
        let (id,): (i32,) = sqlx::query_as(include_str!("../sql/register_vantage.sql"))
            .bind(&vantage.name)
            .bind(kind)
            .bind(addresses)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::database("register a vantage"))?;
        Ok(id)
    }
}

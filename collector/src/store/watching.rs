//! How each vantage watches now, for people.

use parallax_core::{CaptureTime, Selection};

use super::rows::RowName;
use super::runs::selection_of;
use super::{Store, StoreError};

/// The newest run of a vantage, with its clock and memory.
#[derive(Debug, Clone)]
pub struct WatchState {
    pub vantage: String,
    /// `None`: no agent ever came.
    pub run: Option<RunState>,
    /// Its clock minus the database's, and how far that may be off, nanoseconds.
    pub clock: Option<(i64, i64)>,
    /// How far back its memory reached when it was asked last, nanoseconds.
    pub horizon: Option<i64>,
}

impl WatchState {
    /// Whether its newest run read a file.
    pub fn is_file(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.is_file)
    }
}

/// A run as it stands.
#[derive(Debug, Clone)]
pub struct RunState {
    pub is_file: bool,
    pub version: String,
    pub interfaces: Vec<String>,
    pub filter: String,
    pub selection: Selection,
    pub received: i64,
    /// What it watched, by its clock.
    pub watched: Option<(CaptureTime, CaptureTime)>,
    /// By the database's clock, as the following.
    pub registered: CaptureTime,
    pub connected: CaptureTime,
    /// When it said goodbye.
    pub finished: Option<CaptureTime>,
}

#[derive(sqlx::FromRow)]
struct StateRow {
    name: String,
    source: Option<String>,
    agent_version: Option<String>,
    interfaces: Option<Vec<String>>,
    filter: Option<String>,
    selection: Option<String>,
    sample_one_in: Option<i64>,
    received: Option<i64>,
    first_ns: Option<i64>,
    last_ns: Option<i64>,
    registered_ns: Option<i64>,
    connected_ns: Option<i64>,
    finished_ns: Option<i64>,
    offset_ns: Option<i64>,
    error_ns: Option<i64>,
    horizon_ns: Option<i64>,
    asked_ns: Option<i64>,
}

impl Store {
    /// Every vantage, in the order of first registration.
    pub async fn watch_states(&self) -> Result<Vec<WatchState>, StoreError> {
        let rows: Vec<StateRow> = sqlx::query_as(include_str!("../sql/watch_states.sql"))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("read how vantages watch"))?;
        rows.into_iter().map(state).collect()
    }
}

fn state(row: StateRow) -> Result<WatchState, StoreError> {
    let time = CaptureTime::from_nanos;
    let run = match (
        row.source,
        row.selection,
        row.registered_ns,
        row.connected_ns,
    ) {
        (Some(source), Some(selection), Some(registered), Some(connected)) => {
            let known = selection_of(&selection, row.sample_one_in.unwrap_or_default());
            let selection = known.ok_or_else(|| {
                let name = RowName {
                    table: "run",
                    row: format!("newest of {:?}", row.name),
                };
                name.refuse("selection", &selection)
            })?;
            Some(RunState {
                is_file: source == "file",
                version: row.agent_version.unwrap_or_default(),
                interfaces: row.interfaces.unwrap_or_default(),
                filter: row.filter.unwrap_or_default(),
                selection,
                received: row.received.unwrap_or_default(),
                watched: row
                    .first_ns
                    .zip(row.last_ns)
                    .map(|(from, to)| (time(from), time(to))),
                registered: time(registered),
                connected: time(connected),
                finished: row.finished_ns.map(time),
            })
        }
        _ => None,
    };
    // The horizon is by the vantage's clock, the moment of the answer by the database's.
    let horizon = row.horizon_ns.zip(row.asked_ns).map(|(horizon, asked)| {
        let asked_there = asked.saturating_add(row.offset_ns.unwrap_or_default());
        asked_there.saturating_sub(horizon).max(0)
    });
    Ok(WatchState {
        vantage: row.name,
        run,
        clock: row.offset_ns.zip(row.error_ns),
        horizon,
    })
}

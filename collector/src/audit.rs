//! The audit's hand: acts are written before they are answered, refusals are counted and written soon after.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::store::{AuditOutcome, Entry, Store, StoreError};

/// How often refusals are written.
const WRITTEN_EACH: Duration = Duration::from_millis(250);
/// How long equal refusals are one row.
const WINDOW: Duration = Duration::from_mins(1);
/// Different refusals of a window; more are counted together.
const ROWS_MAX: usize = 100;

/// Writes to the audit; clones share what is counted.
#[derive(Debug, Clone)]
pub struct Audit {
    store: Store,
    window: Arc<Mutex<Window>>,
}

#[derive(Debug, Default)]
struct Window {
    rows: HashMap<Entry, Row>,
    since: Option<Instant>,
}

/// How often, and what of that is written where.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    count: u64,
    written: u64,
    id: Option<i64>,
}

impl Audit {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            window: Arc::default(),
        }
    }

    /// Something was done, or let pass: it is written when this returns.
    pub async fn note(&self, entry: Entry) -> Result<(), StoreError> {
        self.store
            .write_audit(&entry.bounded(), 1)
            .await
            .map(|_| ())
    }

    /// Somebody was refused something.
    pub fn refused(
        &self,
        (who, from): (&str, Option<IpAddr>),
        act: &str,
        object: &str,
        reason: &str,
    ) {
        let entry = Entry {
            who: who.to_owned(),
            from,
            act: act.to_owned(),
            object: object.to_owned(),
            outcome: AuditOutcome::Refused,
            reason: reason.to_owned(),
        };
        let entry = entry.bounded();
        let mut window = self.lock();
        let full = window.rows.len() >= ROWS_MAX && !window.rows.contains_key(&entry);
        let entry = if full { others() } else { entry };
        let row = window.rows.entry(entry).or_default();
        row.count += 1;
        // As many lines as rows.
        if row.count == 1 {
            tracing::info!(who, from = ?from, act, object, "refused: {reason}");
        }
    }

    /// Writes what is counted until `stop`, and then once more.
    pub async fn keep(self, stop: CancellationToken) {
        let mut turns = tokio::time::interval(WRITTEN_EACH);
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                _ = turns.tick() => false,
            };
            if let Err(error) = self.write().await {
                warn!("refusals are in the log only: {error}");
            }
            if stopped {
                return;
            }
        }
    }

    async fn write(&self) -> Result<(), StoreError> {
        let due: Vec<(Entry, Row)> = {
            let window = self.lock();
            let due = window
                .rows
                .iter()
                .filter(|(_, row)| row.count > row.written);
            due.map(|(entry, row)| (entry.clone(), *row)).collect()
        };
        for (entry, row) in due {
            let id = match row.id {
                None => self.store.write_audit(&entry, row.count).await?,
                Some(id) => {
                    self.store.count_audit(id, row.count).await?;
                    id
                }
            };
            if let Some(kept) = self.lock().rows.get_mut(&entry) {
                kept.written = row.count;
                kept.id = Some(id);
            }
        }
        self.turn();
        Ok(())
    }

    /// Begins another window when the time has come and nothing is unwritten.
    fn turn(&self) {
        let now = Instant::now();
        let mut window = self.lock();
        let since = *window.since.get_or_insert(now);
        let written = window.rows.values().all(|row| row.count == row.written);
        if now.duration_since(since) >= WINDOW && written {
            window.rows.clear();
            window.since = Some(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        // Counts are right after every statement.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts what no row is left for.
fn others() -> Entry {
    Entry {
        who: "various".to_owned(),
        from: None,
        act: "various".to_owned(),
        object: String::new(),
        outcome: AuditOutcome::Refused,
        reason: "more different refusals than a minute has rows for; an attack, or a mistake that many make".to_owned(),
    }
}

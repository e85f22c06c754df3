//! Several collectors on one database: who judges which flow, and who holds which agent.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::runs::Registered;
use super::{Store, StoreError};

/// A collector that is silent for so long is dead: its flows are judged by others, its agents are free.
pub const DEAD_AFTER: Duration = Duration::from_secs(6);

/// Whether a flow is this collector's to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Taken,
    /// Another collector judges it.
    Elsewhere,
}

impl Store {
    /// Takes flows to judge until their verdicts are written. A flow that is not among the answers is in no
    /// docket.
    pub async fn claim_flows(
        &self,
        flows: &[i64],
        collector: Uuid,
    ) -> Result<BTreeMap<i64, Turn>, StoreError> {
        let rows: Vec<(i64, bool)> = sqlx::query_as(include_str!("../sql/claim_flows.sql"))
            .bind(flows)
            .bind(collector)
            .bind(DEAD_AFTER.as_secs_f64())
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("take flows to judge"))?;
        let turn = |taken| if taken { Turn::Taken } else { Turn::Elsewhere };
        Ok(rows
            .into_iter()
            .map(|(flow, taken)| (flow, turn(taken)))
            .collect())
    }

    /// Flows that should have been judged by now: their collector is dead, or has too much to do.
    pub async fn left_behind(&self) -> Result<Vec<i64>, StoreError> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT flow FROM docket \
             WHERE touched_at < now() - make_interval(secs => $1) AND (until IS NULL OR until < now()) \
             ORDER BY touched_at LIMIT 1024",
        )
        .bind(DEAD_AFTER.as_secs_f64())
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::database("read flows left behind"))?;
        Ok(rows.into_iter().map(|(flow,)| flow).collect())
    }

    /// Notes that a run is connected to a collector; false where another run of its vantage is connected to
    /// another collector.
    pub async fn open_stream(
        &self,
        run: Registered,
        run_id: Uuid,
        collector: Uuid,
    ) -> Result<bool, StoreError> {
        let taken: Option<(i32,)> = sqlx::query_as(
            "INSERT INTO stream (vantage_id, run_id, collector) VALUES ($1, $2, $3) \
             ON CONFLICT (vantage_id) DO UPDATE \
             SET run_id = excluded.run_id, collector = excluded.collector, seen_at = now() \
             WHERE stream.run_id = excluded.run_id OR stream.collector = excluded.collector \
                OR stream.seen_at < now() - make_interval(secs => $4) \
             RETURNING vantage_id",
        )
        .bind(run.vantage_id)
        .bind(run_id)
        .bind(collector)
        .bind(DEAD_AFTER.as_secs_f64())
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::database("note a stream"))?;
        Ok(taken.is_some())
    }

    /// A run is no longer connected to a collector.
    pub async fn close_stream(
        &self,
        run: Registered,
        run_id: Uuid,
        collector: Uuid,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM stream WHERE vantage_id = $1 AND run_id = $2 AND collector = $3")
            .bind(run.vantage_id)
            .bind(run_id)
            .bind(collector)
            .execute(&self.pool)
            .await
            .map_err(StoreError::database("note a stream's end"))?;
        Ok(())
    }

    /// A collector lives, and agents of these vantages are connected to it.
    pub async fn keep_streams(
        &self,
        collector: Uuid,
        vantages: &[String],
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE stream SET seen_at = now() FROM vantage \
             WHERE stream.collector = $1 AND vantage.id = stream.vantage_id AND vantage.name = ANY ($2)",
        )
        .bind(collector)
        .bind(vantages)
        .execute(&self.pool)
        .await
        .map_err(StoreError::database("keep streams"))?;
        Ok(())
    }

    /// Vantages whose agents are connected to any collector.
    pub async fn connected(&self) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT vantage.name FROM stream JOIN vantage ON vantage.id = stream.vantage_id \
             WHERE stream.seen_at >= now() - make_interval(secs => $1)",
        )
        .bind(DEAD_AFTER.as_secs_f64())
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::database("read who is connected"))?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }
}

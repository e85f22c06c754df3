//! Clocks by exchange of stamps.

use parallax_core::{CaptureTime, ExchangedClock};

use super::runs::Registered;
use super::{Store, StoreError};

impl Store {
    /// Notes a run's clock against the database's.
    pub async fn note_clock(
        &self,
        run: Registered,
        clock: ExchangedClock,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO clock_exchange (run_id, at_ns, vantage_id, offset_ns, error_ns) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(run.id)
        .bind(clock.at.nanos())
        .bind(run.vantage_id)
        .bind(clock.offset)
        .bind(clock.error.max(0))
        .execute(&self.pool)
        .await
        .map_err(StoreError::database("note a clock"))?;
        Ok(())
    }

    /// The database's clock.
    pub async fn clock(&self) -> Result<CaptureTime, StoreError> {
        // Microseconds are what it has.
        let (micros,): (i64,) =
            sqlx::query_as("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
                .fetch_one(&self.pool)
                .await
                .map_err(StoreError::database("read the database's clock"))?;
        Ok(CaptureTime::from_nanos(micros.saturating_mul(1000)))
    }
}

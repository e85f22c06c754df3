//! Removing everything of an address, and what is oldest where there is too much.

use std::net::IpAddr;

use parallax_core::Digest;

use super::digest_row::Stored;
use super::packed::PackedRow;
use super::{Store, StoreError};

/// Flows looked at in one question.
const PAGE: i64 = 1000;

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    pub flows: u64,
    /// Rows of segments, of which one may hold many.
    pub segments: u64,
    pub resets: u64,
    /// Statements of kernels.
    pub statements: u64,
}

impl Store {
    /// Removes segments, statements and verdicts of every flow that has this address at an end or around it as a
    /// tunnel's, and verdicts whose text names it. Addresses that a host vantage says are its own stay with the vantage.
    pub async fn erase(&self, address: IpAddr) -> Result<Erased, StoreError> {
        let failed = || StoreError::database("erase an address");
        let mut flows = self.flows_of(address).await?;
        flows.extend(self.packed_flows_of(address, &flows).await?);
        let mut tx = self.pool.begin().await.map_err(failed())?;
        // Few may have an index for this, and it is done seldom.
        sqlx::query("SET LOCAL enable_seqscan = on")
            .execute(&mut *tx)
            .await
            .map_err(failed())?;
        let mut counts = Vec::new();
        for statement in [
            "DELETE FROM digest WHERE flow = ANY ($1)",
            "DELETE FROM packed WHERE flow = ANY ($1)",
            "DELETE FROM testimony WHERE flow = ANY ($1)",
            "DELETE FROM near WHERE flow = ANY ($1)",
            "DELETE FROM payload WHERE flow = ANY ($1)",
            "DELETE FROM opening WHERE flow = ANY ($1)",
            "DELETE FROM docket WHERE flow = ANY ($1)",
            "DELETE FROM reset_kin WHERE flow = ANY ($1) OR kin = ANY ($1)",
            "DELETE FROM reset_number WHERE flow = ANY ($1)",
            "DELETE FROM recall_question WHERE flow = ANY ($1)",
            "DELETE FROM recall WHERE flow = ANY ($1)",
        ] {
            let deleted = sqlx::query(statement)
                .bind(&flows)
                .execute(&mut *tx)
                .await
                .map_err(failed())?;
            counts.push(deleted.rows_affected());
        }
        // Another flow's verdict may name it: translated connections, chains, text of evidence.
        let resets = sqlx::query(
            "DELETE FROM reset WHERE flow = ANY ($1) OR src = $2 OR dst = $2 \
             OR (strpos(report::text, host($2)) > 0 AND report::text ~ $3)",
        )
        .bind(&flows)
        .bind(address)
        .bind(alone(address))
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
        tx.commit().await.map_err(failed())?;
        let count = |index: usize| counts.get(index).copied().unwrap_or(0);
        Ok(Erased {
            flows: flows.len() as u64,
            segments: count(0) + count(1),
            resets: resets.rows_affected(),
            statements: count(2),
        })
    }

    /// Flows that columns tell of.
    async fn flows_of(&self, address: IpAddr) -> Result<Vec<i64>, StoreError> {
        let failed = || StoreError::database("look for an address");
        let mut tx = self.pool.begin().await.map_err(failed())?;
        sqlx::query("SET LOCAL enable_seqscan = on")
            .execute(&mut *tx)
            .await
            .map_err(failed())?;
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT flow FROM digest WHERE $1 IN (src, dst, tunnel_src, tunnel_dst) \
             UNION SELECT flow FROM testimony WHERE $1 IN (src, dst) \
             UNION SELECT flow FROM reset WHERE $1 IN (src, dst)",
        )
        .bind(address)
        .fetch_all(&mut *tx)
        .await
        .map_err(failed())?;
        tx.commit().await.map_err(failed())?;
        Ok(rows.into_iter().map(|(flow,)| flow).collect())
    }

    /// Flows of which only packed rows tell: these are read, all of them.
    async fn packed_flows_of(
        &self,
        address: IpAddr,
        known: &[i64],
    ) -> Result<Vec<i64>, StoreError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let flows: Vec<(i64,)> = sqlx::query_as(
                "SELECT DISTINCT flow FROM packed WHERE ($1::bigint IS NULL OR flow > $1) \
                 AND flow <> ALL ($2) ORDER BY flow LIMIT $3",
            )
            .bind(after)
            .bind(known)
            .bind(PAGE)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("look for an address"))?;
            let Some((last,)) = flows.last().copied() else {
                return Ok(found);
            };
            after = Some(last);
            for (flow,) in flows {
                if self.packed_flow_has(flow, address).await? {
                    found.push(flow);
                }
            }
        }
    }

    async fn packed_flow_has(&self, flow: i64, address: IpAddr) -> Result<bool, StoreError> {
        let rows: Vec<PackedRow> = sqlx::query_as(
            "SELECT 1::bigint AS asked, run_id, first_number, segments, octets FROM packed WHERE flow = $1",
        )
        .bind(flow)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::database("read packed segments"))?;
        for row in &rows {
            let stored: Vec<Stored> = row.try_into()?;
            if stored.iter().any(|stored| names(&stored.digest, address)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Drops the oldest days until the database has no more octets than this; today and yesterday stay. Returns them.
    pub async fn drop_days_above(&self, octets: u64) -> Result<Vec<i32>, StoreError> {
        let mut dropped = Vec::new();
        loop {
            let oldest: Option<(i32,)> = sqlx::query_as(
                "SELECT min(day) FROM day WHERE pg_database_size(current_database()) > $1 \
                 AND day < floor(extract(epoch FROM now()) / 86400)::integer - 1 HAVING min(day) IS NOT NULL",
            )
            .bind(i64::try_from(octets).unwrap_or(i64::MAX))
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::database("measure the database"))?;
            let Some((day,)) = oldest else {
                return Ok(dropped);
            };
            sqlx::query("SELECT drop_day($1)")
                .bind(day)
                .execute(&self.pool)
                .await
                .map_err(StoreError::database("drop a day"))?;
            self.days.forget();
            dropped.push(day);
        }
    }
}

/// A pattern of Postgres for the address, not as a part of another.
fn alone(address: IpAddr) -> String {
    let text = address.to_string();
    match address {
        IpAddr::V4(_) => format!(
            "(^|[^0-9.]){}($|[^0-9.]|[.]($|[^0-9]))",
            text.replace('.', "[.]")
        ),
        IpAddr::V6(_) => format!("(^|[^0-9a-f:]){text}($|[^0-9a-f:]|:($|[^0-9a-f:]))"),
    }
}

fn names(digest: &Digest, address: IpAddr) -> bool {
    let tunnel = digest.link.tunnel.and_then(|tunnel| tunnel.ends);
    digest.tuple.src.addr == address
        || digest.tuple.dst.addr == address
        || tunnel.is_some_and(|ends| ends.src == address || ends.dst == address)
}

//! Tables over several machines: Citus.
//!
//! What grows with the segments is distributed; everything else is small, is locked row by row, and stays at the
//! coordinator.

use sqlx::postgres::PgConnection;
use thiserror::Error;

use super::Store;
use super::shards::Reach;

/// Tables, each with the column by which its rows are distributed and the table beside whose shards its own lie.
pub const DISTRIBUTED: [(&str, &str, &str); 5] = [
    ("digest", "flow", "none"),
    ("packed", "flow", "digest"),
    ("payload", "hash", "none"),
    ("near", "vantage_id", "none"),
    ("opening", "number", "none"),
];

/// Why tables were not distributed.
#[derive(Debug, Error)]
pub enum DistributeError {
    #[error(
        "this database has no Citus extension: install Citus (citusdata.com, for instance postgresql-16-citus-12.1) on every node, name it in shared_preload_libraries, run CREATE EXTENSION citus in this database and citus_add_node for each worker, then migrate again"
    )]
    NoCitus,
    #[error("the schema cannot be distributed: {0}")]
    Schema(String),
    #[error("cannot {what}: {source}")]
    Database {
        what: &'static str,
        source: sqlx::Error,
    },
}

fn failed(what: &'static str) -> impl FnOnce(sqlx::Error) -> DistributeError {
    move |source| DistributeError::Database { what, source }
}

impl Store {
    /// Distributes the tables that grow with the segments, with what is in them; those that are distributed stay so.
    ///
    /// # Errors
    /// Without Citus, or when a table cannot be distributed: then none is.
    pub async fn distribute(&self) -> Result<(), DistributeError> {
        let begun = self.pool.begin().await;
        let mut tx = begun.map_err(failed("begin to distribute tables"))?;
        let (citus,): (bool,) =
            sqlx::query_as("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')")
                .fetch_one(&mut *tx)
                .await
                .map_err(failed("look for extensions"))?;
        if !citus {
            return Err(DistributeError::NoCitus);
        }
        if let Some(fault) = faults(&mut tx).await?.into_iter().next() {
            return Err(DistributeError::Schema(fault));
        }
        if reach(&mut tx)
            .await
            .map_err(failed("read Citus's tables"))?
            == Reach::Whole
        {
            for copy in [
                include_str!("../sql/fill_near.sql"),
                include_str!("../sql/fill_opening.sql"),
            ] {
                let copied = sqlx::query(copy).execute(&mut *tx).await;
                copied.map_err(failed("copy digests by other keys"))?;
            }
        }
        for (table, column, beside) in DISTRIBUTED {
            sqlx::query(include_str!("../sql/distribute.sql"))
                .bind(table)
                .bind(column)
                .bind(beside)
                .execute(&mut *tx)
                .await
                .map_err(failed("distribute a table"))?;
        }
        let ended = tx.commit().await;
        ended.map_err(failed("commit the distribution of tables"))
    }

    /// What keeps the schema from being distributed, by the catalogue: none where all is well.
    pub async fn distribution_faults(&self) -> Result<Vec<String>, DistributeError> {
        let acquired = self.pool.acquire().await;
        let mut connection = acquired.map_err(failed("read the catalogue"))?;
        faults(&mut connection).await
    }
}

async fn faults(connection: &mut PgConnection) -> Result<Vec<String>, DistributeError> {
    let mut all = Vec::new();
    for (table, column, _) in DISTRIBUTED {
        let found: Vec<(String,)> = sqlx::query_as(include_str!("../sql/distribution_faults.sql"))
            .bind(table)
            .bind(column)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("read the catalogue"))?;
        all.extend(found.into_iter().map(|(fault,)| fault));
    }
    Ok(all)
}

/// Whether a database's tables are distributed.
pub(super) async fn reach(connection: &mut PgConnection) -> Result<Reach, sqlx::Error> {
    let (known,): (bool,) = sqlx::query_as("SELECT to_regclass('pg_dist_partition') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !known {
        return Ok(Reach::Whole);
    }
    let (distributed,): (bool,) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'digest'::regclass)",
    )
    .fetch_one(connection)
    .await?;
    Ok(if distributed {
        Reach::Shard
    } else {
        Reach::Whole
    })
}

//! What pages ask of all resets at once: pages of a list, counts over time, groups, links.

use std::fmt;

use parallax_core::CaptureTime;
use parallax_core::report::ResetReport;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::QueryAs;
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use uuid::Uuid;

use super::answers::{Filters, ReportRow, report};
use super::{Store, StoreError};

/// Groups in an answer at most.
const GROUPS_MAX: i64 = 200;

/// The place after which a page of a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub time: CaptureTime,
    pub id: Uuid,
}

/// `TIME.ID`, the time in nanoseconds.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time.nanos(), self.id)
    }
}

impl Cursor {
    /// Reads what [`fmt::Display`] writes.
    pub fn read(text: &str) -> Option<Self> {
        let (time, id) = text.split_once('.')?;
        Some(Self {
            time: CaptureTime::from_nanos(time.parse().ok()?),
            id: id.parse().ok()?,
        })
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// Newest first.
    pub resets: Vec<ResetReport>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Cursor>,
}

/// Resets of one origin in one step of a span.
#[derive(Debug, sqlx::FromRow)]
pub struct Count {
    pub step: i32,
    pub origin: String,
    pub resets: i64,
}

/// Steps of equal length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    pub from: CaptureTime,
    /// Nanoseconds.
    pub length: i64,
    pub count: i64,
}

/// By what resets are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// The two vantages between which they were born, in either order.
    Place,
    Cause,
    /// The end with the lower port, which is the service's in nearly all connections.
    Peer,
}

/// Resets that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Group {
    /// Place: the first of the two vantages; cause; or the peer's address.
    pub a: Option<String>,
    /// Place: the second.
    pub b: Option<String>,
    pub resets: i64,
    /// Different 4-tuples.
    pub connections: i64,
    pub first_ns: i64,
    pub last_ns: i64,
    /// The lower port of most of them.
    pub port: i32,
    pub ports: i64,
}

/// What happened at a vantage, or between two, whichever way it went.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Link {
    /// `injected`, `open` (undetermined), `emitted` or `lost`.
    pub what: String,
    pub a: Option<String>,
    pub b: Option<String>,
    pub resets: i64,
    pub last_ns: i64,
}

impl Grouping {
    /// The two columns of a group.
    const fn columns(self) -> &'static str {
        match self {
            Self::Place => {
                "NULLIF(least(coalesce(between_a, ''), coalesce(between_b, '')), '') AS a, NULLIF(greatest(coalesce(between_a, ''), coalesce(between_b, '')), '') AS b"
            }
            Self::Cause => "cause AS a, NULL::text AS b",
            Self::Peer => {
                "host(CASE WHEN sport < dport THEN src ELSE dst END) AS a, NULL::text AS b"
            }
        }
    }

    /// What belongs to no group.
    const fn condition(self) -> &'static str {
        match self {
            Self::Place => "AND (between_a IS NOT NULL OR between_b IS NOT NULL)",
            Self::Cause | Self::Peer => "",
        }
    }
}

type Asking<'q, Row> = QueryAs<'q, Postgres, Row, PgArguments>;

/// The twelve parameters of sql/passing.sql.
fn bind<'q, Row>(query: Asking<'q, Row>, filters: &'q Filters) -> Asking<'q, Row> {
    let name = |place: Option<&'q super::Place>, index: usize| {
        place.map(|place| {
            if index == 0 {
                place.0.as_str()
            } else {
                place.1.as_str()
            }
        })
    };
    let (between, lost) = (filters.between.as_ref(), filters.lost.as_ref());
    query
        .bind(filters.since.map(CaptureTime::nanos))
        .bind(filters.until.map(CaptureTime::nanos))
        .bind(filters.address)
        .bind(filters.port.map(i32::from))
        .bind(filters.vantage.as_deref())
        .bind(filters.origin)
        .bind(filters.cause)
        .bind(name(between, 0))
        .bind(name(between, 1))
        .bind(filters.at.as_deref())
        .bind(name(lost, 0))
        .bind(name(lost, 1))
}

impl Store {
    /// A page of the newest resets that pass.
    pub async fn page(&self, filters: &Filters) -> Result<Page, StoreError> {
        let mut tx = self.look().await?;
        let sql = concat!(
            include_str!("../sql/resets.sql"),
            include_str!("../sql/passing.sql"),
            include_str!("../sql/resets_end.sql")
        );
        let limit = filters.limit as usize;
        let rows: Vec<ReportRow> = bind(sqlx::query_as(sql), filters)
            .bind(filters.after.map(|cursor| cursor.time.nanos()))
            .bind(filters.after.map(|cursor| cursor.id))
            .bind(limit as i64 + 1)
            .persistent(false)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("read resets"))?;
        let more = rows.len() > limit;
        let shown = &rows[..rows.len().min(limit)];
        let next = shown.last().filter(|_| more).map(|row| Cursor {
            time: CaptureTime::from_nanos(row.time_ns),
            id: row.id,
        });
        let resets: Result<Vec<ResetReport>, StoreError> = shown.iter().map(report).collect();
        Ok(Page {
            resets: resets?,
            next,
        })
    }

    /// The time of the oldest and of the newest reset.
    pub async fn reset_span(&self) -> Result<Option<(CaptureTime, CaptureTime)>, StoreError> {
        let ends: (Option<i64>, Option<i64>) =
            sqlx::query_as("SELECT min(time_ns), max(time_ns) FROM reset")
                .fetch_one(&self.pool)
                .await
                .map_err(StoreError::database("read the span of resets"))?;
        let time = CaptureTime::from_nanos;
        Ok(ends
            .0
            .zip(ends.1)
            .map(|(first, last)| (time(first), time(last))))
    }

    /// Resets that pass, by step and origin.
    pub async fn counts(&self, filters: &Filters, steps: Steps) -> Result<Vec<Count>, StoreError> {
        let mut tx = self.look().await?;
        let sql = concat!(
            include_str!("../sql/counts.sql"),
            include_str!("../sql/passing.sql"),
            include_str!("../sql/counts_end.sql")
        );
        bind(sqlx::query_as(sql), filters)
            .bind(steps.from.nanos())
            .bind(steps.length)
            .bind(steps.count)
            .persistent(false)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("count resets"))
    }

    /// Resets that pass, in groups, the largest first.
    pub async fn groups(&self, filters: &Filters, by: Grouping) -> Result<Vec<Group>, StoreError> {
        let mut tx = self.look().await?;
        let sql = format!(
            "WITH by_flow AS (SELECT {}, least(sport, dport) AS port, flow, count(*) AS resets, \
             min(time_ns) AS first_ns, max(time_ns) AS last_ns FROM reset\n{}{}\n{}",
            by.columns(),
            include_str!("../sql/passing.sql"),
            by.condition(),
            include_str!("../sql/groups_end.sql")
        );
        // Of nothing but constants.
        bind(sqlx::query_as(AssertSqlSafe(sql)), filters)
            .bind(GROUPS_MAX)
            .persistent(false)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("group resets"))
    }

    /// What happened at and between vantages.
    pub async fn links(
        &self,
        since: Option<CaptureTime>,
        until: Option<CaptureTime>,
    ) -> Result<Vec<Link>, StoreError> {
        let mut tx = self.look().await?;
        sqlx::query_as(include_str!("../sql/links.sql"))
            .bind(since.map(CaptureTime::nanos))
            .bind(until.map(CaptureTime::nanos))
            .persistent(false)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("count resets by link"))
    }

    /// For questions that look at many resets: planned for their filters, and free to read all of a table.
    async fn look(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        const PLANS: &str = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on; \
                             SET LOCAL enable_bitmapscan = on; SET LOCAL jit = off; SET LOCAL work_mem = '32MB'";
        let failed = StoreError::database("begin to look at resets");
        let mut tx = match self.pool.begin_with("BEGIN READ ONLY").await {
            Ok(tx) => tx,
            Err(error) => return Err(failed(error)),
        };
        let connection: &mut PgConnection = &mut tx;
        sqlx::raw_sql(PLANS)
            .execute(connection)
            .await
            .map_err(StoreError::database("begin to look at resets"))?;
        Ok(tx)
    }
}

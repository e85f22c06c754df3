//! The audit: refusals, counted, and administrative acts.

use std::net::IpAddr;

use super::{Store, StoreError};

/// The longest text of a row, in characters.
const TEXT_MAX: usize = 200;
/// Refusals that are kept; the oldest go first.
const REFUSALS_MAX: i64 = 100_000;

/// One row to be, without its times and count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// `user:NAME`, `certificate:SUBJECT`, `proxy:ADDRESS`, `local` or `unknown`.
    pub who: String,
    pub from: Option<IpAddr>,
    pub act: String,
    pub object: String,
    pub outcome: Outcome,
    pub reason: String,
}

impl Entry {
    /// Something that was done.
    pub fn done(who: String, from: Option<IpAddr>, act: &str, object: String) -> Self {
        let entry = Self {
            who,
            from,
            act: act.to_owned(),
            object,
            outcome: Outcome::Done,
            reason: String::new(),
        };
        entry.bounded()
    }

    /// Texts come from strangers.
    #[must_use]
    pub fn bounded(self) -> Self {
        let cut = |text: String| {
            let plain = parallax_core::plain::plain(&text);
            plain.chars().take(TEXT_MAX).collect()
        };
        Self {
            who: cut(self.who),
            act: cut(self.act),
            object: cut(self.object),
            reason: cut(self.reason),
            ..self
        }
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Done,
    Refused,
    /// Let pass though it should not be so.
    Warned,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Warned => "warned",
        }
    }
}

/// A row as it is shown: id, microseconds since the epoch of the first and last time, who, from, act, object, outcome,
/// reason, count.
pub type AuditRow = (
    i64,
    i64,
    i64,
    String,
    Option<IpAddr>,
    String,
    String,
    String,
    String,
    i64,
);

/// Writes a row; in the transaction of an act both stand, or neither.
pub(super) async fn write(
    to: impl sqlx::PgExecutor<'_>,
    entry: &Entry,
    count: u64,
) -> Result<i64, StoreError> {
    let (id,) = sqlx::query_as(
        "INSERT INTO audit (who, from_address, act, object, outcome, reason, count) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
    )
    .bind(&entry.who)
    .bind(entry.from)
    .bind(&entry.act)
    .bind(&entry.object)
    .bind(entry.outcome.word())
    .bind(&entry.reason)
    .bind(count as i64)
    .fetch_one(to)
    .await
    .map_err(StoreError::database("write the audit"))?;
    Ok(id)
}

impl Store {
    /// Writes a row; returns its id.
    pub async fn write_audit(&self, entry: &Entry, count: u64) -> Result<i64, StoreError> {
        write(&self.pool, entry, count).await
    }

    /// The same thing happened again, so many times in all.
    pub async fn count_audit(&self, id: i64, count: u64) -> Result<(), StoreError> {
        sqlx::query("UPDATE audit SET count = $2, last_at = now() WHERE id = $1")
            .bind(id)
            .bind(count as i64)
            .execute(&self.pool)
            .await
            .map_err(StoreError::database("count in the audit"))?;
        Ok(())
    }

    /// The newest rows, below this id if one is given.
    pub async fn audit(
        &self,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Vec<AuditRow>, StoreError> {
        sqlx::query_as(
            "SELECT id, (extract(epoch FROM at) * 1000000)::bigint, (extract(epoch FROM last_at) * 1000000)::bigint, \
                 who, from_address, act, object, outcome, reason, count \
             FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::database("read the audit"))
    }

    /// Drops the oldest refusals where there are too many, and tokens whose end is long past.
    pub async fn forget_refusals(&self) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM audit WHERE outcome = 'refused' AND id <= \
             (SELECT id FROM audit WHERE outcome = 'refused' ORDER BY id DESC OFFSET $1 LIMIT 1)",
        )
        .bind(REFUSALS_MAX)
        .execute(&self.pool)
        .await
        .map_err(StoreError::database("forget old refusals"))?;
        sqlx::query("DELETE FROM enrolment_token WHERE expires_at < now() - interval '30 days'")
            .execute(&self.pool)
            .await
            .map_err(StoreError::database("forget old tokens"))?;
        Ok(())
    }
}

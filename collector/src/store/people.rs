//! People with their roles, and tokens for enrolment. What changes them is in the audit, or did not happen.

use std::str::FromStr;
use std::time::Duration;

use super::audit::{self, Entry};
use super::rows::RowName;
use super::{Store, StoreError};

/// What somebody may do; each may what the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads verdicts and everything about them.
    Viewer,
    /// Changes what agents ship.
    Operator,
    /// Makes people and tokens, reads the audit.
    Admin,
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            _ => Err("a role is viewer, operator or admin".to_owned()),
        }
    }
}

/// Why a token does not enrol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    Unknown,
    Used,
    Expired,
}

impl Store {
    /// Name and role of whom this token's hash belongs to.
    pub async fn person(&self, hash: &[u8; 32]) -> Result<Option<(String, Role)>, StoreError> {
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT name, role FROM person WHERE token_hash = $1")
                .bind(&hash[..])
                .fetch_optional(&self.pool)
                .await
                .map_err(StoreError::database("look for a person"))?;
        row.map(|(name, role)| {
            let known = role.parse().map_err(|_| refuse_role(&name, &role))?;
            Ok((name, known))
        })
        .transpose()
    }

    /// All people: name, role.
    pub async fn people(&self) -> Result<Vec<(String, Role)>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT name, role FROM person ORDER BY name")
                .fetch_all(&self.pool)
                .await
                .map_err(StoreError::database("list people"))?;
        let known = rows.into_iter().map(|(name, role)| {
            let known = role.parse().map_err(|_| refuse_role(&name, &role))?;
            Ok((name, known))
        });
        known.collect()
    }

    /// Whether anybody has a role.
    pub async fn has_people(&self) -> Result<bool, StoreError> {
        let (some,) = sqlx::query_as("SELECT EXISTS (SELECT FROM person)")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::database("look for people"))?;
        Ok(some)
    }

    /// Adds a person, or gives one another role and token.
    pub async fn set_person(
        &self,
        name: &str,
        role: Role,
        hash: &[u8; 32],
        act: &Entry,
    ) -> Result<(), StoreError> {
        let failed = || StoreError::database("add a person");
        let mut tx = self.pool.begin().await.map_err(failed())?;
        sqlx::query(
            "INSERT INTO person (name, role, token_hash) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET role = excluded.role, token_hash = excluded.token_hash",
        )
        .bind(name)
        .bind(role.word())
        .bind(&hash[..])
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
        audit::write(&mut *tx, act, 1).await?;
        tx.commit().await.map_err(failed())
    }

    /// Whether there was such a person.
    pub async fn remove_person(&self, name: &str, act: &Entry) -> Result<bool, StoreError> {
        let failed = || StoreError::database("remove a person");
        let mut tx = self.pool.begin().await.map_err(failed())?;
        let removed = sqlx::query("DELETE FROM person WHERE name = $1")
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(failed())?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        audit::write(&mut *tx, act, 1).await?;
        tx.commit().await.map_err(failed())?;
        Ok(true)
    }

    /// Keeps a token for enrolment.
    pub async fn add_token(
        &self,
        hash: &[u8; 32],
        vantages: &[String],
        good_for: Duration,
        act: &Entry,
    ) -> Result<(), StoreError> {
        let failed = || StoreError::database("keep a token");
        let mut tx = self.pool.begin().await.map_err(failed())?;
        sqlx::query(
            "INSERT INTO enrolment_token (hash, vantages, made_by, expires_at) \
             VALUES ($1, $2, $3, now() + make_interval(secs => $4))",
        )
        .bind(&hash[..])
        .bind(vantages)
        .bind(&act.who)
        .bind(good_for.as_secs_f64())
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
        audit::write(&mut *tx, act, 1).await?;
        tx.commit().await.map_err(failed())
    }

    /// Uses a token: the vantages it is for. Of two that use it at once one does.
    pub async fn use_token(
        &self,
        hash: &[u8; 32],
    ) -> Result<Result<Vec<String>, BadToken>, StoreError> {
        let failed = || StoreError::database("use a token");
        let used: Option<(Vec<String>,)> = sqlx::query_as(
            "UPDATE enrolment_token SET used_at = now() \
             WHERE hash = $1 AND used_at IS NULL AND expires_at > now() RETURNING vantages",
        )
        .bind(&hash[..])
        .fetch_optional(&self.pool)
        .await
        .map_err(failed())?;
        if let Some((vantages,)) = used {
            return Ok(Ok(vantages));
        }
        let known: Option<(bool,)> =
            sqlx::query_as("SELECT used_at IS NOT NULL FROM enrolment_token WHERE hash = $1")
                .bind(&hash[..])
                .fetch_optional(&self.pool)
                .await
                .map_err(failed())?;
        Ok(Err(match known {
            None => BadToken::Unknown,
            Some((true,)) => BadToken::Used,
            Some((false,)) => BadToken::Expired,
        }))
    }
}

fn refuse_role(name: &str, role: &str) -> StoreError {
    let row = RowName {
        table: "person",
        row: format!("name {name:?}"),
    };
    row.refuse("role", &role).into()
}

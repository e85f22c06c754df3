//! What the operator wants agents to ship.

use std::collections::BTreeMap;

use parallax_core::Selection;

use super::audit::{self, Entry};
use super::rows::RowName;
use super::runs::{selection_columns, selection_of};
use super::{Store, StoreError};

/// What agents are told to ship.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    /// By vantage; the empty name: every vantage that has no entry of its own.
    pub by_vantage: BTreeMap<String, Selection>,
}

impl Policies {
    /// What a vantage is told; `None`: it decides itself.
    pub fn of(&self, vantage: &str) -> Option<Selection> {
        let own = self.by_vantage.get(vantage);
        own.or_else(|| self.by_vantage.get("")).copied()
    }
}

impl Store {
    /// All that is set.
    pub async fn policies(&self) -> Result<Policies, StoreError> {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT vantage, selection, sample_one_in FROM policy")
                .fetch_all(&self.pool)
                .await
                .map_err(StoreError::database("read the policy"))?;
        let read = rows.into_iter().map(|(vantage, selection, one_in)| {
            let known = selection_of(&selection, one_in).ok_or_else(|| {
                let name = RowName {
                    table: "policy",
                    row: format!("vantage {vantage:?}"),
                };
                StoreError::from(name.refuse("selection", &selection))
            })?;
            Ok((vantage, known))
        });
        Ok(Policies {
            by_vantage: read.collect::<Result<_, StoreError>>()?,
        })
    }

    /// Sets what a vantage (empty: every other) is told to ship, or (`None`) leaves it to the agent; tells all
    /// collectors. `act` goes into the audit with it.
    pub async fn set_policy(
        &self,
        vantage: &str,
        selection: Option<Selection>,
        act: Option<&Entry>,
    ) -> Result<(), StoreError> {
        let failed = || StoreError::database("set the policy");
        let mut tx = self.pool.begin().await.map_err(failed())?;
        match selection.map(selection_columns) {
            Some((word, one_in)) => {
                sqlx::query(
                    "INSERT INTO policy (vantage, selection, sample_one_in) VALUES ($1, $2, $3) \
                     ON CONFLICT (vantage) DO UPDATE \
                     SET selection = excluded.selection, sample_one_in = excluded.sample_one_in",
                )
                .bind(vantage)
                .bind(word)
                .bind(one_in)
                .execute(&mut *tx)
                .await
                .map_err(failed())?;
            }
            None => {
                sqlx::query("DELETE FROM policy WHERE vantage = $1")
                    .bind(vantage)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed())?;
            }
        }
        sqlx::query("SELECT pg_notify('parallax_policy', '')")
            .execute(&mut *tx)
            .await
            .map_err(failed())?;
        if let Some(act) = act {
            audit::write(&mut *tx, act, 1).await?;
        }
        tx.commit().await.map_err(failed())
    }
}

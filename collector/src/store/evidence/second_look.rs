//! What is asked when the segments of flows and their kin by number are known, in one question: who else carries their
//! payloads, and what was watched.

use std::collections::HashMap;
use std::sync::LazyLock;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row as _};

use super::kin::Probes;
use super::questions::{by_question, column};
use super::{CoverageRow, Post};
use crate::store::StoreError;
use crate::store::compound::{Part, compound};

static SECOND_LOOK: LazyLock<String> = LazyLock::new(|| {
    compound(&[
        Part {
            text: include_str!("../../sql/carriers.sql"),
            values: 8,
            columns: "asked, flow, NULL::integer AS run_id, NULL::bigint AS from_ns, NULL::bigint AS until_ns, \
                NULL::bigint AS received, NULL::bigint AS dropped, NULL::text AS selection, \
                NULL::bigint AS sample_one_in",
        },
        Part {
            text: include_str!("../../sql/coverage.sql"),
            values: 2,
            columns: "asked, NULL, run_id, from_ns, until_ns, received, dropped, selection, sample_one_in",
        },
    ])
});

/// What is known then.
pub(super) struct SecondLook {
    /// Flows that carry a payload, with its number among the probes, from 1.
    pub carriers: Vec<(i64, i64)>,
    /// By post.
    pub coverage: HashMap<usize, Vec<CoverageRow>>,
}

enum Row {
    Carrier(i64, i64),
    Watched(CoverageRow),
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(match row.try_get(0)? {
            0_i16 => Self::Carrier(row.try_get("asked")?, row.try_get("flow")?),
            _ => Self::Watched(CoverageRow::from_row(row)?),
        })
    }
}

impl SecondLook {
    pub async fn load(
        tx: &mut PgConnection,
        probes: &Probes,
        posts: &[Post],
    ) -> Result<Self, StoreError> {
        let rows: Vec<Row> = probes
            .bind_all(sqlx::query_as(SECOND_LOOK.as_str()))
            .bind(column(posts, |post| post.vantage_id))
            .bind(column(posts, |post| post.moment))
            .fetch_all(tx)
            .await
            .map_err(StoreError::database(
                "find flows with the same payload, and coverage",
            ))?;
        let (mut carriers, mut watched) = (Vec::new(), Vec::new());
        for row in rows {
            match row {
                Row::Carrier(asked, flow) => carriers.push((asked, flow)),
                Row::Watched(row) => watched.push(row),
            }
        }
        let mut coverage = by_question(watched, |row| row.asked);
        // Of several questions at once none is in order by the standard.
        for rows in coverage.values_mut() {
            rows.sort_by_key(|row| (row.from_ns, row.until_ns));
        }
        Ok(Self { carriers, coverage })
    }
}

//! Answers to questions: resets by filter, one reset, vantages, late coverage.

use std::collections::BTreeMap;
use std::net::IpAddr;

use parallax_core::CaptureTime;
use parallax_core::report::{Count, Document, ResetReport, VantageSummary};
use parallax_core::vantage::KindName;
use uuid::Uuid;

use super::evidence::Ask;
use super::looks::Cursor;
use super::rows::RowName;
use super::{Store, StoreError};

/// Which resets are asked for; `None` does not filter.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    pub since: Option<CaptureTime>,
    pub until: Option<CaptureTime>,
    /// Source or destination.
    pub address: Option<IpAddr>,
    /// Source or destination.
    pub port: Option<u16>,
    /// A vantage that saw it.
    pub vantage: Option<String>,
    pub origin: Option<&'static str>,
    pub cause: Option<&'static str>,
    pub between: Option<Place>,
    /// The vantage nearest to the emitter.
    pub at: Option<String>,
    pub lost: Option<Place>,
    /// Only those that come after this place, newest first.
    pub after: Option<Cursor>,
    /// The newest this many.
    pub limit: u32,
}

/// Two vantages, in either order; an empty one is beyond the outermost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(pub String, pub String);

#[derive(sqlx::FromRow)]
pub(super) struct ReportRow {
    pub id: Uuid,
    pub time_ns: i64,
    report: String,
}

#[derive(sqlx::FromRow)]
struct SummaryRow {
    id: i32,
    name: String,
    kind: String,
    addresses: Vec<IpAddr>,
    received: i64,
    dropped: i64,
    first_ns: Option<i64>,
    last_ns: Option<i64>,
    sent_octets: i64,
    observed_octets: i64,
}

/// Zero is what nobody measured.
fn known(octets: u64) -> Option<u64> {
    (octets > 0).then_some(octets)
}

impl Store {
    /// The newest resets that pass, oldest first, and whether there are more.
    pub async fn resets(&self, filters: &Filters) -> Result<(Vec<ResetReport>, bool), StoreError> {
        let mut page = self.page(filters).await?;
        page.resets.reverse();
        Ok((page.resets, page.next.is_some()))
    }

    /// The flow and time of a reset.
    pub async fn find_reset(&self, id: Uuid) -> Result<Option<Ask>, StoreError> {
        let row: Option<(i64, i64)> =
            sqlx::query_as("SELECT flow, time_ns FROM reset WHERE id = $1 LIMIT 1")
                .bind(id)
                .fetch_optional(&self.pool)
                .await
                .map_err(StoreError::database("find a reset"))?;
        Ok(row.map(|(flow, time)| Ask {
            flow,
            moment: Some(CaptureTime::from_nanos(time)),
        }))
    }

    /// The vantages' names, in the order of first registration.
    pub async fn vantage_names(&self) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT name FROM vantage ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("read the names of vantages"))?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Every vantage, in the order of first registration.
    pub async fn summaries(&self) -> Result<Vec<VantageSummary>, StoreError> {
        let rows: Vec<SummaryRow> = sqlx::query_as(include_str!("../sql/summaries.sql"))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("read vantages"))?;
        let unread: Vec<(i32, String, i64)> = sqlx::query_as(include_str!("../sql/unread.sql"))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("read counts of unread packets"))?;
        let mut by_vantage: BTreeMap<i32, Vec<Count>> = BTreeMap::new();
        for (vantage_id, reason, count) in unread {
            by_vantage.entry(vantage_id).or_default().push(Count {
                what: reason,
                count: count.max(0).cast_unsigned(),
            });
        }
        let mut losses = self.loss_totals().await?;
        rows.into_iter()
            .map(|row| {
                let unreadable = by_vantage.remove(&row.id).unwrap_or_default();
                let losses = losses.remove(&row.id).unwrap_or_default();
                Ok(VantageSummary {
                    losses,
                    ..summary(row, unreadable)?
                })
            })
            .collect()
    }

    /// The document of these filters. `connected` tells whether an agent is connected for a vantage.
    pub async fn document(
        &self,
        filters: Option<&Filters>,
        path: &[String],
        connected: impl Fn(&str) -> bool,
    ) -> Result<Document, StoreError> {
        let mut vantages = self.summaries().await?;
        for vantage in &mut vantages {
            vantage.connected = Some(connected(&vantage.name));
        }
        let mut warnings = Vec::new();
        let mut next = None;
        let resets = match filters {
            None => Vec::new(),
            Some(filters) => {
                let mut page = self.page(filters).await?;
                page.resets.reverse();
                next = page.next.map(|next| next.to_string());
                if next.is_some() {
                    warnings.push(format!(
                        "only the newest {} resets are shown: narrow the question, or raise the limit",
                        filters.limit
                    ));
                }
                page.resets
            }
        };
        let path = (!path.is_empty()).then(|| path.to_vec());
        let document = Document::assemble(vantages, path, resets, warnings);
        Ok(Document { next, ..document })
    }

    /// Enters every flow with a reset in one of these spans in the docket, if the span's vantage has to do with it (`None`:
    /// any has); returns them.
    pub async fn docket_spans(
        &self,
        watched: &[(Option<i32>, CaptureTime, CaptureTime)],
    ) -> Result<Vec<i64>, StoreError> {
        let rows: Vec<(i64,)> = sqlx::query_as(include_str!("../sql/docket_span.sql"))
            .bind(watched.iter().map(|(at, ..)| *at).collect::<Vec<_>>())
            .bind(
                watched
                    .iter()
                    .map(|(_, from, _)| from.nanos())
                    .collect::<Vec<_>>(),
            )
            .bind(
                watched
                    .iter()
                    .map(|(.., until)| until.nanos())
                    .collect::<Vec<_>>(),
            )
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("enter spans in the docket"))?;
        Ok(rows.into_iter().map(|(flow,)| flow).collect())
    }

    /// Every flow that waits for judgement, by the time of its newest reset: what is near to one is near to the next.
    pub async fn docketed(&self) -> Result<Vec<i64>, StoreError> {
        let rows: Vec<(i64,)> = sqlx::query_as(include_str!("../sql/docketed.sql"))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("read the docket"))?;
        Ok(rows.into_iter().map(|(flow,)| flow).collect())
    }

    /// Whether the database answers.
    pub async fn is_alive(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.pool).await.is_ok()
    }
}

pub(super) fn report(row: &ReportRow) -> Result<ResetReport, StoreError> {
    serde_json::from_str(&row.report).map_err(|error| {
        let name = RowName {
            table: "reset",
            row: format!("id {}", row.id),
        };
        name.refuse("report", &error).into()
    })
}

fn summary(row: SummaryRow, unreadable: Vec<Count>) -> Result<VantageSummary, StoreError> {
    let name = RowName {
        table: "vantage",
        row: format!("id {}", row.id),
    };
    let kind = match row.kind.as_str() {
        "host" => KindName::Host,
        "hop" => KindName::Hop,
        other => return Err(name.refuse("kind", &other).into()),
    };
    Ok(VantageSummary {
        kind,
        addresses: row.addresses,
        packets: name.narrow("received", row.received)?,
        first: row.first_ns.map(CaptureTime::from_nanos),
        last: row.last_ns.map(CaptureTime::from_nanos),
        dropped: name.narrow("dropped", row.dropped)?,
        clock_offset_ns: None,
        unreadable,
        connected: None,
        losses: Vec::new(),
        sent_octets: known(name.narrow("sent_octets", row.sent_octets)?),
        observed_octets: known(name.narrow("observed_octets", row.observed_octets)?),
        name: row.name,
    })
}

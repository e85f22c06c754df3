//! What agents' memories and exchanges of stamps add to a flow's evidence.

use std::collections::{BTreeSet, HashMap};

use parallax_core::evidence::{in_order_of_capture, with_recalled};
use parallax_core::{CaptureTime, Digest, ExchangedClock};
use sqlx::postgres::PgConnection;

use super::questions::{by_question, column};
use super::{Ask, Post};
use crate::store::StoreError;
use crate::store::digest_row::Stored;

/// What memories answered about asked flows.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By run: numbers of digests that came by recall, first and the one after the last; rising, without overlap.
    recalled: HashMap<i32, Vec<(i64, i64)>>,
    /// By post: spans of which everything is stored.
    complete: HashMap<usize, Vec<SpanRow>>,
}

#[derive(Debug, sqlx::FromRow)]
struct SpanRow {
    asked: i64,
    from_ns: i64,
    until_ns: i64,
}

#[derive(Debug, sqlx::FromRow)]
struct ClockRow {
    asked: i64,
    at_ns: i64,
    offset_ns: i64,
    error_ns: i64,
}

pub(super) async fn load(
    tx: &mut PgConnection,
    asks: &[Ask],
    posts: &[Post],
    kin: &[BTreeSet<i64>],
) -> Result<Memory, StoreError> {
    let flows: BTreeSet<i64> = asks
        .iter()
        .map(|ask| ask.flow)
        .chain(kin.iter().flatten().copied())
        .collect();
    let batches: Vec<(i32, i64, i64)> = sqlx::query_as(include_str!("../../sql/recalled.sql"))
        .bind(flows.into_iter().collect::<Vec<i64>>())
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database("read which digests came by recall"))?;
    let mut recalled: HashMap<i32, Vec<(i64, i64)>> = HashMap::new();
    for (run, first, next) in batches {
        let ranges = recalled.entry(run).or_default();
        match ranges.last_mut() {
            Some(last) if first <= last.1 => last.1 = last.1.max(next),
            _ => ranges.push((first, next)),
        }
    }
    let rows: Vec<SpanRow> = sqlx::query_as(include_str!("../../sql/complete_spans.sql"))
        .bind(column(posts, |post| asks[post.ask].flow))
        .bind(column(posts, |post| post.vantage_id))
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("read what memories answered"))?;
    Ok(Memory {
        recalled,
        complete: by_question(rows, |row| row.asked),
    })
}

/// Each post's clock by exchange around its moment.
pub(super) async fn clocks(
    tx: &mut PgConnection,
    posts: &[Post],
) -> Result<HashMap<usize, ExchangedClock>, StoreError> {
    let rows: Vec<ClockRow> = sqlx::query_as(include_str!("../../sql/clocks.sql"))
        .bind(column(posts, |post| post.vantage_id))
        .bind(column(posts, |post| post.moment))
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("read clocks"))?;
    let clock = |row: ClockRow| {
        let clock = ExchangedClock {
            at: CaptureTime::from_nanos(row.at_ns),
            offset: row.offset_ns,
            error: row.error_ns,
        };
        (row.asked as usize - 1, clock)
    };
    Ok(rows.into_iter().map(clock).collect())
}

impl Memory {
    /// Spans at a post of which everything that it recorded of the flow is stored.
    pub fn complete(&self, post: usize) -> Vec<(CaptureTime, CaptureTime)> {
        let spans = self.complete.get(&post).into_iter().flatten();
        spans
            .map(|row| {
                (
                    CaptureTime::from_nanos(row.from_ns),
                    CaptureTime::from_nanos(row.until_ns),
                )
            })
            .collect()
    }

    fn is_recalled(&self, stored: &Stored) -> bool {
        let Some(ranges) = self.recalled.get(&stored.run_id) else {
            return false;
        };
        let after = ranges.partition_point(|(first, _)| *first <= stored.number);
        after
            .checked_sub(1)
            .is_some_and(|range| stored.number < ranges[range].1)
    }

    /// Stored digests, each once, in the order of capture.
    pub fn as_captured<'a>(&self, stored: impl IntoIterator<Item = &'a Stored>) -> Vec<&'a Digest> {
        let mut all: Vec<&Stored> = stored.into_iter().collect();
        all.sort_by_key(|stored| (stored.run_id, stored.number));
        all.dedup_by_key(|stored| (stored.run_id, stored.number));
        let runs = all.chunk_by(|one, other| one.run_id == other.run_id);
        in_order_of_capture(runs.map(|run| self.run(run)).collect())
    }

    fn run<'a>(&self, stored: &[&'a Stored]) -> Vec<&'a Digest> {
        let (mut recalled, mut captured) = (Vec::new(), Vec::with_capacity(stored.len()));
        for stored in stored {
            if self.is_recalled(stored) {
                recalled.push(&stored.digest);
            } else {
                captured.push(&stored.digest);
            }
        }
        with_recalled(captured, recalled)
    }
}

//! Flows that may be the same connections as the asked ones, or the other side of a proxy.

use std::collections::{BTreeSet, HashMap};

use parallax_core::archive::{APART, CARRIERS_MAX};
use sqlx::postgres::PgConnection;

use super::Post;
use super::questions::{by_question, column};
use crate::store::StoreError;
use crate::store::digest_row::DigestRow;

/// More kin than this is no translation but a crowd.
const KIN_MAX: usize = 96;

/// The kin of each asked flow, by hash, without itself.
pub(super) async fn load(
    tx: &mut PgConnection,
    flows: &[i64],
) -> Result<Vec<BTreeSet<i64>>, StoreError> {
    let same: Vec<(i64, i64)> = sqlx::query_as(include_str!("../../sql/kin.sql"))
        .bind(flows)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database("find flows with the same initial numbers"))?;
    let carriers: Vec<(i64, i64)> = sqlx::query_as(include_str!("../../sql/carriers.sql"))
        .bind(column(&same, |(asked, _)| *asked))
        .bind(column(&same, |(_, flow)| *flow))
        .bind(APART)
        .bind(CARRIERS_MAX as i32)
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("find flows with the same payload"))?;
    let mut kin = vec![BTreeSet::new(); flows.len()];
    for (asked, flow) in same.into_iter().chain(carriers) {
        let index = asked as usize - 1;
        if flow != flows[index] && kin[index].len() < KIN_MAX {
            kin[index].insert(flow);
        }
    }
    Ok(kin)
}

/// The segments of the kin at each post.
pub(super) async fn segments(
    tx: &mut PgConnection,
    posts: &[Post],
    kin: &[BTreeSet<i64>],
) -> Result<HashMap<usize, Vec<DigestRow>>, StoreError> {
    let asked: Vec<(usize, i64)> = posts
        .iter()
        .enumerate()
        .flat_map(|(index, post)| kin[post.ask].iter().map(move |flow| (index, *flow)))
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<DigestRow> = sqlx::query_as(include_str!("../../sql/segments.sql"))
        .bind(column(&asked, |(_, flow)| *flow))
        .bind(column(&asked, |(post, _)| posts[*post].vantage_id))
        .bind(column(&asked, |(post, _)| posts[*post].moment))
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("gather segments of related flows"))?;
    let mut by_post: HashMap<usize, Vec<DigestRow>> = HashMap::new();
    for (question, rows) in by_question(rows, |row| row.asked) {
        by_post.entry(asked[question].0).or_default().extend(rows);
    }
    Ok(by_post)
}

//! Segments of flows at posts, out of both tables that hold them.

use std::collections::{BTreeSet, HashMap};

use sqlx::postgres::PgConnection;

use super::first_look::FirstLook;
use super::questions::{by_question, column, whole_number};
use super::{AFTER_LIMIT, BEFORE_LIMIT, Post};
use crate::store::StoreError;
use crate::store::days::Span;
use crate::store::digest_row::{DigestRow, Segments, Stored};
use crate::store::packed::PackedRow;
use crate::store::rows::RowError;
use crate::store::shards::{PACKED_SEGMENTS, Reach, SEGMENTS};

/// How many of a flow's first segments are taken, however far from the moment.
const FIRST: usize = 16;

/// What was gathered at each post (index into the posts).
#[derive(Debug)]
pub(super) struct Loaded {
    reach: Reach,
    /// Of the flow itself.
    own: HashMap<usize, Segments>,
    /// Of its kin.
    others: HashMap<usize, Vec<Segments>>,
}

impl Loaded {
    pub fn reaching(reach: Reach) -> Self {
        Self {
            reach,
            own: HashMap::new(),
            others: HashMap::new(),
        }
    }

    /// The flow's own segments at a post, as far as they can be read.
    pub fn own(&self, post: usize) -> &[Stored] {
        let own = self.own.get(&post).and_then(|own| own.as_ref().ok());
        own.map_or(&[][..], Vec::as_slice)
    }

    /// All segments at a post, as far as they can be read.
    pub fn all(&self, post: usize) -> impl Iterator<Item = &Stored> {
        let others = self.others.get(&post).into_iter().flatten();
        self.own(post)
            .iter()
            .chain(others.filter_map(|read| read.as_ref().ok()).flatten())
    }

    /// Why not all can be read.
    pub fn refusal(&self, post: usize) -> Option<&RowError> {
        let others = self.others.get(&post).into_iter().flatten();
        let mut all = self.own.get(&post).into_iter().chain(others);
        all.find_map(|read| read.as_ref().err())
    }

    /// Adds the flow's own segments at every post, and those of its kin by ask.
    pub async fn add_own_and_kin(
        &mut self,
        tx: &mut PgConnection,
        posts: &[Post],
        look: &FirstLook,
        kin: &[BTreeSet<i64>],
        days: Span,
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<(usize, i64)> = Vec::new();
        for (index, post) in posts.iter().enumerate() {
            match look.at(post.ask, post.vantage_id, days) {
                Some(mut all) => {
                    keep_nearest(&mut all, post.moment);
                    self.own.insert(index, Ok(all));
                }
                None => wanted.push((index, post.flow.hash().cast_signed())),
            }
        }
        let own = wanted.len();
        for (index, post) in posts.iter().enumerate() {
            wanted.extend(kin[post.ask].iter().map(|flow| (index, *flow)));
        }
        let mut found = load(tx, posts, &wanted, days, self.reach).await?;
        for (index, (post, _)) in wanted.iter().enumerate() {
            let Some(read) = found.remove(&index) else {
                continue;
            };
            if index < own {
                self.own.insert(*post, read);
            } else {
                self.others.entry(*post).or_default().push(read);
            }
        }
        Ok(())
    }

    /// Adds further kin, each by ask.
    pub async fn add_kin(
        &mut self,
        tx: &mut PgConnection,
        posts: &[Post],
        kin: &[(usize, i64)],
        days: Span,
    ) -> Result<(), StoreError> {
        let at = |(ask, flow): &(usize, i64)| {
            let (ask, flow) = (*ask, *flow);
            let of_ask = move |post: &usize| posts[*post].ask == ask;
            (0..posts.len())
                .filter(of_ask)
                .map(move |post| (post, flow))
                .collect::<Vec<_>>()
        };
        let wanted: Vec<(usize, i64)> = kin.iter().flat_map(at).collect();
        for (index, read) in load(tx, posts, &wanted, days, self.reach).await? {
            self.others.entry(wanted[index].0).or_default().push(read);
        }
        Ok(())
    }
}

/// The segments of flows, each wanted at a post (index into the posts); by index into `wanted`.
async fn load(
    tx: &mut PgConnection,
    posts: &[Post],
    wanted: &[(usize, i64)],
    days: Span,
    reach: Reach,
) -> Result<HashMap<usize, Segments>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (mut rows, mut packed): (Vec<DigestRow>, Vec<PackedRow>) = (Vec::new(), Vec::new());
    for part in reach.parts(wanted, |(_, flow)| *flow) {
        let flows = column(&part, |index| wanted[*index].1);
        let vantages = column(&part, |index| posts[wanted[*index].0].vantage_id);
        let moments = column(&part, |index| posts[wanted[*index].0].moment);
        let mut found: Vec<DigestRow> = sqlx::query_as(SEGMENTS.text(reach))
            .bind(&flows)
            .bind(&vantages)
            .bind(&moments)
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("gather segments"))?;
        for row in &mut found {
            row.asked = whole_number(&part, row.asked);
        }
        rows.append(&mut found);
        let mut found: Vec<PackedRow> = sqlx::query_as(PACKED_SEGMENTS.text(reach))
            .bind(&flows)
            .bind(&vantages)
            .bind(&moments)
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("gather packed segments"))?;
        for row in &mut found {
            row.asked = whole_number(&part, row.asked);
        }
        packed.append(&mut found);
    }
    let moments = column(wanted, |(post, _)| posts[*post].moment);
    let mut found = together(rows, packed);
    for (index, read) in &mut found {
        if let Ok(read) = read {
            keep_nearest(read, moments[*index]);
        }
    }
    Ok(found)
}

/// Digests of rows of both tables, by question.
fn together(rows: Vec<DigestRow>, packed: Vec<PackedRow>) -> HashMap<usize, Segments> {
    let mut found: HashMap<usize, Segments> = HashMap::new();
    for (question, rows) in by_question(rows, |row| row.asked) {
        found.insert(question, rows.iter().map(Stored::try_from).collect());
    }
    for (question, rows) in by_question(packed, |row| row.asked) {
        let all = found.entry(question).or_insert_with(|| Ok(Vec::new()));
        let unpacked = unpack(&rows);
        match (all.as_mut(), unpacked) {
            (Ok(all), Ok(unpacked)) => all.extend(unpacked),
            (Ok(_), Err(error)) => *all = Err(error),
            (Err(_), _) => {}
        }
    }
    found
}

/// The digests of packed rows, each row once.
fn unpack(rows: &[PackedRow]) -> Segments {
    let mut known = BTreeSet::new();
    let mut all = Vec::new();
    for row in rows {
        if known.insert((row.run_id, row.first_number)) {
            all.extend(Vec::<Stored>::try_from(row)?);
        }
    }
    Ok(all)
}

/// Keeps of one flow's segments those nearest to the moment, more before it than after it, and the first ones; each
/// once.
fn keep_nearest(all: &mut Vec<Stored>, moment: i64) {
    all.sort_by_key(|stored| (stored.digest.time, stored.run_id, stored.number));
    all.dedup_by_key(|stored| (stored.run_id, stored.number));
    let until = all.partition_point(|stored| stored.digest.time.nanos() <= moment);
    let near = until.saturating_sub(BEFORE_LIMIT)..until + AFTER_LIMIT;
    let mut index = 0;
    all.retain(|_| {
        let keep = index < FIRST || near.contains(&index);
        index += 1;
        keep
    });
}

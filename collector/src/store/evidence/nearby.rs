//! Segments of other flows around a flow's end: see [`parallax_core::Nearby`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parallax_core::evidence::{NEARBY_MAX, Surroundings};
use parallax_core::{Digest, Flow, Nearby, Selection};
use sqlx::postgres::PgConnection;

use super::Post;
use super::memory::Memory;
use super::questions::{self, Name, Neighbour};
use crate::store::StoreError;
use crate::store::days::Span;
use crate::store::digest_row::Segments;
use crate::store::rows::RowError;

/// What was found for one post.
pub(super) struct Around {
    surroundings: Surroundings,
    handshakes: Segments,
    others: Segments,
    resets: Segments,
}

impl Around {
    pub fn evidence(&self, memory: &Memory) -> Result<Nearby, RowError> {
        let names = &self.surroundings.names;
        let other = |digest: &Digest| !names.contains(&digest.tuple.flow());
        let captured = |read: &Segments| -> Result<Vec<Digest>, RowError> {
            let read = read.as_ref().map_err(RowError::clone)?;
            Ok(memory.as_captured(read.iter()))
        };
        let mut handshakes = captured(&self.handshakes)?;
        handshakes.retain(other);
        let mut others = captured(&self.others)?;
        others.retain(|digest| other(digest) && joins_hosts(digest, names));
        let mut resets = captured(&self.resets)?;
        resets.retain(other);
        Ok(Nearby::new(
            self.surroundings.moment,
            handshakes,
            others,
            resets,
        ))
    }
}

fn joins_hosts(digest: &Digest, names: &[Flow]) -> bool {
    let other = digest.tuple.flow();
    names
        .iter()
        .any(|name| (other.low().addr, other.high().addr) == (name.low().addr, name.high().addr))
}

/// Loads what is near each post, in the order of the posts.
pub(super) async fn load(
    tx: &mut PgConnection,
    posts: &[Post],
    around: &[Surroundings],
    days: Span,
    selection: impl Fn(usize) -> Selection,
) -> Result<Vec<Around>, StoreError> {
    let names: Vec<Name> = posts
        .iter()
        .zip(around)
        .enumerate()
        .flat_map(|(index, (post, around))| {
            around.names.iter().map(move |flow| Name {
                post: index,
                flow: *flow,
                vantage_id: post.vantage_id,
                moment: around.moment.nanos(),
            })
        })
        .collect();
    let mut handshakes = questions::handshakes(&mut *tx, &names, days).await?;
    let wanted = neighbours(posts, around, &handshakes, selection);
    let mut others = questions::neighbours(&mut *tx, &wanted, days).await?;
    let moments: Vec<i64> = around.iter().map(|around| around.moment.nanos()).collect();
    let mut resets = questions::nearby_resets(tx, posts, &moments, days).await?;
    Ok(around
        .iter()
        .enumerate()
        .map(|(index, surroundings)| Around {
            surroundings: surroundings.clone(),
            handshakes: take(&mut handshakes, index),
            others: take(&mut others, index),
            resets: take(&mut resets, index),
        })
        .collect())
}

fn take(found: &mut HashMap<usize, Segments>, post: usize) -> Segments {
    found.remove(&post).unwrap_or_else(|| Ok(Vec::new()))
}

/// Flows between a flow's two hosts of which some vantage has a handshake nearby, at every vantage
/// that ships all segments.
fn neighbours(
    posts: &[Post],
    around: &[Surroundings],
    handshakes: &HashMap<usize, Segments>,
    selection: impl Fn(usize) -> Selection,
) -> Vec<Neighbour> {
    let mut flows: BTreeMap<(usize, Flow), BTreeSet<i64>> = BTreeMap::new();
    for (index, post) in posts.iter().enumerate() {
        // What cannot be read is refused where the evidence is built.
        let read = handshakes.get(&index).and_then(|read| read.as_ref().ok());
        let mut near: Vec<Digest> = read
            .into_iter()
            .flatten()
            .map(|stored| stored.digest)
            .filter(|digest| !around[index].names.contains(&digest.tuple.flow()))
            .collect();
        let moment = around[index].moment;
        near.sort_by_key(|digest| (digest.time.since(moment).saturating_abs(), digest.time));
        near.truncate(NEARBY_MAX);
        flows.entry((post.ask, post.flow)).or_default().extend(
            near.iter()
                .map(|digest| digest.tuple.flow().hash().cast_signed()),
        );
    }
    let shipping_all = |index: &usize| selection(*index) == Selection::All;
    (0..posts.len())
        .filter(shipping_all)
        .flat_map(|index| {
            let post = &posts[index];
            let flows = flows.get(&(post.ask, post.flow)).into_iter().flatten();
            flows.map(move |flow| Neighbour {
                post: index,
                flow: *flow,
                vantage_id: post.vantage_id,
                moment: around[index].moment.nanos(),
            })
        })
        .collect()
}

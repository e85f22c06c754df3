//! Segments of other flows around a flow's end: see [`parallax_core::Nearby`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parallax_core::evidence::NEARBY_MAX;
use parallax_core::{CaptureTime, Digest, Flow, Nearby, Selection};
use sqlx::postgres::PgConnection;

use super::questions::{self, Neighbour};
use super::{Ask, Post, digests};
use crate::store::StoreError;
use crate::store::digest_row::DigestRow;
use crate::store::rows::RowError;

/// What was found for one post.
pub(super) struct Around {
    moment: i64,
    handshakes: Vec<DigestRow>,
    others: Vec<DigestRow>,
}

impl Around {
    pub fn evidence(&self, flow: Flow) -> Result<Nearby, RowError> {
        let other = |digest: &Digest| digest.tuple.flow() != flow;
        Ok(Nearby::new(
            CaptureTime::from_nanos(self.moment),
            digests(&self.handshakes, other)?,
            digests(&self.others, |digest| {
                other(digest) && joins_hosts(digest, flow)
            })?,
        ))
    }
}

fn joins_hosts(digest: &Digest, flow: Flow) -> bool {
    let other = digest.tuple.flow();
    (other.low().addr, other.high().addr) == (flow.low().addr, flow.high().addr)
}

/// Loads what is near each post, in the order of the posts.
pub(super) async fn load(
    tx: &mut PgConnection,
    asks: &[Ask],
    posts: &[Post],
    segments: &HashMap<usize, Vec<DigestRow>>,
    selection: impl Fn(usize) -> Selection,
) -> Result<Vec<Around>, StoreError> {
    let moments = moments(posts, segments);
    let mut handshakes = questions::handshakes(tx, asks, posts, &moments).await?;
    let wanted = neighbours(posts, &moments, &handshakes, selection);
    let mut others = questions::neighbours(tx, &wanted).await?;
    Ok(moments
        .into_iter()
        .enumerate()
        .map(|(index, moment)| Around {
            moment,
            handshakes: handshakes.remove(&index).unwrap_or_default(),
            others: others.remove(&index).unwrap_or_default(),
        })
        .collect())
}

/// The moment at each post, as [`parallax_core::evidence::moment`] has it: the flow's newest reset there, else
/// its last segment there, else its newest reset anywhere.
fn moments(posts: &[Post], segments: &HashMap<usize, Vec<DigestRow>>) -> Vec<i64> {
    let latest = |index: usize, resets_only: bool| {
        let rows = segments.get(&index).into_iter().flatten();
        rows.filter(|row| !resets_only || row.is_rst())
            .map(|row| row.time_ns)
            .max()
    };
    let mut newest: BTreeMap<(usize, Flow), i64> = BTreeMap::new();
    for (index, post) in posts.iter().enumerate() {
        if let Some(reset) = latest(index, true) {
            let time = newest.entry((post.ask, post.flow)).or_insert(reset);
            *time = reset.max(*time);
        }
    }
    posts
        .iter()
        .enumerate()
        .map(|(index, post)| {
            latest(index, true)
                .or_else(|| latest(index, false))
                .or_else(|| newest.get(&(post.ask, post.flow)).copied())
                .unwrap_or(post.moment)
        })
        .collect()
}

/// Flows between a flow's two hosts of which some vantage has a handshake nearby, at every vantage
/// that ships all segments.
fn neighbours(
    posts: &[Post],
    moments: &[i64],
    handshakes: &HashMap<usize, Vec<DigestRow>>,
    selection: impl Fn(usize) -> Selection,
) -> Vec<Neighbour> {
    let mut flows: BTreeMap<(usize, Flow), BTreeSet<i64>> = BTreeMap::new();
    for (index, post) in posts.iter().enumerate() {
        // A row that cannot be read is refused where the evidence is built.
        let nearest = handshakes
            .get(&index)
            .into_iter()
            .flatten()
            .take(NEARBY_MAX);
        let read = nearest.filter_map(|row| Digest::try_from(row).ok());
        flows.entry((post.ask, post.flow)).or_default().extend(
            read.filter(|digest| joins_hosts(digest, post.flow))
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
                moment: moments[index],
            })
        })
        .collect()
}

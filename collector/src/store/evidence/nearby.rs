//! Segments of other flows around a flow's end: see [`parallax_core::Nearby`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use parallax_core::evidence::{NEARBY_MAX, NEIGHBOURS_WITHIN, RESETS_MAX, Surroundings};
use parallax_core::{Digest, Endpoint, Flow, Nearby, Selection};
use sqlx::postgres::PgConnection;

use super::Post;
use super::memory::Memory;
use super::neighbours::{self, Neighbour};
use super::questions::{column, whole_number};
use super::shelf::{End, Kept, Shelf, Stretch, append, crowded_gaps, gaps, stretches};
use crate::store::StoreError;
use crate::store::days::Span;
use crate::store::digest_row::{DigestRow, Segments, Stored};
use crate::store::rows::RowError;
use crate::store::shards::{ACCEPTS, HANDSHAKES, NEARBY_RESETS, Reach};

/// How many are loaded on either side of a moment: those of the flow itself are among them.
const HANDSHAKES_LOADED: usize = NEARBY_MAX + NEARBY_MAX / 2;
const RESETS_LOADED: usize = 2 * RESETS_MAX;

/// Two hosts at a vantage.
type Hosts = (i32, IpAddr, IpAddr);
/// A server at a vantage.
type Server = (i32, Endpoint);

/// What was found for all posts.
pub(super) struct Around {
    /// By post, as are `others`.
    surroundings: Vec<Surroundings>,
    between: Shelf<Hosts>,
    accepted: Shelf<Server>,
    resets: Shelf<i32>,
    others: HashMap<usize, Segments>,
}

impl Around {
    pub fn evidence(&self, index: usize, post: &Post, memory: &Memory) -> Result<Nearby, RowError> {
        let Surroundings { names, moment } = &self.surroundings[index];
        let other = |digest: &&Digest| !names.contains(&digest.tuple.flow());
        let handshakes = read(self.handshakes(index, post))?;
        let mut handshakes = memory.as_captured(handshakes);
        handshakes.retain(other);
        let mut others = match self.others.get(&index) {
            Some(others) => memory.as_captured(others.as_ref().map_err(RowError::clone)?),
            None => Vec::new(),
        };
        others.retain(|digest| other(digest) && joins_hosts(digest, names));
        let resets = self.resets.near(
            post.vantage_id,
            moment.nanos(),
            NEIGHBOURS_WITHIN,
            RESETS_LOADED,
        );
        let mut resets = memory.as_captured(read(resets)?);
        resets.retain(other);
        Ok(Nearby::nearest(*moment, handshakes, others, resets))
    }

    /// The names of a flow at a post.
    pub fn names(&self, index: usize) -> &[Flow] {
        &self.surroundings[index].names
    }

    /// Handshakes between the hosts, and accepted by either end, under any of the flow's names.
    fn handshakes(&self, index: usize, post: &Post) -> Vec<&Kept> {
        let Surroundings { names, moment } = &self.surroundings[index];
        let moment = moment.nanos();
        let between = names.iter().flat_map(|name| {
            let hosts = hosts(post, *name);
            self.between
                .near(hosts, moment, i64::MAX, HANDSHAKES_LOADED)
        });
        let accepted = names.iter().flat_map(|name| {
            let servers = servers(post, *name).into_iter();
            servers.flat_map(|server| {
                self.accepted
                    .near(server, moment, i64::MAX, HANDSHAKES_LOADED)
            })
        });
        let mut all: Vec<&Kept> = between.chain(accepted).collect();
        all.sort_unstable_by_key(|kept| kept.place);
        all.dedup_by_key(|kept| kept.place);
        all
    }
}

fn read<'a>(rows: impl IntoIterator<Item = &'a Kept>) -> Result<Vec<&'a Stored>, RowError> {
    let read = rows.into_iter().map(|kept| kept.read.as_ref());
    read.map(|read| read.map_err(RowError::clone)).collect()
}

fn hosts(post: &Post, name: Flow) -> Hosts {
    (post.vantage_id, name.low().addr, name.high().addr)
}

fn servers(post: &Post, name: Flow) -> [Server; 2] {
    [name.low(), name.high()].map(|end| (post.vantage_id, end))
}

fn joins_hosts(digest: &Digest, names: &[Flow]) -> bool {
    let other = digest.tuple.flow();
    names
        .iter()
        .any(|name| (other.low().addr, other.high().addr) == (name.low().addr, name.high().addr))
}

/// Loads what is near each post.
pub(super) async fn load(
    tx: &mut PgConnection,
    posts: &[Post],
    surroundings: Vec<Surroundings>,
    (days, reach): (Span, Reach),
    selection: impl Fn(usize) -> Selection,
) -> Result<Around, StoreError> {
    let (between, (accepted, clients)) = {
        let named = || {
            let all = posts.iter().zip(&surroundings);
            all.flat_map(|(post, around)| {
                let moment = around.moment.nanos();
                around.names.iter().map(move |name| (post, *name, moment))
            })
        };
        let between = named().map(|(post, name, moment)| (hosts(post, name), moment));
        let accepted = named().flat_map(|(post, name, moment)| {
            servers(post, name)
                .into_iter()
                .map(move |server| (server, moment))
        });
        let clients = only_clients(named().map(|(post, name, _)| (post, name)));
        // How much of a gap was left out is not told.
        let (part, whole): (Vec<_>, Vec<_>) =
            accepted.partition(|(server, _)| clients.contains_key(server));
        let mut accepted = stretches(part, [i64::MAX; 2]);
        accepted.extend(gaps(whole, [i64::MAX; 2]));
        (gaps(between, [i64::MAX; 2]), (accepted, clients))
    };
    let moments = posts.iter().zip(&surroundings);
    let moments = moments.map(|(post, around)| (post.vantage_id, around.moment.nanos()));
    let near = |moment: i64| {
        [
            moment.saturating_sub(NEIGHBOURS_WITHIN),
            moment.saturating_add(NEIGHBOURS_WITHIN),
        ]
    };
    let reset_days = Span::of(moments.clone().flat_map(|(_, moment)| near(moment)));
    let reset = gaps(moments, [NEIGHBOURS_WITHIN; 2]);
    let mut around = Around {
        between: between_hosts(tx, between, (days, reach)).await?,
        accepted: accepted_by(tx, accepted, &clients, (days, reach)).await?,
        resets: resets(tx, reset, (reset_days, reach)).await?,
        others: HashMap::new(),
        surroundings,
    };
    let wanted = neighbours(posts, &around, selection);
    around.others = neighbours::load(tx, &wanted, reach).await?;
    Ok(around)
}

/// The one host with which each server's connections are asked for, of those where it is one: what that one began is among
/// what is between the two, and near enough in it to be near among all.
fn only_clients<'a>(named: impl Iterator<Item = (&'a Post, Flow)>) -> HashMap<Server, IpAddr> {
    let mut known: HashMap<Server, Option<IpAddr>> = HashMap::new();
    for (post, name) in named {
        let [low, high] = servers(post, name);
        for (server, client) in [(low, name.high().addr), (high, name.low().addr)] {
            known
                .entry(server)
                .and_modify(|one| *one = one.filter(|one| *one == client))
                .or_insert(Some(client));
        }
    }
    let known = known.into_iter();
    known
        .filter_map(|(server, client)| Some((server, client?)))
        .collect()
}

async fn between_hosts(
    tx: &mut PgConnection,
    mut asked: Vec<Stretch<Hosts>>,
    within: (Span, Reach),
) -> Result<Shelf<Hosts>, StoreError> {
    let mut rows = handshake_rows(tx, &asked, within).await?;
    let late = crowded_gaps(&asked, rows.iter().map(|row| row.asked), HANDSHAKES_LOADED);
    let found = handshake_rows(tx, &late, within).await?;
    append((&mut asked, &mut rows), (late, found));
    Ok(Shelf::new(&asked, &rows))
}

async fn handshake_rows(
    tx: &mut PgConnection,
    wanted: &[Stretch<Hosts>],
    (days, reach): (Span, Reach),
) -> Result<Vec<DigestRow>, StoreError> {
    let mut rows: Vec<DigestRow> = Vec::new();
    for part in reach.parts(wanted, |stretch| stretch.key.0) {
        let asked = column(&part, |index| wanted[*index]);
        let mut found: Vec<DigestRow> = sqlx::query_as(HANDSHAKES.text(reach))
            .bind(column(&asked, |stretch| stretch.key.0))
            .bind(column(&asked, |stretch| stretch.key.1))
            .bind(column(&asked, |stretch| stretch.key.2))
            .bind(column(&asked, |stretch| stretch.after))
            .bind(column(&asked, |stretch| stretch.until))
            .bind(column(&asked, |stretch| stretch.from == End::Late))
            .bind(column(&asked, |stretch| stretch.most(HANDSHAKES_LOADED)))
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("gather neighbouring handshakes"))?;
        for row in &mut found {
            row.asked = whole_number(&part, row.asked);
        }
        rows.append(&mut found);
    }
    Ok(rows)
}

async fn accepted_by(
    tx: &mut PgConnection,
    mut asked: Vec<Stretch<Server>>,
    clients: &HashMap<Server, IpAddr>,
    within: (Span, Reach),
) -> Result<Shelf<Server>, StoreError> {
    let mut rows = accept_rows(tx, &asked, clients, within).await?;
    let late = crowded_gaps(&asked, rows.iter().map(|row| row.asked), HANDSHAKES_LOADED);
    let found = accept_rows(tx, &late, clients, within).await?;
    append((&mut asked, &mut rows), (late, found));
    Ok(Shelf::new(&asked, &rows))
}

/// `wanted`: the stretches of a server one after the other.
async fn accept_rows(
    tx: &mut PgConnection,
    wanted: &[Stretch<Server>],
    clients: &HashMap<Server, IpAddr>,
    (days, reach): (Span, Reach),
) -> Result<Vec<DigestRow>, StoreError> {
    let mut rows: Vec<DigestRow> = Vec::new();
    for part in reach.parts(wanted, |stretch| stretch.key.0) {
        let asked = column(&part, |index| wanted[*index]);
        // The servers, and of each its first and last stretch, from 1.
        let mut servers: Vec<(Server, i64, i64)> = Vec::new();
        for (number, stretch) in (1..).zip(&asked) {
            match servers.last_mut() {
                Some((server, _, last)) if *server == stretch.key => *last = number,
                _ => servers.push((stretch.key, number, number)),
            }
        }
        let mut found: Vec<DigestRow> = sqlx::query_as(ACCEPTS.text(reach))
            .bind(column(&servers, |((vantage, _), _, _)| *vantage))
            .bind(column(&servers, |((_, end), _, _)| end.addr))
            .bind(column(&servers, |((_, end), _, _)| i32::from(end.port)))
            .bind(column(&servers, |(server, _, _)| {
                clients.get(server).copied()
            }))
            .bind(column(&servers, |(_, first, _)| *first))
            .bind(column(&servers, |(_, _, last)| *last))
            .bind(column(&asked, |stretch| stretch.after))
            .bind(column(&asked, |stretch| stretch.until))
            .bind(column(&asked, |stretch| stretch.from == End::Late))
            .bind(column(&asked, |stretch| stretch.most(HANDSHAKES_LOADED)))
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("gather accepted connections"))?;
        for row in &mut found {
            row.asked = whole_number(&part, row.asked);
        }
        rows.append(&mut found);
    }
    Ok(rows)
}

async fn resets(
    tx: &mut PgConnection,
    mut asked: Vec<Stretch<i32>>,
    within: (Span, Reach),
) -> Result<Shelf<i32>, StoreError> {
    let mut rows = reset_rows(tx, &asked, within).await?;
    let late = crowded_gaps(&asked, rows.iter().map(|row| row.asked), RESETS_LOADED);
    let found = reset_rows(tx, &late, within).await?;
    append((&mut asked, &mut rows), (late, found));
    Ok(Shelf::new(&asked, &rows))
}

async fn reset_rows(
    tx: &mut PgConnection,
    wanted: &[Stretch<i32>],
    (days, reach): (Span, Reach),
) -> Result<Vec<DigestRow>, StoreError> {
    let mut rows: Vec<DigestRow> = Vec::new();
    for part in reach.parts(wanted, |stretch| stretch.key) {
        let asked = column(&part, |index| wanted[*index]);
        let mut found: Vec<DigestRow> = sqlx::query_as(NEARBY_RESETS.text(reach))
            .bind(column(&asked, |stretch| stretch.key))
            .bind(column(&asked, |stretch| stretch.after))
            .bind(column(&asked, |stretch| stretch.until))
            .bind(column(&asked, |stretch| stretch.from == End::Late))
            .bind(column(&asked, |stretch| stretch.most(RESETS_LOADED)))
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("gather resets of other flows"))?;
        for row in &mut found {
            row.asked = whole_number(&part, row.asked);
        }
        rows.append(&mut found);
    }
    Ok(rows)
}

/// Flows between a flow's two hosts of which some vantage has a handshake nearby, at every vantage
/// that ships all segments.
fn neighbours(
    posts: &[Post],
    around: &Around,
    selection: impl Fn(usize) -> Selection,
) -> Vec<Neighbour> {
    let mut flows: BTreeMap<(usize, Flow), BTreeSet<i64>> = BTreeMap::new();
    for (index, post) in posts.iter().enumerate() {
        let Surroundings { names, moment } = &around.surroundings[index];
        // A row that cannot be read is refused where the evidence is built.
        let read = around
            .handshakes(index, post)
            .into_iter()
            .filter_map(|kept| Some(&kept.read.as_ref().ok()?.digest));
        let mut near: Vec<&Digest> = read
            .filter(|digest| !names.contains(&digest.tuple.flow()))
            .collect();
        near.sort_by_key(|digest| (digest.time.since(*moment).saturating_abs(), digest.time));
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
                moment: around.surroundings[index].moment.nanos(),
            })
        })
        .collect()
}

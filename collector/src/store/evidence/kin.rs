//! Flows that may be the same connections as the asked ones, or the other side of a proxy.

use std::collections::{BTreeMap, BTreeSet};

use parallax_core::Digest;
use parallax_core::archive::{APART, CARRIERS_MAX};
use sqlx::postgres::PgConnection;

use super::Post;
use super::segments::Loaded;
use crate::store::StoreError;
use crate::store::days::Span;
use crate::store::payloads::{beginnings, telling};

/// More kin than this is no translation but a crowd.
const KIN_MAX: usize = 96;
/// Payloads that are looked for, of an asked flow: what begins messages first, then what is nearest to the moment.
const PROBES_MAX: usize = 64;

/// The kin of each asked flow, by hash, without itself.
pub(super) struct Kin<'a> {
    asked: &'a [i64],
    pub flows: Vec<BTreeSet<i64>>,
}

impl<'a> Kin<'a> {
    /// Those that share an initial number.
    pub async fn by_number(
        tx: &mut PgConnection,
        asked: &'a [i64],
        days: Span,
    ) -> Result<Self, StoreError> {
        let same: Vec<(i64, i64)> = sqlx::query_as(include_str!("../../sql/kin.sql"))
            .bind(asked)
            .bind(days.first)
            .bind(days.last)
            .fetch_all(tx)
            .await
            .map_err(StoreError::database(
                "find flows with the same initial numbers",
            ))?;
        let mut kin = Self {
            asked,
            flows: vec![BTreeSet::new(); asked.len()],
        };
        kin.add(same);
        Ok(kin)
    }

    /// The asked flows and their kin, each by ask.
    pub fn all(&self) -> Vec<(usize, i64)> {
        let own = self.asked.iter().copied().enumerate();
        let kin = self.flows.iter().enumerate();
        let kin = kin.flat_map(|(ask, flows)| flows.iter().map(move |flow| (ask, *flow)));
        own.chain(kin).collect()
    }

    /// Adds flows that carry the same payload as an asked flow or its kin; returns those that are new, by ask.
    pub async fn add_carriers(
        &mut self,
        tx: &mut PgConnection,
        posts: &[Post],
        known: &Loaded,
        days: Span,
    ) -> Result<Vec<(usize, i64)>, StoreError> {
        let probes = probes(posts, known);
        if probes.is_empty() {
            return Ok(Vec::new());
        }
        let column = |value: fn(&Probe) -> i64| -> Vec<i64> { probes.iter().map(value).collect() };
        let carriers: Vec<(i64, i64)> = sqlx::query_as(include_str!("../../sql/carriers.sql"))
            .bind(column(|probe| probe.ask as i64 + 1))
            .bind(column(|probe| probe.hash.cast_signed()))
            .bind(column(|probe| probe.from.saturating_sub(APART)))
            .bind(column(|probe| probe.until.saturating_add(APART)))
            .bind(CARRIERS_MAX as i32)
            .bind(days.first)
            .bind(days.last)
            .fetch_all(tx)
            .await
            .map_err(StoreError::database("find flows with the same payload"))?;
        Ok(self.add(carriers))
    }

    fn add(&mut self, found: Vec<(i64, i64)>) -> Vec<(usize, i64)> {
        let mut new = Vec::new();
        for (asked, flow) in found {
            let index = asked as usize - 1;
            let kin = &mut self.flows[index];
            if flow != self.asked[index] && kin.len() < KIN_MAX && kin.insert(flow) {
                new.push((index, flow));
            }
        }
        new
    }
}

/// A payload to look for: whose, and when it was seen.
struct Probe {
    ask: usize,
    hash: u64,
    from: i64,
    until: i64,
}

/// The payloads of each asked flow and its kin.
fn probes(posts: &[Post], known: &Loaded) -> Vec<Probe> {
    let mut probes = Vec::new();
    for ask in posts.chunk_by(|a, b| a.ask == b.ask) {
        let start = probes_start(posts, ask);
        let mut seen: BTreeMap<u64, (Rank, Probe)> = BTreeMap::new();
        for (index, post) in (start..).zip(ask) {
            // What cannot be read is refused where the evidence is built.
            let digests: Vec<Digest> = known.all(index).map(|stored| stored.digest).collect();
            let begins: BTreeSet<u64> = beginnings(&digests).map(|(_, hash)| hash).collect();
            for digest in &digests {
                if let Some(hash) = telling(digest) {
                    note(&mut seen, post, digest, hash, begins.contains(&hash));
                }
            }
        }
        let mut found: Vec<(Rank, Probe)> = seen.into_values().collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.truncate(PROBES_MAX);
        probes.extend(found.into_iter().map(|(_, probe)| probe));
    }
    probes
}

/// Lower is looked for first: whether it does not begin a message, and how far from the moment it was.
type Rank = (bool, u64);

fn note(
    seen: &mut BTreeMap<u64, (Rank, Probe)>,
    post: &Post,
    digest: &Digest,
    hash: u64,
    begins: bool,
) {
    let time = digest.time.nanos();
    let rank = (!begins, time.abs_diff(post.moment));
    let fresh = || {
        let probe = Probe {
            ask: post.ask,
            hash,
            from: time,
            until: time,
        };
        (rank, probe)
    };
    let (best, probe) = seen.entry(hash).or_insert_with(fresh);
    *best = rank.min(*best);
    probe.from = probe.from.min(time);
    probe.until = probe.until.max(time);
}

/// Where a part of the posts begins.
fn probes_start(posts: &[Post], part: &[Post]) -> usize {
    posts
        .iter()
        .position(|post| part.first().is_some_and(|first| std::ptr::eq(post, first)))
        .unwrap_or(0)
}

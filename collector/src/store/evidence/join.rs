//! The join: where asked flows and their kin stood, their segments there, and what was watched.

use std::collections::{BTreeSet, HashMap};

use parallax_core::Flow;
use sqlx::postgres::PgConnection;

use super::first_look::FirstLook;
use super::kin::{Kin, Probes};
use super::relevant::Relevant;
use super::second_look::SecondLook;
use super::segments::Loaded;
use super::sightings::Moments;
use super::{Ask, CoverageRow, Post, VantageRow, questions, sightings};
use crate::store::days::Span;
use crate::store::shards::Reach;
use crate::store::{Store, StoreError};

pub(super) struct Joined {
    pub posts: Vec<Post>,
    pub relevant: Relevant,
    pub days: Span,
    pub segments: Loaded,
    /// By ask.
    pub kin: Vec<BTreeSet<i64>>,
    /// By post.
    pub coverage: HashMap<usize, Vec<CoverageRow>>,
    /// All there are, in their order.
    pub vantages: Vec<VantageRow>,
}

impl Store {
    /// The join alone, without what else a verdict rests on (neighbours, losses, memories, witnesses): for benchmarks.
    /// Tells how many segments of each flow and its kin were found, at all vantages together.
    pub async fn join(&self, asks: &[Ask], path: &[String]) -> Result<Vec<usize>, StoreError> {
        let mut tx = self.begin_to_gather().await?;
        let joined = self.join_all(&mut tx, (asks, None), path).await?;
        let mut found = vec![0; asks.len()];
        for (index, post) in joined.posts.iter().enumerate() {
            found[post.ask] += joined.segments.all(index).count();
        }
        Ok(found)
    }

    /// `alone`: the flow of the only ask, gathered around its moment.
    pub(super) async fn join_all(
        &self,
        tx: &mut PgConnection,
        (asks, alone): (&[Ask], Option<Flow>),
        path: &[String],
    ) -> Result<Joined, StoreError> {
        let hashes: Vec<i64> = asks.iter().map(|ask| ask.flow).collect();
        let look = FirstLook::load(tx, &hashes, self.reach).await?;
        let vantages = look.vantages.as_slice();
        let sightings = sightings::load(tx, &hashes, &look, self.reach).await?;
        let moments: Vec<Vec<(Flow, Moments)>> = asks
            .iter()
            .enumerate()
            .map(|(index, ask)| match alone.zip(ask.moment) {
                Some((flow, moment)) => vec![(flow, Moments::everywhere(moment))],
                None => sightings.moments(index, ask.moment),
            })
            .collect();
        let all_moments = moments.iter().flatten();
        let days = Span::around(all_moments.flat_map(|(_, moments)| moments.all()));
        let known = (&sightings, &look);
        let mut kin = Kin::by_number(tx, &hashes, known, (days, self.reach)).await?;
        let everywhere_max = match self.reach {
            Reach::Whole => self.everywhere_max,
            // Who knows two hosts is in no one shard.
            Reach::Shard => usize::MAX,
        };
        let mut relevant = Relevant::new(asks.len(), &sightings, vantages, path, everywhere_max);
        relevant.add(tx, &kin.all(), days).await?;
        let mut posts = posts(&moments, vantages, &relevant);
        let mut segments = Loaded::reaching(self.reach);
        segments
            .add_own_and_kin(tx, &posts, &look, &kin.flows, days)
            .await?;
        let probes = Probes::of(&posts, &segments);
        let (carriers, coverage) = match (self.reach, &relevant) {
            // The posts stay as they are.
            (Reach::Whole, Relevant::Everywhere) => {
                let second = SecondLook::load(tx, &probes, &posts).await?;
                let carriers = kin.take_carriers(&probes, second.carriers);
                (carriers, Some(second.coverage))
            }
            _ => (kin.add_carriers(tx, &probes).await?, None),
        };
        if relevant.add(tx, &carriers, days).await? {
            // The other side of a proxy, which stood at other vantages.
            posts = self::posts(&moments, vantages, &relevant);
            segments = Loaded::reaching(self.reach);
            segments
                .add_own_and_kin(tx, &posts, &look, &kin.flows, days)
                .await?;
        } else {
            segments.add_kin(tx, &posts, &carriers, days).await?;
        }
        let coverage = match coverage {
            Some(coverage) => coverage,
            None => questions::coverage(tx, &posts).await?,
        };
        Ok(Joined {
            posts,
            relevant,
            days,
            segments,
            kin: kin.flows,
            coverage,
            vantages: look.vantages,
        })
    }
}

/// Every asked flow at every vantage that has to do with it.
fn posts(
    moments: &[Vec<(Flow, Moments)>],
    vantages: &[VantageRow],
    relevant: &Relevant,
) -> Vec<Post> {
    let mut posts = Vec::new();
    for (ask, flows) in moments.iter().enumerate() {
        for (flow, moments) in flows {
            posts.extend(relevant.of(ask, vantages).map(|vantage| Post {
                ask,
                flow: *flow,
                vantage_id: vantage.id,
                moment: moments.at(vantage.id),
            }));
        }
    }
    posts
}

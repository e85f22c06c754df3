//! New digests by how they are stored, and whose they are.

use std::collections::{BTreeSet, HashMap};

use parallax_core::Digest;
use parallax_core::evidence::numbers;
use sqlx::postgres::PgConnection;

use super::Fresh;
use crate::store::copy::{COPY_DIGESTS, COPY_NEAR, CopyBuffer, DIGEST_OCTETS};
use crate::store::days::day_of;
use crate::store::openings::{self, COPY_OPENINGS};
use crate::store::packed::{COPY_PACKED, Groups, is_row};
use crate::store::payloads::COPY_PAYLOADS;
use crate::store::shards::Reach;
use crate::store::{StoreError, payloads};

/// The new digests of a load.
pub(super) struct Sorted<'a> {
    accepted: &'a [Fresh<'a>],
    /// Digests that are rows of their own: index of the portion, and within it.
    rows: Vec<(usize, usize)>,
    groups: Groups,
    /// Days of all of them.
    pub days: BTreeSet<i32>,
    /// Flows by hash, and whether a RST is among their new digests.
    flows: HashMap<i64, bool>,
    /// Initial sequence numbers among them.
    begun: BTreeSet<i64>,
}

impl<'a> Sorted<'a> {
    pub fn of(accepted: &'a [Fresh<'a>]) -> Self {
        let mut sorted = Self {
            accepted,
            rows: Vec::new(),
            groups: Groups::default(),
            days: BTreeSet::new(),
            flows: HashMap::new(),
            begun: BTreeSet::new(),
        };
        for (portion, fresh) in accepted.iter().enumerate() {
            for (index, digest) in fresh.digests.iter().enumerate() {
                sorted.add(portion, index, digest);
            }
        }
        sorted.days.extend(sorted.groups.days(accepted));
        sorted
    }

    fn add(&mut self, portion: usize, index: usize, digest: &Digest) {
        let flow = digest.tuple.flow().hash().cast_signed();
        if is_row(digest) {
            self.rows.push((portion, index));
            self.days.insert(day_of(digest.time));
            self.begun.extend(numbers(digest).map(i64::from));
            *self.flows.entry(flow).or_default() |= digest.is_rst();
        } else if self.groups.add(portion, index, flow, digest) {
            self.flows.entry(flow).or_default();
        }
    }

    /// Stores them. What was captured on a day that is not among `days` goes where the other days are.
    pub async fn copy_in(
        &self,
        tx: &mut PgConnection,
        days: &BTreeSet<i32>,
        reach: Reach,
    ) -> Result<(), StoreError> {
        let failed = || StoreError::database("copy digests");
        // One order everywhere, so that two transactions never wait for each other's tables in a circle.
        let (digests, mut noted) = self.digest_rows(days);
        let near = (reach == Reach::Shard).then(|| digests.clone());
        digests.send(tx, COPY_DIGESTS).await.map_err(failed())?;
        if !self.groups.is_empty() {
            let packed = self.groups.rows(self.accepted, days, &mut noted);
            packed.send(tx, COPY_PACKED).await.map_err(failed())?;
        }
        noted.send(tx, COPY_PAYLOADS).await.map_err(failed())?;
        if let Some(near) = near {
            near.send(tx, COPY_NEAR).await.map_err(failed())?;
            let openings = self.openings(days);
            openings.send(tx, COPY_OPENINGS).await.map_err(failed())?;
        }
        Ok(())
    }

    /// The digests of rows by the numbers that they bear.
    fn openings(&self, days: &BTreeSet<i32>) -> CopyBuffer {
        let mut rows = CopyBuffer::new(self.rows.len() * openings::ROW_OCTETS);
        for (portion, index) in &self.rows {
            let digest = &self.accepted[*portion].digests[*index];
            let day = days.get(&day_of(digest.time)).copied().unwrap_or(0);
            openings::push(&mut rows, day, digest);
        }
        rows
    }

    /// The rows of digests, and the payloads to note of them.
    fn digest_rows(&self, days: &BTreeSet<i32>) -> (CopyBuffer, CopyBuffer) {
        let mut rows = CopyBuffer::new(self.rows.len() * DIGEST_OCTETS);
        let mut noted = CopyBuffer::new(self.groups.len() * payloads::ROW_OCTETS);
        for (portion, index) in &self.rows {
            let fresh = &self.accepted[*portion];
            let (run, digest) = (fresh.run, &fresh.digests[*index]);
            let day = days.get(&day_of(digest.time)).copied().unwrap_or(0);
            let number = fresh.first_number + *index as u64;
            rows.push(run.vantage_id, run.id, number, day, digest);
            let flow = digest.tuple.flow().hash().cast_signed();
            payloads::push(&mut noted, flow, days, std::slice::from_ref(digest));
        }
        (rows, noted)
    }

    /// Flows with a RST among the new digests, and flows that have resets already, are to be judged; so are those that
    /// memory answered about.
    pub async fn enter_in_docket(
        &self,
        tx: &mut PgConnection,
        recalled: &BTreeSet<i64>,
    ) -> Result<Vec<i64>, StoreError> {
        let of = |reset: bool| -> BTreeSet<i64> {
            let flows = self.flows.iter().filter(|(_, has)| **has == reset);
            flows.map(|(flow, _)| *flow).collect()
        };
        let with: Vec<i64> = of(true).into_iter().collect();
        let others = of(false).union(recalled).copied().collect();
        enter(tx, &with, &others, &self.begun).await
    }
}

/// Enters flows with a RST, and those with resets that the others or these initial numbers matter to.
async fn enter(
    tx: &mut PgConnection,
    with: &[i64],
    without: &BTreeSet<i64>,
    begun: &BTreeSet<i64>,
) -> Result<Vec<i64>, StoreError> {
    let entered: Vec<(i64,)> = sqlx::query_as(include_str!("../../sql/enter_in_docket.sql"))
        .bind(with)
        .bind(without.iter().copied().collect::<Vec<i64>>())
        .bind(begun.iter().copied().collect::<Vec<i64>>())
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("enter flows in the docket"))?;
    Ok(entered.into_iter().map(|(flow,)| flow).collect())
}

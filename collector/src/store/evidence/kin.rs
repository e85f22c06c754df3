//! Flows that may be the same connections as the asked ones, or the other side of a proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use parallax_core::Digest;
use parallax_core::archive::{APART, CARRIERS_MAX};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::QueryAs;

use super::Post;
use super::first_look::FirstLook;
use super::questions::{column, whole_number};
use super::segments::Loaded;
use super::sightings::Sightings;
use crate::store::StoreError;
use crate::store::days::Span;
use crate::store::payloads::{beginnings, telling};
use crate::store::shards::{CARRIERS, FLOWS_NUMBERS, NUMBERS_FLOWS, Reach};

/// More kin than this is no translation but a crowd.
const KIN_MAX: usize = 96;
/// Payloads that are looked for, of an asked flow: what begins messages first, then what is nearest to the moment.
const PROBES_MAX: usize = 64;
/// Rows of one payload that are looked at: more than as many flows may share it, since each may have several.
const SHARING_LOADED: i64 = 272;

/// The kin of each asked flow, by hash, without itself.
pub(super) struct Kin<'a> {
    asked: &'a [i64],
    pub flows: Vec<BTreeSet<i64>>,
    reach: Reach,
}

impl<'a> Kin<'a> {
    /// Those that share an initial number.
    pub async fn by_number(
        tx: &mut PgConnection,
        asked: &'a [i64],
        (sightings, look): (&Sightings, &FirstLook),
        (days, reach): (Span, Reach),
    ) -> Result<Self, StoreError> {
        let mut kin = Self {
            asked,
            flows: vec![BTreeSet::new(); asked.len()],
            reach,
        };
        if reach == Reach::Shard {
            for (index, flow) in asked.iter().enumerate() {
                let same = bearing_its_numbers(tx, *flow, days).await?;
                kin.add(
                    same.into_iter()
                        .map(|flow| (index as i64 + 1, flow))
                        .collect(),
                );
            }
            return Ok(kin);
        }
        let sharing = sharing(tx, asked, (sightings, look), days).await?;
        if sharing.is_empty() {
            return Ok(kin);
        }
        let same: Vec<(i64, i64)> = sqlx::query_as(include_str!("../../sql/kin.sql"))
            .bind(column(&sharing, |index| asked[*index]))
            .bind(days.first)
            .bind(days.last)
            .fetch_all(tx)
            .await
            .map_err(StoreError::database(
                "find flows with the same initial numbers",
            ))?;
        let of_whole = same.into_iter();
        kin.add(
            of_whole
                .map(|(asked, flow)| (whole_number(&sharing, asked), flow))
                .collect(),
        );
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
        probes: &Probes,
    ) -> Result<Vec<(usize, i64)>, StoreError> {
        let mut carriers: Vec<(i64, i64)> = Vec::new();
        for part in self.reach.parts(&probes.all, |probe| probe.hash) {
            let question = sqlx::query_as(CARRIERS.text(self.reach));
            let found: Vec<(i64, i64)> = probes
                .bind(&part, question)
                .fetch_all(&mut *tx)
                .await
                .map_err(StoreError::database("find flows with the same payload"))?;
            let of_whole = found.into_iter();
            carriers.extend(of_whole.map(|(asked, flow)| (whole_number(&part, asked), flow)));
        }
        Ok(self.take_carriers(probes, carriers))
    }

    /// The same, where it is known who carries which probe, by number from 1.
    pub fn take_carriers(&mut self, probes: &Probes, found: Vec<(i64, i64)>) -> Vec<(usize, i64)> {
        let mut sharing: BTreeMap<(usize, u64), BTreeSet<i64>> = BTreeMap::new();
        for (asked, flow) in found {
            if let Some(probe) = probes.all.get(asked as usize - 1) {
                let flows = sharing.entry((probe.ask, probe.hash)).or_default();
                flows.insert(flow);
            }
        }
        // What many carry is nobody's name; the asked flow carries it too.
        let told = sharing
            .into_iter()
            .filter(|(_, flows)| flows.len() < CARRIERS_MAX);
        let carriers: BTreeSet<(i64, i64)> = told
            .flat_map(|((ask, _), flows)| flows.into_iter().map(move |flow| (ask as i64 + 1, flow)))
            .collect();
        self.add(carriers.into_iter().collect())
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

/// The asks of which the flow may share a number with another: most do not, and that is known sooner than with whom.
async fn sharing(
    tx: &mut PgConnection,
    asked: &[i64],
    (sightings, look): (&Sightings, &FirstLook),
    days: Span,
) -> Result<Vec<usize>, StoreError> {
    let (mut flows, mut numbers, mut unknown) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, flow) in asked.iter().enumerate() {
        if let Some(looked) = look.of(index) {
            unknown.extend(looked.shares_numbers.then_some(*flow));
            continue;
        }
        let Some(of_flow) = sightings.numbers(index) else {
            unknown.insert(*flow);
            continue;
        };
        flows.extend(of_flow.iter().map(|_| *flow));
        numbers.extend(of_flow);
    }
    if !flows.is_empty() {
        let found: Vec<(i64,)> = sqlx::query_as(include_str!("../../sql/sharing_numbers.sql"))
            .bind(flows)
            .bind(numbers)
            .bind(days.first)
            .bind(days.last)
            .fetch_all(tx)
            .await
            .map_err(StoreError::database("find flows that share a number"))?;
        unknown.extend(found.into_iter().map(|(flow,)| flow));
    }
    let indices = (0..asked.len()).filter(|index| unknown.contains(&asked[*index]));
    Ok(indices.collect())
}

/// The flows that share an initial number with a flow, or with one that does: what `sql/kin.sql` finds at once, number by
/// number, each where it is kept.
async fn bearing_its_numbers(
    tx: &mut PgConnection,
    flow: i64,
    days: Span,
) -> Result<Vec<i64>, StoreError> {
    let failed = || StoreError::database("find flows with the same initial numbers");
    let (mut found, mut asked) = (vec![flow], BTreeSet::new());
    let mut next = 0;
    while let Some(flow) = found.get(next).copied()
        && found.len() <= KIN_MAX
    {
        next += 1;
        let numbers: Vec<(i64, IpAddr, i32)> = sqlx::query_as(FLOWS_NUMBERS)
            .bind(flow)
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed())?;
        for (number, server, port) in numbers {
            if !asked.insert((number, server, port)) {
                continue;
            }
            let flows: Vec<(i64,)> = sqlx::query_as(NUMBERS_FLOWS)
                .bind(number)
                .bind(server)
                .bind(port)
                .bind(days.first)
                .bind(days.last)
                .fetch_all(&mut *tx)
                .await
                .map_err(failed())?;
            for (flow,) in flows {
                if !found.contains(&flow) {
                    found.push(flow);
                }
            }
        }
    }
    Ok(found)
}

/// The index over payloads has what came in the same 2 to the 39th nanoseconds together
/// (`migrations/0081_payload_by_slice.sql`).
const SLICE_BITS: u32 = 39;
/// Of a payload that was seen for longer than a day, what is nearest to the moment.
const SLICES_MAX: usize = 160;

/// A payload to look for: whose, and from when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probe {
    ask: usize,
    flow: i64,
    hash: u64,
    from: i64,
    until: i64,
}

impl Probe {
    /// The same for each slice of time by itself, those around a moment.
    fn slices(self, moment: i64) -> impl Iterator<Item = Self> {
        let [first, last, middle] = [self.from, self.until, moment].map(|time| time >> SLICE_BITS);
        let half = SLICES_MAX as i64 / 2;
        let middle = middle.clamp(first, last);
        (first.max(middle - half)..=last.min(middle + half)).map(move |slice| {
            let begins = slice << SLICE_BITS;
            Self {
                from: self.from.max(begins),
                until: self.until.min(begins | ((1 << SLICE_BITS) - 1)),
                ..self
            }
        })
    }

    /// Slice and payload as in the index.
    fn key(&self) -> i64 {
        let slice = self.from.cast_unsigned() >> SLICE_BITS << 56;
        (slice | self.hash >> 8).cast_signed()
    }
}

/// Payloads to look for.
pub(super) struct Probes {
    all: Vec<Probe>,
}

impl Probes {
    /// The payloads of each asked flow and its kin.
    pub fn of(posts: &[Post], known: &Loaded) -> Self {
        let mut all = Vec::new();
        let mut start = 0;
        for ask in posts.chunk_by(|a, b| a.ask == b.ask) {
            let mut seen: BTreeMap<u64, (Rank, Probe)> = BTreeMap::new();
            let moment = ask[0].moment;
            for (index, post) in (start..).zip(ask) {
                // What cannot be read is refused where the evidence is built.
                let digests = || known.all(index).map(|stored| &stored.digest);
                let begins: BTreeSet<u64> = beginnings(digests()).map(|(_, hash)| hash).collect();
                for digest in digests() {
                    if let Some(hash) = telling(digest) {
                        note(&mut seen, post, digest, hash, begins.contains(&hash));
                    }
                }
            }
            start += ask.len();
            let mut found: Vec<(Rank, Probe)> = seen.into_values().collect();
            found.sort_by_key(|(rank, _)| *rank);
            found.truncate(PROBES_MAX);
            let sliced = found
                .into_iter()
                .flat_map(|(_, probe)| probe.slices(moment));
            all.extend(sliced);
        }
        // In the order of the index: one probe after the other goes down nearly the same way.
        all.sort_unstable_by_key(Probe::key);
        Self { all }
    }

    /// Gives a question all that `sql/carriers.sql` is given.
    pub fn bind_all<Row>(&self, question: Asking<Row>) -> Asking<Row> {
        self.bind(&(0..self.all.len()).collect::<Vec<_>>(), question)
    }

    fn bind<Row>(&self, part: &[usize], question: Asking<Row>) -> Asking<Row> {
        let asked = column(part, |index| &self.all[*index]);
        let days = Span::of(asked.iter().flat_map(|probe| [probe.from, probe.until]));
        question
            .bind(column(&asked, |probe| probe.hash.cast_signed()))
            .bind(column(&asked, |probe| probe.from))
            .bind(column(&asked, |probe| probe.until))
            .bind(column(&asked, |probe| probe.flow))
            .bind(column(&asked, |probe| probe.key()))
            .bind(SHARING_LOADED)
            .bind(days.first)
            .bind(days.last)
    }
}

/// A question that is given its values.
type Asking<Row> = QueryAs<'static, Postgres, Row, PgArguments>;

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
            flow: post.flow.hash().cast_signed(),
            hash,
            from: time.saturating_sub(APART),
            until: time.saturating_add(APART),
        };
        (rank, probe)
    };
    let (best, probe) = seen.entry(hash).or_insert_with(fresh);
    *best = rank.min(*best);
    probe.from = probe.from.min(time.saturating_sub(APART));
    probe.until = probe.until.max(time.saturating_add(APART));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: i64 = 1 << SLICE_BITS;

    fn sliced(from: i64, until: i64, moment: i64) -> Vec<[i64; 2]> {
        let probe = Probe {
            ask: 0,
            flow: 1,
            hash: 0xfedc_ba98_7654_3210,
            from,
            until,
        };
        let slices = probe.slices(moment).inspect(|slice| {
            assert_eq!(slice.from >> SLICE_BITS, slice.until >> SLICE_BITS);
            let number = (slice.from >> SLICE_BITS) & 255;
            let as_in_sql = number << 56 | (slice.hash.cast_signed() >> 8 & 0xff_ffff_ffff_ffff);
            assert_eq!(slice.key(), as_in_sql);
        });
        slices.map(|slice| [slice.from, slice.until]).collect()
    }

    #[test]
    fn a_payload_is_looked_for_slice_by_slice() {
        assert_eq!(sliced(5, 9, 7), [[5, 9]]);
        let over_ends = [[-3, -1], [0, SLICE - 1], [SLICE, SLICE + 4]];
        assert_eq!(sliced(-3, SLICE + 4, 0), over_ends);
    }

    #[test]
    fn of_many_slices_those_around_the_moment_are_looked_at() {
        let all = sliced(0, 1000 * SLICE, 500 * SLICE + 7);
        assert_eq!(all.len(), SLICES_MAX + 1);
        assert_eq!(all[SLICES_MAX / 2][0], 500 * SLICE);
        let end = sliced(0, 1000 * SLICE, i64::MAX);
        assert_eq!(end.last(), Some(&[1000 * SLICE, 1000 * SLICE]));
    }
}

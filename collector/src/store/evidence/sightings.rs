//! Resets joined across vantages, and the moment at which each vantage saw the one in question.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use parallax_core::digest::TcpFlags;
use parallax_core::{CaptureTime, Endpoint, Flow, FourTuple};
use sqlx::postgres::PgConnection;

use super::first_look::{FirstLook, Seen};
use super::questions::{column, whole_number};
use crate::store::StoreError;
use crate::store::rows::RowName;
use crate::store::shards::{Reach, SIGHTINGS};

/// As many of a flow's opening segments, and of its RSTs, are read for its numbers (`sql/kin.sql`).
const NUMBERED_MAX: i64 = 256;

/// One reset at one vantage, or a segment that opens a connection.
#[derive(Debug, sqlx::FromRow)]
struct SightingRow {
    asked: i64,
    src: IpAddr,
    sport: i32,
    dst: IpAddr,
    dport: i32,
    seq: i64,
    vantage_id: i32,
    first_ns: i64,
    last_ns: i64,
    times: i64,
    opens: bool,
    /// What a SYN+ACK answers.
    ack: Option<i64>,
}

/// Direction and sequence number: what joins sightings.
type Key = (IpAddr, i32, i64);

/// Resets by asked flow, real 4-tuple and key.
pub(super) struct Sightings {
    by_ask: BTreeMap<usize, BTreeMap<Flow, BTreeMap<Key, Vec<SightingRow>>>>,
    numbered: BTreeMap<usize, Numbered>,
}

/// The segments of an ask that bear numbers by which its connections may be known under other names.
#[derive(Debug, Default)]
struct Numbered {
    numbers: BTreeSet<i64>,
    openings: i64,
    resets: i64,
}

impl Numbered {
    fn take(&mut self, row: &SightingRow) {
        if row.opens {
            self.openings += row.times;
            self.numbers.insert(row.seq);
            let answered = row.ack.map(|ack| (ack - 1).rem_euclid(1 << 32));
            self.numbers.extend(answered);
        } else {
            self.resets += row.times;
            self.numbers.extend(Some(row.seq).filter(|seq| *seq != 0));
        }
    }
}

/// When each vantage saw a reset.
pub(super) struct Moments {
    by_vantage: BTreeMap<i32, i64>,
    /// For vantages that did not see it: when it was first seen anywhere.
    elsewhere: i64,
}

impl Moments {
    /// One for every vantage.
    pub fn everywhere(moment: CaptureTime) -> Self {
        Self {
            by_vantage: BTreeMap::new(),
            elsewhere: moment.nanos(),
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = i64> {
        self.by_vantage.values().copied().chain([self.elsewhere])
    }

    pub fn at(&self, vantage_id: i32) -> i64 {
        self.by_vantage
            .get(&vantage_id)
            .copied()
            .unwrap_or(self.elsewhere)
    }
}

pub(super) async fn load(
    tx: &mut PgConnection,
    flows: &[i64],
    look: &FirstLook,
    reach: Reach,
) -> Result<Sightings, StoreError> {
    let mut rows: Vec<SightingRow> = Vec::new();
    let mut unknown: Vec<usize> = Vec::new();
    for ask in 0..flows.len() {
        match look.of(ask) {
            Some(looked) => rows.extend(sighted(ask, &looked.rows)),
            None => unknown.push(ask),
        }
    }
    for part in reach.parts(&unknown, |ask| flows[*ask]) {
        let part = column(&part, |index| unknown[*index]);
        let mut found: Vec<SightingRow> = sqlx::query_as(SIGHTINGS.text(reach))
            .bind(column(&part, |ask| flows[*ask]))
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("join sightings"))?;
        for row in &mut found {
            row.asked = whole_number(&part, row.asked);
        }
        rows.append(&mut found);
    }
    let mut by_ask: BTreeMap<usize, BTreeMap<Flow, BTreeMap<Key, Vec<SightingRow>>>> =
        BTreeMap::new();
    let mut numbered: BTreeMap<usize, Numbered> = BTreeMap::new();
    for row in rows {
        let ask = row.asked as usize - 1;
        numbered.entry(ask).or_default().take(&row);
        if row.opens {
            continue;
        }
        let name = RowName {
            table: "digest",
            row: format!("at {}", row.first_ns),
        };
        let tuple = FourTuple::new(
            Endpoint::new(row.src, name.narrow("sport", row.sport)?),
            Endpoint::new(row.dst, name.narrow("dport", row.dport)?),
        );
        by_ask
            .entry(ask)
            .or_default()
            .entry(tuple.flow())
            .or_default()
            .entry((row.src, row.sport, row.seq))
            .or_default()
            .push(row);
    }
    Ok(Sightings { by_ask, numbered })
}

/// What `sql/sightings.sql` finds, of all segments of an ask's flow.
fn sighted(ask: usize, seen: &[Seen]) -> Vec<SightingRow> {
    let mut rows: Vec<SightingRow> = Vec::new();
    let segments = seen.iter().flat_map(|seen| {
        let digests = seen.segments.iter().map(|stored| &stored.digest);
        digests.map(|digest| (seen.vantage_id, digest))
    });
    for (vantage_id, digest) in segments {
        let resets = digest.flags.has(TcpFlags::RST);
        if !resets && !digest.flags.has(TcpFlags::SYN) {
            continue;
        }
        let (FourTuple { src, dst }, time) = (digest.tuple, digest.time.nanos());
        let row = SightingRow {
            asked: ask as i64 + 1,
            src: src.addr,
            sport: src.port.into(),
            dst: dst.addr,
            dport: dst.port.into(),
            seq: digest.seq.0.into(),
            vantage_id,
            first_ns: time,
            last_ns: time,
            times: 1,
            opens: !resets,
            ack: (!resets && digest.flags.has(TcpFlags::ACK)).then(|| digest.ack.0.into()),
        };
        let same = |known: &&mut SightingRow| known.is_same_reset(&row);
        match rows.iter_mut().find(same) {
            Some(known) => {
                known.first_ns = known.first_ns.min(time);
                known.last_ns = known.last_ns.max(time);
                known.times += 1;
            }
            None => rows.push(row),
        }
    }
    rows
}

impl SightingRow {
    fn is_same_reset(&self, other: &Self) -> bool {
        let key = |row: &Self| {
            (
                row.src,
                row.sport,
                row.dst,
                row.dport,
                row.seq,
                row.vantage_id,
            )
        };
        !self.opens && !other.opens && key(self) == key(other)
    }
}

impl Sightings {
    /// The numbers of an ask's opening segments and resets; `None`: there may be more of them.
    pub fn numbers(&self, ask: usize) -> Option<Vec<i64>> {
        let Some(numbered) = self.numbered.get(&ask) else {
            return Some(Vec::new());
        };
        let all = numbered.openings <= NUMBERED_MAX && numbered.resets <= NUMBERED_MAX;
        all.then(|| numbered.numbers.iter().copied().collect())
    }

    /// The vantages that saw a reset of an ask.
    pub fn vantages(&self, ask: usize) -> impl Iterator<Item = i32> {
        let flows = self.by_ask.get(&ask).into_iter().flatten();
        let rows = flows.flat_map(|(_, resets)| resets.values()).flatten();
        rows.map(|row| row.vantage_id)
    }

    /// The 4-tuples behind an asked hash.
    pub fn flows(&self, ask: usize) -> impl Iterator<Item = Flow> {
        let flows = self.by_ask.get(&ask).into_iter().flatten();
        flows.map(|(flow, _)| *flow)
    }

    /// For each 4-tuple behind an asked hash, when its reset nearest to `moment` (the newest
    /// without one) was seen where.
    pub fn moments(&self, ask: usize, moment: Option<CaptureTime>) -> Vec<(Flow, Moments)> {
        let flows = self.by_ask.get(&ask).into_iter().flatten();
        flows
            .filter_map(|(flow, resets)| {
                let chosen = resets.values().min_by_key(|rows| match moment {
                    Some(moment) => rows
                        .iter()
                        .map(|row| distance(row, moment.nanos()))
                        .min()
                        .unwrap_or(u64::MAX),
                    None => newest_first(rows),
                })?;
                Some((*flow, Moments::of(chosen, moment)))
            })
            .collect()
    }
}

fn distance(row: &SightingRow, moment: i64) -> u64 {
    row.first_ns
        .abs_diff(moment)
        .min(row.last_ns.abs_diff(moment))
}

/// Smaller for newer resets.
fn newest_first(rows: &[SightingRow]) -> u64 {
    let newest = rows.iter().map(|row| row.last_ns).max().unwrap_or(i64::MIN);
    newest.abs_diff(i64::MAX)
}

impl Moments {
    fn of(rows: &[SightingRow], moment: Option<CaptureTime>) -> Self {
        let time = |row: &SightingRow| match moment {
            Some(moment)
                if row.first_ns.abs_diff(moment.nanos())
                    <= row.last_ns.abs_diff(moment.nanos()) =>
            {
                row.first_ns
            }
            _ => row.last_ns,
        };
        Self {
            by_vantage: rows.iter().map(|row| (row.vantage_id, time(row))).collect(),
            elsewhere: rows.iter().map(time).min().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: i64, times: i64, ack: Option<i64>, opens: bool) -> SightingRow {
        let addr = IpAddr::from([192, 0, 2, 1]);
        SightingRow {
            asked: 1,
            src: addr,
            sport: 1,
            dst: addr,
            dport: 2,
            seq,
            vantage_id: 1,
            first_ns: 0,
            last_ns: 0,
            times,
            opens,
            ack,
        }
    }

    fn numbers(rows: &[SightingRow]) -> Option<Vec<i64>> {
        let mut numbered = Numbered::default();
        for row in rows {
            numbered.take(row);
        }
        let sightings = Sightings {
            by_ask: BTreeMap::new(),
            numbered: BTreeMap::from([(0, numbered)]),
        };
        sightings.numbers(0)
    }

    #[test]
    fn numbers_are_those_of_opening_segments_and_resets_and_what_a_syn_ack_answers() {
        let opened = [row(7, 1, None, true), row(9, 1, Some(8), true)];
        assert_eq!(numbers(&opened), Some(vec![7, 9]));
        let wrapped = [row(9, 1, Some(0), true), row(0, 5, None, false)];
        assert_eq!(numbers(&wrapped), Some(vec![9, (1 << 32) - 1]));
        assert_eq!(numbers(&[row(11, 256, None, false)]), Some(vec![11]));
    }

    #[test]
    fn where_more_segments_bear_numbers_than_are_read_they_are_not_known() {
        assert_eq!(numbers(&[row(11, 257, None, false)]), None);
        let openings: Vec<SightingRow> = (0..257).map(|seq| row(seq, 1, None, true)).collect();
        assert_eq!(numbers(&openings), None);
    }
}

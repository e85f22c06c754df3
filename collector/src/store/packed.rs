//! Rows of table `packed`: segments of one flow, run and hour in columns ([`columns`]; rows of before: [`zipped`]).

use std::collections::{BTreeSet, HashMap};

use parallax_core::Digest;
use parallax_core::digest::TcpFlags;
use parallax_core::time::SECOND;

use super::copy::CopyBuffer;
use super::days::day_of;
use super::digest_row::Stored;
use super::load::Fresh;
use super::payloads;
use super::rows::{RowError, RowName};

mod bits;
mod columns;
mod foretold;
mod zipped;

/// The most segments of a row: with more, little is saved, and a row may not fit its page.
pub(super) const SEGMENTS_MAX: usize = 96;
/// A row stays within an hour, so that it can be found by its beginning.
pub(super) const HOUR: i64 = 3600 * SECOND;

pub(super) const COPY_PACKED: &str = "COPY packed (flow, first_ns, last_ns, first_number, vantage_id, run_id, day, \
    segments, octets) FROM STDIN (FORMAT BINARY)";
const COLUMNS: i16 = 9;
/// What a row takes in a COPY, about.
const ROW_OCTETS: usize = 1024;

/// Whether a digest is asked for by other values than its flow, or columns cannot hold all of it: it is a row of table
/// `digest`.
pub(super) fn is_row(digest: &Digest) -> bool {
    let [outer, inner] = digest.link.vlans;
    digest.flags.has(TcpFlags::SYN.with(TcpFlags::RST))
        || digest.payload_hash == Some(0)
        || outer.is_none() && inner.is_some()
        || digest.flags.0 > 0x1ff
}

/// Segments of one flow, run and hour, in the order of their numbers.
struct Group {
    flow: i64,
    /// Index into the portions.
    portion: usize,
    /// Indices into the portion's digests.
    members: Vec<u32>,
}

/// Segments to pack, by flow, run and hour.
#[derive(Default)]
pub(super) struct Groups {
    all: Vec<Group>,
    open: HashMap<(usize, i64, i64), usize>,
}

impl Groups {
    /// Takes the digest at `index` of the portion at `portion`, whose flow has this hash.
    /// Tells whether it is the first of its row.
    pub fn add(&mut self, portion: usize, index: usize, flow: i64, digest: &Digest) -> bool {
        let key = (portion, flow, digest.time.nanos().div_euclid(HOUR));
        let at = *self.open.entry(key).or_insert_with(|| {
            self.all.push(Group {
                flow,
                portion,
                members: Vec::with_capacity(SEGMENTS_MAX),
            });
            self.all.len() - 1
        });
        let members = &mut self.all[at].members;
        let first = members.is_empty();
        members.push(index as u32);
        if members.len() == SEGMENTS_MAX {
            self.open.remove(&key);
        }
        first
    }

    /// The days of the groups' rows.
    pub fn days(&self, accepted: &[Fresh<'_>]) -> BTreeSet<i32> {
        // An hour lies within a day.
        let first = |group: &Group| accepted[group.portion].digests[group.members[0] as usize].time;
        self.all.iter().map(|group| day_of(first(group))).collect()
    }

    /// The rows as a COPY; a day that is not among `days` is 0. The payloads to note of them go to `noted`.
    pub fn rows(
        &self,
        accepted: &[Fresh<'_>],
        days: &BTreeSet<i32>,
        noted: &mut CopyBuffer,
    ) -> CopyBuffer {
        let mut packer = Packer::new(self.all.len());
        for group in &self.all {
            packer.pack(group, &accepted[group.portion], days);
            payloads::push(noted, group.flow, days, &packer.digests);
        }
        packer.rows
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Packs groups, with one set of buffers for all.
struct Packer {
    digests: Vec<Digest>,
    rows: CopyBuffer,
}

impl Packer {
    fn new(rows: usize) -> Self {
        Self {
            digests: Vec::with_capacity(SEGMENTS_MAX),
            rows: CopyBuffer::new(rows * ROW_OCTETS),
        }
    }

    fn pack(&mut self, group: &Group, fresh: &Fresh<'_>, days: &BTreeSet<i32>) {
        self.digests.clear();
        let members = group
            .members
            .iter()
            .map(|index| fresh.digests[*index as usize]);
        self.digests.extend(members);
        let first_number = fresh.first_number + u64::from(group.members[0]);
        let times = || self.digests.iter().map(|digest| digest.time);
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return;
        };
        let row = &mut self.rows;
        row.row(COLUMNS);
        row.eight(group.flow);
        row.eight(first.nanos());
        row.eight(last.nanos());
        row.eight(first_number.cast_signed());
        row.four(fresh.run.vantage_id);
        row.four(fresh.run.id);
        row.four(days.get(&day_of(first)).copied().unwrap_or(0));
        row.two(self.digests.len() as i16);
        row.field(&columns::write(&self.digests, &gaps(&group.members)));
    }
}

fn gaps(members: &[u32]) -> Vec<u64> {
    let between = members
        .windows(2)
        .map(|pair| u64::from(pair[1] - pair[0]) - 1);
    std::iter::once(0).chain(between).collect()
}

/// A row as it is read.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct PackedRow {
    /// Which question this row answers, from 1.
    pub asked: i64,
    pub run_id: i32,
    pub first_number: i64,
    pub segments: i16,
    pub octets: Vec<u8>,
}

impl TryFrom<&PackedRow> for Vec<Stored> {
    type Error = RowError;

    fn try_from(row: &PackedRow) -> Result<Self, RowError> {
        let name = RowName {
            table: "packed",
            row: format!("run {} number {}", row.run_id, row.first_number),
        };
        let rotten =
            |why: &dyn std::fmt::Display| name.refuse("octets", &format!("no segments ({why})"));
        let read = match row.octets.first() {
            Some(&columns::FORM) => columns::read(&row.octets),
            _ => zipped::read(&row.octets),
        };
        let digests = read.map_err(|why| rotten(&why))?;
        if usize::try_from(row.segments) != Ok(digests.len()) {
            return Err(name.refuse("segments", &row.segments));
        }
        let mut number = row.first_number;
        let mut stored = Vec::with_capacity(digests.len());
        for (index, (gap, digest)) in digests.into_iter().enumerate() {
            let step = i64::try_from(gap)
                .ok()
                .and_then(|gap| gap.checked_add(i64::from(index > 0)));
            number = step
                .and_then(|step| number.checked_add(step))
                .ok_or_else(|| rotten(&"numbers past all bounds"))?;
            stored.push(Stored {
                run_id: row.run_id,
                number,
                digest,
            });
        }
        Ok(stored)
    }
}

#[cfg(test)]
mod tests;

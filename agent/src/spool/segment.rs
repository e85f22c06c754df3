//! One segment file: what is in it, and what is given up of it when the disk's share is full.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use parallax_core::{CaptureTime, Digest, LossOf, LossRecord};

use super::record::{self, Record};
use crate::outbox::{Kept, Outgoing, Tally, worth};

/// What a file has given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GivenUp {
    Nothing,
    /// Digests of flows without a RST in the file.
    Segments,
    /// All digests but RSTs.
    Context,
    /// All digests.
    Resets,
}

impl GivenUp {
    /// The next step, and what it gives up.
    pub fn next(self) -> Option<(Self, LossOf)> {
        match self {
            Self::Nothing => Some((Self::Segments, LossOf::Segments)),
            Self::Segments => Some((Self::Context, LossOf::Context)),
            Self::Context => Some((Self::Resets, LossOf::Resets)),
            Self::Resets => None,
        }
    }
}

/// A file of records.
#[derive(Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub octets: u64,
    /// Number of the record after the last one.
    pub end_record: u64,
    /// Number of the digest after the last one.
    pub end_number: u64,
    pub given_up: GivenUp,
    /// From the first to the last digest or beat.
    pub times: Option<(CaptureTime, CaptureTime)>,
}

impl Segment {
    /// A file that is not there yet.
    pub fn new(folder: &Path, record: u64, number: u64) -> Self {
        Self {
            path: folder.join(format!("{record:020}.segment")),
            octets: 0,
            end_record: record,
            end_number: number,
            given_up: GivenUp::Nothing,
            times: None,
        }
    }

    /// The number of the first record, by a file's name.
    pub fn number_of(path: &Path) -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        name.strip_suffix(".segment")?.parse().ok()
    }

    /// What is in the file as far as it is whole, and the octets that are not.
    pub fn read(&self) -> io::Result<(Vec<Record>, u64)> {
        let octets = std::fs::read(&self.path)?;
        let (records, whole) = record::read_all(&octets);
        Ok((records, (octets.len() - whole) as u64))
    }

    /// Notes a record that was written.
    pub fn note(&mut self, number: u64, outgoing: &Outgoing, octets: u64) {
        self.octets += octets;
        self.end_record = self.end_record.max(number + 1);
        self.end_number = self.end_number.max(end_number(outgoing));
        if let Some((from, until)) = times(outgoing) {
            let (first, last) = self.times.unwrap_or((from, until));
            self.times = Some((first.min(from), last.max(until)));
        }
    }

    /// Gives up the next that is worth least, in place; false when there is nothing left to give. Records
    /// before `in_memory` are in memory too: what is given up of them is lost only to the next process. Those before
    /// `unsent_from` may have been sent: beats among them stay apart, as they were said.
    pub fn give_up(&mut self, in_memory: u64, unsent_from: u64) -> io::Result<bool> {
        let Some((given_up, of)) = self.given_up.next() else {
            return Ok(false);
        };
        let (records, _) = self.read()?;
        let mut octets = Vec::with_capacity(self.octets as usize);
        for record in without(records, of, in_memory, unsent_from) {
            record::write(&mut octets, record.number, &record.outgoing);
        }
        // In place, since a full disk has no room for a second file; what follows the new end is cut, and
        // whole records end before it should this be interrupted.
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        file.write_all(&octets)?;
        file.set_len(octets.len() as u64)?;
        self.octets = octets.len() as u64;
        self.given_up = given_up;
        Ok(true)
    }
}

fn end_number(outgoing: &Outgoing) -> u64 {
    match outgoing {
        Outgoing::Batch { first, digests } => first + digests.len() as u64,
        Outgoing::Skip { next, .. } => *next,
        Outgoing::Beat(beat) => beat.next_number,
        Outgoing::Loss(loss) => loss.next_number,
    }
}

fn times(outgoing: &Outgoing) -> Option<(CaptureTime, CaptureTime)> {
    match outgoing {
        Outgoing::Batch { digests, .. } => {
            let times = || digests.iter().map(|digest| digest.time);
            Some((times().min()?, times().max()?))
        }
        Outgoing::Beat(beat) => Some((beat.note.coverage.from, beat.note.coverage.until)),
        Outgoing::Loss(_) | Outgoing::Skip { .. } => None,
    }
}

/// Records without the digests whose loss would be one `of` that. A loss in front of the records that are in
/// memory too tells of those, one in front of the others of these.
fn without(records: Vec<Record>, of: LossOf, in_memory: u64, unsent_from: u64) -> Vec<Record> {
    let with_reset: HashSet<u64> = records
        .iter()
        .flat_map(|record| match &record.outgoing {
            Outgoing::Batch { digests, .. } => digests.as_slice(),
            _ => &[],
        })
        .filter(|digest| digest.is_rst())
        .map(|digest| digest.tuple.flow().hash())
        .collect();
    let (known, others): (Vec<Record>, Vec<Record>) = records
        .into_iter()
        .partition(|record| record.number < in_memory);
    let lessened = |records: Vec<Record>| {
        let mut tally = Tally::default();
        let first = records.first();
        let number = first.map_or(0, |record| record.number);
        let next_number = first.map_or(0, |record| first_number(&record.outgoing));
        let mut kept: Vec<Record> = Vec::with_capacity(records.len() + 1);
        for record in records {
            let given_up = |digest: &Digest| worth(digest, &with_reset) == of;
            for outgoing in parts(record.outgoing, &mut tally, given_up) {
                join(&mut kept, record.number, outgoing, unsent_from);
            }
        }
        let told = tally.loss(of).map(|loss| told(number, next_number, loss));
        told.into_iter().chain(kept)
    };
    lessened(known).chain(lessened(others)).collect()
}

fn first_number(outgoing: &Outgoing) -> u64 {
    match outgoing {
        Outgoing::Batch { first, .. } | Outgoing::Skip { first, .. } => *first,
        Outgoing::Beat(beat) => beat.next_number,
        Outgoing::Loss(loss) => loss.next_number,
    }
}

fn told(number: u64, next_number: u64, loss: LossRecord) -> Record {
    Record {
        number,
        outgoing: Outgoing::Loss(Kept {
            note: loss,
            next_number,
            record: 0,
        }),
    }
}

/// A batch in parts: runs of digests that stay, and of numbers that are given up.
fn parts(
    outgoing: Outgoing,
    tally: &mut Tally,
    given_up: impl Fn(&Digest) -> bool,
) -> Vec<Outgoing> {
    let Outgoing::Batch { first, digests } = outgoing else {
        return vec![outgoing];
    };
    let mut parts: Vec<Outgoing> = Vec::new();
    for (number, digest) in (first..).zip(digests) {
        if given_up(&digest) {
            tally.add(&digest);
            match parts.last_mut() {
                Some(Outgoing::Skip { next, .. }) => *next += 1,
                _ => parts.push(Outgoing::Skip {
                    first: number,
                    next: number + 1,
                }),
            }
        } else if let Some(Outgoing::Batch { digests, .. }) = parts.last_mut() {
            digests.push(digest);
        } else {
            parts.push(Outgoing::Batch {
                first: number,
                digests: vec![digest],
            });
        }
    }
    parts
}

/// Adds a record, joined to the one before where the two say one thing.
fn join(kept: &mut Vec<Record>, number: u64, outgoing: Outgoing, unsent_from: u64) {
    let last = kept.last_mut();
    let unsent = last.as_ref().is_some_and(|last| last.number >= unsent_from);
    match (last.map(|last| &mut last.outgoing), &outgoing) {
        (Some(Outgoing::Skip { next, .. }), Outgoing::Skip { first, next: end })
            if next == first =>
        {
            *next = *end;
        }
        (Some(Outgoing::Beat(last)), Outgoing::Beat(beat))
            if unsent && last.note.joins(&beat.note) =>
        {
            last.note.join(&beat.note);
            last.next_number = beat.next_number;
        }
        _ => kept.push(Record { number, outgoing }),
    }
}

//! The records of one run, oldest file first.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use parallax_core::CaptureTime;
use tracing::{debug, warn};

use super::record::{self, Record};
use super::segment::Segment;
use crate::outbox::Outgoing;

/// A file is one of so many that fill the journal's share of the disk.
const FILES: u64 = 16;
const FILE_MIN: u64 = 4 << 10;
const FILE_MAX: u64 = 4 << 20;

/// What a run has told and the collector has not acknowledged, on disk.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    /// Octets that the files may take together.
    limit: u64,
    segments: VecDeque<Segment>,
    active: Option<File>,
    next_record: u64,
    next_number: u64,
    /// Records below this one are in memory, or were.
    read_to: u64,
    /// Read from disk, not yet handed out.
    ready: VecDeque<Record>,
    /// When what was handed out last passed, and what is next to it.
    times: Option<(CaptureTime, CaptureTime)>,
    /// Octets that could not be read back.
    damaged: u64,
    /// An earlier process wrote it, and may have sent all of it.
    is_past: bool,
    complained: bool,
}

impl Journal {
    /// An empty journal in a folder that exists.
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self {
            folder,
            limit,
            segments: VecDeque::new(),
            active: None,
            next_record: 1,
            next_number: 0,
            read_to: 1,
            ready: VecDeque::new(),
            times: None,
            damaged: 0,
            is_past: false,
            complained: false,
        }
    }

    /// What an earlier process left in a folder. A file is read as far as it is whole.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn recover(folder: PathBuf, limit: u64) -> io::Result<Self> {
        let mut journal = Self::new(folder, limit);
        let mut found: Vec<(u64, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(&journal.folder)? {
            let path = entry?.path();
            found.extend(Segment::number_of(&path).map(|number| (number, path)));
        }
        found.sort();
        for (number, path) in found {
            let mut segment = Segment::new(&journal.folder, number, journal.next_number);
            segment.path = path;
            match segment.read() {
                Ok((records, damaged)) => {
                    let whole = std::fs::metadata(&segment.path)?.len() - damaged;
                    for record in &records {
                        segment.note(record.number, &record.outgoing, 0);
                    }
                    segment.octets = whole;
                    journal.damaged += damaged;
                }
                Err(error) => warn!("{} cannot be read: {error}", segment.path.display()),
            }
            journal.next_record = journal.next_record.max(segment.end_record);
            journal.next_number = journal.next_number.max(segment.end_number);
            journal.segments.push_back(segment);
        }
        journal.read_to = 0;
        journal.is_past = true;
        Ok(journal)
    }

    /// Number of the digest after the last one.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Octets that the files may take.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Octets that could not be read back.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Every record that is on disk and not yet handed out.
    pub(super) fn peek(&self) -> impl Iterator<Item = Outgoing> + '_ {
        let records = self
            .segments
            .iter()
            .filter_map(|segment| segment.read().ok());
        records
            .flat_map(|(records, _)| records)
            .map(|record| record.outgoing)
    }

    /// Writes a record and gives its number; `in_memory`: it need not be read back.
    ///
    /// # Errors
    /// When the disk has no room for it, even at the price of older and lesser ones.
    pub fn append(&mut self, outgoing: &Outgoing, in_memory: bool) -> io::Result<u64> {
        let number = self.next_record;
        let mut octets = Vec::new();
        record::write(&mut octets, number, outgoing);
        self.make_room(octets.len() as u64);
        let mut written = self.write(number, outgoing, &octets);
        if written.is_err() && self.give_up_one() {
            written = self.write(number, outgoing, &octets);
        }
        if let Err(error) = written {
            self.complain(&error);
            return Err(error);
        }
        self.complained = false;
        if in_memory {
            self.read_to = self.next_record;
        }
        Ok(number)
    }

    fn complain(&mut self, error: &io::Error) {
        if !self.complained {
            warn!(
                "cannot write to {}: {error}; what memory has no room for is lost, and counted",
                self.folder.display()
            );
        }
        self.complained = true;
    }

    fn write(&mut self, number: u64, outgoing: &Outgoing, octets: &[u8]) -> io::Result<()> {
        if self.octets() + octets.len() as u64 > self.limit {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let full = self
            .segments
            .back()
            .is_some_and(|segment| segment.octets >= self.file_size());
        if full || self.active.is_none() {
            self.begin_file()?;
        }
        let (Some(file), Some(segment)) = (&mut self.active, self.segments.back_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(error) = file.write_all(octets) {
            // Half a record would hide those after it.
            if file.set_len(segment.octets).is_err() {
                self.active = None;
            }
            return Err(error);
        }
        segment.note(number, outgoing, octets.len() as u64);
        self.next_record = number + 1;
        self.next_number = self.next_number.max(segment.end_number);
        Ok(())
    }

    fn file_size(&self) -> u64 {
        (self.limit / FILES).clamp(FILE_MIN, FILE_MAX)
    }

    fn begin_file(&mut self) -> io::Result<()> {
        if let Some(file) = self.active.take()
            && let Err(error) = file.sync_data()
        {
            debug!("a segment was not forced to disk: {error}");
        }
        let segment = Segment::new(&self.folder, self.next_record, self.next_number);
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(&segment.path)?;
        file.set_len(0)?;
        self.active = Some(file);
        self.segments.push_back(segment);
        Ok(())
    }

    /// Octets that the files take.
    pub fn octets(&self) -> u64 {
        self.segments.iter().map(|segment| segment.octets).sum()
    }

    fn make_room(&mut self, octets: u64) {
        while self.octets() + octets > self.limit && self.give_up_one() {}
    }

    /// Gives up what is worth least: of the file that has given up least, the oldest of those. False when
    /// nothing is left to give.
    fn give_up_one(&mut self) -> bool {
        loop {
            let last = self.segments.len().saturating_sub(1);
            let full = |index: usize, segment: &Segment| {
                index < last || segment.octets >= self.file_size()
            };
            let cheapest = self
                .segments
                .iter()
                .enumerate()
                .filter(|(index, segment)| full(*index, segment))
                .filter(|(_, segment)| segment.given_up.next().is_some())
                .min_by_key(|(index, segment)| (segment.given_up, *index));
            let Some((index, _)) = cheapest else {
                return false;
            };
            if index == last {
                // It is rewritten: what comes next goes to another file.
                self.active = None;
            }
            let segment = &mut self.segments[index];
            let before = segment.octets;
            let unsent_from = if self.is_past { u64::MAX } else { self.read_to };
            match segment.give_up(self.read_to, unsent_from) {
                Ok(_) if segment.octets < before => {
                    self.complain(&io::ErrorKind::StorageFull.into());
                    return true;
                }
                Ok(_) => {}
                Err(error) => {
                    warn!("cannot rewrite {}: {error}", segment.path.display());
                    return false;
                }
            }
        }
    }

    /// The next record that is on disk only, with its number.
    pub fn read_next(&mut self) -> Option<(u64, Outgoing)> {
        while self.ready.is_empty() {
            let read_to = self.read_to;
            let segment = self
                .segments
                .iter()
                .find(|segment| segment.end_record > read_to)?;
            let records = match segment.read() {
                Ok((records, _)) => records,
                Err(error) => {
                    warn!("cannot read {}: {error}", segment.path.display());
                    Vec::new()
                }
            };
            let before = self.times.map(|(_, until)| until);
            self.times = segment
                .times
                .map(|(from, until)| (before.unwrap_or(from).min(from), until));
            let end = segment.end_record;
            self.ready.extend(
                records
                    .into_iter()
                    .filter(|record| record.number >= read_to),
            );
            self.read_to = end;
        }
        let record = self.ready.pop_front()?;
        Some((record.number, record.outgoing))
    }

    /// The time in which what was read last, or is missing next to it, passed.
    pub fn read_times(&self) -> Option<(CaptureTime, CaptureTime)> {
        self.times
    }

    /// Deletes the files of which the collector has everything: digests below `committed`, and the notes
    /// before record `oldest`.
    pub fn release(&mut self, committed: u64, oldest: Option<u64>) {
        let in_memory = self
            .ready
            .front()
            .map_or(self.read_to, |record| record.number);
        while self.segments.len() > 1 {
            let first = &self.segments[0];
            let done = first.end_number <= committed
                && first.end_record <= in_memory
                && oldest.is_none_or(|oldest| first.end_record <= oldest);
            if !done {
                return;
            }
            if let Err(error) = std::fs::remove_file(&first.path) {
                debug!("{} was not deleted: {error}", first.path.display());
            }
            self.segments.pop_front();
        }
    }

    /// Deletes everything.
    pub fn remove(self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            warn!("{} was not deleted: {error}", self.folder.display());
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

//! Capture files to what is needed of them.
//!
//! A reset at one vantage makes the flow interesting at all of them, so every file is read before
//! it is known what to keep. Files that can be read again are read several times, which keeps memory small;
//! of a pipe everything is kept.

mod shares;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use parallax_agent::capture::file::{FileSummary, Place, Receive};
use parallax_core::archive::{Archive, Frame, Gathered, Glimpse, Purpose, Recordings, Shelf, Take};
use parallax_core::decode::UnreadCounts;
use parallax_core::report::{Count, LossTotal, VantageSummary};
use parallax_core::{Coverage, LossRecord, Selection, Vantage, VantageKind};

use super::AnalyzeError;
use super::plan::{Plan, is_stdin};
use super::progress::{Progress, Reading};
use super::source::{self, Known};
use super::threads;
use shares::{Share, Shares};

/// Everything that the judge may ask about, from all files.
pub struct Read {
    pub archive: Archive,
    /// In the plan's order.
    pub vantages: Vec<VantageSummary>,
    pub warnings: Vec<String>,
}

/// Reads every file of the plan.
pub fn read(plan: &Plan, progress: &Progress) -> Result<Read, AnalyzeError> {
    let mut files = Files::of(plan, progress);
    let gathered = Gathered::read(&mut files)?;
    let mut frames = Vec::new();
    let mut vantages = Vec::new();
    let mut warnings = Vec::new();
    for (station, reels) in plan.stations.iter().zip(&files.reels) {
        let vantage = &station.vantage;
        let summaries: Vec<&FileSummary> = reels
            .iter()
            .filter_map(|reel| Some(&reel.known.as_ref()?.summary))
            .collect();
        for summary in &summaries {
            warnings.extend(source::warnings(&vantage.name, summary));
        }
        let coverage = coverage(&summaries);
        vantages.push(summary(vantage, &coverage, &summaries));
        frames.push(Frame {
            vantage: vantage.clone(),
            selection: Selection::All,
            coverage,
            losses: losses(&summaries).collect(),
        });
    }
    Ok(Read {
        archive: Archive::of(gathered, frames, plan.path.clone()),
        vantages,
        warnings,
    })
}

/// What the files themselves tell of loss.
fn losses(summaries: &[&FileSummary]) -> impl Iterator<Item = LossRecord> {
    summaries
        .iter()
        .filter_map(|summary| LossRecord::unreadable(&summary.coverage?, &summary.unread))
}

fn coverage(summaries: &[&FileSummary]) -> Vec<Coverage> {
    let mut coverage: Vec<Coverage> = summaries
        .iter()
        .filter_map(|summary| summary.coverage)
        .collect();
    coverage.sort_by_key(|span| span.from);
    coverage
}

/// The vantage as a document shows it.
fn summary(vantage: &Vantage, coverage: &[Coverage], summaries: &[&FileSummary]) -> VantageSummary {
    let addresses = match &vantage.kind {
        VantageKind::Host { addresses } => addresses.clone(),
        VantageKind::Hop => Vec::new(),
    };
    let mut unread = UnreadCounts::default();
    for summary in summaries {
        unread.merge(&summary.unread);
    }
    let unreadable = unread.iter().map(|(what, count)| Count {
        what: what.as_str().to_owned(),
        count,
    });
    VantageSummary {
        name: vantage.name.clone(),
        kind: vantage.kind_name(),
        addresses,
        packets: summaries.iter().map(|summary| summary.packets).sum(),
        first: coverage.iter().map(|span| span.from).min(),
        last: coverage.iter().map(|span| span.until).max(),
        dropped: coverage.iter().map(|span| span.dropped).sum(),
        clock_offset_ns: None,
        unreadable: unreadable.collect(),
        connected: None,
        losses: losses(summaries).map(LossTotal::from).collect(),
        sent_octets: None,
        observed_octets: None,
    }
}

/// The plan's files.
struct Files<'a> {
    progress: &'a Progress,
    /// By vantage.
    reels: Vec<Vec<Reel>>,
}

/// One file of one vantage.
struct Reel {
    vantage: String,
    file: PathBuf,
    can_be_read_again: bool,
    /// Known after the first reading.
    known: Option<Known>,
    /// What a pipe held: it cannot be read again.
    whole: Option<Shelf>,
}

impl<'a> Files<'a> {
    fn of(plan: &Plan, progress: &'a Progress) -> Self {
        let reels = plan.stations.iter().map(|station| {
            let of_file = |file: &PathBuf| Reel {
                vantage: station.vantage.name.clone(),
                file: file.clone(),
                can_be_read_again: can_be_read_again(file),
                known: None,
                whole: None,
            };
            station.files.iter().map(of_file).collect()
        });
        Self {
            progress,
            reels: reels.collect(),
        }
    }

    /// How many files of some vantages are to be read, and their octets; `None`: a pipe is among them, and nobody knows.
    fn size(&self, sought: impl Fn(usize) -> bool) -> (usize, Option<u64>) {
        let reels = self.reels.iter().enumerate();
        let reels = reels.filter(|(vantage, _)| sought(*vantage));
        let reels: Vec<&Reel> = reels.flat_map(|(_, reels)| reels).collect();
        let octets = reels.iter().map(|reel| reel.octets()).sum();
        (reels.len(), octets)
    }
}

fn can_be_read_again(file: &Path) -> bool {
    !is_stdin(file) && file.metadata().is_ok_and(|found| found.is_file())
}

/// Hands the segments of one file on, and keeps those of a pipe.
struct Hand<'a, T> {
    taker: &'a mut T,
    part: usize,
    whole: Option<Shelf>,
}

impl<T: Take> Receive for Hand<'_, T> {
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    fn receive(&mut self, segment: &impl Glimpse) {
        self.taker.take(self.part, segment);
        if let Some(whole) = &mut self.whole {
            whole.push(&segment.digest());
        }
    }
}

/// What the reading of a file, or of a piece of it, found.
struct Found {
    part: usize,
    /// Whether it was from the file's beginning.
    begins: bool,
    known: Known,
    whole: Option<Shelf>,
}

impl Reel {
    /// Octets that are to be read of it.
    fn octets(&self) -> Option<u64> {
        if self.can_be_read_again {
            self.file.metadata().ok().map(|about| about.len())
        } else {
            self.whole.as_ref().map(|_| 0)
        }
    }

    /// From where it can be read on, as far as that is known.
    fn places(&self) -> &[Place] {
        self.known.as_ref().map_or(&[], |known| &known.places)
    }

    /// Reads it as far as is claimed; nothing is found where it was read before and is kept.
    fn read(
        &self,
        part: usize,
        from: Option<&Place>,
        claim: impl Fn(u64) -> Option<u64>,
        reading: &Reading,
        taker: &mut impl Take,
    ) -> Result<Option<Found>, AnalyzeError> {
        if let Some(whole) = &self.whole {
            for segment in whole.iter() {
                taker.take(part, &segment);
            }
            return Ok(None);
        }
        let whole = (!self.can_be_read_again).then(Shelf::default);
        let mut hand = Hand { taker, part, whole };
        let (vantage, file) = (&self.vantage, &self.file);
        let known = source::read(vantage, file, from, claim, reading, &mut hand)?;
        Ok(Some(Found {
            part,
            begins: from.is_none(),
            known,
            whole: hand.whole,
        }))
    }

    /// Takes what was found, in the order of the pieces: each counts what was before it too.
    fn learn(&mut self, found: Found) {
        let Known {
            mut summary,
            places,
        } = found.known;
        match &mut self.known {
            Some(known) => {
                if !found.begins {
                    let earlier = std::mem::take(&mut known.summary.warnings);
                    summary.warnings.splice(..0, earlier);
                }
                known.summary = summary;
            }
            None => self.known = Some(Known { summary, places }),
        }
        self.whole = self.whole.take().or(found.whole);
    }
}

impl Files<'_> {
    /// Reads what a share has of its vantage's files, one behind the other.
    fn read_share(
        &self,
        shares: &Shares<'_>,
        share: &Share<'_>,
        reading: &Reading,
        taker: &mut impl Take,
    ) -> Result<Vec<Found>, AnalyzeError> {
        let reels = self.reels[share.vantage].iter().enumerate();
        let mut from = share.from;
        let mut all = Vec::new();
        for (part, reel) in reels.skip(share.part) {
            let claim = |offset| shares.claim(share, part, offset);
            if claim(from.map_or(0, Place::offset)).is_none() {
                break;
            }
            let found = reel.read(part, from.take(), claim, reading, taker)?;
            all.extend(found);
        }
        Ok(all)
    }
}

impl Recordings for Files<'_> {
    type Error = AnalyzeError;

    fn vantages(&self) -> usize {
        self.reels.len()
    }

    fn read<T: Take>(&mut self, purpose: Purpose, takers: &mut [T]) -> Result<(), AnalyzeError> {
        let sought: Vec<bool> = takers.iter().map(T::seeks).collect();
        let (files, octets) = self.size(|vantage| sought[vantage]);
        let reading = self.progress.read(purpose, files, octets);
        let shares = Shares::of(&self.reels, |vantage| sought[vantage]);
        let pairs = takers.iter_mut().map(|own| (own.beside(), Some(own)));
        let takers_of: Mutex<Vec<(T, Option<&mut T>)>> = Mutex::new(pairs.collect());
        let hands = (0..threads::processors()).collect();
        let read = threads::share(hands, |_: usize| {
            let mut read = Vec::new();
            while let Some(share) = shares.take() {
                let mut takers = takers_of.lock().unwrap_or_else(PoisonError::into_inner);
                let (model, own) = &mut takers[share.vantage];
                let own = own.take_if(|_| share.begins());
                let mut beside = own.is_none().then(|| model.beside());
                drop(takers);
                let taker = own.or(beside.as_mut());
                let found = taker.map(|taker| self.read_share(&shares, &share, &reading, taker));
                read.push((share.place(), found, beside));
            }
            read
        });
        drop(takers_of);
        let mut read: Vec<_> = read.into_iter().flatten().collect();
        read.sort_by_key(|(place, ..)| *place);
        for ((vantage, ..), found, beside) in read {
            for found in found.transpose()?.into_iter().flatten() {
                self.reels[vantage][found.part].learn(found);
            }
            if let Some(beside) = beside {
                takers[vantage].join(beside);
            }
        }
        Ok(())
    }

    fn share<Thing: Send, Done: Send>(
        &self,
        things: Vec<Thing>,
        work: impl Fn(Thing) -> Done + Sync,
    ) -> Vec<Done> {
        threads::share(things, work)
    }
}

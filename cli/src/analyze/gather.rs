//! Capture files to what is needed of them.
//!
//! A reset at one vantage makes the flow interesting at all of them, so every file is read before
//! it is known what to keep. Files that can be read again are read several times, which keeps memory small;
//! of a pipe everything is kept.

use std::path::{Path, PathBuf};

use parallax_agent::capture::file::FileSummary;
use parallax_core::archive::{Archive, Frame, Gathered, Glimpse, Purpose, Recordings, Shelf, Take};
use parallax_core::decode::UnreadCounts;
use parallax_core::report::{Count, LossTotal, VantageSummary};
use parallax_core::{Coverage, LossRecord, Selection, Vantage, VantageKind};

use super::AnalyzeError;
use super::plan::{Plan, is_stdin};
use super::progress::{Progress, Reading};
use super::source::{self, Receive};
use super::threads;

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
            .filter_map(|reel| reel.summary.as_ref())
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
    /// Known after the first reading.
    summary: Option<FileSummary>,
    /// What a pipe held: it cannot be read again.
    whole: Option<Shelf>,
}

impl<'a> Files<'a> {
    fn of(plan: &Plan, progress: &'a Progress) -> Self {
        let reels = plan.stations.iter().map(|station| {
            let of_file = |file: &PathBuf| Reel {
                vantage: station.vantage.name.clone(),
                file: file.clone(),
                summary: None,
                whole: (!can_be_read_again(file)).then(Shelf::default),
            };
            station.files.iter().map(of_file).collect()
        });
        Self {
            progress,
            reels: reels.collect(),
        }
    }

    /// Octets of all files that are to be read; `None`: a pipe is among them, and nobody knows.
    fn octets(&self) -> Option<u64> {
        let octets = |reel: &Reel| match &reel.whole {
            Some(_) if reel.summary.is_none() => None,
            Some(_) => Some(0),
            None => reel.file.metadata().ok().map(|about| about.len()),
        };
        self.reels.iter().flatten().map(octets).sum()
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
    #[inline]
    fn receive(&mut self, segment: &impl Glimpse) {
        self.taker.take(self.part, segment);
        if let Some(whole) = &mut self.whole {
            whole.push(&segment.digest());
        }
    }
}

impl Reel {
    fn read(
        &mut self,
        reading: &Reading,
        part: usize,
        taker: &mut impl Take,
    ) -> Result<(), AnalyzeError> {
        if let (Some(whole), Some(_)) = (&self.whole, &self.summary) {
            for segment in whole.iter() {
                taker.take(part, &segment);
            }
            return Ok(());
        }
        let whole = self.whole.take();
        let mut hand = Hand { taker, part, whole };
        let summary = source::read(&self.vantage, &self.file, reading, &mut hand)?;
        self.whole = hand.whole;
        self.summary = Some(summary);
        Ok(())
    }
}

impl Recordings for Files<'_> {
    type Error = AnalyzeError;

    fn vantages(&self) -> usize {
        self.reels.len()
    }

    fn read<T: Take>(&mut self, purpose: Purpose, takers: &mut [T]) -> Result<(), AnalyzeError> {
        let files = self.reels.iter().map(Vec::len).sum();
        let reading = self.progress.read(purpose, files, self.octets());
        let vantages: Vec<(&mut Vec<Reel>, &mut T)> = self.reels.iter_mut().zip(takers).collect();
        let read = threads::share(vantages, |(reels, taker)| {
            reels
                .iter_mut()
                .enumerate()
                .try_for_each(|(part, reel)| reel.read(&reading, part, taker))
        });
        read.into_iter().collect()
    }
}

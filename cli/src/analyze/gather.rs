//! Capture files to what is needed of them.
//!
//! A reset at one vantage makes the flow interesting at all of them, so every file is read before
//! it is known what to keep. Files that can be read again are read several times, which keeps memory small;
//! of a pipe everything is kept.

use std::path::{Path, PathBuf};

use parallax_agent::capture::file::FileSummary;
use parallax_core::archive::{Archive, Frame, Gathered, Purpose, Recordings};
use parallax_core::decode::UnreadCounts;
use parallax_core::report::{Count, LossTotal, VantageSummary};
use parallax_core::{Coverage, Digest, LossRecord, Selection, Vantage, VantageKind};

use super::AnalyzeError;
use super::plan::{Plan, is_stdin};
use super::progress::Progress;
use super::source;

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
    whole: Option<Vec<Digest>>,
}

impl<'a> Files<'a> {
    fn of(plan: &Plan, progress: &'a Progress) -> Self {
        let reels = plan.stations.iter().map(|station| {
            let of_file = |file: &PathBuf| Reel {
                vantage: station.vantage.name.clone(),
                file: file.clone(),
                summary: None,
                whole: (!can_be_read_again(file)).then(Vec::new),
            };
            station.files.iter().map(of_file).collect()
        });
        Self {
            progress,
            reels: reels.collect(),
        }
    }
}

fn can_be_read_again(file: &Path) -> bool {
    !is_stdin(file) && file.metadata().is_ok_and(|found| found.is_file())
}

impl Reel {
    fn read(
        &mut self,
        progress: &Progress,
        mut take: impl FnMut(&Digest),
    ) -> Result<(), AnalyzeError> {
        let first = self.summary.is_none();
        if let Some(whole) = self.whole.as_ref().filter(|_| !first) {
            whole.iter().for_each(take);
            return Ok(());
        }
        let mut whole = self.whole.take();
        let summary = source::read(&self.vantage, &self.file, progress, |digest| {
            take(&digest);
            if let Some(whole) = &mut whole {
                whole.push(digest);
            }
        })?;
        self.whole = whole;
        self.summary = Some(summary);
        Ok(())
    }
}

impl Recordings for Files<'_> {
    type Error = AnalyzeError;

    fn vantages(&self) -> usize {
        self.reels.len()
    }

    fn read(
        &mut self,
        purpose: Purpose,
        take: &mut dyn FnMut(usize, usize, &Digest),
    ) -> Result<(), AnalyzeError> {
        self.progress.purpose(purpose);
        for (vantage, reels) in self.reels.iter_mut().enumerate() {
            for (part, reel) in reels.iter_mut().enumerate() {
                reel.read(self.progress, |digest| take(vantage, part, digest))?;
            }
        }
        Ok(())
    }
}

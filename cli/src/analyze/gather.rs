//! Capture files to what is needed of them.
//!
//! A reset at one vantage makes the flow interesting at all of them, so every file is read before
//! it is known what to keep. Files that can be read again are read twice, which keeps memory small;
//! of a pipe everything is kept.

use std::collections::HashMap;
use std::path::Path;

use parallax_agent::capture::file::FileSummary;
use parallax_core::decode::UnreadCounts;
use parallax_core::report::{Count, VantageSummary};
use parallax_core::{Coverage, Digest, Flow, Vantage, VantageKind};

use super::AnalyzeError;
use super::nearby::{Interest, Nearby};
use super::plan::{Plan, is_stdin};
use super::progress::Progress;
use super::source;

/// Everything that the judge may ask about, from all files.
#[derive(Debug)]
pub struct Gathered {
    /// In the plan's order.
    pub watched: Vec<Watched>,
    pub interest: Interest,
    pub warnings: Vec<String>,
}

/// What one vantage's files hold.
#[derive(Debug)]
pub struct Watched {
    pub vantage: Vantage,
    /// In order of time.
    pub coverage: Vec<Coverage>,
    pub nearby: Nearby,
    segments: HashMap<Flow, Vec<Digest>>,
    packets: u64,
    unread: UnreadCounts,
}

impl Watched {
    /// The flow's digests, in order of time.
    pub fn segments(&self, flow: Flow) -> &[Digest] {
        self.segments.get(&flow).map_or(&[], Vec::as_slice)
    }

    /// The vantage as a document shows it.
    pub fn summary(&self) -> VantageSummary {
        let addresses = match &self.vantage.kind {
            VantageKind::Host { addresses } => addresses.clone(),
            VantageKind::Hop => Vec::new(),
        };
        let unreadable = self.unread.iter().map(|(what, count)| Count {
            what: what.as_str().to_owned(),
            count,
        });
        VantageSummary {
            name: self.vantage.name.clone(),
            kind: self.vantage.kind_name(),
            addresses,
            packets: self.packets,
            first: self.coverage.iter().map(|span| span.from).min(),
            last: self.coverage.iter().map(|span| span.until).max(),
            dropped: self.coverage.iter().map(|span| span.dropped).sum(),
            clock_offset_ns: None,
            unreadable: unreadable.collect(),
            connected: None,
        }
    }
}

/// Reads every file of the plan.
pub fn read(plan: &Plan, progress: &Progress) -> Result<Gathered, AnalyzeError> {
    let mut interest = Interest::default();
    let mut first: Vec<Vec<FirstLook>> = Vec::new();
    for station in &plan.stations {
        let name = &station.vantage.name;
        let looks = station
            .files
            .iter()
            .map(|file| look(name, file, &mut interest, progress));
        first.push(looks.collect::<Result<_, _>>()?);
    }
    let mut watched = Vec::new();
    let mut warnings = Vec::new();
    for (station, looks) in plan.stations.iter().zip(first) {
        let name = &station.vantage.name;
        let mut keep = Keep::default();
        let mut summaries = Vec::new();
        for (file, look) in station.files.iter().zip(looks) {
            let summary = take(name, file, look, &interest, &mut keep, progress)?;
            warnings.extend(source::warnings(name, &summary));
            summaries.push(summary);
        }
        watched.push(keep.watched(station.vantage.clone(), &summaries));
    }
    Ok(Gathered {
        watched,
        interest,
        warnings,
    })
}

/// What the first reading of a file left.
enum FirstLook {
    /// It can be read again.
    Again(FileSummary),
    /// It cannot: here is all of it.
    Whole(FileSummary, Vec<Digest>),
}

/// Finds the flows with a reset.
fn look(
    vantage: &str,
    file: &Path,
    interest: &mut Interest,
    progress: &Progress,
) -> Result<FirstLook, AnalyzeError> {
    let again = !is_stdin(file) && file.metadata().is_ok_and(|found| found.is_file());
    let mut whole = Vec::new();
    let summary = source::read(vantage, file, progress, |digest| {
        if digest.is_rst() {
            interest.add(digest.tuple.flow(), digest.time);
        }
        if !again {
            whole.push(digest);
        }
    })?;
    Ok(if again {
        FirstLook::Again(summary)
    } else {
        FirstLook::Whole(summary, whole)
    })
}

/// Keeps what is of interest in a file.
fn take(
    vantage: &str,
    file: &Path,
    look: FirstLook,
    interest: &Interest,
    keep: &mut Keep,
    progress: &Progress,
) -> Result<FileSummary, AnalyzeError> {
    match look {
        FirstLook::Again(summary) if interest.is_empty() => Ok(summary),
        FirstLook::Again(_) => source::read(vantage, file, progress, |digest| {
            keep.digest(digest, interest);
        }),
        FirstLook::Whole(summary, digests) => {
            for digest in digests {
                keep.digest(digest, interest);
            }
            Ok(summary)
        }
    }
}

/// The digests of one vantage that are kept.
#[derive(Default)]
struct Keep {
    segments: HashMap<Flow, Vec<Digest>>,
    nearby: Vec<Digest>,
}

impl Keep {
    fn digest(&mut self, digest: Digest, interest: &Interest) {
        let flow = digest.tuple.flow();
        if interest.has_flow(flow) {
            self.segments.entry(flow).or_default().push(digest);
        }
        if interest.is_nearby(&digest, flow) {
            self.nearby.push(digest);
        }
    }

    fn watched(mut self, vantage: Vantage, summaries: &[FileSummary]) -> Watched {
        for segments in self.segments.values_mut() {
            segments.sort_by_key(|digest| digest.time);
        }
        let mut unread = UnreadCounts::default();
        for summary in summaries {
            unread.merge(&summary.unread);
        }
        let packets = summaries.iter().map(|summary| summary.packets).sum();
        let mut coverage: Vec<Coverage> = summaries
            .iter()
            .filter_map(|summary| summary.coverage)
            .collect();
        coverage.sort_by_key(|span| span.from);
        Watched {
            vantage,
            coverage,
            nearby: Nearby::new(self.nearby),
            segments: self.segments,
            packets,
            unread,
        }
    }
}

//! Recordings of several vantages, whole, and the evidence that is in them: what capture files and
//! simulated networks are judged by. The service keeps the same in Postgres.

#[cfg(test)]
mod any;
mod gathering;
mod interest;
mod kept;
mod kin;
mod nearby;
mod packed;
mod pile;
mod shaken;
mod spans;
mod takers;
mod tally;
#[cfg(test)]
mod tests;

use std::convert::Infallible;

use crate::coverage::Coverage;
use crate::decode::{Glance, Head};
use crate::digest::Digest;
use crate::evidence::{FlowEvidence, Selection, VantageEvidence};
use crate::flow::Flow;
use crate::judge::{self, Judged};
use crate::loss_record::LossRecord;
use crate::vantage::Vantage;
pub use gathering::Gathered;
pub use interest::{APART, CARRIERS_MAX};
use kept::All;
pub use packed::Shelf;

/// What one vantage recorded.
#[derive(Debug, Clone)]
pub struct Record {
    pub vantage: Vantage,
    pub selection: Selection,
    /// In order of time.
    pub coverage: Vec<Coverage>,
    /// In the order of capture.
    pub digests: Vec<Digest>,
}

/// A segment as it is read: whether all of it is wanted shows by its head.
pub trait Glimpse {
    fn head(&self) -> Head;

    /// As [`Digest::payload_hash`].
    fn payload_hash(&self) -> Option<u64>;

    fn digest(&self) -> Digest;
}

impl Glimpse for Digest {
    fn head(&self) -> Head {
        Head::of(self)
    }

    fn payload_hash(&self) -> Option<u64> {
        self.payload_hash
    }

    fn digest(&self) -> Digest {
        *self
    }
}

impl Glimpse for Glance<'_> {
    #[inline]
    fn head(&self) -> Head {
        self.head
    }

    #[inline]
    fn payload_hash(&self) -> Option<u64> {
        self.payload_hash()
    }

    #[inline]
    fn digest(&self) -> Digest {
        self.digest()
    }
}

/// What takes one vantage's segments.
pub trait Take: Send + Sized {
    /// Takes the next one of a part (file), which is in the order of capture. The parts come one after the other.
    fn take(&mut self, part: usize, segment: &impl Glimpse);

    /// Whether it looks for anything: a vantage where nothing is sought need not be read.
    fn seeks(&self) -> bool {
        true
    }

    /// Another one, which takes what follows at the same time.
    #[must_use]
    fn beside(&self) -> Self;

    /// Takes what that one took.
    fn join(&mut self, later: Self);
}

/// Recordings that can be read again and again, so that only what is of interest need be kept.
pub trait Recordings: Sync {
    type Error;

    /// How many vantages there are.
    fn vantages(&self) -> usize;

    /// Hands every segment of each vantage to that vantage's one of `takers`. Vantages, and what follows each other
    /// at one, may be read at the same time.
    ///
    /// # Errors
    /// What reading them says.
    fn read<T: Take>(&mut self, purpose: Purpose, takers: &mut [T]) -> Result<(), Self::Error>;

    /// Does something with each of some things, maybe with several at the same time; the results are in the order of
    /// the things.
    fn share<Thing: Send, Done: Send>(
        &self,
        things: Vec<Thing>,
        work: impl Fn(Thing) -> Done + Sync,
    ) -> Vec<Done>;
}

/// What a reading looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Flows with resets.
    Resets,
    /// The segments of those, and of flows that may be the same under other names.
    Segments,
    /// What else went between the same hosts.
    Neighbours,
    /// Flows that carry the same payload.
    Carriers,
}

/// The digests of interest of all vantages.
#[derive(Debug)]
pub struct Archive {
    kept: All,
    flows: Vec<Flow>,
    configured_path: Option<Vec<usize>>,
    /// What else is known of each vantage.
    frames: Vec<Frame>,
}

/// A vantage without its digests.
#[derive(Debug, Clone)]
pub struct Frame {
    pub vantage: Vantage,
    pub selection: Selection,
    /// In order of time.
    pub coverage: Vec<Coverage>,
    /// What it lost or may have lost.
    pub losses: Vec<LossRecord>,
}

/// Recordings in memory.
struct Records<'a>(&'a [Record]);

impl Recordings for Records<'_> {
    type Error = Infallible;

    fn vantages(&self) -> usize {
        self.0.len()
    }

    fn read<T: Take>(&mut self, _purpose: Purpose, takers: &mut [T]) -> Result<(), Infallible> {
        for (record, taker) in self.0.iter().zip(takers) {
            for digest in &record.digests {
                taker.take(0, digest);
            }
        }
        Ok(())
    }

    fn share<Thing: Send, Done: Send>(
        &self,
        things: Vec<Thing>,
        work: impl Fn(Thing) -> Done + Sync,
    ) -> Vec<Done> {
        things.into_iter().map(work).collect()
    }
}

impl Archive {
    /// Puts recordings in memory together.
    pub fn new(records: &[Record], configured_path: Option<Vec<usize>>) -> Self {
        let Ok(gathered) = Gathered::read(&mut Records(records));
        let frames = records
            .iter()
            .map(|record| Frame {
                vantage: record.vantage.clone(),
                selection: record.selection,
                coverage: record.coverage.clone(),
                losses: Vec::new(),
            })
            .collect();
        Self::of(gathered, frames, configured_path)
    }

    /// Puts what was gathered together with who recorded it; `frames` are in the order of the recordings.
    pub fn of(gathered: Gathered, frames: Vec<Frame>, configured_path: Option<Vec<usize>>) -> Self {
        Self {
            kept: gathered.kept,
            flows: gathered.flows,
            configured_path,
            frames,
        }
    }

    /// The flows with resets, sorted.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The same in the order in which their evidence is found soonest.
    pub fn flows_by_time(&self) -> Vec<Flow> {
        self.kept.by_time(&self.flows)
    }

    /// Judges every reset, flow by flow.
    pub fn judge(&self) -> Vec<Judged> {
        self.flows
            .iter()
            .flat_map(|flow| judge::judge_flow(&self.evidence(*flow)))
            .collect()
    }

    /// Everything about one flow, as the judge wants it.
    pub fn evidence(&self, flow: Flow) -> FlowEvidence {
        let at_vantages = self.kept.around(flow);
        FlowEvidence {
            flow,
            vantages: self
                .frames
                .iter()
                .zip(at_vantages)
                .map(|(frame, (segments, nearby))| VantageEvidence {
                    vantage: frame.vantage.clone(),
                    selection: frame.selection,
                    complete: Vec::new(),
                    clock: None,
                    coverage: frame.coverage.clone(),
                    losses: frame.losses.clone(),
                    segments,
                    nearby,
                    testimony: crate::Testimony::default(),
                })
                .collect(),
            configured_path: self.configured_path.clone(),
            known_ids: Vec::new(),
        }
    }
}

//! Recordings of several vantages, whole, and the evidence that is in them: what capture files and
//! simulated networks are judged by. The service keeps the same in Postgres.

mod interest;
mod kin;
mod nearby;

use hashbrown::{HashMap, HashSet};
use std::convert::Infallible;

use crate::coverage::Coverage;
use crate::digest::Digest;
use crate::evidence::{self, FlowEvidence, Selection, VantageEvidence};
use crate::flow::Flow;
use crate::judge::{self, Judged};
use crate::loss_record::LossRecord;
use crate::vantage::Vantage;
pub use interest::{APART, CARRIERS_MAX};
use interest::{Interest, Openings, Payloads};
use kin::Kin;
use nearby::Nearby;

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

/// Recordings that can be read again and again, so that only what is of interest need be kept.
pub trait Recordings {
    type Error;

    /// How many vantages there are.
    fn vantages(&self) -> usize;

    /// Hands every digest of every vantage to `take`, with the vantage's index and the index of the part
    /// (file) within it; each part in the order of capture.
    ///
    /// # Errors
    /// What reading them says.
    fn read(
        &mut self,
        purpose: Purpose,
        take: &mut dyn FnMut(usize, usize, &Digest),
    ) -> Result<(), Self::Error>;
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
    kept: Vec<Kept>,
    kin: Kin,
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

/// What is kept of one vantage's digests.
#[derive(Debug, Default)]
struct Kept {
    /// By flow, each with its place in the order of capture.
    segments: HashMap<Flow, Vec<(usize, Digest)>>,
    nearby: Nearby,
}

/// Digests of interest, before it is known who recorded them.
#[derive(Debug)]
pub struct Gathered {
    kept: Vec<Kept>,
    flows: Vec<Flow>,
}

impl Gathered {
    /// Reads recordings as often as it takes to find what matters in them.
    ///
    /// # Errors
    /// What reading them says.
    pub fn read<R: Recordings>(recordings: &mut R) -> Result<Self, R::Error> {
        let vantages = recordings.vantages();
        let mut interest = Interest::default();
        let mut openings = Openings::default();
        recordings.read(Purpose::Resets, &mut |_, _, digest| {
            if digest.is_rst() {
                interest.add_reset(digest.tuple.flow(), digest.time);
            }
            openings.add(digest);
        })?;
        let flows = interest.flows();
        if interest.is_empty() {
            let kept = (0..vantages).map(|_| Kept::default()).collect();
            return Ok(Self { kept, flows });
        }
        interest.add_kin(openings.kin(&flows));
        let mut drawers = Drawers::new(vantages);
        let mut payloads = Payloads::default();
        let mut names = Vec::new();
        recordings.read(Purpose::Segments, &mut |vantage, part, digest| {
            let flow = digest.tuple.flow();
            if interest.has_flow(flow) {
                if interest.has_reset(flow) {
                    payloads.seek(digest);
                }
                names.push((flow, digest.time));
                drawers.add(vantage, part, digest);
            }
        })?;
        for (flow, time) in names {
            interest.add_name(flow, time);
        }
        let mut nearby: Vec<Vec<Digest>> = (0..vantages).map(|_| Vec::new()).collect();
        recordings.read(Purpose::Neighbours, &mut |vantage, _, digest| {
            let flow = digest.tuple.flow();
            if !interest.has_flow(flow) {
                payloads.add(digest, flow);
            }
            if digest.is_rst() || interest.is_nearby(digest, flow) {
                nearby[vantage].push(*digest);
            }
        })?;
        let carriers = payloads.carriers();
        if !carriers.is_empty() {
            recordings.read(Purpose::Carriers, &mut |vantage, part, digest| {
                if carriers.contains(&digest.tuple.flow().hash()) {
                    drawers.add(vantage, part, digest);
                }
            })?;
        }
        let kept = drawers.kept(nearby);
        Ok(Self { kept, flows })
    }
}

/// Digests by vantage and part.
struct Drawers {
    parts: Vec<Vec<Vec<Digest>>>,
}

impl Drawers {
    fn new(vantages: usize) -> Self {
        Self {
            parts: (0..vantages).map(|_| Vec::new()).collect(),
        }
    }

    fn add(&mut self, vantage: usize, part: usize, digest: &Digest) {
        let parts = &mut self.parts[vantage];
        if parts.len() <= part {
            parts.resize_with(part + 1, Vec::new);
        }
        parts[part].push(*digest);
    }

    fn kept(self, nearby: Vec<Vec<Digest>>) -> Vec<Kept> {
        self.parts
            .into_iter()
            .zip(nearby)
            .map(|(parts, nearby)| {
                let mut segments: HashMap<Flow, Vec<(usize, Digest)>> = HashMap::new();
                let ordered = evidence::in_order_of_capture(parts);
                for (place, digest) in ordered.into_iter().enumerate() {
                    let of_flow = segments.entry(digest.tuple.flow()).or_default();
                    of_flow.push((place, digest));
                }
                Kept {
                    segments,
                    nearby: Nearby::new(nearby),
                }
            })
            .collect()
    }
}

/// Recordings in memory.
struct Records<'a>(&'a [Record]);

impl Recordings for Records<'_> {
    type Error = Infallible;

    fn vantages(&self) -> usize {
        self.0.len()
    }

    fn read(
        &mut self,
        _purpose: Purpose,
        take: &mut dyn FnMut(usize, usize, &Digest),
    ) -> Result<(), Infallible> {
        for (vantage, record) in self.0.iter().enumerate() {
            for digest in &record.digests {
                take(vantage, 0, digest);
            }
        }
        Ok(())
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
            kin: Kin::of(&gathered.kept),
            kept: gathered.kept,
            flows: gathered.flows,
            configured_path,
            frames,
        }
    }

    /// The flows with resets.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
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
        let kin = self.kin.around(flow);
        let segments: Vec<Vec<Digest>> = self.kept.iter().map(|at| at.of(&kin)).collect();
        let around = evidence::surroundings(&segments, flow);
        let near: Vec<Vec<&Digest>> = self
            .kept
            .iter()
            .zip(&around)
            .map(|(at, around)| at.nearby.handshakes(&around.names, around.moment))
            .collect();
        let neighbours: HashSet<Flow> = near
            .iter()
            .flatten()
            .map(|digest| digest.tuple.flow())
            .collect();
        let nearby = self
            .kept
            .iter()
            .zip(near)
            .zip(&around)
            .map(|((at, near), around)| {
                let others = at.nearby.others(&around.names, around.moment, &neighbours);
                let resets = at.nearby.resets(&around.names, around.moment);
                crate::Nearby::nearest(around.moment, near, others, resets)
            });
        let vantages = self.frames.iter().zip(segments).zip(nearby);
        FlowEvidence {
            flow,
            vantages: vantages
                .map(|((frame, segments), nearby)| VantageEvidence {
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

impl Kept {
    /// The digests of some flows, in the order of capture.
    fn of(&self, flows: &HashSet<Flow>) -> Vec<Digest> {
        let mut found: Vec<&(usize, Digest)> = flows
            .iter()
            .filter_map(|flow| self.segments.get(flow))
            .flatten()
            .collect();
        found.sort_unstable_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, digest)| *digest).collect()
    }
}

//! Reading recordings as often as it takes to find what matters in them.

use hashbrown::{DefaultHashBuilder, HashSet};

use super::interest::{Carriers, Interest, Payloads};
use super::kept::{All, Kept};
use super::packed::{Common, Packed};
use super::pile::Pile;
use super::spans::Spans;
use super::takers::{Collector, Opener, Picker, Segments};
use super::{Purpose, Recordings, Take};
use crate::flow::Flow;

/// Digests of interest, before it is known who recorded them.
#[derive(Debug)]
pub struct Gathered {
    pub(super) kept: All,
    pub(super) flows: Vec<Flow>,
}

impl Gathered {
    /// Reads recordings as often as it takes to find what matters in them.
    ///
    /// # Errors
    /// What reading them says.
    pub fn read<R: Recordings>(recordings: &mut R) -> Result<Self, R::Error> {
        let vantages = recordings.vantages();
        let mut interest = resets(recordings)?;
        let flows = interest.flows();
        if flows.is_empty() {
            let kept = All::default();
            return Ok(Self { kept, flows });
        }
        let mut collectors: Vec<Collector<'_>> =
            (0..vantages).map(|_| Collector::new(&interest)).collect();
        recordings.read(Purpose::Segments, &mut collectors)?;
        let mut payloads = Payloads::default();
        let ordered = recordings.share(collectors, |collector| {
            let segments = collector.segments;
            let kept = Kept::new(
                segments.common,
                lists(segments.parts),
                collector.handshakes.into_list(),
                collector.tally,
            );
            (kept, collector.payloads)
        });
        let mut kept = Vec::with_capacity(vantages);
        for (at, more) in ordered {
            payloads.merge(more);
            kept.push(at);
        }
        let mut kept = All::of(kept);
        let spans = kept.look_around(&flows, recordings);
        let carriers = neighbours(recordings, &mut kept, &spans, &interest, &payloads)?;
        if !carriers.is_empty() {
            for flow in carriers {
                interest.add_flow(flow);
            }
            kept = carried(recordings, kept, &interest)?;
            // What they carry seldom shows another name.
            let known = kept.look_around(&flows, recordings);
            if known != spans {
                neighbours(
                    recordings,
                    &mut kept,
                    &known,
                    &interest,
                    &Payloads::default(),
                )?;
            }
        }
        Ok(Self { kept, flows })
    }
}

/// Finds the flows with resets, and what else they may be called.
fn resets<R: Recordings>(recordings: &mut R) -> Result<Interest, R::Error> {
    let hashing = DefaultHashBuilder::default();
    let mut openers: Vec<Opener> = (0..recordings.vantages())
        .map(|_| Opener::new(&hashing))
        .collect();
    recordings.read(Purpose::Resets, &mut openers)?;
    let openers = recordings.share(openers, |mut opener| {
        opener.openings.tidy();
        opener
    });
    let mut all = Opener::new(&hashing);
    for opener in openers {
        all.join(opener);
    }
    let mut interest = Interest::new(all.resets, hashing);
    all.openings.kin(&mut interest);
    Ok(interest)
}

/// Reads the neighbours that are asked for; returns the hashes of flows that carry the same payload as one of
/// interest.
fn neighbours<R: Recordings>(
    recordings: &mut R,
    kept: &mut All,
    spans: &[Spans],
    interest: &Interest,
    payloads: &Payloads,
) -> Result<HashSet<u64>, R::Error> {
    let vantages = kept.vantages.iter_mut().zip(spans);
    let mut pickers: Vec<Picker<'_>> = vantages
        .map(|(kept, spans)| {
            let common = std::mem::replace(&mut kept.common, Common::new(&interest.hashing));
            Picker::new(interest, payloads, spans, common)
        })
        .collect();
    recordings.read(Purpose::Neighbours, &mut pickers)?;
    let read = kept.vantages.iter_mut().zip(pickers).collect();
    let carried = recordings.share(read, |(kept, picker)| {
        kept.common = picker.common;
        kept.set_others(picker.others);
        picker.carriers
    });
    let mut carriers = Carriers::default();
    for more in carried {
        carriers.merge(more);
    }
    Ok(carriers.flows().collect())
}

/// Reads the segments of the flows of interest once more: there are more of these now, and all of them are to
/// stand in the order of capture.
fn carried<R: Recordings>(
    recordings: &mut R,
    kept: All,
    interest: &Interest,
) -> Result<All, R::Error> {
    let mut kept = kept.vantages;
    let mut takers = Vec::with_capacity(kept.len());
    for kept in &mut kept {
        kept.forget_segments();
        let common = std::mem::replace(&mut kept.common, Common::new(&interest.hashing));
        takers.push(Segments::of(interest, common));
    }
    recordings.read(Purpose::Carriers, &mut takers)?;
    for (kept, taker) in kept.iter_mut().zip(takers) {
        kept.common = taker.common;
        kept.set_segments(lists(taker.parts));
    }
    Ok(All::of(kept))
}

fn lists(parts: Vec<Pile>) -> Vec<Vec<Packed>> {
    parts.into_iter().map(Pile::into_list).collect()
}

//! Reading recordings as often as it takes to find what matters in them.

use hashbrown::{DefaultHashBuilder, HashSet};

use super::interest::{Carriers, Interest, Openings, PAYLOAD_TELLS, Payloads};
use super::kept::{All, Kept, Spans};
use super::packed::{Common, Packed};
use super::tally::Tally;
use super::{Glimpse, Purpose, Recordings, Take};
use crate::digest::TcpFlags;
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
        let mut kept = Vec::with_capacity(vantages);
        for collector in collectors {
            payloads.merge(collector.payloads);
            kept.push(Kept::new(
                collector.segments.common,
                collector.segments.parts,
                collector.handshakes,
                collector.tally,
            ));
        }
        let mut kept = All::of(kept);
        let spans = kept.spans(&flows);
        let carriers = neighbours(recordings, &mut kept, &spans, &interest, &payloads)?;
        if !carriers.is_empty() {
            for flow in carriers {
                interest.add_flow(flow);
            }
            kept = carried(recordings, kept, &interest)?;
            // What they carry seldom shows another name.
            let known = kept.spans(&flows);
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
        .map(|_| Opener {
            resets: HashSet::new(),
            openings: Openings::new(&hashing),
        })
        .collect();
    recordings.read(Purpose::Resets, &mut openers)?;
    let mut resets = HashSet::new();
    let mut openings = Openings::new(&hashing);
    for opener in openers {
        resets.extend(opener.resets);
        openings.merge(opener.openings);
    }
    let mut interest = Interest::new(resets, hashing);
    openings.kin(&mut interest);
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
        .map(|(kept, spans)| Picker {
            interest,
            payloads,
            spans,
            common: &mut kept.common,
            others: Vec::new(),
            carriers: Carriers::default(),
        })
        .collect();
    recordings.read(Purpose::Neighbours, &mut pickers)?;
    let mut carriers = Carriers::default();
    let mut others = Vec::with_capacity(pickers.len());
    for picker in pickers {
        carriers.merge(picker.carriers);
        others.push(picker.others);
    }
    for (kept, others) in kept.vantages.iter_mut().zip(others) {
        kept.set_others(others);
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
        kept.set_segments(taker.parts);
    }
    Ok(All::of(kept))
}

/// Looks for resets, and for what connections begin with.
struct Opener {
    resets: HashSet<Flow>,
    openings: Openings,
}

impl Take for Opener {
    fn take(&mut self, _part: usize, segment: &impl Glimpse) {
        let head = segment.head();
        if head.flags.has(TcpFlags::SYN) || head.flags.has(TcpFlags::RST) {
            if head.flags.has(TcpFlags::RST) {
                self.resets.insert(head.tuple.flow());
            }
            self.openings.add(&segment.digest());
        }
    }
}

/// Keeps the segments of the flows of interest.
struct Segments<'a> {
    interest: &'a Interest,
    common: Common,
    parts: Vec<Vec<Packed>>,
}

impl<'a> Segments<'a> {
    fn of(interest: &'a Interest, common: Common) -> Self {
        Self {
            interest,
            common,
            parts: Vec::new(),
        }
    }

    fn add(&mut self, part: usize, packed: Packed) {
        if self.parts.len() <= part {
            self.parts.resize_with(part + 1, Vec::new);
        }
        self.parts[part].push(packed);
    }
}

impl Take for Segments<'_> {
    fn take(&mut self, part: usize, segment: &impl Glimpse) {
        let flow = segment.head().tuple.flow();
        if self.interest.has_flow(self.interest.hash(flow)) {
            let packed = self.common.pack(&segment.digest());
            self.add(part, packed);
        }
    }
}

/// Keeps those, their payloads and the handshakes of their hosts' other connections, and counts what else these
/// have.
struct Collector<'a> {
    segments: Segments<'a>,
    payloads: Payloads,
    handshakes: Vec<Packed>,
    tally: Tally,
    /// By the flow's number, what is known of it; not yet of all.
    known: Vec<Option<Bearing>>,
}

/// What a flow has to do with those of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bearing {
    Nothing,
    /// It goes between the same hosts.
    Near,
    /// It is one of them, but has no reset of its own.
    Kin,
    Reset,
}

impl<'a> Collector<'a> {
    fn new(interest: &'a Interest) -> Self {
        Self {
            segments: Segments::of(interest, Common::new(&interest.hashing)),
            payloads: Payloads::default(),
            handshakes: Vec::new(),
            tally: Tally::default(),
            known: Vec::new(),
        }
    }

    /// The number of a flow that has to do with those of interest, and what.
    #[inline]
    fn bearing(&mut self, flow: Flow, hash: u64) -> Option<(u32, Bearing)> {
        let number = self.segments.common.flows.find(&flow, hash);
        let known = number.and_then(|number| {
            let bearing = self.known.get(number as usize).copied().flatten()?;
            Some((number, bearing))
        });
        let (number, bearing) = match known {
            Some(known) => known,
            None => self.find_out(flow, hash)?,
        };
        (bearing != Bearing::Nothing).then_some((number, bearing))
    }

    /// The same of a flow that may be new. Those that have nothing to do with it, and of which nothing is kept, are
    /// not remembered.
    fn find_out(&mut self, flow: Flow, hash: u64) -> Option<(u32, Bearing)> {
        let interest = self.segments.interest;
        let flows = &mut self.segments.common.flows;
        let bearing = if interest.has_reset(flow) {
            Bearing::Reset
        } else if interest.has_flow(hash) {
            Bearing::Kin
        } else if interest.has_pair(flow) {
            Bearing::Near
        } else {
            Bearing::Nothing
        };
        let number = match bearing {
            Bearing::Nothing => flows.find(&flow, hash)?,
            _ => flows.number(&flow, hash),
        };
        let place = number as usize;
        if self.known.len() <= place {
            self.known.resize(place + 1, None);
        }
        self.known[place] = Some(bearing);
        Some((number, bearing))
    }
}

impl Take for Collector<'_> {
    fn take(&mut self, part: usize, segment: &impl Glimpse) {
        let interest = self.segments.interest;
        let head = segment.head();
        let flow = head.tuple.flow();
        let bearing = self.bearing(flow, interest.hash(flow));
        if let Some((_, Bearing::Kin | Bearing::Reset)) = bearing {
            let digest = segment.digest();
            if let Some((_, Bearing::Reset)) = bearing {
                self.payloads.seek(&digest);
            }
            let packed = self.segments.common.pack(&digest);
            self.segments.add(part, packed);
        }
        if opens(head.flags) {
            let answers = head.flags.has(TcpFlags::ACK) && interest.has_end(head.tuple.src);
            if bearing.is_some() || answers {
                let packed = self.segments.common.pack(&segment.digest());
                self.handshakes.push(packed);
            }
        } else if let Some((number, _)) = bearing {
            self.tally.add(number, head.time);
        }
    }
}

/// A SYN or a SYN+ACK.
fn opens(flags: TcpFlags) -> bool {
    flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::RST)
}

/// Keeps the segments of neighbours that are asked for, and notes who else carries a payload of interest.
struct Picker<'a> {
    interest: &'a Interest,
    payloads: &'a Payloads,
    spans: &'a Spans,
    common: &'a mut Common,
    others: Vec<Packed>,
    carriers: Carriers,
}

impl Take for Picker<'_> {
    fn take(&mut self, _part: usize, segment: &impl Glimpse) {
        let head = segment.head();
        let hash = self.interest.hash(head.tuple.flow());
        if !opens(head.flags) && self.spans.hold(hash, head.time) {
            self.others.push(self.common.pack(&segment.digest()));
        }
        if !self.payloads.is_empty()
            && head.payload_len >= PAYLOAD_TELLS
            && !self.interest.has_flow(hash)
        {
            self.carriers.add(self.payloads, &segment.digest(), hash);
        }
    }
}

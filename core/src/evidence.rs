//! Everything that is known about one flow: the complete, immutable input of join and judge.
//!
//! The live service fills it from Postgres, `parallax analyze` from memory. Both must load the same
//! things, so a value of these types cannot be built with a part left out: "no digests" then means
//! that the vantage has none, not that nobody asked.

use std::borrow::Borrow;
use std::collections::HashSet;

use uuid::Uuid;

use crate::coverage::Coverage;
use crate::digest::{Digest, TcpFlags};
use crate::flow::Flow;
use crate::loss_record::LossRecord;
use crate::sampling::OneIn;
use crate::testimony::Testimony;
use crate::time::CaptureTime;
use crate::vantage::Vantage;

/// One flow at every vantage there is.
#[derive(Debug, Clone)]
pub struct FlowEvidence {
    pub flow: Flow,
    /// Every vantage known, also those that never saw the flow, in the order in which they were
    /// named (command line) or first registered (collector): that order breaks ties.
    pub vantages: Vec<VantageEvidence>,
    /// The order that somebody configured, client side first, as indices into `vantages`.
    pub configured_path: Option<Vec<usize>>,
    /// Ids that resets of this flow, and of flows whose segments are here, already bear.
    pub known_ids: Vec<KnownId>,
}

/// The id of a reset that was judged before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownId {
    /// [`Flow::hash`] of the flow under which it was told.
    pub flow: u64,
    /// As in [`Judged`](crate::judge::Judged).
    pub identity: u64,
    pub id: Uuid,
}

/// One flow at one vantage.
#[derive(Debug, Clone)]
pub struct VantageEvidence {
    pub vantage: Vantage,
    /// What this vantage ships. It decides what a missing segment means.
    pub selection: Selection,
    /// Spans, by this vantage's clock and both ends included, of which every segment of the flow that it
    /// recorded is here although it ships a part only: an agent answered from its memory, or shipped
    /// everything then.
    pub complete: Vec<(CaptureTime, CaptureTime)>,
    /// Its clock as told by exchanges of stamps around the reset; `None`: there were none.
    pub clock: Option<ExchangedClock>,
    /// In order of time, by this vantage's clock.
    pub coverage: Vec<Coverage>,
    /// What it lost or may have lost, by this vantage's clock.
    pub losses: Vec<LossRecord>,
    /// This vantage's digests of the flow, all lives of the 4-tuple, and of other flows that may be the same
    /// connection under another name or carry the same payload, in the order of capture.
    pub segments: Vec<Digest>,
    /// Segments of other flows around the flow's end.
    pub nearby: Nearby,
    /// What the kernel witness of this host said; empty without one, as for files.
    pub testimony: Testimony,
}

impl VantageEvidence {
    /// Whether a segment of the flow would be here if this vantage had recorded it at `time`, which is known
    /// within `error` nanoseconds.
    pub(crate) fn ships(&self, digest: &Digest, time: CaptureTime, error: i64) -> bool {
        let (first, last) = (time.plus(error.saturating_neg()), time.plus(error));
        self.selection.ships(digest) || self.is_complete(first, last)
    }

    /// Whether every segment of the flow that was recorded between these moments is here, as its memory says.
    pub(crate) fn is_complete(&self, first: CaptureTime, last: CaptureTime) -> bool {
        self.complete
            .iter()
            .any(|(from, until)| *from <= first && last <= *until)
    }
}

/// A vantage's clock against one that all vantages were compared with (the database's host), by the exchange
/// of stamps on the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangedClock {
    /// When it was found, by the vantage's clock.
    pub at: CaptureTime,
    /// Vantage's clock minus the common one, nanoseconds.
    pub offset: i64,
    /// It is off by no more than this, nanoseconds.
    pub error: i64,
}

/// Segments of *other* flows at one vantage, those nearest in time to a moment. They tell the path, that a
/// port accepts, how a host's packets look here, and what the vantage misses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearby {
    moment: CaptureTime,
    handshakes: Vec<Digest>,
    others: Vec<Digest>,
    resets: Vec<Digest>,
    /// How far from the moment each of them surely holds all there is, nanoseconds.
    handshakes_reach: i64,
    others_reach: i64,
    resets_reach: i64,
}

impl Nearby {
    /// `moment`: see [`Surroundings`].
    ///
    /// `handshakes`: SYN and SYN+ACK between the flow's two addresses, and SYN+ACK from either of its
    /// endpoints (address and port); the [`NEARBY_MAX`] nearest are kept. `others`: what else is there,
    /// within [`NEIGHBOURS_WITHIN`], of the flows between the two addresses to which some vantage's kept
    /// handshakes belong; the [`NEIGHBOURS_MAX`] nearest are kept. They tell only about vantages that
    /// ship all segments; others may leave them out.
    ///
    /// `resets`: RSTs of any other flow within [`NEIGHBOURS_WITHIN`]; the [`RESETS_MAX`] nearest are kept. One of
    /// them may be the reset in question under a name that nothing links.
    pub fn new(
        moment: CaptureTime,
        handshakes: &[Digest],
        others: &[Digest],
        resets: &[Digest],
    ) -> Self {
        Self::nearest(
            moment,
            handshakes.iter().collect(),
            others.iter().collect(),
            resets.iter().collect(),
        )
    }

    /// [`new`](Self::new) from what others hold: only what is kept is copied.
    pub fn nearest(
        moment: CaptureTime,
        handshakes: Vec<&Digest>,
        others: Vec<&Digest>,
        resets: Vec<&Digest>,
    ) -> Self {
        let time = |digest: &&Digest| digest.time;
        let whole = |digest: &Digest, all: &mut Vec<Digest>| all.push(*digest);
        Self::chosen(moment, handshakes, others, resets, time, whole)
    }

    /// [`nearest`](Self::nearest) from what is not a digest yet: it is put to the others as one if it is kept.
    pub(crate) fn chosen<Held: Copy>(
        moment: CaptureTime,
        handshakes: Vec<Held>,
        mut others: Vec<Held>,
        mut resets: Vec<Held>,
        time: impl Fn(&Held) -> CaptureTime,
        put: impl Fn(Held, &mut Vec<Digest>),
    ) -> Self {
        let choice = Choice { moment, time };
        others.retain(|held| choice.distance(held) <= NEIGHBOURS_WITHIN);
        resets.retain(|held| choice.distance(held) <= NEIGHBOURS_WITHIN);
        let (handshakes, handshakes_reach) = choice.nearest(handshakes, NEARBY_MAX, i64::MAX);
        let (others, others_reach) = choice.nearest(others, NEIGHBOURS_MAX, NEIGHBOURS_WITHIN);
        let (resets, resets_reach) = choice.nearest(resets, RESETS_MAX, NEIGHBOURS_WITHIN);
        let whole = |held: Vec<Held>| {
            let mut all = Vec::with_capacity(held.len());
            for held in held {
                put(held, &mut all);
            }
            all
        };
        Self {
            moment,
            handshakes: whole(handshakes),
            others: whole(others),
            resets: whole(resets),
            handshakes_reach,
            others_reach,
            resets_reach,
        }
    }

    /// RSTs of other flows, in order of time.
    pub fn resets(&self) -> &[Digest] {
        &self.resets
    }

    /// Whether any RST of another flow, recorded within some time of a moment, would be here.
    pub(crate) fn holds_resets(&self, from: CaptureTime, until: CaptureTime) -> bool {
        [from, until]
            .iter()
            .all(|end| end.since(self.moment).saturating_abs() < self.resets_reach)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Digest> {
        self.handshakes.iter().chain(&self.others)
    }

    /// SYN and SYN+ACK, in order of time.
    pub fn handshakes(&self) -> &[Digest] {
        &self.handshakes
    }

    /// Whether a segment of a neighbouring flow, had it been recorded at `time` (known within `error`
    /// nanoseconds), would be here.
    pub(crate) fn would_hold(&self, digest: &Digest, time: CaptureTime, error: i64) -> bool {
        let handshake = digest.flags.has(TcpFlags::SYN);
        let (kept, reach) = if handshake {
            (&self.handshakes, self.handshakes_reach)
        } else {
            (&self.others, self.others_reach)
        };
        let away = time.since(self.moment).saturating_abs();
        let loaded = |end: Option<&Digest>, side: fn(CaptureTime, CaptureTime) -> bool| {
            handshake || end.is_some_and(|end| side(end.time, time))
        };
        away.saturating_add(error) < reach
            && loaded(kept.first(), |first, time| first <= time)
            && loaded(kept.last(), |last, time| time <= last)
    }
}

/// The numbers of a segment by which its connection may be known under another name: initial sequence numbers,
/// and those of resets.
pub fn numbers(digest: &Digest) -> impl Iterator<Item = u32> {
    let reset = digest.is_rst() && digest.seq.0 != 0;
    let own = (reset || digest.is_syn() || digest.is_syn_ack()).then_some(digest.seq.0);
    let answered = digest.is_syn_ack().then(|| digest.ack.0.wrapping_sub(1));
    own.into_iter().chain(answered)
}

/// Where and when to look for other flows near one at a vantage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// What the flow seems to be called there, by its initial sequence numbers; its own name where nothing
    /// tells.
    pub names: Vec<Flow>,
    /// Its newest reset there, else its last segment there, else its newest reset anywhere by that vantage's
    /// clock.
    pub moment: CaptureTime,
}

/// The surroundings of a flow at each vantage, from all segments gathered for it there.
pub fn surroundings(segments: &[impl AsRef<[Digest]>], flow: Flow) -> Vec<Surroundings> {
    let names = names(segments.iter().flat_map(AsRef::as_ref), flow);
    let newest = |of: &mut dyn Iterator<Item = &Digest>| of.map(|digest| digest.time).max();
    let anywhere = newest(
        &mut segments
            .iter()
            .flat_map(AsRef::as_ref)
            .filter(|digest| digest.is_rst() && names.contains(&digest.tuple.flow())),
    );
    segments
        .iter()
        .map(|segments| {
            let own = || {
                let segments = segments.as_ref().iter();
                segments.filter(|digest| names.contains(&digest.tuple.flow()))
            };
            let moment = newest(&mut own().filter(|digest| digest.is_rst()))
                .or_else(|| newest(&mut own()))
                .or(anywhere)
                .unwrap_or_default();
            let mut here: Vec<Flow> = own().map(|digest| digest.tuple.flow()).collect();
            here.sort_unstable();
            here.dedup();
            if here.is_empty() {
                here.push(flow);
            }
            Surroundings {
                names: here,
                moment,
            }
        })
        .collect()
}

/// A flow and those that share an initial number with it, or with one that does.
pub fn names<'a>(segments: impl Iterator<Item = &'a Digest>, flow: Flow) -> HashSet<Flow> {
    let opening: Vec<(Flow, u32)> = segments
        .flat_map(|digest| numbers(digest).map(|number| (digest.tuple.flow(), number)))
        .collect();
    let mut names = HashSet::from([flow]);
    let mut known: HashSet<u32> = HashSet::new();
    loop {
        let before = (names.len(), known.len());
        for (name, number) in &opening {
            if names.contains(name) || known.contains(number) {
                names.insert(*name);
                known.insert(*number);
            }
        }
        if (names.len(), known.len()) == before {
            return names;
        }
    }
}

/// What is nearest to a moment.
struct Choice<Time> {
    moment: CaptureTime,
    time: Time,
}

impl<Time> Choice<Time> {
    fn distance<Held>(&self, held: &Held) -> i64
    where
        Time: Fn(&Held) -> CaptureTime,
    {
        (self.time)(held).since(self.moment).saturating_abs()
    }

    /// Those nearest to the moment in order of time, and how far all there is is among them: `within` if none had to
    /// be left out.
    fn nearest<Held: Copy>(&self, mut all: Vec<Held>, most: usize, within: i64) -> (Vec<Held>, i64)
    where
        Time: Fn(&Held) -> CaptureTime,
    {
        if all.len() <= most && all.is_sorted_by_key(&self.time) {
            // They were chosen before.
            let farthest = all.iter().map(|held| self.distance(held)).max();
            let reach = farthest.filter(|_| all.len() == most);
            return (all, reach.unwrap_or(within));
        }
        let places = all.iter().enumerate();
        let mut chosen: Vec<(i64, CaptureTime, usize)> = places
            .map(|(place, held)| (self.distance(held), (self.time)(held), place))
            .collect();
        if chosen.len() > most {
            chosen.select_nth_unstable(most);
            chosen.truncate(most);
        }
        let reach = if chosen.len() < most {
            within
        } else {
            let farthest = chosen.iter().map(|(distance, ..)| *distance).max();
            farthest.unwrap_or(0)
        };
        chosen.sort_unstable_by_key(|(_, time, place)| (*time, *place));
        all = chosen.into_iter().map(|(.., place)| all[place]).collect();
        (all, reach)
    }
}

/// Which segments an agent ships (its `--segments`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Every segment, as capture files are read.
    All,
    /// SYN, SYN+ACK, FIN and RST always, the rest only as the context of a RST: another segment
    /// that is not there may well have been seen.
    Context,
    /// As `Context`, and of the rest a sample that is the same everywhere.
    Sampled(OneIn),
}

impl Selection {
    /// Whether such a segment always travels.
    pub(crate) fn ships(self, digest: &Digest) -> bool {
        let opens_or_ends =
            digest.flags.has(TcpFlags::SYN) || digest.flags.has(TcpFlags::FIN) || digest.is_rst();
        match self {
            Self::All => true,
            Self::Context => opens_or_ends,
            Self::Sampled(one_in) => opens_or_ends || one_in.picks(digest),
        }
    }
}

/// How many handshake segments of other flows are enough for one vantage of a case.
pub const NEARBY_MAX: usize = 64;

/// How many other segments between the two addresses are enough.
pub const NEIGHBOURS_MAX: usize = 256;

/// How many RSTs of other flows are enough.
pub const RESETS_MAX: usize = 64;

/// How far from a reset they are worth loading, nanoseconds.
pub const NEIGHBOURS_WITHIN: i64 = 10 * crate::time::SECOND;

/// A clock that goes back by this much was set; less is a capture that mixes its sources.
const SET_BACK: i64 = crate::time::SECOND / 2;

/// One run's digests in the order of capture: those that travelled as they came, in that order, and those that
/// its memory gave later. Memory gives nothing from before the clock was set back last.
pub fn with_recalled<Held: Borrow<Digest>>(
    mut captured: Vec<Held>,
    recalled: Vec<Held>,
) -> Vec<Held> {
    let mut start = 0;
    let mut newest = CaptureTime::from_nanos(i64::MIN);
    for (index, held) in captured.iter().enumerate() {
        let digest = held.borrow();
        if newest.since(digest.time) >= SET_BACK {
            (start, newest) = (index, digest.time);
        }
        newest = newest.max(digest.time);
    }
    captured.extend(recalled);
    captured[start..].sort_by_key(|held| held.borrow().time);
    captured
}

/// One vantage's digests in the order of capture, from parts (files, runs) that are each in that order:
/// by time, as far as the clock was not set back in between.
pub fn in_order_of_capture<Held: Borrow<Digest>>(parts: Vec<Vec<Held>>) -> Vec<Held> {
    in_order_by(parts, |held| held.borrow().time)
}

/// [`in_order_of_capture`] of anything that has a time.
pub(crate) fn in_order_by<Held>(
    mut parts: Vec<Vec<Held>>,
    time: impl Fn(&Held) -> CaptureTime,
) -> Vec<Held> {
    parts.retain(|part| !part.is_empty());
    let [part] = parts.as_mut_slice() else {
        let mut all: Vec<Held> = parts.into_iter().flatten().collect();
        all.sort_by_key(time);
        return all;
    };
    let mut all = std::mem::take(part);
    let mut start = 0;
    let mut newest = CaptureTime::from_nanos(i64::MIN);
    for index in 0..=all.len() {
        let set_back = all
            .get(index)
            .is_none_or(|held| newest.since(time(held)) >= SET_BACK);
        if set_back {
            all[start..index].sort_by_key(&time);
            start = index;
        }
        if let Some(held) = all.get(index) {
            newest = if set_back {
                time(held)
            } else {
                newest.max(time(held))
            };
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 8;
    /// No two times below are so far from each other, so it says that none was left out and nothing else.
    const WITHIN: i64 = 100;

    proptest! {
        #[test]
        fn what_was_chosen_before_is_chosen_as_it_is(
            times in prop::collection::btree_set(-50..50_i64, 0..12),
            moment in -50..50_i64,
        ) {
            let choice = Choice {
                moment: CaptureTime::from_nanos(moment),
                time: |nanos: &i64| CaptureTime::from_nanos(*nanos),
            };
            let sorted: Vec<i64> = times.into_iter().collect();
            let few = sorted.len() < MOST;
            let (chosen, reach) = choice.nearest(sorted.iter().rev().copied().collect(), MOST, WITHIN);
            prop_assert_eq!(reach == WITHIN, few);
            prop_assert_eq!(choice.nearest(chosen.clone(), MOST, WITHIN), (chosen, reach));
            prop_assert_eq!(choice.nearest(sorted, MOST, WITHIN).1, reach);
        }
    }
}

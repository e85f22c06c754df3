//! Files that several threads read at the same time: who has nothing left to read takes over a part of what another
//! has.

use std::sync::{Mutex, PoisonError};

use super::{Place, Reel};
use crate::analyze::source::LOT;

/// All files, by who reads what of them.
pub struct Shares<'a> {
    reels: &'a [Vec<Reel>],
    all: Mutex<Vec<State>>,
}

/// What one thread reads at a stretch: a vantage's files, or a part of them.
pub struct Share<'a> {
    number: usize,
    pub vantage: usize,
    /// The first file, and from where it is read; `None`: from its beginning.
    pub part: usize,
    pub from: Option<&'a Place>,
}

/// A place in a vantage's files: file and octets before it there.
type Point = (usize, u64);

/// How far a share goes.
struct State {
    vantage: usize,
    begun: bool,
    /// Up to where it will be read, whatever others do.
    claimed: Point,
    /// Where the next one begins.
    until: Point,
}

/// What is less than this is not taken over: to join what was read takes time too.
const LEAST: u64 = 2 * LOT;

impl<'a> Shares<'a> {
    /// Of the vantages where something is sought.
    pub fn of(reels: &'a [Vec<Reel>], sought: impl Fn(usize) -> bool) -> Self {
        let vantages = (0..reels.len()).filter(|vantage| sought(*vantage));
        let all = vantages.map(|vantage| State {
            vantage,
            begun: false,
            claimed: (0, 0),
            until: (reels[vantage].len(), 0),
        });
        let all = Mutex::new(all.collect());
        Self { reels, all }
    }

    /// What is to be read next, for whoever has time; `None`: others do what is left.
    pub fn take(&self) -> Option<Share<'a>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |state: &State| self.octets(state.vantage, state.claimed, state.until);
        let waiting = (0..all.len()).filter(|number| !all[*number].begun);
        if let Some(number) = waiting.max_by_key(|number| left(&all[*number])) {
            all[number].begun = true;
            return Some(Share {
                number,
                vantage: all[number].vantage,
                part: 0,
                from: None,
            });
        }
        let longest = (0..all.len()).max_by_key(|number| left(&all[*number]))?;
        let State {
            vantage,
            claimed,
            until,
            ..
        } = all[longest];
        let half = left(&all[longest]) / 2;
        let (begins, from) = self
            .beginnings(vantage)
            .filter(|(point, _)| claimed < *point && *point < until)
            .filter(|(point, _)| self.octets(vantage, *point, until) >= LEAST)
            .min_by_key(|(point, _)| self.octets(vantage, *point, until).abs_diff(half))?;
        all[longest].until = begins;
        all.push(State {
            vantage,
            begun: true,
            claimed: begins,
            until,
        });
        Some(Share {
            number: all.len() - 1,
            vantage,
            part: begins.0,
            from,
        })
    }

    /// Tells that a share is read from here on; returns up to where in this file, and `None` if another one begins
    /// here.
    pub fn claim(&self, share: &Share<'_>, part: usize, offset: u64) -> Option<u64> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut all[share.number];
        let claimed = (part, offset.saturating_add(LOT)).min(state.until);
        if claimed <= (part, offset) {
            return None;
        }
        state.claimed = claimed;
        Some(claimed.1)
    }

    /// From where a vantage's files can be read.
    fn beginnings(&self, vantage: usize) -> impl Iterator<Item = (Point, Option<&'a Place>)> {
        let reels = self.reels[vantage].iter().enumerate();
        reels.flat_map(|(part, reel)| {
            let places = reel.places().iter();
            let places = places.map(move |place| ((part, place.offset()), Some(place)));
            std::iter::once(((part, 0), None)).chain(places)
        })
    }

    /// How many octets are between two points.
    fn octets(&self, vantage: usize, from: Point, until: Point) -> u64 {
        let reels = &self.reels[vantage];
        let before = |(part, offset): Point| {
            let earlier = reels[..part].iter().filter_map(Reel::octets).sum::<u64>();
            earlier + offset
        };
        before(until).saturating_sub(before(from))
    }
}

impl Share<'_> {
    /// Whether it is the vantage's first one.
    pub fn begins(&self) -> bool {
        self.part == 0 && self.from.is_none()
    }

    /// Where it begins: shares are in the order of vantages, files and octets.
    pub fn place(&self) -> (usize, usize, u64) {
        (self.vantage, self.part, self.from.map_or(0, Place::offset))
    }
}

//! Resets that made other resets happen.

use super::effect::Effect;
use super::position::Position;
use super::witness::Heard;
use crate::case::Case;
use crate::report::{Origin, Side};

/// A case with its place.
pub(crate) struct Placed<'a> {
    pub(crate) case: Case<'a>,
    pub(crate) position: Position,
    /// Whether its sequence number is one that the claimed sender would have used; `None` where too
    /// little was heard of it.
    pub(crate) exact: Option<bool>,
    pub(crate) effect: Effect,
    /// What the kernels of the hosts say of it.
    pub(crate) heard: Heard<'a>,
}

impl Placed<'_> {
    /// First sighting, on the corrected clock.
    pub(crate) fn at(&self) -> i64 {
        self.case.first_seen().at
    }

    /// A middlebox's place on the path as an open interval of positions, client side first: vantage
    /// `n` of the path stands at `n`.
    pub(crate) fn segment(&self) -> Option<(i64, i64)> {
        let (from, to) = self.position.between?;
        let last = self.case.views.len() as i64 - 1;
        let from = from.map_or(-1, |place| place as i64);
        let to = to as i64;
        Some(match self.case.sender {
            Side::Client => (from, to.max(from + 1)),
            Side::Server => (last - to.max(from + 1), last - from),
        })
    }
}

/// The first link of the chain that ended in reset `index`, and when that link was first seen: an
/// earlier reset of the same life which ended the connection at this one's sender, or which that sender
/// emitted. A reset that its receiver ignored ended nothing.
pub(crate) fn root_of(all: &[Placed<'_>], index: usize) -> Option<(usize, i64)> {
    let link = |index: usize| {
        let this = &all[index];
        all.iter().position(|earlier| {
            let came_to_it = earlier.case.sender != this.case.sender
                && earlier.position.lost.is_none()
                && earlier.effect.effective != Some(false);
            let its_own = earlier.case.sender == this.case.sender
                && earlier.position.origin == Origin::Endpoint
                && this.position.origin == Origin::Endpoint;
            earlier.case.life == this.case.life
                && earlier.at() < this.at()
                && (its_own || came_to_it)
        })
    };
    let mut first = link(index)?;
    while all[first].position.origin == Origin::Endpoint
        && let Some(earlier) = link(first)
    {
        first = earlier;
    }
    Some((first, all[first].at()))
}

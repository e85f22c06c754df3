//! Packed digests of which nobody knows how many will come.

use super::packed::{Moves, Packed};

/// Packed digests in the order in which they came. A list that grows is copied again and again, and leaves holes of all
/// sizes behind; this one is many lists of one size, of which only the last one grows.
#[derive(Debug, Default)]
pub(super) struct Pile {
    lists: Vec<Vec<Packed>>,
}

/// 384 KiB.
const LIST: usize = 8192;

impl Pile {
    #[inline]
    pub(super) fn push(&mut self, packed: Packed) {
        match self.lists.last_mut() {
            Some(list) if list.len() < LIST => list.push(packed),
            _ => self.begin(packed),
        }
    }

    #[inline(never)]
    fn begin(&mut self, packed: Packed) {
        // Many have little to keep.
        let expected = if self.lists.is_empty() { 64 } else { LIST };
        let mut list = Vec::with_capacity(expected);
        list.push(packed);
        self.lists.push(list);
    }

    /// Takes those of another one, which was packed with what was absorbed since.
    pub(super) fn absorb(&mut self, later: Self, moves: &Moves) {
        for packed in later.lists.into_iter().flatten() {
            self.push(packed.moved(moves));
        }
    }

    pub(super) fn len(&self) -> usize {
        let full = self.lists.len().saturating_sub(1);
        self.lists.last().map_or(0, |last| full * LIST + last.len())
    }

    #[inline]
    pub(super) fn get(&self, place: usize) -> &Packed {
        &self.lists[place / LIST][place % LIST]
    }

    fn set(&mut self, place: usize, packed: Packed) {
        self.lists[place / LIST][place % LIST] = packed;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Packed> {
        self.lists.iter().flatten()
    }

    /// Brings to each place what is at the place that is named there. In place: there may be much of it.
    pub(super) fn bring(&mut self, from: &[u32]) {
        let mut done = vec![false; self.len()];
        for start in 0..self.len() {
            if done[start] {
                continue;
            }
            let first = *self.get(start);
            let mut place = start;
            loop {
                done[place] = true;
                let next = from[place] as usize;
                if next == start {
                    self.set(place, first);
                    break;
                }
                self.set(place, *self.get(next));
                place = next;
            }
        }
    }

    /// All of them in one list. What was in others is freed as it is brought there.
    pub(super) fn into_list(mut self) -> Vec<Packed> {
        if self.lists.len() <= 1 {
            return self.lists.pop().unwrap_or_default();
        }
        let mut all = Vec::with_capacity(self.len());
        for list in self.lists {
            all.extend(list);
        }
        all
    }
}

impl FromIterator<Packed> for Pile {
    fn from_iter<All: IntoIterator<Item = Packed>>(all: All) -> Self {
        let mut pile = Self::default();
        for packed in all {
            pile.push(packed);
        }
        pile
    }
}

#[cfg(test)]
mod tests {
    use hashbrown::DefaultHashBuilder;

    use super::*;
    use crate::archive::packed::Common;
    use crate::digest::Digest;
    use crate::time::CaptureTime;

    fn packed(common: &mut Common, times: std::ops::Range<i64>) -> Pile {
        let digest = |nanos| Digest {
            time: CaptureTime::from_nanos(nanos),
            ..Digest::BLANK
        };
        times.map(|nanos| common.pack(&digest(nanos))).collect()
    }

    #[test]
    fn a_pile_is_a_list_however_long_it_is() {
        let hashing = DefaultHashBuilder::default();
        for (len, later) in [(0, 0), (1, 0), (8192, 1), (8191, 8193), (20_000, 9000)] {
            let [mut common, mut other] = [Common::new(&hashing), Common::new(&hashing)];
            let mut pile = packed(&mut common, 0..len);
            let more = packed(&mut other, len..len + later);
            let moves = common.absorb(other);
            pile.absorb(more, &moves);
            let all = (len + later) as usize;
            assert_eq!(pile.len(), all);
            let places: Vec<u32> = (0..all as u32).rev().collect();
            pile.bring(&places);
            let backwards: Vec<i64> = (0..len + later).rev().collect();
            let got = |place: usize| pile.get(place).time.nanos();
            assert_eq!((0..all).map(got).collect::<Vec<_>>(), backwards);
            let times: Vec<i64> = pile.iter().map(|packed| packed.time.nanos()).collect();
            assert_eq!(times, backwards);
            let list = pile.into_list();
            assert_eq!(
                list.iter()
                    .map(|packed| packed.time.nanos())
                    .collect::<Vec<_>>(),
                backwards
            );
        }
    }
}

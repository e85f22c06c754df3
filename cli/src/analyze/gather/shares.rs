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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use parallax_agent::capture::file::Receive;
    use parallax_core::archive::{Glimpse, Purpose};

    use super::*;
    use crate::analyze::progress::Progress;
    use crate::analyze::source;

    struct Nobody;

    impl Receive for Nobody {
        fn receive(&mut self, _segment: &impl Glimpse) {}
    }

    /// A file of records without a packet, which was read.
    fn reel(file: PathBuf, octets: usize) -> Reel {
        let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1].map(u32::to_le_bytes);
        let mut record = [0_u32, 0, 1500, 1500].map(u32::to_le_bytes).concat();
        record.resize(16 + 1500, 0);
        let records = record.repeat(octets / record.len());
        std::fs::write(&file, [header.concat(), records].concat()).unwrap();
        let reading = Progress::start().read(Purpose::Resets, 1, None);
        let to_the_end = |offset| Some(offset + LOT);
        let known = source::read("v", &file, None, to_the_end, &reading, &mut Nobody).unwrap();
        Reel {
            vantage: "v".to_owned(),
            file,
            can_be_read_again: true,
            known: Some(known),
            whole: None,
        }
    }

    /// Where a share that was read came to.
    struct Hand<'a> {
        share: Share<'a>,
        at: Point,
        read: Vec<(Point, Point)>,
    }

    #[test]
    fn every_octet_is_read_once_whoever_is_faster() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, octets| reel(folder.path().join(name), octets);
        let reels = [
            vec![file("a", 20 << 20), file("b", 100), file("c", 9 << 20)],
            vec![file("d", 11 << 20)],
            vec![file("e", 3 << 20)],
        ];
        let mut taken_over = 0;
        for seed in 0..200_u64 {
            let shares = Shares::of(&reels, |vantage| vantage != 2);
            let mut chance = seed;
            let mut hands: [Option<Hand<'_>>; 3] = [None, None, None];
            let mut read: Vec<(usize, Point, Point)> = Vec::new();
            let mut idle = 0;
            while idle < 20 {
                chance = chance
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let hand = &mut hands[(chance >> 33) as usize % 3];
                let Some(busy) = hand else {
                    *hand = shares.take().map(|share| Hand {
                        at: (share.part, share.place().2),
                        share,
                        read: Vec::new(),
                    });
                    idle = if hand.is_some() { 0 } else { idle + 1 };
                    continue;
                };
                let (part, offset) = busy.at;
                let of = &reels[busy.share.vantage];
                let until = of.get(part).and(shares.claim(&busy.share, part, offset));
                if let Some(until) = until {
                    let len = of[part].octets().unwrap();
                    busy.read.push((busy.at, (part, until.min(len))));
                    let ended = until >= len;
                    busy.at = if ended { (part + 1, 0) } else { (part, until) };
                } else {
                    taken_over += usize::from(!busy.share.begins());
                    let vantage = busy.share.vantage;
                    read.extend(
                        busy.read
                            .iter()
                            .map(|(from, until)| (vantage, *from, *until)),
                    );
                    *hand = None;
                }
            }
            read.sort_unstable();
            let files = [(0, 0), (0, 1), (0, 2), (1, 0)];
            for (vantage, part) in files {
                let of_file = read
                    .iter()
                    .filter(|(at, from, _)| (*at, from.0) == (vantage, part));
                let end = of_file.fold(0, |end, (_, from, until)| {
                    assert_eq!(from.1, end, "seed {seed}");
                    until.1
                });
                assert_eq!(Some(end), reels[vantage][part].octets(), "seed {seed}");
            }
            assert!(read.iter().all(|(vantage, ..)| *vantage != 2));
        }
        assert!(taken_over > 200, "{taken_over}");
    }
}

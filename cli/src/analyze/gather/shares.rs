//! Files cut into as much work for each processor.

use super::{Piece, Reel};

/// What is read at a stretch: pieces of one vantage's files, one behind the other.
pub struct Share<'a> {
    pub vantage: usize,
    /// Each with the number of its file.
    pub pieces: Vec<(usize, Piece<'a>)>,
    /// Whether it is the vantage's first one.
    pub begins: bool,
    pub octets: u64,
}

impl Share<'_> {
    fn of(vantage: usize, begins: bool) -> Self {
        Self {
            vantage,
            pieces: Vec::new(),
            begins,
            octets: 0,
        }
    }
}

/// All files in shares, in the order of the vantages and files.
pub fn of(reels: &[Vec<Reel>], processors: usize) -> Vec<Share<'_>> {
    let octets = |reel: &Reel| reel.octets().unwrap_or(0);
    let total: u64 = reels.iter().flatten().map(octets).sum();
    let each = total.div_ceil(processors as u64).max(1);
    let mut shares = Vec::new();
    let (mut before, mut next) = (0, each);
    for (vantage, reels) in reels.iter().enumerate() {
        let mut share = Share::of(vantage, true);
        for (part, reel) in reels.iter().enumerate() {
            let len = octets(reel);
            let mut from = None;
            let mut begun = 0;
            // A share may end before the file, and where it can be read on.
            let places = reel
                .places()
                .iter()
                .map(|place| (place.offset(), Some(place)));
            for (offset, place) in std::iter::once((0, None)).chain(places) {
                if before + offset < next || (share.pieces.is_empty() && offset == 0) {
                    continue;
                }
                if let Some(place) = place {
                    let until = Some(offset);
                    share.pieces.push((part, Piece { from, until }));
                    share.octets += offset - begun;
                    (from, begun) = (Some(place), offset);
                }
                let next_share = Share::of(vantage, false);
                shares.push(std::mem::replace(&mut share, next_share));
                next = before + offset + each;
            }
            share.pieces.push((part, Piece { from, until: None }));
            share.octets += len.saturating_sub(begun);
            before += len;
        }
        shares.push(share);
    }
    shares
}

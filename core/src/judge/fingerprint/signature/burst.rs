//! Several RSTs in one moment.

use super::super::Specimen;
use crate::digest::Digest;
use crate::scene::Seen;
use crate::seq::TcpSeq;
use crate::time::MILLISECOND;

/// RSTs in the same name that come together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Burst {
    pub(super) count: usize,
    /// Nanoseconds.
    pub(super) within: i64,
    pub(super) offsets: Option<Offsets>,
}

/// Where their sequence numbers stand, from the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Offsets {
    Octets(Vec<u32>),
    /// In windows, as carried, of the segment that provoked them.
    Windows(Vec<u32>),
}

/// What a burst takes where a signature does not say, nanoseconds.
pub(super) const USUAL: i64 = 500 * MILLISECOND;

/// Floods are not compared one with another.
const ENOUGH: usize = 64;

/// The RSTs in the same name around this one, copies of one packet left out, in order of time.
pub(super) fn around<'a>(s: &Specimen<'_, 'a>, within: i64) -> Vec<&'a Digest> {
    let mut all: Vec<&Seen<'a>> = Vec::new();
    for seen in s.scene.life(s.vantage, s.case.life) {
        let near = (seen.at - s.reset.at).abs() <= within;
        let same_name = seen.digest.is_rst() && seen.sender == s.case.sender;
        let known = |other: &&Seen<'_>| is_same(other.digest, seen.digest);
        if all.len() < ENOUGH && near && same_name && !all.iter().any(known) {
            all.push(seen);
        }
    }
    all.into_iter().map(|seen| seen.digest).collect()
}

/// A host answers late segments with equal RSTs, and mirrors double them; a burst is of differing ones.
fn is_same(one: &Digest, other: &Digest) -> bool {
    let what = |digest: &Digest| (digest.seq, digest.ack, digest.flags, digest.window);
    let id = |digest: &Digest| digest.ip.id.filter(|id| *id != 0);
    what(one) == what(other) && id(one) == id(other)
}

pub(super) fn ttls_differ(resets: &[&Digest]) -> bool {
    resets
        .windows(2)
        .any(|pair| pair[0].ip.ttl != pair[1].ip.ttl)
}

impl Burst {
    pub(super) fn fits(&self, resets: &[&Digest], s: &Specimen<'_, '_>) -> bool {
        let alike = |reset: &&&Digest| reset.flags == s.digest().flags;
        let numbers: Vec<TcpSeq> = resets.iter().filter(alike).map(|reset| reset.seq).collect();
        numbers.len() >= self.count
            && match &self.offsets {
                None => true,
                Some(Offsets::Octets(octets)) => stand_at(&numbers, octets),
                Some(Offsets::Windows(windows)) => s
                    .peer_before()
                    .rev()
                    .take(16)
                    .map(|seen| u32::from(seen.digest.window))
                    .filter(|window| *window > 0)
                    .any(|window| {
                        let octets: Vec<u32> = windows
                            .iter()
                            .map(|count| count.wrapping_mul(window))
                            .collect();
                        stand_at(&numbers, &octets)
                    }),
            }
    }
}

/// Whether some number has the others at all these distances.
fn stand_at(numbers: &[TcpSeq], offsets: &[u32]) -> bool {
    numbers.iter().any(|first| {
        let mut left = numbers.to_vec();
        offsets.iter().all(|offset| {
            let wanted = first.plus(*offset);
            let place = left.iter().position(|number| *number == wanted);
            place.map(|place| left.swap_remove(place)).is_some()
        })
    })
}

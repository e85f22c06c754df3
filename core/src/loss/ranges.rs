//! What was recorded of one sender's sequence space.

use crate::digest::Digest;
use crate::seq::TcpSeq;

/// Octets of sequence space that one vantage recorded of one sender in one life, as sorted ranges of
/// distances from an anchor.
#[derive(Clone, Copy)]
pub(super) struct Ranges<'r> {
    pub(super) anchor: TcpSeq,
    pub(super) sorted: &'r [(i64, i64)],
}

impl<'r> Ranges<'r> {
    /// `spans` is where they are to lie.
    pub(super) fn of<'a>(
        segments: impl Iterator<Item = &'a Digest>,
        spans: &'r mut Vec<(i64, i64)>,
    ) -> Option<Self> {
        let mut segments = segments.peekable();
        let anchor = segments.peek()?.seq;
        spans.extend(segments.map(|digest| span(digest, anchor)));
        let sorted = joined(spans);
        Some(Self { anchor, sorted })
    }

    /// Within what a window or a gap in the record explains.
    pub(super) fn is_near(&self, digest: &Digest) -> bool {
        const WITHIN: i64 = 1 << 24;
        let (start, _) = span(digest, self.anchor);
        let first = self.sorted.first().map_or(0, |range| range.0);
        let last = self.sorted.last().map_or(0, |range| range.1);
        (first - WITHIN..=last + WITHIN).contains(&start)
    }

    /// Whether it recorded octets before these and after these, whatever the clocks say.
    pub(super) fn encloses(&self, digest: &Digest) -> bool {
        let (start, end) = span(digest, self.anchor);
        let first = self.sorted.first().is_some_and(|range| range.0 < start);
        let last = self.sorted.last().is_some_and(|range| range.1 > end);
        digest.seq_len() > 0 && first && last
    }

    pub(super) fn holds(&self, digest: &Digest) -> bool {
        let (start, end) = span(digest, self.anchor);
        let after = self.sorted.partition_point(|range| range.0 <= start);
        after > 0 && self.sorted[after - 1].1 >= end
    }
}

/// Spans in order, those that touch joined.
pub(super) fn joined(spans: &mut [(i64, i64)]) -> &[(i64, i64)] {
    spans.sort_unstable();
    let mut count = 0;
    for place in 0..spans.len() {
        let next = spans[place];
        match spans[..count].last_mut() {
            Some(last) if next.0 <= last.1 => last.1 = last.1.max(next.1),
            _ => {
                spans[count] = next;
                count += 1;
            }
        }
    }
    &spans[..count]
}

pub(super) fn span(digest: &Digest, anchor: TcpSeq) -> (i64, i64) {
    let start = i64::from(digest.seq.since(anchor));
    (start, start + i64::from(digest.seq_len()))
}

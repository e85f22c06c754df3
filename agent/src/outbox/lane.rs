//! Numbered digests in memory, with the numbers that were given up among them.

use std::collections::{HashSet, VecDeque};

use parallax_core::{CaptureTime, Digest, LossCause, LossOf, LossRecord, Strength};

use super::{BATCH, Outgoing};

#[derive(Debug)]
struct Stretch {
    first: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Digests(VecDeque<Digest>),
    /// Given up, up to the number of the next digest.
    Skipped(u64),
}

impl Stretch {
    fn end(&self) -> u64 {
        match &self.what {
            What::Digests(digests) => self.first + digests.len() as u64,
            What::Skipped(end) => *end,
        }
    }
}

/// Digests by number, without gaps in the numbers: what is missing is known to be given up.
#[derive(Debug, Default)]
pub(super) struct Lane {
    stretches: VecDeque<Stretch>,
    /// The first number that is not committed.
    committed: u64,
    end: u64,
    held: usize,
}

impl Lane {
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Number of the next digest.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Digests in memory.
    pub fn len(&self) -> usize {
        self.held
    }

    pub fn push(&mut self, digest: Digest) {
        self.held += 1;
        self.end += 1;
        if let Some(Stretch {
            what: What::Digests(digests),
            ..
        }) = self.stretches.back_mut()
        {
            digests.push_back(digest);
            return;
        }
        self.stretches.push_back(Stretch {
            first: self.end - 1,
            what: What::Digests(VecDeque::from([digest])),
        });
    }

    /// Gives up the numbers from the end of the lane to `next`.
    pub fn skip_to(&mut self, next: u64) {
        if next <= self.end {
            return;
        }
        let first = self.end;
        self.end = next;
        match self.stretches.back_mut() {
            Some(Stretch {
                what: What::Skipped(end),
                ..
            }) => *end = next,
            _ => self.stretches.push_back(Stretch {
                first,
                what: What::Skipped(next),
            }),
        }
    }

    /// Forgets everything below `committed`, which may lie beyond the end.
    pub fn commit(&mut self, committed: u64) {
        while self
            .stretches
            .front()
            .is_some_and(|stretch| stretch.end() <= committed)
        {
            if let Some(Stretch {
                what: What::Digests(digests),
                ..
            }) = self.stretches.pop_front()
            {
                self.held -= digests.len();
            }
        }
        if let Some(stretch) = self.stretches.front_mut()
            && stretch.first < committed
        {
            if let What::Digests(digests) = &mut stretch.what {
                let known = (committed - stretch.first) as usize;
                digests.drain(..known);
                self.held -= known;
            }
            stretch.first = committed;
        }
        self.committed = self.committed.max(committed);
        self.end = self.end.max(committed);
    }

    /// What goes from number `first` on, not beyond `end`.
    pub fn next(&self, first: u64, end: u64) -> Option<Outgoing> {
        let place = self
            .stretches
            .partition_point(|stretch| stretch.end() <= first);
        let stretch = self.stretches.get(place)?;
        let end = stretch.end().min(end);
        if end <= first {
            return None;
        }
        match &stretch.what {
            What::Skipped(_) => Some(Outgoing::Skip { first, next: end }),
            What::Digests(digests) => {
                let end = end.min(first + BATCH as u64);
                let range = (first - stretch.first) as usize..(end - stretch.first) as usize;
                Some(Outgoing::Batch {
                    first,
                    digests: digests.range(range).copied().collect(),
                })
            }
        }
    }

    fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.stretches
            .iter()
            .filter_map(|stretch| match &stretch.what {
                What::Digests(digests) => Some(digests),
                What::Skipped(_) => None,
            })
            .flatten()
    }

    pub fn resets(&self) -> usize {
        self.digests().filter(|digest| digest.is_rst()).count()
    }

    /// Gives up the oldest digests, `count` of them if there are so many that are worth so little: first
    /// those of flows without a RST here, then those around RSTs, RSTs last.
    pub fn give_up(&mut self, count: usize) -> Vec<LossRecord> {
        let with_reset: HashSet<u64> = self
            .digests()
            .filter(|digest| digest.is_rst())
            .map(|digest| digest.tuple.flow().hash())
            .collect();
        let mut left = count;
        let mut losses = Vec::new();
        for of in [LossOf::Segments, LossOf::Context, LossOf::Resets] {
            let mut tally = Tally::default();
            if left > 0 {
                self.drop_where(&mut left, &mut tally, |digest| {
                    worth(digest, &with_reset) == of
                });
            }
            losses.extend(tally.loss(of));
        }
        losses
    }

    fn drop_where(
        &mut self,
        left: &mut usize,
        tally: &mut Tally,
        matches: impl Fn(&Digest) -> bool,
    ) {
        let old = std::mem::take(self);
        self.committed = old.committed;
        self.end = old.committed;
        for stretch in old.stretches {
            match stretch.what {
                What::Skipped(end) => self.skip_to(end),
                What::Digests(digests) => {
                    for digest in digests {
                        if *left > 0 && matches(&digest) {
                            *left -= 1;
                            tally.add(&digest);
                            self.skip_to(self.end + 1);
                        } else {
                            self.push(digest);
                        }
                    }
                }
            }
        }
    }
}

/// What losing a digest would be the loss of.
pub(crate) fn worth(digest: &Digest, with_reset: &HashSet<u64>) -> LossOf {
    if digest.is_rst() {
        LossOf::Resets
    } else if with_reset.contains(&digest.tuple.flow().hash()) {
        LossOf::Context
    } else {
        LossOf::Segments
    }
}

/// Digests that were given up.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: u64,
    span: Option<(CaptureTime, CaptureTime)>,
}

impl Tally {
    pub fn add(&mut self, digest: &Digest) {
        let (from, until) = self.span.unwrap_or((digest.time, digest.time));
        self.span = Some((from.min(digest.time), until.max(digest.time)));
        self.count += 1;
    }

    pub fn loss(&self, of: LossOf) -> Option<LossRecord> {
        let (from, until) = self.span?;
        Some(LossRecord {
            strength: Strength::Certain,
            cause: LossCause::Spool,
            of,
            from,
            until: Some(until),
            count: Some(self.count),
            detail: None,
        })
    }
}

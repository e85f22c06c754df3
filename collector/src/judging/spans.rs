//! Spans of time, joined where they overlap.

use parallax_core::CaptureTime;

/// Kept apart at most; more are joined.
const APART_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Spans {
    apart: Vec<(CaptureTime, CaptureTime)>,
}

impl Spans {
    pub fn add(&mut self, from: CaptureTime, until: CaptureTime) {
        self.apart.push((from, until));
        self.apart.sort_unstable();
        let full = self.apart.len() > APART_MAX;
        self.apart.dedup_by(|later, earlier| {
            let joined = full || later.0 <= earlier.1;
            if joined {
                earlier.1 = earlier.1.max(later.1);
            }
            joined
        });
    }
}

impl IntoIterator for Spans {
    type Item = (CaptureTime, CaptureTime);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.apart.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(parts: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut spans = Spans::default();
        for (from, until) in parts {
            spans.add(
                CaptureTime::from_nanos(*from),
                CaptureTime::from_nanos(*until),
            );
        }
        let apart = spans.into_iter();
        let mut apart: Vec<(i64, i64)> = apart
            .map(|(from, until)| (from.nanos(), until.nanos()))
            .collect();
        apart.sort_unstable();
        apart
    }

    #[test]
    fn what_overlaps_is_one_and_what_lies_apart_stays_apart() {
        assert_eq!(joined(&[(0, 5), (10, 15), (4, 8)]), [(0, 8), (10, 15)]);
        assert_eq!(joined(&[(0, 5), (10, 15), (5, 10)]), [(0, 15)]);
        assert_eq!(joined(&[(20, 30), (5, 22), (0, 4), (4, 5)]), [(0, 30)]);
    }

    #[test]
    fn their_number_is_bounded() {
        let parts: Vec<(i64, i64)> = (0..1000).map(|n| (n * 10, n * 10 + 1)).collect();
        assert!(joined(&parts).len() <= APART_MAX);
    }
}

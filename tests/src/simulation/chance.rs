//! Chance from a seed (`SplitMix64`, Steele et al. 2014).

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A stream of numbers; clones draw from the same one.
#[derive(Debug, Clone)]
pub struct Chance {
    seed: u64,
    state: Arc<Mutex<u64>>,
}

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            state: Arc::new(Mutex::new(seed)),
        }
    }

    /// Another stream, which what is drawn from this one does not move.
    #[must_use]
    pub fn fork(&self, which: u64) -> Self {
        let mut seed = self.seed ^ which.wrapping_mul(0xA076_1D64_78BD_642F);
        Self::new(step(&mut seed))
    }

    pub fn next(&self) -> u64 {
        step(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number in a range that is not empty.
    pub fn within(&self, range: &Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// A time in a range of microseconds.
    pub fn micros(&self, range: &Range<u64>) -> Duration {
        Duration::from_micros(self.within(range))
    }

    /// Whether what happens once in so many times happens now; never for 0.
    pub fn one_in(&self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }
}

fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

//! Numbers in as few bits as they need, and columns of them.
//!
//! A column has one width for all of its numbers, chosen so that it takes the fewest bits; a number that does not fit is
//! said by a mark (all ones) and follows in the width of the largest.

/// Bits in the making, lowest first.
#[derive(Default)]
pub(super) struct Writer {
    octets: Vec<u8>,
    held: u128,
    count: u32,
}

impl Writer {
    /// Bits behind these octets.
    pub fn after(octets: Vec<u8>) -> Self {
        Self {
            octets,
            ..Self::default()
        }
    }

    /// Adds the lowest `width` bits of a value that has no others; at most 64.
    pub fn put(&mut self, value: u64, width: u32) {
        self.held |= u128::from(value) << self.count;
        self.count += width;
        if self.count >= 64 {
            self.octets
                .extend_from_slice(&(self.held as u64).to_le_bytes());
            self.held >>= 64;
            self.count -= 64;
        }
    }

    pub fn column(&mut self, values: &[u64]) {
        let all = values.iter().fold(0, |all, value| all | value);
        if all == 0 {
            self.put(0, 1);
            return;
        }
        let (most, width) = (length(all), width(values, length(all)));
        self.put(1, 1);
        self.put(u64::from(most - 1), 6);
        self.put(u64::from(width - 1), 6);
        let mark = mark(width, most);
        for value in values {
            match mark {
                Some(mark) if *value >= mark => {
                    self.put(mark, width);
                    self.put(*value, most);
                }
                _ => self.put(*value, width),
            }
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        let rest = self.count.div_ceil(8) as usize;
        self.octets
            .extend_from_slice(&self.held.to_le_bytes()[..rest]);
        self.octets
    }
}

/// Bits to read; `None` past their end.
pub(super) struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn of(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    pub fn get(&mut self, width: u32) -> Option<u64> {
        let after = self.at + width as usize;
        if after > self.octets.len() * 8 {
            return None;
        }
        let from = &self.octets[self.at / 8..];
        let mut here = [0; 16];
        let near = from.len().min(16);
        here[..near].copy_from_slice(&from[..near]);
        let bits = u128::from_le_bytes(here) >> (self.at % 8);
        self.at = after;
        Some((bits & ((1 << width) - 1)) as u64)
    }

    pub fn column(&mut self, count: usize) -> Option<Vec<u64>> {
        if self.get(1)? == 0 {
            return Some(vec![0; count]);
        }
        let (most, width) = (self.get(6)? as u32 + 1, self.get(6)? as u32 + 1);
        let mark = mark(width, most);
        let one = |_| {
            let value = self.get(width)?;
            if Some(value) == mark {
                self.get(most)
            } else {
                Some(value)
            }
        };
        (0..count).map(one).collect()
    }

    /// Whether nothing is left but the bits that fill the last octet.
    pub fn is_at_end(&self) -> bool {
        self.at.div_ceil(8) == self.octets.len()
    }
}

/// How many bits a number needs.
fn length(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// The width for most numbers of a column whose largest needs `most` bits (1 to 64).
fn width(values: &[u64], most: u32) -> u32 {
    let mut fitting = [0_u32; 65];
    for value in values {
        fitting[length(value.saturating_add(1)) as usize] += 1;
    }
    let all = values.len() as u32;
    let mut marked = all - fitting[0];
    let (mut best, mut least) = (most, all * most);
    for width in 1..most {
        marked -= fitting[width as usize];
        let bits = all * width + marked * most;
        if bits < least {
            (best, least) = (width, bits);
        }
    }
    best
}

/// What stands for a number that does not fit; none where all fit.
fn mark(width: u32, most: u32) -> Option<u64> {
    (width < most).then(|| (1 << width) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> impl proptest::strategy::Strategy<Value = Vec<u64>> {
        use proptest::prelude::*;
        let number = (0_u32..65, any::<u64>())
            .prop_map(|(width, value)| value.checked_shr(64 - width).unwrap_or(0));
        proptest::collection::vec(number, 0..120)
    }

    proptest::proptest! {
        #[test]
        fn columns_come_back_as_they_went_in(one in numbers(), other in numbers()) {
            let mut bits = Writer::after(vec![7]);
            bits.column(&one);
            bits.put(5, 3);
            bits.column(&other);
            let octets = bits.finish();
            let mut bits = Reader::of(&octets[1..]);
            proptest::prop_assert_eq!(bits.column(one.len()), Some(one));
            proptest::prop_assert_eq!(bits.get(3), Some(5));
            proptest::prop_assert_eq!(bits.column(other.len()), Some(other));
            proptest::prop_assert!(bits.is_at_end());
        }

        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..60), count in 0..100_usize) {
            let mut bits = Reader::of(&octets);
            while bits.column(count).is_some() && !bits.is_at_end() {}
        }
    }

    #[test]
    fn a_few_large_numbers_do_not_widen_all_others() {
        let mut values = vec![1; 96];
        values[40] = u64::MAX;
        let mut bits = Writer::default();
        bits.column(&values);
        assert!(bits.finish().len() < 96 * 2 / 8 + 12);
    }
}

//! Inputs from a corpus by seeded chance: bits, octets, numbers at their edges, pieces doubled, dropped and spliced.

use crate::simulation::chance::Chance;

pub struct Mutator {
    chance: Chance,
    longest: usize,
}

/// Numbers that readers are wrong about.
const EDGES: [u64; 9] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    u32::MAX as u64,
    u64::MAX,
];

impl Mutator {
    pub fn new(seed: u64, longest: usize) -> Self {
        Self {
            chance: Chance::new(seed),
            longest,
        }
    }

    /// A changed input of the corpus.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let chance = &self.chance;
        let pick = |corpus: &[Vec<u8>]| match corpus.len() {
            0 => Vec::new(),
            count => corpus[chance.below(count as u64) as usize].clone(),
        };
        let mut input = pick(corpus);
        for _ in 0..=chance.below(6) {
            let at = chance.below(input.len() as u64 + 1) as usize;
            let end = (at + 1 + chance.below(16) as usize).min(input.len());
            match chance.below(8) {
                0 if at < input.len() => input[at] ^= 1 << chance.below(8),
                1 if at < input.len() => input[at] = chance.next() as u8,
                2 => self.write_edge(&mut input, at),
                3 if at < end => {
                    input.drain(at..end);
                }
                4 if at < end => {
                    let piece = input[at..end].to_vec();
                    input.splice(at..at, piece);
                }
                5 => {
                    let other = pick(corpus);
                    let from = chance.below(other.len() as u64 + 1) as usize;
                    input.truncate(at);
                    input.extend(&other[from..]);
                }
                6 => input.truncate(at),
                _ => input.insert(at, chance.next() as u8),
            }
        }
        input.truncate(self.longest);
        input
    }

    fn write_edge(&self, input: &mut [u8], at: usize) {
        let edge = EDGES[self.chance.below(EDGES.len() as u64) as usize];
        let (size, swapped) = (1 << self.chance.below(4), self.chance.one_in(2));
        let octets = if swapped {
            edge.to_le_bytes()[..size].to_vec()
        } else {
            edge.to_be_bytes()[8 - size..].to_vec()
        };
        for (place, octet) in input.iter_mut().skip(at).zip(octets) {
            *place = octet;
        }
    }
}

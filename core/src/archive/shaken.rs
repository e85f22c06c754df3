//! Flows of which some vantage's handshakes are kept.

use hashbrown::HashMap;

use super::interest::{Pair, pair};
use super::kept::Kept;
use crate::flow::Flow;

/// Flows of which a handshake is kept, by the numbers that they have for all vantages together.
#[derive(Debug, Default)]
pub(super) struct Shaken {
    flows: HashMap<Flow, u32>,
    /// The number of each one's address pair.
    pairs: Vec<u32>,
    pair_numbers: HashMap<Pair, u32>,
    /// By vantage: each one's number there, where it has one.
    numbers_at: Vec<Vec<Option<u32>>>,
    /// By vantage, and there by the place of the handshake: the number of its flow.
    at: Vec<Vec<u32>>,
}

impl Shaken {
    pub(super) fn of(vantages: &[Kept]) -> Self {
        let mut shaken = Self::default();
        for at in vantages {
            let numbers = at.shaken().map(|flow| shaken.number(flow)).collect();
            shaken.at.push(numbers);
        }
        let mut flows: Vec<(Flow, u32)> = shaken.flows.iter().map(|(f, n)| (*f, *n)).collect();
        flows.sort_unstable_by_key(|(_, number)| *number);
        let numbers_at = |at: &Kept| flows.iter().map(|(flow, _)| at.number(*flow)).collect();
        shaken.numbers_at = vantages.iter().map(numbers_at).collect();
        shaken
    }

    /// By vantage, and there by the place of the handshake: the number of its flow.
    pub(super) fn at(&self) -> &[Vec<u32>] {
        &self.at
    }

    fn number(&mut self, flow: Flow) -> u32 {
        let next = self.pairs.len() as u32;
        let number = *self.flows.entry(flow).or_insert(next);
        if number == next {
            let next = self.pair_numbers.len() as u32;
            let pair = *self.pair_numbers.entry(pair(flow)).or_insert(next);
            self.pairs.push(pair);
        }
        number
    }

    /// Of some flows the numbers at a vantage of those that go between the hosts of one of these names and are none
    /// of these.
    pub(super) fn between(&self, names: &[Flow], flows: &[u32], vantage: usize) -> Vec<u32> {
        let pairs = names
            .iter()
            .filter_map(|name| self.pair_numbers.get(&pair(*name)));
        let pairs: Vec<u32> = pairs.copied().collect();
        let own = names.iter().filter_map(|name| self.flows.get(name));
        let own: Vec<u32> = own.copied().collect();
        let is_neighbour =
            |flow: u32| pairs.contains(&self.pairs[flow as usize]) && !own.contains(&flow);
        let numbers = &self.numbers_at[vantage];
        let neighbours = flows.iter().filter(|flow| is_neighbour(**flow));
        neighbours
            .filter_map(|flow| numbers[*flow as usize])
            .collect()
    }
}

//! Kept flows by what they may share with others: initial sequence numbers and payload.

use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};

use super::interest::{CARRIERS_MAX, PAYLOAD_TELLS, SHARED_MAX};
use super::kept::Kept;
use super::packed::{Common, Packed};
use crate::digest::TcpFlags;
use crate::evidence::numbers;
use crate::flow::{Endpoint, Flow};

#[derive(Debug, Default)]
pub(super) struct Kin {
    by_number: HashMap<u32, BTreeSet<Flow>>,
    numbers: HashMap<Flow, HashSet<u32>>,
    by_payload: HashMap<u64, BTreeSet<Flow>>,
    payloads: HashMap<Flow, HashSet<u64>>,
}

impl Kin {
    pub(super) fn of(kept: &[Kept]) -> Self {
        let mut kin = Self::default();
        for kept in kept {
            for packed in kept.segments() {
                kin.take(&kept.common, packed);
            }
        }
        kin
    }

    fn take(&mut self, common: &Common, packed: &Packed) {
        let flags = common.flags(packed);
        if flags.has(TcpFlags::SYN) || flags.has(TcpFlags::RST) {
            let digest = common.unpack(packed);
            let flow = digest.tuple.flow();
            for number in numbers(&digest) {
                self.by_number.entry(number).or_default().insert(flow);
                self.numbers.entry(flow).or_default().insert(number);
            }
        }
        if packed.payload_len >= PAYLOAD_TELLS
            && let Some(hash) = common.payload_hash(packed)
        {
            let flow = common.flows.get(packed.flow());
            self.by_payload.entry(hash).or_default().insert(flow);
            self.payloads.entry(flow).or_default().insert(hash);
        }
    }

    /// A flow and what shares a number with it, or with what does; then what carries the same payload.
    pub(super) fn around(&self, flow: Flow) -> HashSet<Flow> {
        let mut found = HashSet::from([flow]);
        let mut new = vec![flow];
        while let Some(next) = new.pop() {
            for number in self.numbers.get(&next).into_iter().flatten() {
                let related = related(&self.by_number[number], next);
                new.extend(related.into_iter().filter(|other| found.insert(*other)));
            }
        }
        let carriers: HashSet<Flow> = found
            .iter()
            .flat_map(|flow| self.payloads.get(flow).into_iter().flatten())
            .map(|hash| &self.by_payload[hash])
            .filter(|same| same.len() <= CARRIERS_MAX)
            .flatten()
            .copied()
            .collect();
        found.extend(carriers);
        found
    }

    /// Of a flow's kin those that share a number with it, or with what does, and the flow itself; as
    /// [`evidence::names`](crate::evidence::names) has them.
    pub(super) fn names(&self, flow: Flow, kin: &HashSet<Flow>) -> Vec<Flow> {
        let mut names = vec![flow];
        let mut next = 0;
        while let Some(name) = names.get(next).copied() {
            next += 1;
            for number in self.numbers.get(&name).into_iter().flatten() {
                for other in &self.by_number[number] {
                    if kin.contains(other) && !names.contains(other) {
                        names.push(*other);
                    }
                }
            }
        }
        names
    }
}

/// Of flows that share a number those that may be the same; of a scan's only what shares the end that the
/// scan does not.
fn related(same: &BTreeSet<Flow>, flow: Flow) -> Vec<Flow> {
    if same.len() <= SHARED_MAX {
        return same.iter().copied().collect();
    }
    let sharing = |end: Endpoint| {
        same.iter()
            .copied()
            .filter(move |other| other.low() == end || other.high() == end)
    };
    [flow.low(), flow.high()]
        .into_iter()
        .filter(|end| sharing(*end).count() <= SHARED_MAX)
        .flat_map(sharing)
        .collect()
}

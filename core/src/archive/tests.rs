//! What is found by reading several times and keeping little, against what all of it says.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::interest::{APART, CARRIERS_MAX, pair, telling};
use super::{Archive, Gathered, Purpose, Record, Recordings, Take};
use crate::digest::{Digest, TcpFlags};
use crate::evidence::{
    self, NEARBY_MAX, Nearby, RESETS_MAX, Selection, in_order_of_capture, numbers, surroundings,
};
use crate::flow::{Endpoint, Flow, FourTuple};
use crate::seq::TcpSeq;
use crate::time::{CaptureTime, MILLISECOND};
use crate::vantage::{Vantage, VantageKind};

/// Everything there is, by vantage, and which flows are of interest.
struct Simple {
    digests: Vec<Vec<Digest>>,
    kept: BTreeSet<Flow>,
}

impl Simple {
    fn of(records: &[Record]) -> Self {
        let in_order = |record: &Record| in_order_of_capture(vec![record.digests.clone()]);
        let mut simple = Self {
            digests: records.iter().map(in_order).collect(),
            kept: BTreeSet::new(),
        };
        let resets: BTreeSet<Flow> = simple
            .all()
            .filter(|digest| digest.is_rst())
            .map(|digest| digest.tuple.flow())
            .collect();
        simple.kept.clone_from(&resets);
        for _ in 0..3 {
            let known: BTreeSet<u32> = simple.of_kept(&simple.kept).flat_map(numbers).collect();
            let more = simple
                .all()
                .filter(|digest| numbers(digest).any(|number| known.contains(&number)));
            let more: BTreeSet<Flow> = more.map(|digest| digest.tuple.flow()).collect();
            simple.kept.extend(more);
        }
        let carriers = simple.carriers(&resets);
        simple.kept.extend(carriers);
        simple
    }

    fn all(&self) -> impl Iterator<Item = &Digest> {
        self.digests.iter().flatten()
    }

    fn of_kept<'a>(&'a self, flows: &'a BTreeSet<Flow>) -> impl Iterator<Item = &'a Digest> {
        self.all()
            .filter(|digest| flows.contains(&digest.tuple.flow()))
    }

    /// Other flows that carry a payload of a flow with resets.
    fn carriers(&self, resets: &BTreeSet<Flow>) -> BTreeSet<Flow> {
        let mut times: BTreeMap<u64, Vec<CaptureTime>> = BTreeMap::new();
        for digest in self.of_kept(resets) {
            if let Some(hash) = telling(digest) {
                times.entry(hash).or_default().push(digest.time);
            }
        }
        let carry = |hash: &u64, times: &Vec<CaptureTime>| -> BTreeSet<Flow> {
            let from = times.iter().min().unwrap().plus(-APART);
            let until = times.iter().max().unwrap().plus(APART);
            self.all()
                .filter(|digest| {
                    telling(digest) == Some(*hash) && (from..=until).contains(&digest.time)
                })
                .map(|digest| digest.tuple.flow())
                .filter(|flow| !self.kept.contains(flow))
                .collect()
        };
        let found = times.iter().map(|(hash, times)| carry(hash, times));
        found
            .filter(|flows| flows.len() <= CARRIERS_MAX)
            .flatten()
            .collect()
    }

    fn kin(&self, flow: Flow) -> BTreeSet<Flow> {
        let mut found = BTreeSet::from([flow]);
        loop {
            let known: BTreeSet<u32> = self.of_kept(&found).flat_map(numbers).collect();
            let more: BTreeSet<Flow> = self
                .of_kept(&self.kept)
                .filter(|digest| numbers(digest).any(|number| known.contains(&number)))
                .map(|digest| digest.tuple.flow())
                .collect();
            let before = found.len();
            found.extend(more);
            if found.len() == before {
                break;
            }
        }
        let payloads: BTreeSet<u64> = self.of_kept(&found).filter_map(telling).collect();
        for payload in payloads {
            let same: BTreeSet<Flow> = self
                .of_kept(&self.kept)
                .filter(|digest| telling(digest) == Some(payload))
                .map(|digest| digest.tuple.flow())
                .collect();
            if same.len() <= CARRIERS_MAX {
                found.extend(same);
            }
        }
        found
    }

    /// As [`super::kept::All::around`].
    fn around(&self, flow: Flow) -> Vec<(Vec<Digest>, Nearby)> {
        let kin = self.kin(flow);
        let segments: Vec<Vec<Digest>> = self
            .digests
            .iter()
            .map(|digests| {
                let own = digests
                    .iter()
                    .filter(|digest| kin.contains(&digest.tuple.flow()));
                own.copied().collect()
            })
            .collect();
        let around = surroundings(&segments, flow);
        let near: Vec<Vec<&Digest>> = self
            .digests
            .iter()
            .zip(&around)
            .map(|(digests, around)| handshakes(digests, around))
            .collect();
        let neighbours: BTreeSet<Flow> = near
            .iter()
            .flatten()
            .map(|digest| digest.tuple.flow())
            .collect();
        let all = self.digests.iter().zip(segments).zip(near).zip(&around);
        all.map(|(((digests, segments), near), around)| {
            let sorted = by_time(digests);
            let others = sorted.iter().copied().filter(|digest| {
                let flow = digest.tuple.flow();
                !opens(digest)
                    && neighbours.contains(&flow)
                    && !around.names.contains(&flow)
                    && around.names.iter().any(|name| pair(*name) == pair(flow))
            });
            let resets = nearest_each_way(&sorted, around, RESETS_MAX, &|digest| digest.is_rst());
            let nearby = Nearby::nearest(around.moment, near, others.collect(), resets);
            (segments, nearby)
        })
        .collect()
    }
}

fn opens(digest: &Digest) -> bool {
    digest.is_syn() || digest.is_syn_ack()
}

fn by_time(digests: &[Digest]) -> Vec<&Digest> {
    let mut sorted: Vec<&Digest> = digests.iter().collect();
    sorted.sort_by_key(|digest| digest.time);
    sorted
}

fn nearest_each_way<'a>(
    sorted: &[&'a Digest],
    around: &evidence::Surroundings,
    most: usize,
    is: &dyn Fn(&Digest) -> bool,
) -> Vec<&'a Digest> {
    let (before, after): (Vec<&Digest>, Vec<&Digest>) = sorted
        .iter()
        .filter(|digest| is(digest) && !around.names.contains(&digest.tuple.flow()))
        .partition(|digest| digest.time < around.moment);
    let skipped = before.len().saturating_sub(most);
    before
        .into_iter()
        .skip(skipped)
        .chain(after.into_iter().take(most))
        .collect()
}

fn handshakes<'a>(digests: &'a [Digest], around: &evidence::Surroundings) -> Vec<&'a Digest> {
    let sorted = by_time(digests);
    let mut found: Vec<&Digest> = Vec::new();
    for name in &around.names {
        let between = |digest: &Digest| opens(digest) && pair(digest.tuple.flow()) == pair(*name);
        found.extend(nearest_each_way(&sorted, around, NEARBY_MAX, &between));
        for end in [name.low(), name.high()] {
            let from = |digest: &Digest| digest.is_syn_ack() && digest.tuple.src == end;
            found.extend(nearest_each_way(&sorted, around, NEARBY_MAX, &from));
        }
    }
    sorted
        .into_iter()
        .filter(|digest| found.iter().any(|other| std::ptr::eq(*other, *digest)))
        .collect()
}

/// One of a few flows between few hosts, so that they are each other's kin and neighbours.
fn flows() -> impl Strategy<Value = FourTuple> {
    (0..12_u16, any::<bool>()).prop_map(|(number, back)| {
        let addr = |last: u16| IpAddr::from(Ipv4Addr::new(192, 0, 2, last as u8));
        let client = Endpoint::new(addr(1 + number % 2), 4000 + number);
        let server = Endpoint::new(addr(9), 80);
        let there = FourTuple::new(client, server);
        if back { there.reversed() } else { there }
    })
}

/// So many SYN and as many SYN+ACK on each RST, of one in so many numbers.
fn segments((handshakes, numbers): (u32, u32)) -> impl Strategy<Value = (i64, Digest)> {
    let kind = prop_oneof![
        handshakes => Just(TcpFlags::SYN),
        handshakes => Just(TcpFlags::SYN.with(TcpFlags::ACK)),
        1 => Just(TcpFlags::RST),
        30 => Just(TcpFlags::ACK),
    ];
    let numbers = (0..numbers, 0..numbers);
    let payload = proptest::option::weighted(0.05, 0..30_u64);
    let pause = prop_oneof![20 => 0..4_i64, 1 => 0..9000_i64];
    (pause, flows(), kind, numbers, payload).prop_map(
        |(pause, tuple, flags, (seq, ack), payload)| {
            let digest = Digest {
                tuple,
                flags,
                // Few of the handshakes share a number.
                seq: TcpSeq(seq * 1000 + u32::from(tuple.src.port)),
                ack: TcpSeq(ack * 1000 + u32::from(tuple.src.port % 4)),
                payload_hash: payload,
                payload_len: payload.map_or(0, |_| 100),
                ..Digest::BLANK
            };
            (pause * MILLISECOND, digest)
        },
    )
}

/// Some with more handshakes than are enough, which then share no numbers: else all flows would be each other's kin.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let vantages = prop_oneof![Just((1, 40)), Just((12, 4_000_000))].prop_flat_map(|kinds| {
        let segments = prop::collection::vec(segments(kinds), 0..900);
        prop::collection::vec((0..20_000_i64, segments), 1..4)
    });
    vantages.prop_map(|vantages| {
        let record = |(number, (start, segments)): (usize, (i64, Vec<(i64, Digest)>))| {
            let mut now = start * MILLISECOND;
            let digests = segments.into_iter().map(|(pause, mut digest)| {
                now += pause;
                digest.time = CaptureTime::from_nanos(now);
                digest
            });
            Record {
                vantage: Vantage {
                    name: format!("v{number}"),
                    kind: VantageKind::Hop,
                },
                selection: Selection::All,
                coverage: Vec::new(),
                digests: digests.collect(),
            }
        };
        vantages.into_iter().enumerate().map(record).collect()
    })
}

/// Recordings that are cut, and read from their ends.
struct Cut<'a> {
    records: &'a [Record],
    /// Where, as parts of the whole.
    at: &'a [f64],
}

impl Recordings for Cut<'_> {
    type Error = Infallible;

    fn vantages(&self) -> usize {
        self.records.len()
    }

    fn read<T: Take>(&mut self, _purpose: Purpose, takers: &mut [T]) -> Result<(), Infallible> {
        for (record, taker) in self.records.iter().zip(takers) {
            let mut pieces = Vec::new();
            let mut rest = record.digests.as_slice();
            for at in self.at {
                let (piece, more) = rest.split_at((rest.len() as f64 * at) as usize);
                pieces.push((piece, taker.beside()));
                rest = more;
            }
            pieces.push((rest, taker.beside()));
            for (piece, beside) in pieces.iter_mut().rev() {
                for digest in *piece {
                    beside.take(0, digest);
                }
            }
            for (_, beside) in pieces {
                taker.join(beside);
            }
        }
        Ok(())
    }

    fn share<Thing: Send, Done: Send>(
        &self,
        things: Vec<Thing>,
        work: impl Fn(Thing) -> Done + Sync,
    ) -> Vec<Done> {
        let mut done: Vec<Done> = things.into_iter().rev().map(work).collect();
        done.reverse();
        done
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_at_the_same_time_is_the_same(
        records in records(),
        at in prop::collection::vec(0.0..1.0, 0..4),
    ) {
        let whole = Archive::new(&records, None);
        let Ok(gathered) = Gathered::read(&mut Cut { records: &records, at: &at });
        let cut = Archive::of(gathered, whole.frames.clone(), None);
        prop_assert_eq!(whole.flows(), cut.flows());
        for flow in whole.flows() {
            let [one, other] = [&whole, &cut].map(|archive| archive.evidence(*flow).vantages);
            for (one, other) in one.iter().zip(&other) {
                prop_assert_eq!(&one.segments, &other.segments, "segments of {}", flow);
                prop_assert_eq!(&one.nearby, &other.nearby, "what is near to {}", flow);
            }
        }
    }

    #[test]
    fn little_is_kept_and_all_of_the_evidence_is_there(records in records()) {
        let archive = Archive::new(&records, None);
        let simple = Simple::of(&records);
        for flow in archive.flows() {
            let evidence = archive.evidence(*flow);
            let expected = simple.around(*flow);
            for (at, (segments, nearby)) in evidence.vantages.iter().zip(expected) {
                prop_assert_eq!(&at.segments, &segments, "segments of {} at {}", flow, &at.vantage.name);
                prop_assert_eq!(&at.nearby, &nearby, "what is near to {} at {}", flow, &at.vantage.name);
            }
        }
    }
}

//! One connection at all vantages, for people who look at more than its resets.

use hashbrown::HashMap;
use std::net::SocketAddr;

use super::chain::Placed;
use super::naming;
use crate::digest::{Digest, TcpFlags};
use crate::flow::Endpoint;
use crate::report::{
    Connection, Delay, DirectionAt, HandshakeStep, SCHEMA, Side, Stretch, VantageAt,
};
use crate::scene::{Scene, Seen};
use crate::seq::TcpSeq;

/// Ranges that are told of one direction at one vantage.
const RANGES_MAX: usize = 32;

/// The segments of one connection that a vantage recorded, as it recorded them.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub vantage: String,
    /// In order of time.
    pub packets: Vec<RecordedPacket>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct RecordedPacket {
    pub digest: Digest,
    /// The reset in question.
    pub is_this: bool,
}

pub(super) fn recorded(scene: &Scene<'_>, placed: &Placed<'_>) -> Vec<Recorded> {
    let this = placed.case.digest();
    let same = |digest: &Digest| {
        digest.is_rst()
            && digest.tuple == this.tuple
            && digest.seq == this.seq
            && digest.ack == this.ack
            && digest.flags == this.flags
    };
    scene
        .path
        .order
        .iter()
        .map(|&vantage| Recorded {
            vantage: scene.name(vantage).to_owned(),
            packets: scene
                .life(vantage, placed.case.life)
                .map(|seen| RecordedPacket {
                    digest: *seen.carried,
                    is_this: same(seen.digest),
                })
                .collect(),
        })
        .collect()
}

pub(super) fn tell(scene: &Scene<'_>, all: &[Placed<'_>], index: usize) -> Connection {
    let placed = &all[index];
    let life = placed.case.life;
    let account = Account::of(scene, life);
    let order = &scene.path.order;
    let changes = naming::changes(scene, &placed.case);
    let stretches = order.windows(2).map(|pair| {
        let [one, other] = [pair[0], pair[1]];
        let names = [scene.name(one).to_owned(), scene.name(other).to_owned()];
        Stretch {
            from_client: account.delay(one, other, Side::Client),
            from_server: account.delay(other, one, Side::Server),
            client_octets_missing: account.missing(one, other, Side::Client),
            server_octets_missing: account.missing(other, one, Side::Server),
            changes: changes
                .iter()
                .filter(|change| change.between == names)
                .map(|change| change.text.clone())
                .collect(),
            between: names,
        }
    });
    Connection {
        schema: SCHEMA,
        id: placed.case.id,
        resets: all
            .iter()
            .filter(|other| other.case.life == life)
            .map(|other| other.case.id)
            .collect(),
        handshake: account.handshake(),
        vantages: order.iter().map(|&vantage| account.at(vantage)).collect(),
        stretches: stretches.collect(),
    }
}

/// One life of the flow, with what its numbers and times are relative to.
struct Account<'s, 'a> {
    scene: &'s Scene<'a>,
    life: usize,
    began: i64,
    initial: [Option<TcpSeq>; 2],
}

impl<'s, 'a> Account<'s, 'a> {
    fn of(scene: &'s Scene<'a>, life: usize) -> Self {
        let all = || {
            let order = scene.path.order.iter();
            order.flat_map(move |&vantage| scene.life(vantage, life))
        };
        let initial = |sender: Side| {
            let opening =
                all().find(|seen| seen.sender == sender && seen.digest.flags.has(TcpFlags::SYN));
            let first = || all().filter(|seen| seen.sender == sender && !seen.digest.is_rst());
            // Without a handshake numbers count from the lowest one.
            opening.map(|seen| seen.digest.seq).or_else(|| {
                let numbers = first().map(|seen| seen.digest.seq);
                numbers.reduce(|low, seq| if seq.before(low) { seq } else { low })
            })
        };
        Self {
            scene,
            life,
            began: all().map(|seen| seen.at).min().unwrap_or(0),
            initial: [initial(Side::Client), initial(Side::Server)],
        }
    }

    fn from(&self, vantage: usize, sender: Side) -> impl Iterator<Item = &'s Seen<'a>> + Clone {
        let life = self.scene.life(vantage, self.life);
        life.filter(move |seen| seen.sender == sender)
    }

    fn since(&self, at: i64) -> i64 {
        at.saturating_sub(self.began)
    }

    fn handshake(&self) -> Vec<HandshakeStep> {
        let step = |segment: &str, from: Side, is: fn(&Digest) -> bool| {
            let find = |vantage: usize| self.from(vantage, from).find(|seen| is(seen.digest));
            let order = &self.scene.path.order;
            let seen = order.iter().find_map(|&vantage| find(vantage))?;
            Some(HandshakeStep {
                segment: segment.to_owned(),
                from,
                options: options(seen.digest),
                times: order
                    .iter()
                    .map(|&vantage| find(vantage).map(|seen| self.since(seen.at)))
                    .collect(),
            })
        };
        let plain_ack = |digest: &Digest| {
            digest.acked().is_some()
                && !digest.flags.has(TcpFlags::SYN)
                && !digest.is_rst()
                && !digest.is_fin()
        };
        let opened = step("SYN", Side::Client, Digest::is_syn);
        let answered = step("SYN+ACK", Side::Server, Digest::is_syn_ack);
        let confirmed = answered
            .as_ref()
            .and_then(|_| step("ACK", Side::Client, plain_ack));
        [opened, answered, confirmed]
            .into_iter()
            .flatten()
            .collect()
    }

    fn at(&self, vantage: usize) -> VantageAt {
        let called = |sender: Side| {
            let seen = self.from(vantage, sender).next()?;
            let tuple = seen.carried.tuple;
            Some(match sender {
                Side::Client => (socket(tuple.src), socket(tuple.dst)),
                Side::Server => (socket(tuple.dst), socket(tuple.src)),
            })
        };
        let ends = called(Side::Client).or_else(|| called(Side::Server));
        VantageAt {
            vantage: self.scene.name(vantage).to_owned(),
            kind: self.scene.evidence.vantages[vantage].vantage.kind_name(),
            client: ends.map(|ends| ends.0),
            server: ends.map(|ends| ends.1),
            from_client: self.direction(vantage, Side::Client),
            from_server: self.direction(vantage, Side::Server),
        }
    }

    fn direction(&self, vantage: usize, sender: Side) -> DirectionAt {
        let here = || self.from(vantage, sender);
        let octets: u64 = here().map(|seen| u64::from(seen.digest.payload_len)).sum();
        let (mut ranges, payload) = (self.ranges(vantage, sender, Digest::seq_len), {
            let payload = self.ranges(vantage, sender, |digest| digest.payload_len);
            length(&payload)
        });
        ranges.truncate(RANGES_MAX);
        DirectionAt {
            segments: here().count() as u64,
            octets,
            repeated: octets.saturating_sub(payload),
            first_ns: here().map(|seen| self.since(seen.at)).min(),
            last_ns: here().map(|seen| self.since(seen.at)).max(),
            ranges,
        }
    }

    /// Sequence space that a vantage recorded of a sender, sorted and joined.
    fn ranges(&self, vantage: usize, sender: Side, length: fn(&Digest) -> u32) -> Vec<[i64; 2]> {
        let Some(initial) = self.initial[usize::from(sender == Side::Server)] else {
            return Vec::new();
        };
        let mut ranges: Vec<[i64; 2]> = self
            .from(vantage, sender)
            .map(|seen| seen.digest)
            .filter(|digest| !digest.is_rst() && length(digest) > 0)
            .map(|digest| {
                // A SYN takes the number before the first octet.
                let skipped = digest.seq_len() - length(digest).min(digest.seq_len());
                let syn = u32::from(digest.flags.has(TcpFlags::SYN)).min(skipped);
                let start = i64::from(digest.seq.plus(syn).since(initial));
                [start, start + i64::from(length(digest))]
            })
            .collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let joins = next[0] <= last[1];
            if joins {
                last[1] = last[1].max(next[1]);
            }
            joins
        });
        ranges
    }

    /// What was seen before and not after; `None` where silence says nothing.
    fn missing(&self, before: usize, after: usize, sender: Side) -> Option<u64> {
        let ships_all = |vantage: usize| {
            let evidence = &self.scene.evidence.vantages[vantage];
            evidence.selection == crate::evidence::Selection::All
        };
        if !ships_all(before) || !ships_all(after) {
            return None;
        }
        let seen = self.ranges(before, sender, Digest::seq_len);
        let then = self.ranges(after, sender, Digest::seq_len);
        let both: u64 = seen
            .iter()
            .flat_map(|one| then.iter().map(move |other| overlap(one, other)))
            .sum();
        Some(length(&seen).saturating_sub(both))
    }

    /// How long the first copies of a sender's segments took from one vantage to the next.
    fn delay(&self, before: usize, after: usize, sender: Side) -> Option<Delay> {
        let key = |digest: &Digest| {
            (
                digest.seq,
                digest.acked(),
                digest.flags.0,
                digest.payload_len,
            )
        };
        let mut left = HashMap::new();
        for seen in self.from(before, sender) {
            left.entry(key(seen.digest)).or_insert(seen.at);
        }
        let mut took: Vec<i64> = self
            .from(after, sender)
            .filter_map(|seen| {
                let at = left.remove(&key(seen.digest))?;
                Some(seen.at.saturating_sub(at))
            })
            .collect();
        took.sort_unstable();
        Some(Delay {
            segments: took.len() as u64,
            min_ns: *took.first()?,
            median_ns: took[took.len() / 2],
            max_ns: *took.last()?,
        })
    }
}

fn length(ranges: &[[i64; 2]]) -> u64 {
    ranges.iter().map(|range| range[0].abs_diff(range[1])).sum()
}

fn overlap(one: &[i64; 2], other: &[i64; 2]) -> u64 {
    let start = one[0].max(other[0]);
    let end = one[1].min(other[1]);
    if start < end { start.abs_diff(end) } else { 0 }
}

fn options(digest: &Digest) -> Vec<String> {
    let options = &digest.options;
    let mss = options.mss.map(|mss| format!("MSS {mss}"));
    let scale = options
        .window_scale
        .map(|scale| format!("window scale {scale}"));
    let sack = options.sack_permitted.then(|| "SACK permitted".to_owned());
    let stamps = options.timestamps.map(|_| "timestamps".to_owned());
    [mss, scale, sack, stamps].into_iter().flatten().collect()
}

fn socket(endpoint: Endpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr, endpoint.port)
}

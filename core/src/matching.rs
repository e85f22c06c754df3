//! The same packet at two vantages: what makes it recognisable, and what its two sightings tell
//! about the order of the vantages and the difference of their clocks.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::clock::Sample;
use crate::digest::Digest;
use crate::flow::FourTuple;
use crate::report::Side;
use crate::time::MILLISECOND;

/// Everything of a segment that a hop leaves alone. Two packets with equal keys at one vantage are
/// ambiguous and are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PacketKey {
    tuple: FourTuple,
    seq: u32,
    ack: u32,
    flags: u16,
    payload_len: u32,
    window: u16,
    ip_id: Option<u16>,
    timestamp: Option<u32>,
}

impl PacketKey {
    fn of(digest: &Digest) -> Self {
        Self {
            tuple: digest.tuple,
            seq: digest.seq.0,
            ack: digest.ack.0,
            flags: digest.flags.0,
            payload_len: digest.payload_len,
            window: digest.window,
            ip_id: digest.ip.id,
            timestamp: digest.options.timestamps.map(|stamps| stamps.value),
        }
    }
}

/// In few words: every segment of every vantage is looked up at all others.
impl Hash for PacketKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tuple.hash(state);
        state.write_u64(u64::from(self.seq) << 32 | u64::from(self.ack));
        state.write_u64(
            u64::from(self.payload_len) << 32
                | u64::from(self.flags) << 16
                | u64::from(self.window),
        );
        let ip_id = self.ip_id.map_or(0, |id| u64::from(id) + 1);
        let timestamp = self.timestamp.map_or(0, |stamp| u64::from(stamp) + 1);
        state.write_u64(timestamp << 17 | ip_id);
    }
}

/// A segment of one vantage, as the comparison wants it.
#[derive(Clone, Copy)]
pub(crate) struct Recorded<'a> {
    pub(crate) digest: &'a Digest,
    pub(crate) sender: Side,
    /// Rises in the order of capture.
    pub(crate) order: i64,
}

/// The segments of one vantage that can be recognised elsewhere.
pub(crate) struct Recognisable<'a> {
    all: Vec<Entry<'a>>,
    /// Places in `all`.
    by_key: HashTable<u32>,
}

struct Entry<'a> {
    key: PacketKey,
    hash: u64,
    /// `None`: more than one bears this key.
    only: Option<Recorded<'a>>,
}

impl<'a> Recognisable<'a> {
    /// Keys that occur twice are left out. Whatever is compared must have been made with the same `hashing`.
    pub(crate) fn new(
        recorded: impl Iterator<Item = Recorded<'a>>,
        hashing: &DefaultHashBuilder,
    ) -> Self {
        let expected = recorded.size_hint().1.unwrap_or(0);
        let mut all: Vec<Entry<'a>> = Vec::with_capacity(expected);
        let mut by_key = HashTable::with_capacity(expected);
        for one in recorded {
            let key = PacketKey::of(one.digest);
            let hash = hashing.hash_one(key);
            let known = by_key.entry(
                hash,
                |place: &u32| all[*place as usize].key == key,
                |place| all[*place as usize].hash,
            );
            let place = *known.or_insert(all.len() as u32).get() as usize;
            let Some(entry) = all.get_mut(place) else {
                all.push(Entry {
                    key,
                    hash,
                    only: Some(one),
                });
                continue;
            };
            // Where a machine's interfaces record each packet twice, the first is as good.
            let at_once = |first: Recorded<'_>| {
                one.digest.time.since(first.digest.time).saturating_abs() < MILLISECOND
            };
            if !entry.only.is_some_and(at_once) {
                entry.only = None;
            }
        }
        Self { all, by_key }
    }

    /// The segment that alone bears the key of another vantage's.
    fn find(&self, entry: &Entry<'_>) -> Option<Recorded<'a>> {
        let place = self.by_key.find(entry.hash, |place| {
            self.all[*place as usize].key == entry.key
        })?;
        self.all[*place as usize].only
    }

    /// What the packets that both vantages saw tell about the pair.
    pub(crate) fn compare(&self, other: &Self) -> Comparison {
        let expected = self.all.len().min(other.all.len());
        let mut samples = Vec::with_capacity(expected);
        let mut hops = [0, 1].map(|_| Vec::with_capacity(expected));
        for entry in &self.all {
            if let (Some(mine), Some(theirs)) = (entry.only, other.find(entry)) {
                let sample = Sample {
                    sender: mine.sender,
                    reset: mine.digest.is_rst(),
                    orders: [mine.order, theirs.order],
                    times: [mine.digest.time.nanos(), theirs.digest.time.nanos()],
                };
                samples.push(sample);
                let drop = i16::from(mine.digest.ip.ttl) - i16::from(theirs.digest.ip.ttl);
                hops[mine.sender as usize].push((sample.reset, drop));
            }
        }
        // A forged RST starts with a TTL of its own and may be forged twice: it counts only where nothing
        // else was seen.
        for sender in [Side::Client, Side::Server] {
            let plain = |sample: &Sample| sample.sender == sender && !sample.reset;
            if samples.iter().any(plain) {
                samples.retain(|sample| sample.sender != sender || !sample.reset);
                hops[sender as usize].retain(|(reset, _)| !reset);
            }
        }
        put_in_order(&mut samples);
        let [client, server] = hops.map(|drops| usual(drops.into_iter().map(|drop| drop.1)));
        Comparison {
            samples,
            ttl_drop: [client, server],
        }
    }
}

/// Puts samples in the order of capture at `a`, in which they nearly are: what overtook another on its way is moved by
/// a few places.
fn put_in_order(samples: &mut [Sample]) {
    const MOVES: usize = 8;
    let key = |sample: &Sample| (sample.orders, sample.times);
    let mut moves = samples.len() * MOVES;
    for next in 1..samples.len() {
        let sample = samples[next];
        let mut place = next;
        while place > 0 && key(&samples[place - 1]) > key(&sample) {
            samples[place] = samples[place - 1];
            place -= 1;
        }
        samples[place] = sample;
        moves = moves.saturating_sub(next - place);
        if moves == 0 {
            samples.sort_unstable_by_key(key);
            return;
        }
    }
}

/// The median of some differences.
fn usual<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    let middle = values.len() / 2;
    (middle < values.len()).then(|| *values.select_nth_unstable(middle).1)
}

/// What the packets common to two vantages `a` and `b` tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Comparison {
    /// In the order of capture at `a`.
    pub(crate) samples: Vec<Sample>,
    /// TTL at `a` minus TTL at `b` of what each side sent, medians: positive when the packet passed `a` first.
    ttl_drop: [Option<i16>; 2],
}

/// A TTL difference above this is no path of routers but a box that sets TTLs.
const TTL_DROP_MAX: i16 = 30;

/// From so many pairs of packets on, timing is surer than TTLs, which a box may set.
const PAIRS_TELL: usize = 4;

impl Comparison {
    /// The same comparison from the other vantage's view.
    pub(crate) fn turned(&self) -> Self {
        let mut samples: Vec<Sample> = self.samples.iter().map(|sample| sample.turned()).collect();
        put_in_order(&mut samples);
        Self {
            samples,
            ttl_drop: self.ttl_drop.map(|drop| drop.map(|drop| -drop)),
        }
    }

    /// Evidence that `a` is nearer to the client than `b`: positive for, negative against. Timing that all
    /// pairs of packets agree on weighs most; a TTL that falls (routers decrement it, RFC 791) more than
    /// timing that wavers.
    pub(crate) fn client_side_first(&self) -> i32 {
        2 * self.ttl_votes() + self.timing_vote()
    }

    /// The part of [`Self::client_side_first`] that rests on TTLs: -2 to 2. Directions that contradict each
    /// other tell nothing: something on the way sets TTLs.
    pub(crate) fn ttl_votes(&self) -> i32 {
        let [client, server] = self.ttl_drop.map(|drop| {
            drop.filter(|drop| drop.abs() <= TTL_DROP_MAX)
                .map_or(0, |drop| i32::from(drop.signum()))
        });
        if client * server > 0 {
            0
        } else {
            client - server
        }
    }

    /// What goes there and comes back needs time between `a` and `b`, whatever their clocks show: each
    /// packet with the next one that goes the other way.
    fn timing_vote(&self) -> i32 {
        let spans = self
            .samples
            .windows(2)
            .filter(|pair| pair[0].sender != pair[1].sender)
            .map(|pair| {
                let (there, back) = match pair[0].sender {
                    Side::Client => (pair[0], pair[1]),
                    Side::Server => (pair[1], pair[0]),
                };
                there.later().saturating_sub(back.later())
            });
        let (mut first, mut last) = (0_usize, 0_usize);
        for span in spans {
            first += usize::from(span > 0);
            last += usize::from(span < 0);
        }
        let sign = match first.cmp(&last) {
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => return 0,
        };
        let (agree, differ) = (first.max(last), first.min(last));
        if agree >= PAIRS_TELL && differ * 10 <= agree {
            5 * sign
        } else {
            sign
        }
    }

    pub(crate) fn is_two_way(&self) -> bool {
        let has = |sender: Side| self.samples.iter().any(|sample| sample.sender == sender);
        has(Side::Client) && has(Side::Server)
    }
}

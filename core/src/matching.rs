//! The same packet at two vantages: what makes it recognisable, and what its two sightings tell
//! about the order of the vantages and the difference of their clocks.

use std::collections::HashMap;

use crate::digest::Digest;
use crate::flow::FourTuple;
use crate::report::Side;
use crate::time::MILLISECOND;

/// Everything of a segment that a hop leaves alone. Two packets with equal keys at one vantage are
/// ambiguous and are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// The segments of one vantage that can be recognised elsewhere.
pub(crate) struct Recognisable<'a> {
    unique: HashMap<PacketKey, (&'a Digest, Side)>,
}

impl<'a> Recognisable<'a> {
    /// Takes digests with the side that sent them; keys that occur twice are left out.
    pub(crate) fn new(digests: impl Iterator<Item = (&'a Digest, Side)>) -> Self {
        let mut seen: HashMap<PacketKey, Option<(&Digest, Side)>> = HashMap::new();
        for (digest, sender) in digests {
            seen.entry(PacketKey::of(digest))
                .and_modify(|entry| {
                    // Where a machine's interfaces record each packet twice, the first is as good.
                    let at_once = |first: &Digest| {
                        digest.time.since(first.time).saturating_abs() < MILLISECOND
                    };
                    if !entry.is_some_and(|(first, _)| at_once(first)) {
                        *entry = None;
                    }
                })
                .or_insert(Some((digest, sender)));
        }
        let unique = seen
            .into_iter()
            .filter_map(|(key, entry)| entry.map(|found| (key, found)))
            .collect();
        Self { unique }
    }

    /// What the packets that both vantages saw tell about the pair.
    pub(crate) fn compare(&self, other: &Self) -> Comparison {
        let mut samples = [Samples::default(), Samples::default()];
        for (key, (mine, sender)) in &self.unique {
            if let Some((theirs, _)) = other.unique.get(key) {
                samples[*sender as usize].add(mine, theirs);
            }
        }
        let [from_client, from_server] = samples;
        Comparison {
            from_client: from_client.summary(),
            from_server: from_server.summary(),
        }
    }
}

/// Differences over the packets of one direction. A forged RST starts with a TTL of its own and may
/// be forged twice, so a RST counts only where nothing else was seen.
#[derive(Default)]
struct Samples {
    plain: Vec<(i64, i16)>,
    resets: Vec<(i64, i16)>,
}

impl Samples {
    fn add(&mut self, mine: &Digest, theirs: &Digest) {
        let later = theirs.time.since(mine.time);
        let ttl = i16::from(mine.ip.ttl) - i16::from(theirs.ip.ttl);
        if mine.is_rst() {
            self.resets.push((later, ttl));
        } else {
            self.plain.push((later, ttl));
        }
    }

    fn summary(self) -> Option<OneWay> {
        let from = if self.plain.is_empty() {
            self.resets
        } else {
            self.plain
        };
        if from.is_empty() {
            return None;
        }
        let mut later: Vec<i64> = from.iter().map(|sample| sample.0).collect();
        let mut ttl: Vec<i16> = from.iter().map(|sample| sample.1).collect();
        later.sort_unstable();
        ttl.sort_unstable();
        Some(OneWay {
            later: later[later.len() / 2],
            ttl_drop: ttl[ttl.len() / 2],
        })
    }
}

/// One direction between two vantages `a` and `b`, medians.
#[derive(Debug, Clone, Copy)]
struct OneWay {
    /// Time at `b` minus time at `a`, each by its own clock: delay plus clock offset, nanoseconds.
    later: i64,
    /// TTL at `a` minus TTL at `b`: positive when the packet passed `a` first.
    ttl_drop: i16,
}

/// What the packets common to two vantages `a` and `b` tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    from_client: Option<OneWay>,
    from_server: Option<OneWay>,
}

/// A delay that one direction alone may hide.
const ONE_WAY_ERROR: i64 = 100 * MILLISECOND;

/// A TTL difference above this is no path of routers but a box that sets TTLs.
const TTL_DROP_MAX: i16 = 30;

impl Comparison {
    /// Evidence that `a` is nearer to the client than `b`: positive for, negative against. A TTL
    /// that falls (routers decrement it, RFC 791) weighs more than timing.
    pub(crate) fn client_side_first(&self) -> i32 {
        let timing = match (self.from_client, self.from_server) {
            (Some(there), Some(back)) => there.later.saturating_sub(back.later).signum() as i32,
            _ => 0,
        };
        2 * self.ttl_votes() + timing
    }

    /// The part of [`Self::client_side_first`] that rests on TTLs: -2 to 2.
    pub(crate) fn ttl_votes(&self) -> i32 {
        let vote = |way: Option<OneWay>| {
            way.filter(|way| way.ttl_drop.abs() <= TTL_DROP_MAX)
                .map_or(0, |way| i32::from(way.ttl_drop.signum()))
        };
        vote(self.from_client) - vote(self.from_server)
    }

    /// Clock of `b` minus clock of `a`, nanoseconds. With packets both ways the delay cancels out;
    /// with one way it is part of the answer.
    pub(crate) fn clock_offset(&self) -> Option<i64> {
        match (self.from_client, self.from_server) {
            (Some(there), Some(back)) => Some(i64::midpoint(there.later, back.later)),
            (Some(one), None) | (None, Some(one)) => Some(one.later),
            (None, None) => None,
        }
    }

    /// How far [`Self::clock_offset`] can be off, nanoseconds: no further than the mean delay when
    /// packets went both ways (the delays may be as unequal as can be, but not negative).
    pub(crate) fn clock_error(&self) -> i64 {
        match (self.from_client, self.from_server) {
            (Some(there), Some(back)) => {
                there.later.saturating_sub(back.later).saturating_abs() / 2
            }
            _ => ONE_WAY_ERROR,
        }
    }

    pub(crate) fn is_two_way(&self) -> bool {
        self.from_client.is_some() && self.from_server.is_some()
    }
}

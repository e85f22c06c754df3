//! Digests in a fifth of their size: what many segments have in common is kept once for all of them.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::{BuildHasher, Hash};

use super::Glimpse;
use crate::decode::Head;
use crate::digest::{Digest, SackBlock, TcpFlags, Timestamps};
use crate::flow::{Flow, FourTuple, Way};
use crate::seq::TcpSeq;
use crate::time::CaptureTime;

/// A digest that [`Common`] can make whole again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    pub(super) time: CaptureTime,
    /// The hash of the payload, or the block of the SACK option, or which of those that are kept whole.
    extra: u64,
    seq: u32,
    ack: u32,
    pub(super) payload_len: u32,
    stamps: [u32; 2],
    /// Twice the flow's number; one more where it goes from high to low.
    way: u32,
    shape: u32,
    window: u16,
    ip_id: u16,
}

impl Packed {
    /// Its flow's number.
    pub(super) fn flow(&self) -> u32 {
        self.way / 2
    }

    /// The same, packed with what took over what it had in common with others.
    pub(super) fn moved(mut self, moves: &Moves) -> Self {
        self.way = moves.flows[self.flow() as usize] * 2 + self.way % 2;
        if self.shape == WHOLE {
            self.extra += moves.whole;
        } else {
            self.shape = moves.shapes[self.shape as usize];
        }
        self
    }
}

/// What numbers became of others.
#[derive(Debug)]
pub(super) struct Moves {
    /// By the number before.
    pub(super) flows: Vec<u32>,
    shapes: Vec<u32>,
    /// Added to the places of those that are kept whole.
    whole: u64,
}

/// What packed digests have in common.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) flows: Flows,
    shapes: Shapes,
    /// Those that have both a payload and a SACK block.
    whole: Vec<Digest>,
}

/// The shape of what is kept whole.
const WHOLE: u32 = u32::MAX;

impl Common {
    pub(super) fn new(hashing: &DefaultHashBuilder) -> Self {
        Self {
            flows: Flows::new(hashing),
            shapes: Shapes::new(hashing),
            whole: Vec::new(),
        }
    }

    pub(super) fn pack(&mut self, digest: &Digest) -> Packed {
        let flow = digest.tuple.flow();
        let number = self.flows.number(&flow, self.flows.hash(&flow));
        let way = number * 2 + u32::from(digest.tuple.way() == Way::HighToLow);
        let stamps = digest.options.timestamps;
        let (shape, extra) = match (digest.payload_hash, digest.options.sack) {
            (Some(_), Some(_)) => {
                self.whole.push(*digest);
                (WHOLE, self.whole.len() as u64 - 1)
            }
            (hash, sack) => {
                let block = sack.map(|sack| u64::from(sack.left.0) << 32 | u64::from(sack.right.0));
                let shape = self.shapes.number(&shape(digest), way);
                (shape, hash.or(block).unwrap_or(0))
            }
        };
        Packed {
            time: digest.time,
            extra,
            seq: digest.seq.0,
            ack: digest.ack.0,
            payload_len: digest.payload_len,
            stamps: stamps.map_or([0; 2], |stamps| [stamps.value, stamps.echo]),
            way,
            shape,
            window: digest.window,
            ip_id: digest.ip.id.unwrap_or(0),
        }
    }

    /// Takes over what digests have in common that another one packed.
    pub(super) fn absorb(&mut self, other: Self) -> Moves {
        let whole = self.whole.len() as u64;
        self.whole.extend(other.whole);
        Moves {
            flows: self.flows.absorb(&other.flows),
            shapes: self.shapes.known.absorb(&other.shapes.known),
            whole,
        }
    }

    pub(super) fn unpack(&self, packed: &Packed) -> Digest {
        let mut digest = *self.outline(packed);
        self.fill_in(packed, &mut digest);
        digest
    }

    /// The same, put to others: a digest is large, and is written where it is to stay.
    pub(super) fn unpack_onto(&self, packed: &Packed, digests: &mut Vec<Digest>) {
        digests.push(*self.outline(packed));
        if let Some(digest) = digests.last_mut() {
            self.fill_in(packed, digest);
        }
    }

    /// What is kept of it once for all that are like it, or all of it.
    fn outline(&self, packed: &Packed) -> &Digest {
        if packed.shape == WHOLE {
            &self.whole[packed.extra as usize]
        } else {
            &self.shapes.known.all[packed.shape as usize]
        }
    }

    fn fill_in(&self, packed: &Packed, digest: &mut Digest) {
        if packed.shape == WHOLE {
            return;
        }
        digest.time = packed.time;
        digest.tuple = self.tuple(packed);
        digest.seq = TcpSeq(packed.seq);
        digest.ack = TcpSeq(packed.ack);
        digest.window = packed.window;
        digest.payload_len = packed.payload_len;
        if let Some(hash) = &mut digest.payload_hash {
            *hash = packed.extra;
        }
        if let Some(stamps) = &mut digest.options.timestamps {
            [stamps.value, stamps.echo] = packed.stamps;
        }
        if let Some(sack) = &mut digest.options.sack {
            sack.left = TcpSeq((packed.extra >> 32) as u32);
            sack.right = TcpSeq(packed.extra as u32);
        }
        if let Some(id) = &mut digest.ip.id {
            *id = packed.ip_id;
        }
    }

    fn tuple(&self, packed: &Packed) -> FourTuple {
        let way = if packed.way.is_multiple_of(2) {
            Way::LowToHigh
        } else {
            Way::HighToLow
        };
        self.flows.get(packed.flow()).tuple(way)
    }

    pub(super) fn flags(&self, packed: &Packed) -> TcpFlags {
        self.outline(packed).flags
    }

    /// As [`Digest::payload_hash`].
    pub(super) fn payload_hash(&self, packed: &Packed) -> Option<u64> {
        if packed.shape == WHOLE {
            return self.whole[packed.extra as usize].payload_hash;
        }
        let shape = &self.shapes.known.all[packed.shape as usize];
        shape.payload_hash.map(|_| packed.extra)
    }
}

/// A digest without what differs from segment to segment: what of that is there shows as nothing, or 0.
fn shape(digest: &Digest) -> Digest {
    let mut shape = Digest {
        time: Digest::BLANK.time,
        tuple: Digest::BLANK.tuple,
        seq: TcpSeq(0),
        ack: TcpSeq(0),
        window: 0,
        payload_len: 0,
        payload_hash: digest.payload_hash.map(|_| 0),
        ..*digest
    };
    shape.options.timestamps = digest
        .options
        .timestamps
        .map(|_| Timestamps { value: 0, echo: 0 });
    shape.options.sack = digest.options.sack.map(|_| SackBlock {
        left: TcpSeq(0),
        right: TcpSeq(0),
    });
    shape.ip.id = digest.ip.id.map(|_| 0);
    shape
}

/// Shapes by number.
#[derive(Debug, Clone)]
struct Shapes {
    known: Numbered<Digest>,
    /// Which one a way of a flow had last.
    recent: Vec<u32>,
}

const RECENT: u32 = 1 << 10;

impl Shapes {
    fn new(hashing: &DefaultHashBuilder) -> Self {
        Self {
            known: Numbered::new(hashing),
            recent: vec![0; RECENT as usize],
        }
    }

    fn number(&mut self, shape: &Digest, way: u32) -> u32 {
        let place = (way * 8 + u32::from(shape.flags.0 >> 2)) % RECENT;
        let recent = self.recent[place as usize];
        if self.known.all.get(recent as usize) == Some(shape) {
            return recent;
        }
        let number = self.known.number(shape, self.known.hash(shape));
        self.recent[place as usize] = number;
        number
    }
}

/// Flows by number.
pub(super) type Flows = Numbered<Flow>;

/// Values, each kept once, by the numbers that they get in the order in which they come.
#[derive(Debug, Clone)]
pub(super) struct Numbered<T> {
    all: Vec<T>,
    by_hash: HashTable<u32>,
    hashing: DefaultHashBuilder,
}

impl<T: Copy + Eq + Hash> Numbered<T> {
    fn new(hashing: &DefaultHashBuilder) -> Self {
        Self {
            all: Vec::new(),
            by_hash: HashTable::new(),
            hashing: hashing.clone(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The value of a number that this gave.
    pub(super) fn get(&self, number: u32) -> T {
        self.all[number as usize]
    }

    pub(super) fn hash(&self, value: &T) -> u64 {
        self.hashing.hash_one(value)
    }

    /// Takes another one's values; returns their numbers here, by those there.
    fn absorb(&mut self, other: &Self) -> Vec<u32> {
        let numbers = other
            .all
            .iter()
            .map(|value| self.number(value, self.hash(value)));
        numbers.collect()
    }

    #[inline]
    pub(super) fn find(&self, value: &T, hash: u64) -> Option<u32> {
        let found = self
            .by_hash
            .find(hash, |known| self.all[*known as usize] == *value);
        found.copied()
    }

    /// The number of a value, which it gets if it has none.
    #[inline]
    pub(super) fn number(&mut self, value: &T, hash: u64) -> u32 {
        let Self {
            all,
            by_hash,
            hashing,
        } = self;
        let number = *by_hash
            .entry(
                hash,
                |known| all[*known as usize] == *value,
                |known| hashing.hash_one(all[*known as usize]),
            )
            .or_insert(all.len() as u32)
            .get();
        if number as usize == all.len() {
            all.push(*value);
        }
        number
    }
}

/// Digests, packed, in the order in which they were put here: what a pipe held that cannot be read again.
#[derive(Debug, Clone)]
pub struct Shelf {
    common: Common,
    packed: Vec<Packed>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            common: Common::new(&DefaultHashBuilder::default()),
            packed: Vec::new(),
        }
    }
}

impl Shelf {
    pub fn push(&mut self, digest: &Digest) {
        let packed = self.common.pack(digest);
        self.packed.push(packed);
    }

    /// All of them in their order.
    pub fn iter(&self) -> impl Iterator<Item = impl Glimpse> {
        self.packed.iter().map(|packed| Shelved {
            common: &self.common,
            packed,
        })
    }
}

struct Shelved<'a> {
    common: &'a Common,
    packed: &'a Packed,
}

impl Glimpse for Shelved<'_> {
    fn head(&self) -> Head {
        Head {
            time: self.packed.time,
            tuple: self.common.tuple(self.packed),
            flags: self.common.flags(self.packed),
            payload_len: self.packed.payload_len,
        }
    }

    fn payload_hash(&self) -> Option<u64> {
        self.common.payload_hash(self.packed)
    }

    fn digest(&self) -> Digest {
        self.common.unpack(self.packed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::archive::any::any_digest;

    proptest! {
        #[test]
        fn what_was_packed_comes_out_as_it_went_in(digests in prop::collection::vec(any_digest(), 0..60)) {
            let mut shelf = Shelf::default();
            for digest in &digests {
                shelf.push(digest);
            }
            let back: Vec<Digest> = shelf.iter().map(|shelved| shelved.digest()).collect();
            prop_assert_eq!(&back, &digests);
            let heads: Vec<Head> = shelf.iter().map(|shelved| shelved.head()).collect();
            prop_assert_eq!(heads, digests.iter().map(Head::of).collect::<Vec<_>>());
            let hashes: Vec<_> = shelf.iter().map(|shelved| shelved.payload_hash()).collect();
            prop_assert_eq!(hashes, digests.iter().map(|digest| digest.payload_hash).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn what_another_packed_comes_out_as_it_went_in(
            digests in prop::collection::vec(any_digest(), 0..60),
            later in prop::collection::vec(any_digest(), 0..60),
        ) {
            let hashing = DefaultHashBuilder::default();
            let [mut common, mut other] = [Common::new(&hashing), Common::new(&hashing)];
            let mut packed: Vec<Packed> = digests.iter().map(|digest| common.pack(digest)).collect();
            let of_other: Vec<Packed> = later.iter().map(|digest| other.pack(digest)).collect();
            let moves = common.absorb(other);
            packed.extend(of_other.iter().map(|packed| packed.moved(&moves)));
            let back: Vec<Digest> = packed.iter().map(|packed| common.unpack(packed)).collect();
            prop_assert_eq!(back, [digests, later].concat());
        }
    }

    #[test]
    fn a_packed_digest_is_small() {
        assert_eq!(size_of::<Packed>(), 48);
    }
}

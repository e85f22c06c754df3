//! The case of one reset: its sightings, and for every other vantage on the way whether its silence
//! counts.

mod copies;
mod silence;

use hashbrown::HashMap;

use uuid::Uuid;

use crate::digest::Digest;
use crate::flow::{Flow, Way};
use crate::loss::{Passed, Total};
use crate::loss_record::LossCause;
use crate::report::Side;
use crate::scene::{Scene, Seen};
use crate::seq::TcpSeq;
use crate::time::CaptureTime;
use silence::{Passing, silence};

/// One reset as the vantages on its way know it.
pub(crate) struct Case<'a> {
    /// The flow under which it is told: of the names under which it was seen the lowest, so that
    /// whichever of them is asked about, one and only one tells it.
    pub(crate) owner: Flow,
    pub(crate) identity: u64,
    pub(crate) id: Uuid,
    /// Who the packet says that it comes from.
    pub(crate) sender: Side,
    pub(crate) life: usize,
    /// Equal packets at the vantage that saw most of them.
    pub(crate) count: u32,
    /// Its claimed sender sent others that equal it, so that this may be one of them which was missed.
    pub(crate) among_equals: bool,
    /// Every vantage of the path, from the claimed sender on.
    pub(crate) views: Vec<View<'a>>,
    /// Index into `views` of the first sighting.
    pub(crate) first: usize,
}

/// What one vantage says of a reset.
pub(crate) struct View<'a> {
    /// Index into the evidence's vantages.
    pub(crate) vantage: usize,
    pub(crate) sight: Sight<'a>,
}

pub(crate) enum Sight<'a> {
    Seen(Seen<'a>),
    /// It did not see it, and would have.
    Absent(Attestation),
    /// It did not see it, which says nothing.
    Blind(Blindness),
}

/// Why an absence counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attestation {
    pub(crate) on_path: OnPath,
    /// Probability that this vantage would have missed the packet.
    pub(crate) miss_rate: f64,
    /// Its memory was asked: every segment of the connection that it recorded around the moment is known.
    pub(crate) remembered: bool,
    /// What it lost or may have lost around then.
    pub(crate) doubt: Option<LossCause>,
}

/// How it is known that the sender's packets pass a vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnPath {
    /// It recorded this connection in this direction.
    SawConnection,
    /// It runs on the host that the packet claims to come from, or goes to.
    Host,
    /// It recorded other connections between the two hosts in this direction.
    SawHosts,
    /// Somebody configured the path.
    Configured,
}

/// Why an absence says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Blindness {
    NoCoverage,
    StartedAfter,
    /// Its coverage ends before the reset, by this many nanoseconds.
    EndedBefore(i64),
    Gap,
    /// Packets dropped while the reset passed.
    Dropping(u64),
    /// It surely lost something then, and how many, where that is known.
    Lost(LossCause, Option<u64>),
    /// It misses packets that must have passed it.
    Lossy(Total),
    /// It shows the other direction of this connection only.
    OneWay,
    /// Nothing says that the sender's packets come past.
    NotOnPath,
    /// It saw something that may be this under another name.
    Ambiguous,
    /// It was seen before and after this vantage, which missed it.
    Missed,
}

impl<'a> Case<'a> {
    pub(crate) fn first_seen(&self) -> &Seen<'a> {
        self.seen_at(self.first)
            .expect("`first` is the index of a sighting by construction")
    }

    pub(crate) fn seen_at(&self, place: usize) -> Option<&Seen<'a>> {
        match &self.views.get(place)?.sight {
            Sight::Seen(seen) => Some(seen),
            _ => None,
        }
    }

    pub(crate) fn last(&self) -> usize {
        (0..self.views.len())
            .rev()
            .find(|&place| self.seen_at(place).is_some())
            .unwrap_or(self.first)
    }

    pub(crate) fn digest(&self) -> &'a Digest {
        self.first_seen().digest
    }
}

/// All resets of a flow, in order of time.
pub(crate) fn all<'a>(scene: &Scene<'a>, passed: &[Passed]) -> Vec<Case<'a>> {
    let mut cases: Vec<Case<'a>> = groups(scene)
        .into_iter()
        .filter_map(|group| build(scene, passed, &group))
        .collect();
    cases.sort_by_key(|case| (case.first_seen().at, case.identity));
    cases
}

/// Sightings that are one reset: equal direction, numbers, flags and window, in one life.
struct Group<'a> {
    /// How many hops more than usual it has come, where equal packets differ in that.
    origin: i16,
    sender: Side,
    life: usize,
    sightings: Vec<(usize, Seen<'a>)>,
    /// Its claimed sender sent equal ones.
    among_equals: bool,
}

fn groups<'a>(scene: &Scene<'a>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut index = HashMap::new();
    for (vantage, segments) in scene.seen.iter().enumerate() {
        for seen in segments.iter().filter(|seen| seen.digest.is_rst()) {
            // A box may rewrite a number, or leave it alone before its stream has begun.
            let told = (identity(seen.digest, None), None, seen.life);
            let name = Some(seen.carried.tuple.flow());
            let carried = (identity(seen.carried, None), name, seen.life);
            let known = index.get(&told).or(index.get(&carried)).copied();
            let place = known.unwrap_or_else(|| {
                groups.push(Group {
                    origin: 0,
                    sender: seen.sender,
                    life: seen.life,
                    sightings: Vec::new(),
                    among_equals: false,
                });
                groups.len() - 1
            });
            index.insert(told, place);
            index.insert(carried, place);
            let sightings = &mut groups[place].sightings;
            let doubled =
                sightings.iter().rev().take(4).any(|(other, known)| {
                    *other == vantage && known.digest.is_doubled_by(seen.digest)
                });
            if !doubled {
                sightings.push((vantage, *seen));
            }
        }
    }
    groups
        .into_iter()
        .flat_map(|group| by_origin(scene, group))
        .flat_map(|group| copies::by_place(scene, group))
        .collect()
}

/// Parts equal packets that show at one vantage that they have come different numbers of hops: they
/// were sent in different places.
fn by_origin<'a>(scene: &Scene<'a>, group: Group<'a>) -> Vec<Group<'a>> {
    let mut usual: HashMap<usize, Option<u8>> = HashMap::new();
    let mut at_vantage: HashMap<usize, i16> = HashMap::new();
    let mut differ = false;
    let mut hops = Vec::with_capacity(group.sightings.len());
    for (vantage, seen) in &group.sightings {
        let ttl = seen.digest.ip.ttl;
        let usual = usual
            .entry(*vantage)
            .or_insert_with(|| scene.usual_ttl(*vantage, group.life, group.sender))
            .unwrap_or(ttl);
        let hop = i16::from(ttl) - i16::from(usual);
        differ |= *at_vantage.entry(*vantage).or_insert(hop) != hop;
        hops.push(hop);
    }
    if !differ {
        return vec![group];
    }
    let mut parts: Vec<(i16, Group<'a>)> = Vec::new();
    for (sighting, hop) in group.sightings.into_iter().zip(hops) {
        match parts.iter_mut().find(|(known, _)| *known == hop) {
            Some((_, part)) => part.sightings.push(sighting),
            None => parts.push((
                hop,
                Group {
                    origin: hop,
                    sender: group.sender,
                    life: group.life,
                    sightings: vec![sighting],
                    among_equals: false,
                },
            )),
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

/// A hash over what makes two RSTs of one flow the same reset.
fn identity(digest: &Digest, life: Option<TcpSeq>) -> u64 {
    let mut bytes = [0_u8; 17];
    bytes[0] = u8::from(digest.tuple.way() == Way::LowToHigh);
    bytes[1..5].copy_from_slice(&digest.seq.0.to_be_bytes());
    bytes[5..9].copy_from_slice(&digest.acked().map_or(0, |ack| ack.0).to_be_bytes());
    bytes[9..11].copy_from_slice(&digest.flags.0.to_be_bytes());
    bytes[11..13].copy_from_slice(&digest.window.to_be_bytes());
    bytes[13..].copy_from_slice(&life.map_or(0, |isn| isn.0).to_be_bytes());
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

fn build<'a>(scene: &Scene<'a>, passed: &[Passed], group: &Group<'a>) -> Option<Case<'a>> {
    let travel = scene.travel(group.sender);
    let at = |vantage: usize| {
        group
            .sightings
            .iter()
            .filter(move |(where_, _)| *where_ == vantage)
            .map(|(_, seen)| *seen)
    };
    let first = travel
        .iter()
        .position(|&vantage| at(vantage).next().is_some())?;
    let first_seen = at(travel[first]).next()?;
    let count = travel
        .iter()
        .map(|&vantage| at(vantage).count() as u32)
        .max()?;
    let views = travel
        .iter()
        .map(|&vantage| View {
            vantage,
            sight: at(vantage).next().map_or_else(
                || {
                    let upstream = travel[..first].contains(&vantage);
                    let passing = Passing {
                        seen: &first_seen,
                        at: travel[first],
                        upstream,
                    };
                    silence(scene, &passed[vantage], vantage, group, &passing)
                },
                Sight::Seen,
            ),
        })
        .collect();
    let views = without_misses(views, first);
    let (owner, identity) = told_as(scene, group)?;
    let known = scene
        .evidence
        .known_ids
        .iter()
        .find(|known| known.flow == owner.hash() && known.identity == identity);
    let id = known.map_or_else(
        || new_id(owner, identity, first_seen.carried.time),
        |known| known.id,
    );
    Some(Case {
        owner,
        identity,
        id,
        sender: group.sender,
        life: group.life,
        count,
        among_equals: group.among_equals,
        views,
        first,
    })
}

/// The flow under which a reset is told, and its identity there.
fn told_as(scene: &Scene<'_>, group: &Group<'_>) -> Option<(Flow, u64)> {
    let flow = |(_, seen): &(usize, Seen<'_>)| seen.carried.tuple.flow();
    let (vantage, seen) = group
        .sightings
        .iter()
        .min_by_key(|sighting| flow(sighting))?;
    let isn = scene.initial_number(group.life).map(|isn| {
        let way = scene.evidence.flow.tuple(Way::LowToHigh).src;
        let client = if scene.ends.endpoint(Side::Client) == way {
            Way::LowToHigh
        } else {
            Way::HighToLow
        };
        let shift = scene
            .name_of(*vantage, seen)
            .map_or(0, |name| name.shift[client as usize]);
        isn.plus(shift)
    });
    let mut identity = identity(seen.carried, isn);
    identity ^= u64::from(group.origin.cast_unsigned()) << 32;
    Some((seen.carried.tuple.flow(), identity))
}

/// A silence between two sightings is a miss of that vantage.
fn without_misses(mut views: Vec<View<'_>>, first: usize) -> Vec<View<'_>> {
    let seen = |view: &View<'_>| matches!(view.sight, Sight::Seen(_));
    let last = views.iter().rposition(seen).unwrap_or(first);
    for view in &mut views[first..last] {
        let elsewhere = matches!(
            view.sight,
            Sight::Blind(Blindness::OneWay | Blindness::NotOnPath)
        );
        if !seen(view) && !elsewhere {
            view.sight = Sight::Blind(Blindness::Missed);
        }
    }
    views
}

/// A UUID v7 of the reset's time, whose random part is a hash: the same input gives the same id.
fn new_id(owner: Flow, identity: u64, time: CaptureTime) -> Uuid {
    let millis = (time.nanos().max(0) / crate::time::MILLISECOND).cast_unsigned();
    let mut seed = [0_u8; 24];
    seed[..8].copy_from_slice(&owner.hash().to_be_bytes());
    seed[8..16].copy_from_slice(&identity.to_be_bytes());
    seed[16..].copy_from_slice(&millis.to_be_bytes());
    let random = xxhash_rust::xxh3::xxh3_128(&seed).to_be_bytes();
    let mut ten = [0_u8; 10];
    ten.copy_from_slice(&random[..10]);
    uuid::Builder::from_unix_timestamp_millis(millis, &ten).into_uuid()
}

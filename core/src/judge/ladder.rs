//! The packets around a reset, a column per vantage.

use super::chain::Placed;
use crate::case::{Case, Sight};
use crate::digest::{Digest, TcpFlags};
use crate::report::{Ladder, LadderColumn, LadderGap, LadderRow, Mark, Side};
use crate::scene::{Scene, Seen};
use crate::seq::TcpSeq;

/// Packets drawn before and after the reset at most.
const BEFORE: usize = 14;
const AFTER: usize = 8;

pub(crate) fn draw(scene: &Scene<'_>, all: &[Placed<'_>], index: usize) -> Ladder {
    let placed = &all[index];
    let mut packets = packets(scene, &placed.case);
    packets.sort_by_key(|packet| packet.at);
    let this = packets
        .iter()
        .position(|packet| packet.holds(placed.case.digest()))
        .unwrap_or(0);
    let from = this.saturating_sub(BEFORE);
    let until = packets.len().min(this + 1 + AFTER);
    let numbers = Numbers::of(scene, placed.case.life);
    let rows = packets[from..until]
        .iter()
        .map(|packet| row(scene, all, placed, &numbers, packet))
        .collect();
    Ladder {
        columns: columns(scene),
        rows,
        gap: gap(placed, scene.path.order.len()),
    }
}

fn columns(scene: &Scene<'_>) -> Vec<LadderColumn> {
    scene
        .path
        .order
        .iter()
        .map(|&vantage| LadderColumn {
            vantage: scene.name(vantage).to_owned(),
            kind: scene.evidence.vantages[vantage].vantage.kind_name(),
            host_of: scene.host_side(vantage),
        })
        .collect()
}

/// The columns between which the reset was born, left is the client's side.
fn gap(placed: &Placed<'_>, columns: usize) -> Option<LadderGap> {
    let (left, right) = placed.segment()?;
    let column = |place: i64| {
        usize::try_from(place)
            .ok()
            .filter(|&column| column < columns)
    };
    Some(LadderGap {
        left: column(left),
        right: column(right),
    })
}

/// One packet with its sighting at each vantage of the path.
struct Packet<'a> {
    at: i64,
    sender: Side,
    digest: &'a Digest,
    sightings: Vec<Option<Seen<'a>>>,
}

impl Packet<'_> {
    fn holds(&self, digest: &Digest) -> bool {
        self.sightings
            .iter()
            .flatten()
            .any(|seen| std::ptr::eq(seen.digest, digest))
    }
}

/// How far apart the sightings of one packet can lie on the corrected clock.
const SAME_PACKET: i64 = 500 * crate::time::MILLISECOND;

/// The segments of a vantage nearest to the reset.
fn around<'s, 'a>(
    scene: &'s Scene<'a>,
    vantage: usize,
    case: &Case<'_>,
) -> impl Iterator<Item = &'s Seen<'a>> {
    let at = case.first_seen().at;
    let before = scene
        .life(vantage, case.life)
        .filter(|seen| seen.at < at)
        .count();
    scene
        .life(vantage, case.life)
        .skip(before.saturating_sub(4 * BEFORE))
        .take(4 * (BEFORE + AFTER))
}

/// The packets around a reset, each with its sightings. Copies of a packet are matched in order.
fn packets<'a>(scene: &Scene<'a>, case: &Case<'_>) -> Vec<Packet<'a>> {
    let mut packets: Vec<Packet<'a>> = Vec::new();
    let columns = scene.path.order.len();
    for sender in [Side::Client, Side::Server] {
        for vantage in scene.travel(sender) {
            let column = scene
                .path
                .order
                .iter()
                .position(|&other| other == vantage)
                .unwrap_or(0);
            for seen in around(scene, vantage, case).filter(|seen| seen.sender == sender) {
                let known = packets.iter_mut().find(|packet| {
                    packet.sightings[column].is_none()
                        && packet.sender == sender
                        && (packet.at - seen.at).abs() <= SAME_PACKET
                        && same(packet.digest, seen.digest)
                });
                if let Some(packet) = known {
                    packet.sightings[column] = Some(*seen);
                } else {
                    let mut sightings = vec![None; columns];
                    sightings[column] = Some(*seen);
                    packets.push(Packet {
                        at: seen.at,
                        sender,
                        digest: seen.digest,
                        sightings,
                    });
                }
            }
        }
    }
    packets
}

fn same(one: &Digest, other: &Digest) -> bool {
    one.seq == other.seq
        && one.ack == other.ack
        && one.flags == other.flags
        && one.payload_len == other.payload_len
        && one.window == other.window
}

fn row(
    scene: &Scene<'_>,
    all: &[Placed<'_>],
    this: &Placed<'_>,
    numbers: &Numbers,
    packet: &Packet<'_>,
) -> LadderRow {
    let case = all
        .iter()
        .find(|placed| packet.holds(placed.case.digest()))
        .map(|placed| &placed.case);
    let marks = packet
        .sightings
        .iter()
        .enumerate()
        .map(|(column, seen)| match seen {
            Some(_) => Mark::Seen,
            None => unseen(scene, case, scene.path.order[column], packet),
        })
        .collect();
    LadderRow {
        at_ns: packet.at - this.at(),
        from: packet.sender,
        label: numbers.label(packet),
        is_reset: packet.digest.is_rst(),
        is_this: packet.holds(this.case.digest()),
        marks,
        times: packet
            .sightings
            .iter()
            .map(|seen| seen.map(|seen| seen.at - this.at()))
            .collect(),
    }
}

/// What it means that a vantage did not see a packet.
fn unseen(scene: &Scene<'_>, case: Option<&Case<'_>>, vantage: usize, packet: &Packet<'_>) -> Mark {
    if let Some(case) = case {
        let attested = case
            .views
            .iter()
            .any(|view| view.vantage == vantage && matches!(view.sight, Sight::Absent(_)));
        return if attested { Mark::Absent } else { Mark::Blind };
    }
    let at = &scene.evidence.vantages[vantage];
    let (own, error) = scene.path.own_time(vantage, vantage, packet.at);
    let ships = at.ships(packet.digest, own, error);
    let watching = at
        .coverage
        .iter()
        .any(|span| span.dropped == 0 && span.covers(own));
    if ships && watching {
        Mark::Absent
    } else {
        Mark::Blind
    }
}

/// Initial sequence numbers, for labels that start at 0.
struct Numbers {
    client: Option<TcpSeq>,
    server: Option<TcpSeq>,
}

impl Numbers {
    fn of(scene: &Scene<'_>, life: usize) -> Self {
        let isn = |sender: Side| {
            scene
                .path
                .order
                .iter()
                .flat_map(|&vantage| scene.life(vantage, life))
                .find(|seen| seen.sender == sender && seen.digest.flags.has(TcpFlags::SYN))
                .map(|seen| seen.digest.seq)
        };
        Self {
            client: isn(Side::Client),
            server: isn(Side::Server),
        }
    }

    fn relative(&self, side: Side, number: TcpSeq) -> u32 {
        let isn = match side {
            Side::Client => self.client,
            Side::Server => self.server,
        };
        number.0.wrapping_sub(isn.map_or(0, |isn| isn.0))
    }

    /// Flags, numbers relative to the initial ones, length.
    fn label(&self, packet: &Packet<'_>) -> String {
        let digest = packet.digest;
        let zero = digest.is_rst() && digest.seq.0 == 0;
        let seq = if zero {
            0
        } else {
            self.relative(packet.sender, digest.seq)
        };
        let ack = digest.acked().map_or_else(String::new, |ack| {
            format!(" ack {}", self.relative(packet.sender.other(), ack))
        });
        let len = match digest.payload_len {
            0 => String::new(),
            len => format!(" len {len}"),
        };
        format!("{} seq {seq}{ack}{len}", digest.flags)
    }
}

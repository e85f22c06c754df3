//! Digests to columns.

use hashbrown::HashMap;
use parallax_core::digest::{Digest, Direction, LinkFields, TcpOptions};
use parallax_core::reason::ResetReason;
use parallax_core::tunnel::Tunnel;
use parallax_core::{Flow, Way};

use super::expected::{Expected, Values};
use super::flows::octets;
use crate::v1::{self, DigestBatch, Shape};

/// The nine flag bits that a TCP header has.
const FLAG_BITS: u16 = 0x1ff;

/// The batch without its flows, and these.
pub(super) fn encode(first_number: u64, digests: &[Digest]) -> (DigestBatch, Vec<Flow>) {
    let mut batch = with_room(digests.len());
    batch.first_number = first_number;
    let mut flows = Vec::new();
    let mut known = HashMap::with_capacity(digests.len());
    let mut shapes = HashMap::new();
    let mut expected = Expected::default();
    let mut before = 0_i64;
    for digest in digests {
        let met = flows.len() as u32;
        let flow = flow_index(&mut flows, &mut known, digest);
        batch.flow.push((met - flow / 2) * 2 + flow % 2);
        batch
            .shape
            .push(shape_index(&mut batch.shapes, &mut shapes, digest));
        let time = digest.time.nanos();
        batch.time_delta.push(time.wrapping_sub(before));
        before = time;
        push_fields(&mut batch, digest, expected.values(flow));
        expected.note(flow, digest);
    }
    (batch, flows)
}

fn with_room(count: usize) -> DigestBatch {
    DigestBatch {
        flow: Vec::with_capacity(count),
        time_delta: Vec::with_capacity(count),
        seq: Vec::with_capacity(count),
        ack: Vec::with_capacity(count),
        flags: Vec::with_capacity(count),
        window: Vec::with_capacity(count),
        payload_len: Vec::with_capacity(count),
        payload_hash: Vec::with_capacity(count),
        ttl: Vec::with_capacity(count),
        ip_id: Vec::with_capacity(count),
        traffic_class: Vec::with_capacity(count),
        marks: Vec::with_capacity(count),
        interface: Vec::with_capacity(count),
        shape: Vec::with_capacity(count),
        timestamps: Vec::with_capacity(2 * count),
        ..DigestBatch::default()
    }
}

fn push_fields(batch: &mut DigestBatch, digest: &Digest, expected: Values) {
    batch.seq.push(digest.seq.0.wrapping_sub(expected.seq));
    batch.ack.push(digest.ack.0.wrapping_sub(expected.ack));
    batch.flags.push(u32::from(digest.flags.0 & FLAG_BITS));
    batch.window.push(u32::from(digest.window));
    batch.payload_len.push(digest.payload_len);
    batch.payload_hash.push(digest.payload_hash.unwrap_or(0));
    batch.ttl.push(digest.ip.ttl);
    batch
        .ip_id
        .push(digest.ip.id.map_or(0, |id| u32::from(id) + 1));
    batch.traffic_class.push(digest.ip.traffic_class);
    batch.marks.push(marks(digest));
    batch.interface.push(digest.link.interface);
    if let Some(stamps) = digest.options.timestamps {
        batch.timestamps.extend([
            stamps.value.wrapping_sub(expected.stamp),
            stamps.echo.wrapping_sub(expected.echo),
        ]);
    }
    if let Some(block) = digest.options.sack {
        batch.sack.extend([block.left.0, block.right.0]);
    }
    if let Some(number) = digest.rst_reason.and_then(ResetReason::number) {
        batch.rst_reason.push(number);
    }
}

fn marks(digest: &Digest) -> u8 {
    let (ip, options) = (&digest.ip, &digest.options);
    let direction = match digest.link.direction {
        Direction::Unknown => 0,
        Direction::In => 1,
        Direction::Out => 2,
    };
    u8::from(ip.dont_fragment)
        | u8::from(ip.fragment) << 1
        | u8::from(options.cut) << 2
        | u8::from(options.sack_permitted) << 3
        | direction << 4
        | u8::from(options.sack.is_some()) << 6
        | u8::from(digest.rst_reason.and_then(ResetReason::number).is_some()) << 7
}

/// The digest's place in the table of flows, times two, plus its direction; a new flow is added.
fn flow_index(table: &mut Vec<Flow>, known: &mut HashMap<Flow, u32>, digest: &Digest) -> u32 {
    let flow = digest.tuple.flow();
    let index = *known.entry(flow).or_insert_with(|| {
        table.push(flow);
        table.len() as u32 - 1
    });
    index * 2 + u32::from(digest.tuple.way() == Way::HighToLow)
}

/// What makes two digests share a shape.
#[derive(PartialEq, Eq, Hash)]
struct ShapeKey {
    order: u64,
    source: Option<[u8; 6]>,
    vlans: [Option<u16>; 2],
    mss: Option<u16>,
    window_scale: Option<u8>,
    timestamps: bool,
    tunnel: Option<Tunnel>,
}

impl ShapeKey {
    fn new(options: &TcpOptions, link: &LinkFields) -> Self {
        Self {
            order: options.order,
            source: link.source,
            vlans: link.vlans,
            mss: options.mss,
            window_scale: options.window_scale,
            timestamps: options.timestamps.is_some(),
            tunnel: link.tunnel,
        }
    }

    fn shape(&self) -> Shape {
        let [outer, inner] = self.vlans;
        Shape {
            option_order: self.order,
            link_source: self.source.map(|mac| mac.to_vec()),
            vlans: outer
                .into_iter()
                .chain(inner.filter(|_| outer.is_some()))
                .map(u32::from)
                .collect(),
            mss: self.mss.map(u32::from),
            window_scale: self.window_scale.map(u32::from),
            timestamps: self.timestamps,
            tunnel: self.tunnel.as_ref().map(tunnel),
        }
    }
}

fn tunnel(tunnel: &Tunnel) -> v1::Tunnel {
    let (src, dst) = tunnel.ends.map_or_else(Default::default, |ends| {
        (octets(ends.src), octets(ends.dst))
    });
    v1::Tunnel {
        kind: i32::from(tunnel.kind.number()),
        depth: u32::from(tunnel.depth),
        src,
        dst,
        id: tunnel.id,
    }
}

fn shape_index(table: &mut Vec<Shape>, known: &mut HashMap<ShapeKey, u32>, digest: &Digest) -> u32 {
    *known
        .entry(ShapeKey::new(&digest.options, &digest.link))
        .or_insert_with_key(|key| {
            table.push(key.shape());
            table.len() as u32 - 1
        })
}

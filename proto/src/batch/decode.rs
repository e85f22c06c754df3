//! Columns to digests.

use std::slice::ChunksExact;

use parallax_core::digest::{
    Direction, IpFields, LinkFields, SackBlock, TcpFlags, TcpOptions, Timestamps,
};
use parallax_core::reason::ResetReason;
use parallax_core::tunnel::Tunnel;
use parallax_core::{CaptureTime, Digest, Flow, FourTuple, TcpSeq, Way};

use super::expected::{Expected, Values};
use super::{BATCH_MAX, BatchError, Column, NUMBER_MAX, flows};
use crate::v1::{DigestBatch, Shape};

mod tunnel;

pub(super) fn decode(batch: &DigestBatch) -> Result<Vec<(u64, Digest)>, BatchError> {
    let count = batch.flow.len();
    check_count(batch.first_number, count)?;
    check_columns(batch, count)?;
    let flows = flows::read(batch)?;
    let shapes = shapes(&batch.shapes)?;
    let mut pairs = Pairs {
        stamps: batch.timestamps.chunks_exact(2),
        sack: batch.sack.chunks_exact(2),
        reasons: batch.rst_reason.iter(),
    };
    let mut expected = Expected::default();
    let mut met = 0;
    let mut time = 0_i64;
    let mut digests = Vec::with_capacity(count);
    for entry in 0..count {
        time = time.wrapping_add(batch.time_delta[entry]);
        let flow = flow_at(batch, entry, &mut met, flows.len())?;
        let tuple = tuple_of(flow, &flows);
        let shape = shape_at(batch, entry, &shapes)?;
        let values = expected.values(flow);
        let digest = digest_at(batch, entry, (time, tuple, values), shape, &mut pairs)?;
        expected.note(flow, &digest);
        digests.push((batch.first_number + entry as u64, digest));
    }
    check_timestamps(batch, &shapes)?;
    check_sack(batch)?;
    check_reasons(batch)?;
    Ok(digests)
}

fn check_count(first: u64, count: usize) -> Result<(), BatchError> {
    if count > BATCH_MAX {
        return Err(BatchError::TooMany { found: count });
    }
    match first.checked_add(count as u64) {
        Some(end) if end <= NUMBER_MAX => Ok(()),
        _ => Err(BatchError::NumberOverflow { first, count }),
    }
}

/// Every column as long as `flow`, no table longer.
fn check_columns(batch: &DigestBatch, count: usize) -> Result<(), BatchError> {
    let columns = [
        (Column::TimeDelta, batch.time_delta.len()),
        (Column::Seq, batch.seq.len()),
        (Column::Ack, batch.ack.len()),
        (Column::Flags, batch.flags.len()),
        (Column::Window, batch.window.len()),
        (Column::PayloadLen, batch.payload_len.len()),
        (Column::PayloadHash, batch.payload_hash.len()),
        (Column::Ttl, batch.ttl.len()),
        (Column::IpId, batch.ip_id.len()),
        (Column::TrafficClass, batch.traffic_class.len()),
        (Column::Marks, batch.marks.len()),
        (Column::Interface, batch.interface.len()),
        (Column::Shape, batch.shape.len()),
    ];
    for (column, found) in columns {
        if found != count {
            return Err(BatchError::ColumnLength {
                column,
                found,
                expected: count,
            });
        }
    }
    for (column, found) in [
        (Column::Flows, flows::count(batch)),
        (Column::Shapes, batch.shapes.len()),
    ] {
        if found > count {
            return Err(BatchError::TableTooLong {
                column,
                found,
                digests: count,
            });
        }
    }
    Ok(())
}

/// A shape's fields as the digest keeps them; SACK, cut and the stamps come per digest.
#[derive(Clone, Copy)]
struct Shaped {
    options: TcpOptions,
    has_timestamps: bool,
    source: Option<[u8; 6]>,
    vlans: [Option<u16>; 2],
    tunnel: Option<Tunnel>,
}

fn shapes(table: &[Shape]) -> Result<Vec<Shaped>, BatchError> {
    table
        .iter()
        .enumerate()
        .map(|(index, row)| shaped(index, row))
        .collect()
}

fn shaped(index: usize, row: &Shape) -> Result<Shaped, BatchError> {
    let value = |field, found: u32, max: u32| {
        if found > max {
            Err(BatchError::ShapeValue {
                index,
                field,
                found,
                max,
            })
        } else {
            Ok(found as u16)
        }
    };
    let mut vlans = [None; 2];
    if row.vlans.len() > vlans.len() {
        let found = row.vlans.len();
        return Err(BatchError::TooManyVlans { index, found });
    }
    for (vlan, found) in vlans.iter_mut().zip(&row.vlans) {
        *vlan = Some(value("vlans", *found, u32::from(u16::MAX))?);
    }
    let mss = row.mss.map(|mss| value("mss", mss, u32::from(u16::MAX)));
    let scale = row
        .window_scale
        .map(|scale| value("window_scale", scale, u32::from(u8::MAX)));
    Ok(Shaped {
        options: TcpOptions {
            mss: mss.transpose()?,
            window_scale: scale.transpose()?.map(|scale| scale as u8),
            order: row.option_order,
            ..TcpOptions::default()
        },
        has_timestamps: row.timestamps,
        source: link_source(index, row.link_source.as_deref())?,
        vlans,
        tunnel: (row.tunnel.as_ref().map(|row| tunnel::read(index, row))).transpose()?,
    })
}

fn link_source(index: usize, octets: Option<&[u8]>) -> Result<Option<[u8; 6]>, BatchError> {
    octets
        .map(|octets| {
            <[u8; 6]>::try_from(octets).map_err(|_| BatchError::LinkSourceLength {
                index,
                found: octets.len(),
            })
        })
        .transpose()
}

/// Place of an entry's flow in the table, times two, plus its direction. `met`: flows that occurred before.
fn flow_at(
    batch: &DigestBatch,
    entry: usize,
    met: &mut u32,
    len: usize,
) -> Result<u32, BatchError> {
    let found = batch.flow[entry];
    let index = met
        .checked_sub(found / 2)
        .filter(|index| (*index as usize) < len)
        .ok_or(BatchError::IndexOutOfRange {
            column: Column::Flow,
            entry,
            found,
            len: len * 2,
        })?;
    *met = (*met).max(index + 1);
    Ok(index * 2 + found % 2)
}

fn tuple_of(flow: u32, flows: &[Flow]) -> FourTuple {
    let way = if flow.is_multiple_of(2) {
        Way::LowToHigh
    } else {
        Way::HighToLow
    };
    flows[flow as usize / 2].tuple(way)
}

fn shape_at<'a>(
    batch: &DigestBatch,
    entry: usize,
    shapes: &'a [Shaped],
) -> Result<&'a Shaped, BatchError> {
    let found = batch.shape[entry];
    shapes
        .get(found as usize)
        .ok_or(BatchError::IndexOutOfRange {
            column: Column::Shape,
            entry,
            found,
            len: shapes.len(),
        })
}

/// Columns that have entries for some of the digests only, and where they are.
struct Pairs<'a> {
    stamps: ChunksExact<'a, u32>,
    sack: ChunksExact<'a, u32>,
    reasons: std::slice::Iter<'a, u64>,
}

fn digest_at(
    batch: &DigestBatch,
    entry: usize,
    (time, tuple, expected): (i64, FourTuple, Values),
    shape: &Shaped,
    pairs: &mut Pairs<'_>,
) -> Result<Digest, BatchError> {
    let at_most = |column, found: u32, max: u32| {
        if found > max {
            Err(BatchError::ValueTooLarge {
                column,
                entry,
                found,
                max,
            })
        } else {
            Ok(found)
        }
    };
    let marks = batch.marks[entry];
    let hash = batch.payload_hash[entry];
    let id = at_most(Column::IpId, batch.ip_id[entry], 1 << 16)?;
    let timestamps = if shape.has_timestamps {
        pairs.stamps.next().map(|pair| Timestamps {
            value: pair[0].wrapping_add(expected.stamp),
            echo: pair[1].wrapping_add(expected.echo),
        })
    } else {
        None
    };
    Ok(Digest {
        time: CaptureTime::from_nanos(time),
        tuple,
        seq: TcpSeq(batch.seq[entry].wrapping_add(expected.seq)),
        ack: TcpSeq(batch.ack[entry].wrapping_add(expected.ack)),
        flags: TcpFlags(at_most(Column::Flags, batch.flags[entry], 0x1ff)? as u16),
        window: at_most(Column::Window, batch.window[entry], u32::from(u16::MAX))? as u16,
        payload_len: batch.payload_len[entry],
        payload_hash: (hash != 0).then_some(hash),
        options: TcpOptions {
            sack_permitted: marks & 8 != 0,
            cut: marks & 4 != 0,
            timestamps,
            sack: sack(marks, pairs),
            ..shape.options
        },
        rst_reason: rst_reason(entry, marks, pairs)?,
        ip: IpFields {
            ttl: batch.ttl[entry],
            id: id.checked_sub(1).map(|id| id as u16),
            dont_fragment: marks & 1 != 0,
            traffic_class: batch.traffic_class[entry],
            fragment: marks & 2 != 0,
        },
        link: LinkFields {
            direction: direction(entry, marks)?,
            source: shape.source,
            vlans: shape.vlans,
            interface: batch.interface[entry],
            tunnel: shape.tunnel,
        },
    })
}

/// Bit 6 of the marks.
const HAS_SACK: u8 = 0x40;

fn sack(marks: u8, pairs: &mut Pairs<'_>) -> Option<SackBlock> {
    if marks & HAS_SACK == 0 {
        return None;
    }
    pairs.sack.next().map(|pair| SackBlock {
        left: TcpSeq(pair[0]),
        right: TcpSeq(pair[1]),
    })
}

/// Bit 7 of the marks.
const HAS_REASON: u8 = 0x80;

fn rst_reason(
    entry: usize,
    marks: u8,
    pairs: &mut Pairs<'_>,
) -> Result<Option<ResetReason>, BatchError> {
    if marks & HAS_REASON == 0 {
        return Ok(None);
    }
    let found = pairs.reasons.next().copied();
    found
        .map(|found| {
            ResetReason::from_number(found).ok_or(BatchError::UnknownReason { entry, found })
        })
        .transpose()
}

fn direction(entry: usize, marks: u8) -> Result<Direction, BatchError> {
    match (marks & !HAS_SACK & !HAS_REASON) >> 4 {
        0 => Ok(Direction::Unknown),
        1 => Ok(Direction::In),
        2 => Ok(Direction::Out),
        _ => Err(BatchError::UnknownMarks {
            entry,
            found: marks,
        }),
    }
}

/// Two stamps for each digest whose shape has them, and none left over.
fn check_timestamps(batch: &DigestBatch, shapes: &[Shaped]) -> Result<(), BatchError> {
    let stamped = batch
        .shape
        .iter()
        .filter_map(|index| shapes.get(*index as usize))
        .filter(|shape| shape.has_timestamps)
        .count();
    let found = batch.timestamps.len();
    if found == 2 * stamped {
        return Ok(());
    }
    Err(BatchError::ColumnLength {
        column: Column::Timestamps,
        found,
        expected: 2 * stamped,
    })
}

/// Two edges for each digest whose marks say that there is a block, and none left over.
fn check_sack(batch: &DigestBatch) -> Result<(), BatchError> {
    let marked = batch.marks.iter().filter(|marks| *marks & HAS_SACK != 0);
    let (found, expected) = (batch.sack.len(), 2 * marked.count());
    if found == expected {
        return Ok(());
    }
    Err(BatchError::ColumnLength {
        column: Column::Sack,
        found,
        expected,
    })
}

/// A reason for each digest whose marks say that there is one, and none left over.
fn check_reasons(batch: &DigestBatch) -> Result<(), BatchError> {
    let marked = batch.marks.iter().filter(|marks| *marks & HAS_REASON != 0);
    let (found, expected) = (batch.rst_reason.len(), marked.count());
    if found == expected {
        return Ok(());
    }
    Err(BatchError::ColumnLength {
        column: Column::RstReason,
        found,
        expected,
    })
}

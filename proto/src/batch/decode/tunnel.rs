//! The tunnel of a shape.

use parallax_core::tunnel::{Tunnel, TunnelEnds, TunnelKind};

use crate::batch::BatchError;
use crate::batch::flows::address;
use crate::v1;

pub(super) fn read(index: usize, row: &v1::Tunnel) -> Result<Tunnel, BatchError> {
    let kind = u8::try_from(row.kind)
        .ok()
        .and_then(TunnelKind::from_number);
    let depth = u8::try_from(row.depth).ok().filter(|depth| *depth > 0);
    Ok(Tunnel {
        kind: kind.ok_or(BatchError::TunnelKind {
            index,
            found: row.kind,
        })?,
        depth: depth.ok_or(BatchError::TunnelDepth {
            index,
            found: row.depth,
        })?,
        ends: ends(index, row)?,
        id: row.id,
    })
}

fn ends(index: usize, row: &v1::Tunnel) -> Result<Option<TunnelEnds>, BatchError> {
    if row.src.is_empty() && row.dst.is_empty() {
        return Ok(None);
    }
    match (address(&row.src), address(&row.dst)) {
        (Some(src), Some(dst)) if src.is_ipv4() == dst.is_ipv4() => {
            Ok(Some(TunnelEnds { src, dst }))
        }
        _ => Err(BatchError::TunnelEnds {
            index,
            src: row.src.len(),
            dst: row.dst.len(),
        }),
    }
}

//! The flows of a batch: a row of `flows` each, or transposed in `flow_columns`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parallax_core::{Endpoint, Flow};

use super::{BatchError, Column};
use crate::v1::{DigestBatch, FlowColumns, FlowTuple};

/// What `family` says.
const V4: u8 = 4;
const V6: u8 = 6;

pub(super) fn row(flow: Flow) -> FlowTuple {
    FlowTuple {
        low_addr: octets(flow.low().addr),
        low_port: u32::from(flow.low().port),
        high_addr: octets(flow.high().addr),
        high_port: u32::from(flow.high().port),
    }
}

pub(super) fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(super) fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|v4| IpAddr::V4(Ipv4Addr::from(v4)));
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|v6| IpAddr::V6(Ipv6Addr::from(v6))))
        .ok()
}

pub(super) fn columns(flows: &[Flow]) -> FlowColumns {
    let v4 = |flow: &&Flow| flow.low().addr.is_ipv4() && flow.high().addr.is_ipv4();
    let narrow = flows.iter().filter(v4).count();
    let mut columns = FlowColumns {
        family: Vec::with_capacity(flows.len()),
        v4: vec![0; 8 * narrow],
        v6: vec![0; 32 * (flows.len() - narrow)],
        ports: vec![0; 4 * flows.len()],
    };
    let (mut v4_at, mut v6_at) = (0, 0);
    for (index, flow) in flows.iter().enumerate() {
        let (low, high) = (flow.low(), flow.high());
        match (low.addr, high.addr) {
            (IpAddr::V4(low), IpAddr::V4(high)) => {
                columns.family.push(V4);
                put(&mut columns.v4, v4_at, [low.octets(), high.octets()]);
                v4_at += 1;
            }
            (low, high) => {
                columns.family.push(V6);
                put(&mut columns.v6, v6_at, [low, high].map(v6_octets));
                v6_at += 1;
            }
        }
        let ports = [low.port.to_be_bytes(), high.port.to_be_bytes()];
        put(&mut columns.ports, index, ports);
    }
    columns
}

/// No packet has one address of each family.
fn v6_octets(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().octets(),
        IpAddr::V6(addr) => addr.octets(),
    }
}

/// Writes what both ends have of the entry `at`, transposed.
fn put<const N: usize>(column: &mut [u8], at: usize, ends: [[u8; N]; 2]) {
    let count = column.len() / (2 * N);
    for (row, octet) in ends.as_flattened().iter().enumerate() {
        column[row * count + at] = *octet;
    }
}

/// What both ends have of the entry `at` of a transposed column.
fn take<const N: usize>(column: &[u8], at: usize) -> [[u8; N]; 2] {
    let count = column.len() / (2 * N);
    let octet = |end: usize, row: usize| column[(end * N + row) * count + at];
    [0, 1].map(|end| std::array::from_fn(|row| octet(end, row)))
}

/// Flows of the batch.
pub(super) fn count(batch: &DigestBatch) -> usize {
    let columns = batch.flow_columns.as_ref();
    batch.flows.len() + columns.map_or(0, |columns| columns.family.len())
}

/// The flows of the batch, in the order in which `flow` counts them.
pub(super) fn read(batch: &DigestBatch) -> Result<Vec<Flow>, BatchError> {
    let mut flows = Vec::with_capacity(count(batch));
    for (index, row) in batch.flows.iter().enumerate() {
        flows.push(flow(index, row)?);
    }
    if let Some(columns) = &batch.flow_columns {
        read_columns(columns, &mut flows)?;
    }
    Ok(flows)
}

fn read_columns(columns: &FlowColumns, flows: &mut Vec<Flow>) -> Result<(), BatchError> {
    let before = flows.len();
    check(columns, before)?;
    let (mut v4_at, mut v6_at) = (0, 0);
    for (index, family) in columns.family.iter().enumerate() {
        let addresses = if *family == V4 {
            v4_at += 1;
            take::<4>(&columns.v4, v4_at - 1).map(IpAddr::from)
        } else {
            v6_at += 1;
            take::<16>(&columns.v6, v6_at - 1).map(IpAddr::from)
        };
        let ports = take(&columns.ports, index).map(u16::from_be_bytes);
        let [low, high] = [0, 1].map(|end| Endpoint::new(addresses[end], ports[end]));
        flows.push(between(before + index, low, high)?);
    }
    Ok(())
}

/// Known families, and columns as long as these say.
fn check(columns: &FlowColumns, before: usize) -> Result<(), BatchError> {
    let (mut v4, mut v6) = (0, 0);
    for (index, family) in columns.family.iter().enumerate() {
        match *family {
            V4 => v4 += 1,
            V6 => v6 += 1,
            found => {
                let index = before + index;
                return Err(BatchError::Family { index, found });
            }
        }
    }
    for (column, found, expected) in [
        (Column::V4, columns.v4.len(), 8 * v4),
        (Column::V6, columns.v6.len(), 32 * v6),
        (Column::Ports, columns.ports.len(), 4 * (v4 + v6)),
    ] {
        if found != expected {
            return Err(BatchError::ColumnLength {
                column,
                found,
                expected,
            });
        }
    }
    Ok(())
}

pub(super) fn flow(index: usize, row: &FlowTuple) -> Result<Flow, BatchError> {
    let low = endpoint(index, &row.low_addr, row.low_port)?;
    let high = endpoint(index, &row.high_addr, row.high_port)?;
    if low.addr.is_ipv4() != high.addr.is_ipv4() {
        return Err(BatchError::MixedFamilies { index });
    }
    between(index, low, high)
}

fn between(index: usize, low: Endpoint, high: Endpoint) -> Result<Flow, BatchError> {
    if low > high {
        return Err(BatchError::FlowOrder { index });
    }
    Ok(Flow::between(low, high))
}

fn endpoint(index: usize, octets: &[u8], port: u32) -> Result<Endpoint, BatchError> {
    let addr = address(octets).ok_or(BatchError::AddressLength {
        index,
        found: octets.len(),
    })?;
    let port = u16::try_from(port).map_err(|_| BatchError::Port { index, found: port })?;
    Ok(Endpoint::new(addr, port))
}

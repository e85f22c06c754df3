//! Who captures, where, and with which settings: the stream's `Hello`.

use std::net::IpAddr;

use parallax_core::{Selection, Vantage, VantageKind};
use parallax_proto::v1::{CaptureSource, Hello, SegmentSelection};
use uuid::Uuid;

/// One run of a vantage.
#[derive(Debug, Clone)]
pub struct Identity {
    pub vantage: Vantage,
    pub source: CaptureSource,
    pub selection: Selection,
    /// Interface names or the file's name, for people.
    pub interfaces: Vec<String>,
    /// The capture filter in effect.
    pub filter: String,
    /// Octets kept of each packet; 0 when not known.
    pub snaplen: u32,
}

impl Identity {
    /// The `Hello` of a new run.
    pub fn hello(self) -> Hello {
        let addresses = match self.vantage.kind {
            VantageKind::Host { addresses } => addresses,
            VantageKind::Hop => Vec::new(),
        };
        Hello {
            vantage: self.vantage.name,
            host_addresses: addresses.into_iter().map(octets).collect(),
            run_id: Uuid::now_v7().into_bytes().to_vec(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            source: self.source.into(),
            interfaces: self.interfaces,
            filter: self.filter,
            snaplen: self.snaplen,
            selection: spoken(self.selection).0.into(),
            sample_one_in: spoken(self.selection).1,
        }
    }
}

/// A selection as messages carry it: the kind, and one in how many.
pub(super) fn spoken(selection: Selection) -> (SegmentSelection, u32) {
    match selection {
        Selection::All => (SegmentSelection::All, 0),
        Selection::Context => (SegmentSelection::Context, 0),
        Selection::Sampled(one_in) => (SegmentSelection::Sampled, one_in.get()),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

//! Vantages: named capture points.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A named capture point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vantage {
    pub name: String,
    pub kind: VantageKind,
}

/// What a vantage's own packets prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VantageKind {
    /// It runs on an endpoint, whose addresses these are.
    Host { addresses: Vec<IpAddr> },
    /// It only sees traffic pass.
    Hop,
}

impl Vantage {
    /// Whether this vantage runs on the host that owns `addr`.
    pub fn is_host_of(&self, addr: IpAddr) -> bool {
        match &self.kind {
            VantageKind::Host { addresses } => addresses.contains(&addr),
            VantageKind::Hop => false,
        }
    }

    pub fn kind_name(&self) -> KindName {
        match self.kind {
            VantageKind::Host { .. } => KindName::Host,
            VantageKind::Hop => KindName::Hop,
        }
    }
}

/// A vantage's kind as documents, tables and the protocol carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindName {
    Host,
    Hop,
}

//! Where agents and recorders stand in a raised network.

use std::net::IpAddr;

use crate::namespace::Namespace;

/// One interface that is watched.
#[derive(Debug, Clone)]
pub struct Point<'net> {
    pub name: &'static str,
    pub namespace: &'net Namespace,
    pub interface: &'static str,
    /// The addresses of the host that this vantage runs on; empty: a hop.
    pub addresses: Vec<IpAddr>,
}

/// A network's vantages, client side first, and the namespace that all agents reach.
#[derive(Debug, Clone)]
pub struct Site<'net> {
    pub management: &'net Namespace,
    pub points: Vec<Point<'net>>,
}

impl Point<'_> {
    /// The host's addresses as `--host` of an agent takes them; `None`: a hop.
    pub fn host(&self) -> Option<String> {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        (!addresses.is_empty()).then(|| addresses.join(","))
    }
}

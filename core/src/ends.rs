//! The two ends of a flow, in its own name and in those that it bears at single vantages.

use std::cmp::Reverse;

use crate::digest::Digest;
use crate::evidence::FlowEvidence;
use crate::flow::{Endpoint, Flow, Way};
use crate::join::Joined;
use crate::report::Side;

/// Client and server under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
}

impl Pair {
    pub(crate) fn endpoint(&self, side: Side) -> Endpoint {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }

    /// The side whose host sent a segment between the same two hosts.
    fn sender_by_host(&self, digest: &Digest) -> Option<Side> {
        let (src, dst) = (digest.tuple.src.addr, digest.tuple.dst.addr);
        let (client, server) = (self.client.addr, self.server.addr);
        if client == server {
            None
        } else if (src, dst) == (client, server) {
            Some(Side::Client)
        } else if (src, dst) == (server, client) {
            Some(Side::Server)
        } else {
            None
        }
    }
}

/// The two ends of a flow.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// In the flow's own name.
    own: Pair,
    /// What each vantage calls them; empty where it never saw the connection.
    at: Vec<Vec<Pair>>,
    /// On whose host each vantage runs.
    hosts: Vec<Option<Side>>,
    /// Every name that the connections bear: few, so that looking at each is fastest.
    names: Vec<Flow>,
}

impl Ends {
    /// Who asked for the connection: by its SYN or SYN+ACK; else the higher port, since servers
    /// listen on low ones.
    pub(crate) fn of(joined: &Joined<'_>) -> Self {
        let opening = joined
            .at
            .iter()
            .flatten()
            .map(|segment| &segment.digest)
            .filter(|digest| digest.is_syn() || digest.is_syn_ack())
            .min_by_key(|digest| Reverse(digest.is_syn()));
        let flow = joined.evidence.flow;
        let client_way = match opening {
            Some(syn) if syn.is_syn() => syn.tuple.way(),
            Some(syn_ack) => syn_ack.tuple.way().opposite(),
            None if flow.low().port > flow.high().port => Way::LowToHigh,
            None => Way::HighToLow,
        };
        let own = flow.tuple(client_way);
        let mut at = vec![Vec::new(); joined.at.len()];
        for name in joined.lives.iter().flat_map(|life| &life.names) {
            let tuple = name.tuple(client_way);
            let pair = Pair {
                client: tuple.src,
                server: tuple.dst,
            };
            if !at[name.vantage].contains(&pair) {
                at[name.vantage].push(pair);
            }
        }
        let mut names: Vec<Flow> = joined
            .lives
            .iter()
            .flat_map(|life| &life.names)
            .map(|name| name.low_to_high.flow())
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut ends = Self {
            own: Pair {
                client: own.src,
                server: own.dst,
            },
            at,
            hosts: Vec::new(),
            names,
        };
        ends.hosts = (0..joined.at.len())
            .map(|vantage| ends.find_host(joined, vantage))
            .collect();
        ends
    }

    /// The side that sent a segment which is told in the flow's own name.
    pub(crate) fn sender(&self, digest: &Digest) -> Side {
        if digest.tuple.src == self.own.client {
            Side::Client
        } else {
            Side::Server
        }
    }

    pub(crate) fn endpoint(&self, side: Side) -> Endpoint {
        self.own.endpoint(side)
    }

    /// What a vantage calls the two ends: the flow's own name where it never saw the connection.
    pub(crate) fn at(&self, vantage: usize) -> &[Pair] {
        match self.at[vantage].as_slice() {
            [] => std::slice::from_ref(&self.own),
            names => names,
        }
    }

    /// The end on whose host a vantage runs.
    pub(crate) fn host_side(&self, vantage: usize) -> Option<Side> {
        self.hosts[vantage]
    }

    /// Every segment of other connections that a vantage saw pass between the two hosts, with its sender.
    pub(crate) fn neighbours<'a>(
        &self,
        evidence: &'a FlowEvidence,
        vantage: usize,
    ) -> impl Iterator<Item = (&'a Digest, Side)> {
        let names = self.at(vantage);
        evidence.vantages[vantage]
            .nearby
            .iter()
            .filter(|digest| !self.names.contains(&digest.tuple.flow()))
            .filter_map(move |digest| {
                let sender = names.iter().find_map(|pair| pair.sender_by_host(digest))?;
                Some((digest, sender))
            })
    }

    fn find_host(&self, joined: &Joined<'_>, vantage: usize) -> Option<Side> {
        let host = &joined.evidence.vantages[vantage].vantage;
        let names: Vec<&Pair> = if self.at[vantage].is_empty() {
            std::iter::once(&self.own)
                .chain(self.at.iter().flatten())
                .collect()
        } else {
            self.at[vantage].iter().collect()
        };
        let is = |side: Side| {
            names
                .iter()
                .any(|pair| host.is_host_of(pair.endpoint(side).addr))
        };
        let side = match (is(Side::Client), is(Side::Server)) {
            (true, false) => Side::Client,
            (false, true) => Side::Server,
            _ => return None,
        };
        self.starts_there(joined, vantage, side).then_some(side)
    }

    /// A translator owns an address of the connection and is not its end: what it passes on has come some
    /// hops already, or is there under two names.
    fn starts_there(&self, joined: &Joined<'_>, vantage: usize, side: Side) -> bool {
        let translated = self
            .at
            .iter()
            .flatten()
            .any(|pair| pair.endpoint(side).addr != self.own.endpoint(side).addr);
        if !translated {
            return true;
        }
        let mut sent = joined.at[vantage]
            .iter()
            .filter(|segment| self.sender(&segment.digest) == side && !segment.digest.is_rst());
        self.at[vantage].len() < 2
            && sent.all(|segment| matches!(segment.digest.ip.ttl, 32 | 64 | 128 | 255))
    }
}

//! What was done in a network, as a file that verdicts can be held against.

use std::net::{IpAddr, SocketAddr};

use parallax_core::report::{Cause, Origin, Side};
use serde::{Deserialize, Serialize};

/// Everything that is known of one network's run by its construction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    pub network: String,
    /// What happens, in a sentence.
    pub story: String,
    /// Client side first; their order is what `--path` takes.
    pub vantages: Vec<Vantage>,
    /// The connections on which something was reset. Others are ordinary.
    pub connections: Vec<Connection>,
    /// Every reset, in the order in which they were sent. There are no others.
    pub resets: Vec<Reset>,
}

/// One vantage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vantage {
    pub name: String,
    /// The addresses of the host that it runs on; empty: a hop.
    pub addresses: Vec<IpAddr>,
}

/// One connection and the way of its packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The vantages that the client's packets pass, client side first.
    pub path: Vec<String>,
    /// Those that the server's packets pass, client side first.
    pub way_back: Vec<String>,
    /// What the connection is called, from the client's side on; more than one under translation.
    pub names: Vec<Name>,
    /// Between which two vantages its sequence numbers change.
    pub rewrites: Option<[String; 2]>,
}

/// A connection's two sockets as some vantages see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub at: Vec<String>,
}

/// One reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Index into the connections.
    pub connection: usize,
    /// The end in whose name it goes.
    pub from: Side,
    pub flags: String,
    pub origin: Origin,
    /// From the claimed sender's side.
    pub between: Option<[String; 2]>,
    pub lost_between: Option<[String; 2]>,
    /// Every cause that is right.
    pub causes: Vec<Cause>,
    /// Index of the root in this list.
    pub root: Option<usize>,
    /// Equal packets that make this one reset.
    pub count: u32,
    /// Its sequence number where it was first sighted, where the construction tells.
    pub seq: Option<u32>,
    /// Whether its receiver accepted it, where the construction tells.
    pub effective: Option<bool>,
    /// The vantage that saw it first, where that is not the one behind its birthplace: a host's own tap.
    #[serde(default)]
    pub first_at: Option<String>,
}

impl Reset {
    /// A reset that a host sent in its own name.
    pub fn endpoint(from: Side, flags: &str, causes: &[Cause]) -> Self {
        Self {
            connection: 0,
            from,
            flags: flags.to_owned(),
            origin: Origin::Endpoint,
            between: None,
            lost_between: None,
            causes: causes.to_vec(),
            root: None,
            count: 1,
            seq: None,
            effective: None,
            first_at: None,
        }
    }

    /// A reset that something else sent in a host's name, somewhere between two vantages.
    pub fn forged(from: Side, flags: &str, between: [&str; 2], causes: &[Cause]) -> Self {
        Self {
            origin: Origin::Middlebox,
            between: Some(between.map(str::to_owned)),
            ..Self::endpoint(from, flags, causes)
        }
    }

    #[must_use]
    pub fn lost_between(mut self, before: &str, after: &str) -> Self {
        self.lost_between = Some([before, after].map(str::to_owned));
        self
    }

    /// Says which reset made this one happen.
    #[must_use]
    pub fn rooted(mut self, root: usize) -> Self {
        self.root = Some(root);
        self
    }

    #[must_use]
    pub fn numbered(mut self, seq: u32) -> Self {
        self.seq = Some(seq);
        self
    }

    #[must_use]
    pub fn counted(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// A vantage on the near side of its birthplace saw it too.
    #[must_use]
    pub fn first_at(mut self, vantage: &str) -> Self {
        self.first_at = Some(vantage.to_owned());
        self
    }

    /// The receiver did not accept it.
    #[must_use]
    pub fn ineffective(mut self) -> Self {
        self.effective = Some(false);
        self
    }
}

impl Truth {
    /// The vantages that a reset would pass if it came from its claimed sender, in that order.
    fn travel(&self, reset: &Reset) -> Vec<&str> {
        let connection = &self.connections[reset.connection];
        match reset.from {
            Side::Client => connection.path.iter().map(String::as_str).collect(),
            Side::Server => connection
                .way_back
                .iter()
                .rev()
                .map(String::as_str)
                .collect(),
        }
    }

    /// The vantages that saw a reset, in the order of travel.
    pub fn seen_at(&self, reset: &Reset) -> Vec<&str> {
        let travel = self.travel(reset);
        let place = |name: &String| travel.iter().position(|vantage| vantage == name);
        let behind = reset.between.as_ref().map(|[_, after]| after);
        let first = reset.first_at.as_ref().or(behind).and_then(place);
        let last = reset
            .lost_between
            .as_ref()
            .and_then(|[before, _]| place(before));
        let end = last.map_or(travel.len(), |last| last + 1);
        travel[first.unwrap_or(0).min(end)..end].to_vec()
    }

    /// The vantage nearest to the emitter of an endpoint's reset.
    pub fn at(&self, reset: &Reset) -> Option<&str> {
        (reset.origin == Origin::Endpoint)
            .then(|| self.travel(reset).first().copied())
            .flatten()
    }

    /// Source and destination of a reset where it is first sighted.
    pub fn sockets(&self, reset: &Reset) -> Option<(SocketAddr, SocketAddr)> {
        self.sockets_at(reset, self.seen_at(reset).first()?)
    }

    /// Source and destination of a reset as a vantage sees them.
    pub fn sockets_at(&self, reset: &Reset, vantage: &str) -> Option<(SocketAddr, SocketAddr)> {
        let name = self.connections[reset.connection]
            .names
            .iter()
            .find(|name| name.at.iter().any(|at| at == vantage))?;
        Some(match reset.from {
            Side::Client => (name.client, name.server),
            Side::Server => (name.server, name.client),
        })
    }

    /// What `--path` takes.
    pub fn path(&self) -> String {
        let names: Vec<_> = self.vantages.iter().map(|vantage| &*vantage.name).collect();
        names.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// A translated connection whose server answers another way.
    fn truth(reset: Reset) -> Truth {
        let name = |client: &str, server: &str, at: &[&str]| Name {
            client: client.parse().expect("a socket"),
            server: server.parse().expect("a socket"),
            at: names(at),
        };
        Truth {
            network: String::new(),
            story: String::new(),
            vantages: Vec::new(),
            connections: vec![Connection {
                path: names(&["client", "a", "server"]),
                way_back: names(&["client", "b", "server"]),
                names: vec![
                    name("10.1.0.2:40000", "192.0.2.1:80", &["client"]),
                    name("10.1.0.2:40000", "10.3.0.2:8080", &["a", "b", "server"]),
                ],
                rewrites: None,
            }],
            resets: vec![reset],
        }
    }

    #[test]
    fn a_forged_reset_is_seen_from_its_birthplace_on_under_the_names_there() {
        let reset = Reset::forged(Side::Server, "R", ["server", "b"], &[]);
        let truth = truth(reset.clone());
        assert_eq!(truth.seen_at(&reset), ["b", "client"]);
        assert_eq!(truth.at(&reset), None);
        let sockets = truth.sockets(&reset).map(|(source, _)| source.to_string());
        assert_eq!(sockets.as_deref(), Some("10.3.0.2:8080"));
        let (source, _) = truth.sockets_at(&reset, "client").expect("it passes there");
        assert_eq!(source.to_string(), "192.0.2.1:80");
    }

    #[test]
    fn a_lost_reset_is_seen_up_to_its_grave_on_the_way_of_its_direction() {
        let reset = Reset::endpoint(Side::Client, "RA", &[]).lost_between("a", "server");
        let truth = truth(reset.clone());
        assert_eq!(truth.seen_at(&reset), ["client", "a"]);
        assert_eq!(truth.at(&reset), Some("client"));
    }

    #[test]
    fn silence_about_a_reset_that_was_sent_is_wrong() {
        use crate::networks::compare::{Hosts, compare};
        let truth = truth(Reset::endpoint(Side::Client, "RA", &[]));
        assert_eq!(compare(&truth, &[], Hosts::Told).len(), 1);
        assert_eq!(compare(&truth, &[], Hosts::Untold).len(), 1);
    }
}

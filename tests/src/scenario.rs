//! What a scenario is: a story to play, and the truth about the resets in it.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use parallax_core::report::Side;

use crate::firewall::Rule;
use crate::lab::{Family, Lab, address};
use crate::truth::Expected;
use crate::{scenarios, traffic};

/// Something that happens to connections, with the truth about it.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// What happens, in a sentence.
    pub story: &'static str,
    /// Every reset of the scenario's flows, in the order in which they are sent.
    pub truth: fn() -> Vec<Expected>,
    pub play: fn(&Stage) -> Result<()>,
}

/// Where a scenario plays: its lab, protocol, and a server port that is its own.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'lab> {
    pub lab: &'lab Lab,
    pub family: Family,
    pub port: u16,
}

/// The port of the ordinary connections around every scenario.
const FRAME_PORT: u16 = 7070;
/// The first scenario's port.
const FIRST_PORT: u16 = 8000;

impl<'lab> Stage<'lab> {
    pub fn server_socket(&self) -> SocketAddr {
        SocketAddr::new(address(Side::Server, self.family), self.port)
    }

    /// Adds a rule at the firewall for segments to (`--dport`) or from (`--sport`) the stage's
    /// port.
    pub fn filter(&self, port_of: PortOf, rest: &str) -> Result<Rule<'lab>> {
        let flag = match port_of {
            PortOf::Destination => "--dport",
            PortOf::Source => "--sport",
        };
        let rule = format!("FORWARD -p tcp {flag} {} {rest}", self.port);
        Rule::add(&self.lab.firewall, self.family, &rule)
    }
}

/// Which port of a segment a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortOf {
    /// Segments on their way to the server.
    Destination,
    /// Segments that come from the server.
    Source,
}

/// A scenario in one protocol: a run has each of them once.
#[derive(Debug, Clone, Copy)]
pub struct Act {
    pub scenario: Scenario,
    pub family: Family,
    /// The server port that no other act uses.
    pub port: u16,
}

impl Act {
    /// The act's name: `closed_port-v4`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.scenario.name, self.family.as_str())
    }

    /// Plays the act, with an ordinary connection before and after, so that every vantage's record
    /// begins before the act and ends after it.
    pub fn play(&self, lab: &Lab) -> Result<()> {
        let stage = Stage {
            lab,
            family: self.family,
            port: self.port,
        };
        let frame = Stage {
            port: FRAME_PORT,
            ..stage
        };
        traffic::ordinary(&frame).context("the connection before")?;
        (self.scenario.play)(&stage).with_context(|| format!("playing {}", self.name()))?;
        traffic::pause(100);
        traffic::ordinary(&frame).context("the connection after")
    }
}

/// Every scenario in every protocol.
pub fn acts() -> Vec<Act> {
    scenarios::all()
        .into_iter()
        .flat_map(|scenario| Family::ALL.map(|family| (scenario, family)))
        .zip(FIRST_PORT..)
        .map(|((scenario, family), port)| Act {
            scenario,
            family,
            port,
        })
        .collect()
}

//! An injector at a known place, whose work goes into the truth.

use anyhow::{Context, Result};
use parallax_core::report::{Cause, Side};

use super::play::Play;
use super::truth::Reset;
use crate::injector::{Conversation, Injector};
use crate::segment::Segment;

/// What a forged reset shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// A bare RST with a TTL and IP ID of the injector's own.
    Own,
    /// A RST+ACK that copies all that the real segments show.
    Copied,
}

/// Where an injector stands: the wire's neighbours and the vantages there, client side first.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub wire: &'static str,
    pub machines: [&'static str; 2],
    /// Between which a reset to the server is born.
    pub to_server: [&'static str; 2],
    /// Between which a reset to the client is born.
    pub to_client: [&'static str; 2],
}

impl Place {
    pub const fn new(
        wire: &'static str,
        machines: [&'static str; 2],
        vantages: [&'static str; 2],
    ) -> Self {
        Self {
            wire,
            machines,
            to_server: vantages,
            to_client: [vantages[1], vantages[0]],
        }
    }

    fn between(&self, towards: Side) -> [&'static str; 2] {
        match towards {
            Side::Client => self.to_client,
            Side::Server => self.to_server,
        }
    }
}

/// An injector that listens.
pub struct Forger {
    place: Place,
    injector: Injector,
}

impl Forger {
    pub fn at(play: &Play, place: Place) -> Result<Self> {
        let [client_side, server_side] = place.machines;
        let injector = play.net.injector(place.wire, client_side, server_side)?;
        Ok(Self { place, injector })
    }

    /// The newest segments of a connection on this wire.
    pub fn conversation(&mut self, play: &Play, connection: usize) -> Result<Conversation> {
        let vantages = [self.place.to_server, self.place.to_client].concat();
        let name = play.truth.connections[connection]
            .names
            .iter()
            .find(|name| {
                vantages
                    .iter()
                    .any(|here| name.at.iter().any(|at| at == here))
            })
            .context("the connection does not pass here")?;
        self.injector.conversation_of(name.client, name.server)
    }

    /// Resets one end in the other's name with the exact sequence number; returns the reset's
    /// index in the truth.
    pub fn reset(
        &mut self,
        play: &mut Play,
        connection: usize,
        towards: Side,
        looks: Looks,
        cause: Cause,
    ) -> Result<usize> {
        let conversation = self.conversation(play, connection)?;
        let forged = match looks {
            Looks::Own => conversation.forge(towards.other()),
            Looks::Copied => conversation.forge_alike(towards.other()),
        };
        self.send(play, connection, towards, &forged, |reset| Reset {
            causes: vec![cause],
            ..reset
        })
    }

    /// Sends a forged reset and adds it to the truth, where `told` says more of it.
    pub fn send(
        &mut self,
        play: &mut Play,
        connection: usize,
        towards: Side,
        forged: &Segment,
        told: impl FnOnce(Reset) -> Reset,
    ) -> Result<usize> {
        self.injector.send(towards, forged)?;
        let flags = if forged.tcp.ack { "RA" } else { "R" };
        let between = self.place.between(towards);
        let reset = Reset::forged(towards.other(), flags, between, &[])
            .numbered(forged.tcp.sequence_number);
        Ok(play.reset(connection, told(reset)))
    }
}

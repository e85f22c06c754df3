//! Sequence numbers that change on the way.

use anyhow::Result;
use parallax_core::report::{Cause, Side};

use super::Network;
use super::forger::{Forger, Looks};
use super::plan::Plan;
use super::play::{Play, QUIET};
use super::randomiser::Randomiser;
use super::straight::{CALL, FAR, FRAME, MIDDLE};
use super::truth::Reset;
use super::ways::ends_and_injectors;
use crate::traffic::pause;

pub const ALL: &[Network] = &[Network {
    name: "seq_randomiser",
    story: "The firewall adds a constant to the sequence numbers of each connection and direction; \
            both ends abort, injectors before and behind it reset either end, and one survivor \
            speaks.",
    plan: || Ok(Plan::straight()?.numbers_change("fw-in", "fw-out")),
    frame: FRAME,
    play: seq_randomiser,
}];

fn seq_randomiser(play: &mut Play) -> Result<()> {
    let net = play.net;
    let randomiser = Randomiser::start(net, "firewall")?;
    for call in FRAME {
        play.ordinary(call)?;
    }
    ends_and_injectors(play, [MIDDLE, FAR])?;
    survivor_speaks(play)?;
    randomiser.finish()
}

/// The client is reset by a forgery that looks right, and the server knows nothing of it.
fn survivor_speaks(play: &mut Play) -> Result<()> {
    let mut forger = Forger::at(play, MIDDLE)?;
    let mut talk = play.open(&CALL)?;
    pause(QUIET);
    let root = forger.reset(
        play,
        talk.number,
        Side::Client,
        Looks::Copied,
        Cause::Injected,
    )?;
    pause(50);
    talk.shout(Side::Server, b"HTTP/1.1 408 Request Timeout\r\n\r\n")?;
    let honest = Reset::endpoint(Side::Client, "R", &[Cause::NoSocket]);
    play.reset(talk.number, honest.rooted(root));
    pause(100);
    talk.connection.hush();
    Ok(())
}

//! Ports that are used again.

use anyhow::{Context, Result};
use etherparse::TcpOptions;
use parallax_core::report::{Cause, Side};

use super::Network;
use super::forger::{Forger, Looks};
use super::plan::Plan;
use super::play::{Call, Play, QUIET};
use super::straight::{FRAME, MIDDLE};
use super::truth::Reset;
use crate::injector::Tap;
use crate::traffic::pause;

pub const ALL: &[Network] = &[
    Network {
        name: "tuple_reuse",
        story: "The same ports twice: the server aborts the first connection, an injector resets \
                the client of the second.",
        plan: Plan::straight,
        frame: FRAME,
        play: tuple_reuse,
    },
    Network {
        name: "time_wait_reuse",
        story: "A SYN for ports in TIME_WAIT at the server, with a sequence number below the last: \
                the server acknowledges the old connection, and the client's kernel resets it.",
        plan: Plan::straight,
        frame: FRAME,
        play: time_wait_reuse,
    },
];

fn tuple_reuse(play: &mut Play) -> Result<()> {
    let call = Call::new("client", [10, 3, 0, 2], "server", 8001).calling_from(40_001);
    let mut forger = Forger::at(play, MIDDLE)?;
    play.endpoint_abort(&call, Side::Server)?;
    pause(100);
    let again = play.open(&call)?;
    pause(QUIET);
    forger.reset(
        play,
        again.number,
        Side::Client,
        Looks::Own,
        Cause::Injected,
    )?;
    pause(50);
    again.connection.hush();
    Ok(())
}

fn time_wait_reuse(play: &mut Play) -> Result<()> {
    let call = Call::new("client", [10, 3, 0, 2], "server", 8001).calling_from(40_001);
    let mut tap = Tap::open(play.net.machine("client")?, "eth0")?;
    let listener = play.listen(&call)?;
    let talk = play.open_at(&call, &listener)?;
    let number = talk.number;
    let mut syn = tap.conversation_of(talk.near.0, talk.near.1)?.from_client;
    // The server closes first, so that it is the one that waits.
    talk.connection.close_from(Side::Server)?;
    pause(100);
    syn.tcp.sequence_number = syn.tcp.sequence_number.wrapping_sub(100_000);
    syn.tcp.acknowledgment_number = 0;
    syn.tcp.ack = false;
    syn.tcp.psh = false;
    syn.tcp.syn = true;
    syn.tcp.options = TcpOptions::default();
    syn.payload_length = 0;
    tap.send(&syn).context("the SYN")?;
    pause(100);
    let causes = [Cause::TimeWaitReuse, Cause::NoSocket];
    play.reset(number, Reset::endpoint(Side::Client, "R", &causes));
    Ok(())
}

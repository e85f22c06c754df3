//! Segments that are large at the hosts and small between.

use std::io::{ErrorKind, Read as _, Write as _};

use anyhow::{Context, Result};
use parallax_core::report::{Cause, Side};
use socket2::SockRef;

use super::Network;
use super::forger::{Forger, Looks};
use super::plan::Plan;
use super::play::{Play, Talk};
use super::straight::{CALL, FRAME, MIDDLE};
use super::truth::Reset;
use crate::traffic::{abort_on_close, hush, pause};

pub const ALL: &[Network] = &[Network {
    name: "offload",
    story: "Bulk transfers in segments of up to 64 KiB at the client, cut before the gateway and \
            merged again at the firewall. With the server's window full and more to send, a client \
            aborts, a server closes with data unread, and an injector resets either end.",
    plan: Plan::straight,
    frame: FRAME,
    play: offload,
}];

/// How much of a transfer is read before the server stops reading, in octets.
const BULK: usize = 1 << 19;

fn offload(play: &mut Play) -> Result<()> {
    // What goes into the gateway is cut, and what comes into the firewall merged.
    play.net
        .run_at_switch("ethtool -K near-gateway tso off gso off")?;
    play.net.run("gateway", "ethtool -K in0 gro off")?;
    play.net.run("gateway", "ethtool -K out0 gro off")?;
    // A veth merges only what comes from a peer that does not segment itself.
    play.net
        .run_at_switch("ethtool -K middle-firewall tso off")?;
    play.net.run("firewall", "ethtool -K in0 gro on")?;

    let talk = stalled(play)?;
    abort_on_close(&talk.client)?;
    drop(talk.connection.client);
    play.reset(
        talk.number,
        Reset::endpoint(Side::Client, "RA", &[Cause::AbortLinger]),
    );
    pause(50);
    hush(talk.connection.server);

    let talk = stalled(play)?;
    drop(talk.connection.server);
    play.reset(
        talk.number,
        Reset::endpoint(Side::Server, "RA", &[Cause::AbortUnreadData]),
    );
    pause(50);
    hush(talk.connection.client);

    for towards in [Side::Client, Side::Server] {
        let mut forger = Forger::at(play, MIDDLE)?;
        let talk = stalled(play)?;
        let number = forger.reset(play, talk.number, towards, Looks::Own, Cause::Injected)?;
        // A firewall that minds what it has just let through would look the same.
        let causes = &mut play.truth.resets[number].causes;
        causes.push(Cause::FirewallRejectContent);
        pause(50);
        talk.connection.hush();
    }
    Ok(())
}

/// A transfer that has filled the server's window, with more waiting at the client.
fn stalled(play: &mut Play) -> Result<Talk> {
    let listener = play.listen(&CALL)?;
    SockRef::from(&listener).set_recv_buffer_size(200_000)?;
    let mut talk = play.open_at(&CALL, &listener)?;
    SockRef::from(&talk.client).set_send_buffer_size(200_000)?;
    let octets = octets();
    let mut client = talk.client.try_clone()?;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| client.write_all(&octets));
        let mut read = vec![0; BULK];
        talk.server.read_exact(&mut read).context("the transfer")?;
        writer.join().expect("the writer").context("the transfer")
    })?;
    fill(&mut talk, &octets)?;
    Ok(talk)
}

/// Writes until nothing more finds room for a while; shorter than the wait for a window probe.
fn fill(talk: &mut Talk, octets: &[u8]) -> Result<()> {
    talk.client.set_nonblocking(true)?;
    let mut refused = 0;
    while refused < 6 {
        match talk.client.write(octets) {
            Ok(_) => refused = 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                refused += 1;
                pause(10);
            }
            Err(error) => return Err(error).context("filling the window"),
        }
    }
    Ok(())
}

/// Octets that differ from place to place.
fn octets() -> Vec<u8> {
    let numbers = 0..(BULK / 4) as u32;
    numbers
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect()
}

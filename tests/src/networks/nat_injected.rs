//! Resets forged on either side of an address translation.

use anyhow::Result;
use parallax_core::report::{Cause, Side};

use super::Network;
use super::forger::{Forger, Looks, Place};
use super::nat::{SNAT_FRAME, source_nat};
use super::play::{Call, Play, QUIET, Talk};
use super::truth::Reset;
use crate::traffic::pause;

pub const ALL: &[Network] = &[
    Network {
        name: "nat_injected_before",
        story: "An injector between client and translating router resets the client, the server, \
                and both.",
        plan: source_nat,
        frame: SNAT_FRAME,
        play: |play| inject(play, BEFORE),
    },
    Network {
        name: "nat_injected_after",
        story: "An injector behind the translating router resets the client, the server, and both.",
        plan: source_nat,
        frame: SNAT_FRAME,
        play: |play| inject(play, BEHIND),
    },
];

pub const BEFORE: Place = Place::new("near", ["client", "nat"], ["client", "nat-in"]);
pub const BEHIND: Place = Place::new("middle", ["nat", "hop"], ["nat-out", "hop-in"]);

fn inject(play: &mut Play, place: Place) -> Result<()> {
    let mut forger = Forger::at(play, place)?;
    let call = Call::new("client", [10, 3, 0, 2], "server", 8001);
    let listener = play.listen(&call)?;
    let mut first = play.open_at(&call, &listener)?;
    let mut second = play.open_at(&call, &listener)?;
    let both = play.open_at(&call, &listener)?;
    pause(QUIET);
    let mut reset =
        |talk: &Talk, towards, cause| forger.reset(play, talk.number, towards, Looks::Own, cause);
    let root = reset(&first, Side::Client, Cause::Injected)?;
    let other_root = reset(&second, Side::Server, Cause::Injected)?;
    reset(&both, Side::Client, Cause::InjectedBothWays)?;
    reset(&both, Side::Server, Cause::InjectedBothWays)?;
    pause(100);

    // The survivors speak, and the victims' kernels answer.
    let honest = |from| Reset::endpoint(from, "R", &[Cause::NoSocket]);
    first.shout(Side::Server, b"HTTP/1.1 408 Request Timeout\r\n\r\n")?;
    play.reset(first.number, honest(Side::Client).rooted(root));
    second.shout(
        Side::Client,
        b"GET /second HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    play.reset(second.number, honest(Side::Server).rooted(other_root));
    pause(100);
    for talk in [first, second, both] {
        talk.connection.hush();
    }
    Ok(())
}

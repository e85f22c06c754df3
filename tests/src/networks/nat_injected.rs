//! Resets forged on either side of an address translation.

use anyhow::Result;
use parallax_core::report::{Cause, Side};

use super::Network;
use super::nat::{SNAT_FRAME, source_nat};
use super::play::{Call, Play, Talk};
use super::truth::Reset;
use crate::injector::Injector;
use crate::traffic::pause;

pub const ALL: &[Network] = &[
    Network {
        name: "nat_injected_before",
        story: "An injector between client and translating router resets the client, the server, \
                and both.",
        plan: source_nat,
        frame: SNAT_FRAME,
        play: |play| {
            let injector = play.net.injector("near", "client", "nat")?;
            inject(play, injector, ["client", "nat-in"], |talk| talk.near)
        },
    },
    Network {
        name: "nat_injected_after",
        story: "An injector behind the translating router resets the client, the server, and both.",
        plan: source_nat,
        frame: SNAT_FRAME,
        play: |play| {
            let injector = play.net.injector("middle", "nat", "hop")?;
            inject(play, injector, ["nat-out", "hop-in"], |talk| talk.far)
        },
    },
];

/// Longer than "a moment after a payload segment": what follows has no trigger.
pub const QUIET: u64 = 700;

/// What the injector's wire calls a connection's sockets.
type Naming = fn(&Talk) -> (std::net::SocketAddr, std::net::SocketAddr);

/// Resets connections from a wire between two vantages, client side first.
fn inject(
    play: &mut Play,
    mut injector: Injector,
    [before, after]: [&str; 2],
    named: Naming,
) -> Result<()> {
    let call = Call::new("client", [10, 3, 0, 2], "server", 8001);
    let listener = play.listen(&call)?;
    let to_client = |cause| Reset::forged(Side::Server, "R", [after, before], &[cause]);
    let to_server = |cause| Reset::forged(Side::Client, "R", [before, after], &[cause]);

    let talks = [
        play.open_at(&call, &listener)?,
        play.open_at(&call, &listener)?,
        play.open_at(&call, &listener)?,
    ];
    pause(QUIET);
    let [mut first, mut second, both] = talks;
    for (talk, towards) in [
        (&first, Side::Client),
        (&second, Side::Server),
        (&both, Side::Client),
        (&both, Side::Server),
    ] {
        let (client, server) = named(talk);
        let conversation = injector.conversation_of(client, server)?;
        injector.send(towards, &conversation.forge(towards.other()))?;
    }
    pause(100);
    let root = play.reset(first.number, to_client(Cause::Injected));
    let other_root = play.reset(second.number, to_server(Cause::Injected));
    play.reset(both.number, to_client(Cause::InjectedBothWays));
    play.reset(both.number, to_server(Cause::InjectedBothWays));

    // The survivors speak, and the victims' kernels answer.
    first.shout(Side::Server, b"HTTP/1.1 408 Request Timeout\r\n\r\n")?;
    second.shout(
        Side::Client,
        b"GET /second HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    let honest = |from| Reset::endpoint(from, "R", &[Cause::NoSocket]);
    play.reset(first.number, honest(Side::Client).rooted(root));
    play.reset(second.number, honest(Side::Server).rooted(other_root));
    pause(100);
    for talk in [first, second, both] {
        talk.connection.hush();
    }
    Ok(())
}

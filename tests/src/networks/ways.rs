//! Ways that mislead: one for each direction, and a hop that hides how far a packet came.

use anyhow::Result;
use parallax_core::report::{Cause, Side};

use super::Network;
use super::forger::{Forger, Looks, Place};
use super::plan::Plan;
use super::play::{Call, Play, QUIET};
use super::straight::{CALL, FRAME, MIDDLE, NEAR};
use crate::traffic::pause;

pub const ALL: &[Network] = &[
    Network {
        name: "asymmetric",
        story: "What the client sends passes hop A and what the server sends passes hop B; both \
                ends abort, and injectors reset either end.",
        plan: two_ways,
        frame: FRAME,
        play: asymmetric,
    },
    Network {
        name: "ttl_rewriting",
        story: "The gateway sets the TTL of all that it forwards to 64; both ends abort, and \
                injectors before and behind it reset either end.",
        plan: || {
            let rule = "iptables -t mangle -A FORWARD -j TTL --ttl-set 64";
            Ok(Plan::straight()?.run("gateway", rule))
        },
        frame: FRAME,
        play: |play| ends_and_injectors(play, [NEAR, MIDDLE]),
    },
];

/// ```text
///           ┌──▶── a ──▶──┐
///  client ──near         far── server
///           └──◀── b ──◀──┘
/// ```
fn two_ways() -> Result<Plan> {
    Plan::default()
        .wire(
            "near",
            &[
                "client eth0 10.1.0.2/24",
                "a in0 10.1.0.1/24",
                "b in0 10.1.0.3/24",
            ],
        )?
        .wire(
            "far",
            &[
                "a out0 10.3.0.1/24",
                "b out0 10.3.0.3/24",
                "server eth0 10.3.0.2/24",
            ],
        )?
        .route("client", "default via 10.1.0.1")
        .route("server", "default via 10.3.0.3")
        .host("client", "client eth0")?
        .one_way("a-in", "a in0", Side::Client)?
        .one_way("a-out", "a out0", Side::Client)?
        .one_way("b-in", "b in0", Side::Server)?
        .one_way("b-out", "b out0", Side::Server)?
        .host("server", "server eth0")
}

fn asymmetric(play: &mut Play) -> Result<()> {
    let at_client = Place {
        wire: "near",
        machines: ["client", "a"],
        to_server: ["client", "a-in"],
        to_client: ["b-in", "client"],
    };
    let at_server = Place {
        wire: "far",
        machines: ["b", "server"],
        to_server: ["a-out", "server"],
        to_client: ["server", "b-out"],
    };
    ends_and_injectors(play, [at_client, at_server])
}

/// Either end aborts, and an injector at either place resets either end.
pub fn ends_and_injectors(play: &mut Play, places: [Place; 2]) -> Result<()> {
    for who in [Side::Server, Side::Client] {
        play.endpoint_abort(&CALL, who)?;
    }
    for (place, port) in places.into_iter().zip([8002, 8003]) {
        let mut forger = Forger::at(play, place)?;
        let call = Call::new("client", [10, 3, 0, 2], "server", port);
        let listener = play.listen(&call)?;
        let talks = [
            (play.open_at(&call, &listener)?, Side::Client),
            (play.open_at(&call, &listener)?, Side::Server),
        ];
        pause(QUIET);
        for (talk, towards) in &talks {
            forger.reset(play, talk.number, *towards, Looks::Own, Cause::Injected)?;
        }
        pause(50);
        for (talk, _) in talks {
            talk.connection.hush();
        }
    }
    Ok(())
}

//! Addresses and ports that change on the way.

use anyhow::Result;
use parallax_core::report::{Cause, Side};

use super::Network;
use super::plan::Plan;
use super::play::{Call, Play, abort};
use super::truth::Reset;
use crate::traffic::pause;

pub const ALL: &[Network] = &[
    Network {
        name: "snat",
        story: "Two clients behind one address, whose ports the router rewrites; the server aborts \
                one connection of each, and a client aborts one.",
        plan: source_nat,
        frame: SNAT_FRAME,
        play: snat,
    },
    Network {
        name: "dnat_lb",
        story: "A balancer deals connections out to two back ends; one of them listens to nobody, \
                the other aborts, and a client aborts.",
        plan: balancer,
        frame: &[
            Call::new("client", [10, 2, 0, 11], "back1", 7070),
            Call::new("client", [10, 2, 0, 12], "back2", 7070),
        ],
        play: dnat_lb,
    },
];

pub const SNAT_FRAME: &[Call] = &[
    Call::new("client", [10, 3, 0, 2], "server", 7070),
    Call::new("client2", [10, 3, 0, 2], "server", 7070),
];

/// ```text
///  client ──┐
///           near── nat ──middle── hop ──far── server
///  client2 ─┘
/// ```
pub fn source_nat() -> Result<Plan> {
    let plan = Plan::default()
        .wire(
            "near",
            &[
                "client eth0 10.1.0.2/24",
                "client2 eth0 10.1.0.3/24",
                "nat in0 10.1.0.1/24",
            ],
        )?
        .wire("middle", &["nat out0 10.2.0.1/24", "hop in0 10.2.0.2/24"])?
        .wire("far", &["hop out0 10.3.0.1/24", "server eth0 10.3.0.2/24"])?
        .route("client", "default via 10.1.0.1")
        .route("client2", "default via 10.1.0.1")
        .route("nat", "10.3.0.0/24 via 10.2.0.2")
        .route("server", "default via 10.3.0.1")
        .run(
            "nat",
            "iptables -t nat -A POSTROUTING -o out0 -p tcp -j MASQUERADE --random-fully",
        )
        .host("client", "client eth0")?
        .host("client2", "client2 eth0")?
        .hop("nat-in", "nat in0")?
        .hop("nat-out", "nat out0")?
        .hop("hop-in", "hop in0")?
        .hop("hop-out", "hop out0")?
        .host("server", "server eth0")?;
    Ok(plan.names_change("nat-in", "nat-out"))
}

fn snat(play: &mut Play) -> Result<()> {
    let first = Call::new("client", [10, 3, 0, 2], "server", 8001);
    let second = Call::new("client2", [10, 3, 0, 2], "server", 8001);
    let listener = play.listen(&first)?;
    // The same port at both clients: only the translation tells them apart.
    let neighbour = play.open_at(&first.calling_from(40_000), &listener)?;
    for (call, who) in [
        (second.calling_from(40_000), Side::Server),
        (first, Side::Client),
        (first, Side::Server),
    ] {
        let talk = play.open_at(&call, &listener)?;
        play.reset(
            talk.number,
            Reset::endpoint(who, "RA", &[Cause::AbortLinger]),
        );
        abort(talk, who)?;
        pause(100);
    }
    neighbour.connection.end()
}

/// ```text
///                              ┌── back1
///  client ──near── lb ──farm───┤
///                              └── back2
/// ```
fn balancer() -> Result<Plan> {
    let plan = Plan::default()
        .wire("near", &["client eth0 10.1.0.2/24", "lb in0 10.1.0.1/24"])?
        .wire(
            "farm",
            &[
                "lb out0 10.2.0.1/24",
                "back1 eth0 10.2.0.11/24",
                "back2 eth0 10.2.0.12/24",
            ],
        )?
        .route("client", "default via 10.1.0.1")
        .route("back1", "default via 10.2.0.1")
        .route("back2", "default via 10.2.0.1")
        .run(
            "lb",
            "iptables -t nat -A PREROUTING -d 192.0.2.80 -p tcp --dport 80 -m statistic \
             --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.2.0.11:8080",
        )
        .run(
            "lb",
            "iptables -t nat -A PREROUTING -d 192.0.2.80 -p tcp --dport 80 -j DNAT \
             --to-destination 10.2.0.12:8080",
        )
        .host("client", "client eth0")?
        .hop("lb-in", "lb in0")?
        .hop("lb-out", "lb out0")?
        .host("back1", "back1 eth0")?
        .host("back2", "back2 eth0")?;
    Ok(plan.names_change("lb-in", "lb-out"))
}

/// Calls to the service are dealt out in turn, the first to `back1`.
fn dnat_lb(play: &mut Play) -> Result<()> {
    let to = |server| Call::new("client", [192, 0, 2, 80], server, 80).answered_at(8080);
    let listener = play.listen(&to("back1"))?;
    for (port, who) in [(40_001, Side::Server), (40_002, Side::Client)] {
        let talk = play.open_at(&to("back1"), &listener)?;
        let refused = play.call_in_vain(&to("back2").calling_from(port))?;
        let closed = Reset::endpoint(Side::Server, "RA", &[Cause::ClosedPort]);
        play.reset(refused, closed);
        play.reset(
            talk.number,
            Reset::endpoint(who, "RA", &[Cause::AbortLinger]),
        );
        abort(talk, who)?;
    }
    Ok(())
}

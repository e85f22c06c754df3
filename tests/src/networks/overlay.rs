//! Packets inside packets.

use anyhow::Result;
use parallax_core::report::{Cause, Side};

use super::Network;
use super::forger::{Forger, Looks, Place};
use super::plan::Plan;
use super::play::{Play, QUIET};
use super::straight::{CALL, FRAME};
use super::truth::Reset;
use crate::traffic::pause;

pub const ALL: &[Network] = &[Network {
    name: "vxlan",
    story: "A VXLAN joins two routers, watched inside and on the underlay; both ends abort, the far \
            router rejects a request for its content, and an injector beside the client resets it.",
    plan: overlay,
    frame: FRAME,
    play: vxlan,
}];

/// ```text
///             10.9.0.1 vx0 ═══════ vx0 10.9.0.2
///  client ──near── router ──under── firewall ──far── server
/// ```
fn overlay() -> Result<Plan> {
    Plan::default()
        .wire("near", &["client eth0 10.1.0.2/24", "router in0 10.1.0.1/24"])?
        .wire(
            "under",
            &["router under0 10.2.0.1/24", "firewall under0 10.2.0.2/24"],
        )?
        .wire("far", &["firewall out0 10.3.0.1/24", "server eth0 10.3.0.2/24"])?
        .route("client", "default via 10.1.0.1")
        .route("server", "default via 10.3.0.1")
        .run(
            "router",
            "ip link add vx0 type vxlan id 42 local 10.2.0.1 remote 10.2.0.2 dstport 4789 dev under0",
        )
        .run(
            "firewall",
            "ip link add vx0 type vxlan id 42 local 10.2.0.2 remote 10.2.0.1 dstport 4789 dev under0",
        )
        .run("router", "ip addr add 10.9.0.1/24 dev vx0")
        .run("firewall", "ip addr add 10.9.0.2/24 dev vx0")
        .run("router", "ip link set vx0 up")
        .run("firewall", "ip link set vx0 up")
        .run("router", "ip route add 10.3.0.0/24 via 10.9.0.2")
        .run("firewall", "ip route add 10.1.0.0/24 via 10.9.0.1")
        .host("client", "client eth0")?
        .hop("r-in", "router in0")?
        .hop("r-vx", "router vx0")?
        .hop("r-under", "router under0")?
        .hop("fw-under", "firewall under0")?
        .hop("fw-vx", "firewall vx0")?
        .hop("fw-out", "firewall out0")?
        .host("server", "server eth0")
}

const AT_CLIENT: Place = Place::new("near", ["client", "router"], ["client", "r-in"]);

fn vxlan(play: &mut Play) -> Result<()> {
    for who in [Side::Server, Side::Client] {
        play.endpoint_abort(&CALL, who)?;
    }
    reject_content(play)?;
    let mut forger = Forger::at(play, AT_CLIENT)?;
    let talk = play.open(&CALL)?;
    pause(QUIET);
    forger.reset(play, talk.number, Side::Client, Looks::Own, Cause::Injected)?;
    pause(50);
    talk.connection.hush();
    Ok(())
}

fn reject_content(play: &mut Play) -> Result<()> {
    let mut talk = play.open(&CALL)?;
    let rule = play.net.rule(
        "firewall",
        "FORWARD -p tcp --dport 8001 -m string --string FORBIDDEN --algo bm -j REJECT \
         --reject-with tcp-reset",
    )?;
    talk.shout(
        Side::Client,
        b"GET /FORBIDDEN HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    pause(100);
    drop(rule);
    let rejected = Reset::forged(
        Side::Server,
        "R",
        ["fw-out", "fw-vx"],
        &[Cause::FirewallRejectContent],
    );
    play.reset(talk.number, rejected);
    talk.connection.hush();
    Ok(())
}

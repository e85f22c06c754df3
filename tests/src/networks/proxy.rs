//! Two connections that a proxy makes one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use parallax_core::report::{Cause, Side};

use super::Network;
use super::plan::Plan;
use super::play::{Call, Play, Talk, abort};
use super::truth::Reset;
use crate::enclosure::SCRATCH;
use crate::programs::{Running, wait_for};

pub const ALL: &[Network] = &[Network {
    name: "haproxy",
    story: "haproxy between client and server. Told `option nolinger`, it passes the server's reset \
            on; otherwise it makes a FIN of it. A client's reset it passes on in any case.",
    plan: proxied,
    frame: &[Call::new("client", [10, 4, 0, 2], "server", 7070)],
    play: haproxy,
}];

/// ```text
///  client ──near── gateway ──middle── proxy ──back── firewall ──far── server
/// ```
fn proxied() -> Result<Plan> {
    Plan::default()
        .wire(
            "near",
            &["client eth0 10.1.0.2/24", "gateway in0 10.1.0.1/24"],
        )?
        .wire(
            "middle",
            &["gateway out0 10.2.0.1/24", "proxy in0 10.2.0.2/24"],
        )?
        .wire(
            "back",
            &["proxy out0 10.3.0.1/24", "firewall in0 10.3.0.2/24"],
        )?
        .wire(
            "far",
            &["firewall out0 10.4.0.1/24", "server eth0 10.4.0.2/24"],
        )?
        .route("client", "default via 10.1.0.1")
        .route("gateway", "default via 10.2.0.2")
        .route("proxy", "10.1.0.0/24 via 10.2.0.1")
        .route("proxy", "10.4.0.0/24 via 10.3.0.2")
        .route("firewall", "default via 10.3.0.1")
        .route("server", "default via 10.4.0.1")
        .host("client", "client eth0")?
        .hop("gw-in", "gateway in0")?
        .hop("gw-out", "gateway out0")?
        .host("proxy-in", "proxy in0")?
        .host("proxy-out", "proxy out0")?
        .hop("fw-in", "firewall in0")?
        .hop("fw-out", "firewall out0")?
        .host("server", "server eth0")
}

/// Passes the port's connections on to the server's same port.
const CONFIGURATION: &str = "
global
    maxconn 100
defaults
    mode tcp
    timeout connect 2s
    timeout client 10s
    timeout server 10s
listen plain
    bind 10.2.0.2:8001
    server s 10.4.0.2:8001
listen nolinger
    bind 10.2.0.2:8002
    option nolinger
    server s 10.4.0.2:8002
";

const PLAIN: Call = Call::new("client", [10, 2, 0, 2], "server", 8001);
const NO_LINGER: Call = Call::new("client", [10, 2, 0, 2], "server", 8002);

fn start(play: &Play) -> Result<Running> {
    let folder = Path::new(SCRATCH);
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, CONFIGURATION).context("writing haproxy's configuration")?;
    let mut command = play.net.machine("proxy")?.command("haproxy");
    command.arg("-db").arg("-f").arg(file);
    let mut running = Running::start("haproxy", command, folder)?;
    let machine = play.net.machine("proxy")?;
    let listening = wait_for(Duration::from_secs(3), || {
        running.check()?;
        let ports = machine.within(|| std::fs::read_to_string("/proc/thread-self/net/tcp"))?;
        let both = [PLAIN, NO_LINGER].iter().all(|call| listens(&ports, call));
        Ok(both.then_some(()))
    })?;
    listening.with_context(|| format!("haproxy does not listen: {}", running.said()))?;
    Ok(running)
}

/// Whether `/proc/net/tcp` shows that the called port is listened at: a call would draw a reset
/// if it were not.
fn listens(sockets: &str, call: &Call) -> bool {
    const LISTEN: &str = "0A";
    let port = format!(":{:04X}", call.to.1);
    sockets.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|own| own.ends_with(&port)) && words.nth(1) == Some(LISTEN)
    })
}

fn haproxy(play: &mut Play) -> Result<()> {
    let proxy = start(play)?;
    play.ordinary(&PLAIN)?;
    let aborts = |who| Reset::endpoint(who, "RA", &[Cause::AbortLinger]);
    let passed_on = |who| Reset::endpoint(who, "RA", &[Cause::ProxyAbort]);

    let [_, behind] = abort_through(play, &PLAIN, Side::Server)?;
    play.reset(behind, aborts(Side::Server));
    let [before, behind] = abort_through(play, &NO_LINGER, Side::Server)?;
    let root = play.reset(behind, aborts(Side::Server));
    play.reset(before, passed_on(Side::Server).rooted(root));
    for call in [PLAIN, NO_LINGER] {
        let [before, behind] = abort_through(play, &call, Side::Client)?;
        let root = play.reset(before, aborts(Side::Client));
        play.reset(behind, passed_on(Side::Client).rooted(root));
    }
    drop(proxy);
    Ok(())
}

/// Has one end abort what goes through the proxy; returns the connections before and behind it.
fn abort_through(play: &mut Play, call: &Call, who: Side) -> Result<[usize; 2]> {
    let talk = play.open(call)?;
    let numbers = tell_apart(play, &talk);
    abort(talk, who)?;
    Ok(numbers)
}

/// Makes the one connection that the truth knows of two: to the proxy, and from it.
fn tell_apart(play: &mut Play, talk: &Talk) -> [usize; 2] {
    play.truth.connections.truncate(talk.number);
    [
        play.declare(
            &["client", "gw-in", "gw-out", "proxy-in"],
            talk.near,
            talk.near,
        ),
        play.declare(
            &["proxy-out", "fw-in", "fw-out", "server"],
            talk.far,
            talk.far,
        ),
    ]
}

//! Networks that capture files cannot judge: what happens there, only the hosts' kernels know.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use parallax_core::report::{Cause, Side};
use socket2::{SockRef, TcpKeepalive};

use super::Network;
use super::forger::{Forger, Looks, Place};
use super::plan::Plan;
use super::play::{Call, Play, QUIET};
use super::straight::FRAME;
use super::truth::Reset;
use crate::traffic::{hush, pause};

pub const ALL: &[Network] = &[
    Network {
        name: "witness_reasons",
        story: "A server's kernel sends resets for every reason that a program can give it.",
        plan: Plan::straight,
        frame: FRAME,
        play: reasons,
    },
    Network {
        name: "witness_forgery",
        story: "Somebody on the bridge between a container and its host forges resets in the container's name; the \
                host's tap takes them for the container's own.",
        plan: container,
        frame: &[call(7070)],
        play: forgery,
    },
    Network {
        name: "witness_firewall",
        story: "The server's own packet filter rejects a connection request, and a request on an open connection.",
        plan: Plan::straight,
        frame: FRAME,
        play: firewall,
    },
];

/// What a witness must have said of the resets at the servers' ports of `witness_reasons`.
pub const REASONS: [(u16, &str); 7] = [
    (8001, "NO_SOCKET"),
    (8002, "TCP_ABORT_ON_CLOSE"),
    (8003, "TCP_STATE"),
    (8004, "TCP_KEEPALIVE_TIMEOUT"),
    (8005, "TCP_TIMEWAIT_SOCKET"),
    (8006, "NO_SOCKET"),
    (8007, "TCP_STATE"),
];

const REQUEST: &[u8] = b"GET /second HTTP/1.1\r\nHost: server\r\n\r\n";

/// Milliseconds after which a witness swears to its silence: a RST may wait so long in its kernel for an address.
const WITNESS_STARTS: u64 = 1300;
/// Milliseconds after which what a witness heard has been told and judged.
const TESTIMONY_ARRIVES: u64 = 1000;

/// A call to the server at one of its ports.
const fn at(port: u16) -> Call {
    Call::new("client", [10, 3, 0, 2], "server", port)
}

fn reasons(play: &mut Play) -> Result<()> {
    let number = play.call_in_vain(&at(8001).calling_from(40_001))?;
    play.reset(
        number,
        Reset::endpoint(Side::Server, "RA", &[Cause::ClosedPort]),
    );

    let mut talk = play.open(&at(8002))?;
    talk.shout(Side::Client, REQUEST)?;
    pause(100);
    drop(talk.connection.server);
    let told = Reset::endpoint(Side::Server, "RA", &[Cause::AbortUnreadData]);
    play.reset(talk.number, told);
    pause(50);
    hush(talk.connection.client);

    play.endpoint_abort(&at(8003), Side::Server)?;
    keepalive(play)?;
    late(play)?;
    play.endpoint_abort(&at(8007), Side::Client)?;
    // The packets alone give the right verdicts; the kernel's reasons are to be in them too.
    pause(TESTIMONY_ARRIVES);
    Ok(())
}

fn keepalive(play: &mut Play) -> Result<()> {
    let talk = play.open(&at(8004))?;
    let second = Duration::from_secs(1);
    let probes = TcpKeepalive::new()
        .with_time(second)
        .with_interval(second)
        .with_retries(2);
    SockRef::from(&talk.server).set_tcp_keepalive(&probes)?;
    let silence = play
        .net
        .rule("firewall", "FORWARD -p tcp --dport 8004 -j DROP")?;
    pause(3600);
    drop(silence);
    let told = Reset::endpoint(Side::Server, "RA", &[Cause::KeepaliveTimeout]);
    play.reset(talk.number, told);
    talk.connection.hush();
    Ok(())
}

/// Segments that come after the server's end: to a connection in TIME-WAIT, and to one that is forgotten.
fn late(play: &mut Play) -> Result<()> {
    let told = || Reset::endpoint(Side::Server, "R", &[Cause::NoSocket]);
    let mut waits = play.open(&at(8005))?;
    drop(waits.connection.server);
    pause(100);
    waits.connection.client.write_all(REQUEST)?;
    play.reset(waits.number, told());
    pause(50);
    hush(waits.connection.client);

    let mut forgotten = play.open(&at(8006))?;
    hush(forgotten.connection.server);
    pause(100);
    forgotten.connection.client.write_all(REQUEST)?;
    play.reset(forgotten.number, told());
    pause(50);
    hush(forgotten.connection.client);
    Ok(())
}

/// ```text
///  client ──near── machine ──inner── box
///     10.1.0.2   .1      10.2.0.1   .2
/// ```
/// The machine's vantage watches its uplink, and speaks for the container: one kernel runs both.
fn container() -> Result<Plan> {
    Plan::default()
        .wire(
            "near",
            &["client eth0 10.1.0.2/24", "machine up0 10.1.0.1/24"],
        )?
        .wire(
            "inner",
            &["machine down0 10.2.0.1/24", "box eth0 10.2.0.2/24"],
        )?
        .route("client", "default via 10.1.0.1")
        .route("box", "default via 10.2.0.1")
        .host("client", "client eth0")?
        .host_of("machine", "machine up0", "box")
}

const fn call(port: u16) -> Call {
    Call::new("client", [10, 2, 0, 2], "box", port)
}

const BRIDGE: Place = Place {
    wire: "inner",
    machines: ["machine", "box"],
    to_server: ["client", "machine"],
    to_client: ["machine", "client"],
};

fn forgery(play: &mut Play) -> Result<()> {
    pause(WITNESS_STARTS);
    let mut forger = Forger::at(play, BRIDGE)?;
    for (port, looks) in [(8001, Looks::Own), (8002, Looks::Copied)] {
        let talk = play.open(&call(port))?;
        pause(QUIET);
        let reset = forger.reset(play, talk.number, Side::Client, looks, Cause::Injected)?;
        let told = play.truth.resets[reset].clone().first_at("machine");
        play.truth.resets[reset] = told;
        pause(50);
        talk.connection.hush();
    }
    // The container's own is still the container's.
    play.endpoint_abort(&call(8003), Side::Server)?;
    Ok(())
}

fn firewall(play: &mut Play) -> Result<()> {
    let told = |flags| Reset::endpoint(Side::Server, flags, &[Cause::HostFirewallReject]);
    let reject =
        |port: u16| format!("INPUT -p tcp --dport {port} -j REJECT --reject-with tcp-reset");
    pause(WITNESS_STARTS);
    // Ports of its own: one kernel hears the resets of all networks that stand at the same time.
    let rule = play.net.rule("server", &reject(8011))?;
    let number = play.call_in_vain(&at(8011).calling_from(40_011))?;
    play.reset(number, told("RA"));
    drop(rule);

    let mut talk = play.open(&at(8012))?;
    pause(200);
    let rule = play.net.rule("server", &reject(8012))?;
    talk.shout(Side::Client, REQUEST)?;
    play.reset(talk.number, told("R"));
    pause(100);
    talk.connection.hush();
    drop(rule);
    Ok(())
}

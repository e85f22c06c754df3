//! Packets that a firewall keeps to itself.

use std::time::Duration;

use anyhow::Result;
use parallax_core::report::{Cause, Side};
use socket2::{SockRef, TcpKeepalive};

use super::Network;
use super::plan::Plan;
use super::play::{Call, Play};
use super::straight::{CALL, FRAME, OTHER_CALL};
use super::truth::Reset;
use crate::traffic::{abort_on_close, hush, pause};

pub const ALL: &[Network] = &[
    Network {
        name: "silent_drop",
        story: "A firewall silently drops everything of three connections. The client of one \
                gives up after its retransmissions and the server of another after two seconds, \
                both with a RST that is dropped too; the third ends by TCP_USER_TIMEOUT without a \
                packet.",
        plan: Plan::straight,
        frame: FRAME,
        play: silent_drop,
    },
    Network {
        name: "conntrack_lost",
        story: "A stateful firewall loses its table; the next segment of one connection comes from \
                its client and of another from its server, and each draws a RST from the firewall.",
        plan: stateful,
        frame: FRAME,
        play: conntrack_lost,
    },
    Network {
        name: "keepalive_timeout",
        story: "A firewall drops what the client sends; the server's keep-alive probes stay \
                unanswered and its kernel gives up.",
        plan: Plan::straight,
        frame: FRAME,
        play: keepalive_timeout,
    },
];

const REQUEST: &[u8] = b"GET /second HTTP/1.1\r\nHost: server\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn silent_drop(play: &mut Play) -> Result<()> {
    let patient = Call::new("client", [10, 3, 0, 2], "server", 8003);
    let mut first = play.open(&CALL)?;
    let mut second = play.open(&OTHER_CALL)?;
    let mut third = play.open(&patient)?;
    let rules = [
        play.net
            .rule("firewall", "FORWARD -p tcp --dport 8001:8003 -j DROP")?,
        play.net
            .rule("firewall", "FORWARD -p tcp --sport 8001:8003 -j DROP")?,
    ];
    SockRef::from(&third.client).set_tcp_user_timeout(Some(Duration::from_secs(2)))?;
    first.shout(Side::Client, REQUEST)?;
    second.shout(Side::Server, ANSWER)?;
    third.shout(Side::Client, REQUEST)?;

    let causes = [Cause::AbortLinger, Cause::RetransmissionTimeout];
    let gives_up = |from| Reset::endpoint(from, "RA", &causes);
    pause(2000);
    abort_on_close(&second.server)?;
    drop(second.connection.server);
    play.reset(
        second.number,
        gives_up(Side::Server).lost_between("fw-out", "fw-in"),
    );
    // Long enough for five retransmissions: 0.2, 0.4, 0.8, 1.6 and 3.2 seconds apart.
    pause(4900);
    abort_on_close(&first.client)?;
    drop(first.connection.client);
    play.reset(
        first.number,
        gives_up(Side::Client).lost_between("fw-in", "fw-out"),
    );
    pause(100);
    drop(third.connection.client);
    for stream in [
        first.connection.server,
        second.connection.client,
        third.connection.server,
    ] {
        hush(stream);
    }
    drop(rules);
    Ok(())
}

fn stateful() -> Result<Plan> {
    let plan = Plan::straight()?
        .run(
            "firewall",
            "sysctl -q -w net.netfilter.nf_conntrack_tcp_loose=0",
        )
        .run(
            "firewall",
            "iptables -A FORWARD -p tcp -m conntrack --ctstate ESTABLISHED -j ACCEPT",
        )
        .run(
            "firewall",
            "iptables -A FORWARD -p tcp --syn -m conntrack --ctstate NEW -j ACCEPT",
        )
        .run(
            "firewall",
            "iptables -A FORWARD -p tcp -j REJECT --reject-with tcp-reset",
        );
    Ok(plan)
}

fn conntrack_lost(play: &mut Play) -> Result<()> {
    let mut first = play.open(&CALL)?;
    let mut second = play.open(&OTHER_CALL)?;
    pause(100);
    play.net.run("firewall", "conntrack -F")?;
    first.shout(Side::Client, REQUEST)?;
    second.shout(Side::Server, ANSWER)?;
    pause(100);
    let causes = [Cause::Injected, Cause::FirewallRejectContent];
    let to_client = Reset::forged(Side::Server, "R", ["fw-out", "fw-in"], &causes);
    let to_server = Reset::forged(Side::Client, "R", ["fw-in", "fw-out"], &causes);
    play.reset(first.number, to_client);
    play.reset(second.number, to_server);
    first.connection.hush();
    second.connection.hush();
    Ok(())
}

fn keepalive_timeout(play: &mut Play) -> Result<()> {
    let talk = play.open(&CALL)?;
    let second = Duration::from_secs(1);
    let probes = TcpKeepalive::new()
        .with_time(second)
        .with_interval(second)
        .with_retries(2);
    SockRef::from(&talk.server).set_tcp_keepalive(&probes)?;
    let silence = play
        .net
        .rule("firewall", "FORWARD -p tcp --dport 8001 -j DROP")?;
    pause(3600);
    drop(silence);
    let given_up = Reset::endpoint(Side::Server, "RA", &[Cause::KeepaliveTimeout]);
    play.reset(talk.number, given_up);
    talk.connection.hush();
    Ok(())
}

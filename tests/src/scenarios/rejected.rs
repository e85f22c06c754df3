//! Resets that a firewall makes by its rules, and what honest hosts send because of them.

use anyhow::Result;
use parallax_core::report::{Cause, Side};

use crate::firewall::Rule;
use crate::scenario::{PortOf, Scenario, Stage};
use crate::traffic::{self, Connection, pause};
use crate::truth::Expected;

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "reject_syn",
        story: "The firewall answers the SYN with REJECT tcp-reset.",
        truth: || {
            vec![
                Expected::forged(Side::Server, "RA", Cause::FirewallRejectSyn)
                    .between("fw-out", "fw-in"),
            ]
        },
        play: reject_syn,
    },
    Scenario {
        name: "reject_content",
        story: "The firewall rejects a request for its content, in mid-stream: RST to the client \
                only.",
        truth: || vec![content_rejected()],
        play: |stage| {
            request_forbidden(stage)?.hush();
            Ok(())
        },
    },
    Scenario {
        name: "reject_content_server_talks",
        story: "The firewall rejects a request for its content, RST to the client only; the \
                server, who knows nothing, sends more, and the client's kernel answers with an \
                honest RST.",
        truth: || {
            vec![
                content_rejected(),
                Expected::endpoint(Side::Client, "R", Cause::NoSocket).rooted(0),
            ]
        },
        play: reject_content_server_talks,
    },
    Scenario {
        name: "reject_reply_client_talks",
        story: "The firewall rejects the server's reply for its content: RST to the server only. \
                The client asks again, and the server's kernel answers with an honest RST.",
        truth: || {
            vec![
                Expected::forged(Side::Client, "R", Cause::FirewallRejectContent)
                    .between("fw-in", "fw-out"),
                Expected::endpoint(Side::Server, "R", Cause::NoSocket).rooted(0),
            ]
        },
        play: reject_reply_client_talks,
    },
    Scenario {
        name: "host_firewall_syn",
        story: "The server's own firewall rejects the SYN. On the wire this is a closed port: \
                either cause is right.",
        truth: || {
            vec![
                Expected::endpoint(Side::Server, "RA", Cause::HostFirewallReject)
                    .or(Cause::ClosedPort),
            ]
        },
        play: host_firewall_syn,
    },
    Scenario {
        name: "host_firewall_content",
        story: "The server's own firewall rejects a request for its content; the server's socket \
                lives and speaks again, and the client's kernel answers with an honest RST.",
        truth: || {
            vec![
                Expected::endpoint(Side::Server, "R", Cause::HostFirewallReject),
                Expected::endpoint(Side::Client, "R", Cause::NoSocket).rooted(0),
            ]
        },
        play: host_firewall_content,
    },
];

const REJECT: &str = "-j REJECT --reject-with tcp-reset";
const REJECT_FORBIDDEN: &str =
    "-m string --string FORBIDDEN --algo bm -j REJECT --reject-with tcp-reset";

fn content_rejected() -> Expected {
    Expected::forged(Side::Server, "R", Cause::FirewallRejectContent).between("fw-out", "fw-in")
}

fn reject_syn(stage: &Stage) -> Result<()> {
    let listener = traffic::listen(stage)?;
    let rule = stage.filter(PortOf::Destination, REJECT)?;
    traffic::connect_refused(stage)?;
    drop((rule, listener));
    Ok(())
}

/// Opens a connection and has a request on it rejected by the firewall.
fn request_forbidden(stage: &Stage) -> Result<Connection> {
    let mut connection = Connection::established(stage)?;
    forbid(stage, &mut connection)?;
    Ok(connection)
}

/// Has a request on an open connection rejected by the firewall.
pub fn forbid(stage: &Stage, connection: &mut Connection) -> Result<()> {
    let rule = stage.filter(PortOf::Destination, REJECT_FORBIDDEN)?;
    connection.shout(
        Side::Client,
        b"GET /FORBIDDEN HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    pause(100);
    drop(rule);
    Ok(())
}

fn reject_content_server_talks(stage: &Stage) -> Result<()> {
    let mut connection = request_forbidden(stage)?;
    connection.shout(Side::Server, b"HTTP/1.1 408 Request Timeout\r\n\r\n")?;
    pause(100);
    connection.hush();
    Ok(())
}

fn reject_reply_client_talks(stage: &Stage) -> Result<()> {
    let mut connection = Connection::established(stage)?;
    connection.say(
        Side::Client,
        b"GET /report HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    let rule = stage.filter(PortOf::Source, REJECT_FORBIDDEN)?;
    connection.shout(Side::Server, b"HTTP/1.1 200 OK\r\n\r\nFORBIDDEN words")?;
    pause(100);
    drop(rule);
    connection.shout(
        Side::Client,
        b"GET /report?again HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    pause(100);
    connection.hush();
    Ok(())
}

fn host_firewall_syn(stage: &Stage) -> Result<()> {
    let rule = host_rule(stage, REJECT)?;
    traffic::connect_refused(stage)?;
    drop(rule);
    Ok(())
}

fn host_firewall_content(stage: &Stage) -> Result<()> {
    let mut connection = Connection::established(stage)?;
    let rule = host_rule(stage, REJECT_FORBIDDEN)?;
    connection.shout(
        Side::Client,
        b"GET /FORBIDDEN HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    pause(100);
    drop(rule);
    connection.shout(Side::Server, b"HTTP/1.1 408 Request Timeout\r\n\r\n")?;
    pause(100);
    connection.hush();
    Ok(())
}

fn host_rule<'lab>(stage: &Stage<'lab>, rest: &str) -> Result<Rule<'lab>> {
    let rule = format!("INPUT -p tcp --dport {} {rest}", stage.port);
    Rule::add(&stage.lab.server, stage.family, &rule)
}

//! Resets that an injector forges.

use anyhow::Result;
use parallax_core::report::{Cause, Side};

use crate::injector::{Conversation, Injector};
use crate::lab::Wire;
use crate::scenario::{Scenario, Stage};
use crate::traffic::{Connection, pause};
use crate::truth::Expected;

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "inject_both_ways",
        story: "An injector between gateway and firewall resets both ends of a quiet connection.",
        truth: || {
            vec![
                Expected::forged(Side::Server, "R", Cause::InjectedBothWays)
                    .between("fw-in", "gw-out"),
                Expected::forged(Side::Client, "R", Cause::InjectedBothWays)
                    .between("gw-out", "fw-in"),
            ]
        },
        play: inject_both_ways,
    },
    Scenario {
        name: "inject_ttl_copied",
        story: "An injector between gateway and firewall resets the client in the server's name, \
                with the server's TTL, IP ID, window and acknowledgement.",
        truth: || {
            vec![Expected::forged(Side::Server, "RA", Cause::Injected).between("fw-in", "gw-out")]
        },
        play: inject_ttl_copied,
    },
    Scenario {
        name: "inject_burst",
        story: "An injector between gateway and firewall sees a request and races the answer with \
                RSTs at three sequence numbers; the answer then draws an honest RST.",
        truth: || {
            let forged = || {
                Expected::forged(Side::Server, "R", Cause::InjectedOffPath)
                    .between("fw-in", "gw-out")
            };
            let honest = Expected::endpoint(Side::Client, "R", Cause::NoSocket).rooted(0);
            vec![forged(), forged(), forged(), honest]
        },
        play: inject_burst,
    },
    Scenario {
        name: "inject_at_server_to_client",
        story: "An injector directly before the server host resets the client in the server's name.",
        truth: || {
            vec![Expected::forged(Side::Server, "R", Cause::Injected).between("server", "fw-out")]
        },
        play: |stage| inject_quietly(stage, Wire::Far, Side::Server),
    },
    Scenario {
        name: "inject_at_server_to_server",
        story: "An injector directly before the server host resets the server in the client's \
                name; the client speaks again, and the server's kernel answers with an honest RST.",
        truth: || {
            vec![
                Expected::forged(Side::Client, "R", Cause::Injected).between("fw-out", "server"),
                Expected::endpoint(Side::Server, "R", Cause::NoSocket).rooted(0),
            ]
        },
        play: inject_at_server_to_server,
    },
    Scenario {
        name: "inject_by_neighbour",
        story: "A machine on the client's segment resets the server in the client's name; the \
                client's own vantage runs on the client.",
        truth: || {
            vec![Expected::forged(Side::Client, "R", Cause::Injected).between("client", "gw-in")]
        },
        play: |stage| inject_quietly(stage, Wire::Near, Side::Client),
    },
];

/// Longer than "a moment after a payload segment": what follows has no trigger.
const QUIET: u64 = 700;

/// Opens a connection under an injector's ears.
fn overheard(stage: &Stage, wire: Wire) -> Result<(Connection, Injector, Conversation)> {
    let mut injector = Injector::on(stage.lab, wire)?;
    let connection = Connection::established(stage)?;
    pause(QUIET);
    let conversation = injector.conversation(stage.port)?;
    Ok((connection, injector, conversation))
}

fn inject_both_ways(stage: &Stage) -> Result<()> {
    let (connection, mut injector, conversation) = overheard(stage, Wire::Middle)?;
    injector.send(Side::Client, &conversation.forge(Side::Server))?;
    injector.send(Side::Server, &conversation.forge(Side::Client))?;
    pause(50);
    connection.hush();
    Ok(())
}

fn inject_ttl_copied(stage: &Stage) -> Result<()> {
    let (connection, mut injector, conversation) = overheard(stage, Wire::Middle)?;
    injector.send(Side::Client, &conversation.forge_alike(Side::Server))?;
    pause(50);
    connection.hush();
    Ok(())
}

fn inject_burst(stage: &Stage) -> Result<()> {
    let (mut connection, mut injector, _) = overheard(stage, Wire::Middle)?;
    connection.say(
        Side::Client,
        b"GET /second HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    let forged = injector.conversation(stage.port)?.forge(Side::Server);
    for ahead in [0, 1460, 4380] {
        let mut shot = forged.clone();
        shot.tcp.sequence_number = forged.tcp.sequence_number.wrapping_add(ahead);
        injector.send(Side::Client, &shot)?;
    }
    connection.shout(Side::Server, b"HTTP/1.1 200 OK\r\n\r\ntoo late")?;
    pause(100);
    connection.hush();
    Ok(())
}

/// Resets the peer of `from` in its name, long after the last segment.
fn inject_quietly(stage: &Stage, wire: Wire, from: Side) -> Result<()> {
    let (connection, mut injector, conversation) = overheard(stage, wire)?;
    injector.send(from.other(), &conversation.forge(from))?;
    pause(50);
    connection.hush();
    Ok(())
}

fn inject_at_server_to_server(stage: &Stage) -> Result<()> {
    let (mut connection, mut injector, conversation) = overheard(stage, Wire::Far)?;
    injector.send(Side::Server, &conversation.forge(Side::Client))?;
    pause(100);
    connection.shout(
        Side::Client,
        b"GET /second HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    pause(100);
    connection.hush();
    Ok(())
}

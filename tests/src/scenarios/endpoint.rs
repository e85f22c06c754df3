//! Resets that hosts send themselves, and traffic without any.

use std::time::Duration;

use anyhow::Result;
use parallax_core::report::{Cause, Side};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::injector::Tap;
use crate::lab::Family;
use crate::scenario::{PortOf, Scenario, Stage};
use crate::traffic::{self, Connection, pause};
use crate::truth::Expected;

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "ordinary",
        story: "A connection opens, talks and closes; nothing is reset.",
        truth: Vec::new,
        play: traffic::ordinary,
    },
    Scenario {
        name: "closed_port",
        story: "The client connects to a port where nobody listens.",
        truth: || vec![Expected::endpoint(Side::Server, "RA", Cause::ClosedPort)],
        play: traffic::connect_refused,
    },
    Scenario {
        name: "listener_overloaded",
        story: "Two clients finish the handshake, the accept queue has room for one, and the \
                server aborts on overflow.",
        truth: || {
            vec![Expected::endpoint(
                Side::Server,
                "R",
                Cause::ListenerOverloaded,
            )]
        },
        play: listener_overloaded,
    },
    Scenario {
        name: "syn_ack_refused",
        story: "Two SYNs leave the client in parallel and one connection is kept: the client \
                answers the other SYN+ACK with RST.",
        truth: || vec![Expected::endpoint(Side::Client, "R", Cause::SynAckRefused)],
        play: syn_ack_refused,
    },
    Scenario {
        name: "abort_unread_data",
        story: "The server closes with a request unread.",
        truth: || {
            vec![Expected::endpoint(
                Side::Server,
                "RA",
                Cause::AbortUnreadData,
            )]
        },
        play: abort_unread_data,
    },
    Scenario {
        name: "abort_linger",
        story: "The server answers, the client has it all, and the server closes with SO_LINGER 0.",
        truth: || vec![Expected::endpoint(Side::Server, "RA", Cause::AbortLinger)],
        play: |stage| abort_linger(stage, Side::Server),
    },
    Scenario {
        name: "abort_linger_client",
        story: "The client has its whole answer and closes with SO_LINGER 0.",
        truth: || vec![Expected::endpoint(Side::Client, "RA", Cause::AbortLinger)],
        play: |stage| abort_linger(stage, Side::Client),
    },
    Scenario {
        name: "late_segment",
        story: "The server has closed; the client writes once more.",
        truth: || vec![Expected::endpoint(Side::Server, "R", Cause::NoSocket)],
        play: late_segment,
    },
    Scenario {
        name: "keepalive_timeout",
        story: "The firewall drops what the server sends; the client's keep-alive probes stay \
                unanswered and it gives up.",
        truth: || {
            vec![Expected::endpoint(
                Side::Client,
                "RA",
                Cause::KeepaliveTimeout,
            )]
        },
        play: keepalive_timeout,
    },
    Scenario {
        name: "reset_lost",
        story: "The server aborts with SO_LINGER 0 and the firewall drops its RST.",
        truth: || {
            vec![
                Expected::endpoint(Side::Server, "RA", Cause::AbortLinger)
                    .lost_between("fw-out", "fw-in"),
            ]
        },
        play: reset_lost,
    },
];

fn listener_overloaded(stage: &Stage) -> Result<()> {
    let server = &stage.lab.server;
    server.sysctl("net/ipv4/tcp_abort_on_overflow", "1")?;
    let domain = domain(stage.family);
    let listener = server.within(|| {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&stage.server_socket().into())?;
        socket.listen(0)?;
        Ok(std::net::TcpListener::from(socket))
    })?;
    // Clients that delay the handshake's last ACK: both SYNs find room, then one ACK does.
    let clients = stage.lab.client.within(|| {
        (0..2)
            .map(|_| {
                let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
                socket.set_tcp_quickack(false)?;
                socket.connect(&stage.server_socket().into())?;
                Ok(std::net::TcpStream::from(socket))
            })
            .collect::<std::io::Result<Vec<_>>>()
    })?;
    pause(350);
    // Either may have been the first.
    let (server_end, peer) = listener.accept()?;
    for client in clients {
        if client.local_addr()? == peer {
            let mut connection = Connection {
                client,
                server: server_end.try_clone()?,
            };
            connection.say(Side::Client, b"GET /first HTTP/1.1\r\n\r\n")?;
            connection.say(Side::Server, b"HTTP/1.1 204 No Content\r\n\r\n")?;
            connection.client.shutdown(std::net::Shutdown::Write)?;
            pause(20);
            drop(connection.server);
        } else {
            traffic::hush(client);
        }
    }
    server.sysctl("net/ipv4/tcp_abort_on_overflow", "0")
}

fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    }
}

fn syn_ack_refused(stage: &Stage) -> Result<()> {
    let mut tap = Tap::open(&stage.lab.client, "eth0")?;
    let listener = traffic::listen(stage)?;
    let kept = Connection::open_at(stage, &listener)?;
    // A SYN from the client's own interface, for which its kernel knows no socket.
    let mut second = tap.conversation(stage.port)?.from_client;
    second.tcp.source_port = second.tcp.source_port.wrapping_add(1).max(1024);
    second.tcp.sequence_number = second.tcp.sequence_number.wrapping_add(77_777);
    second.tcp.acknowledgment_number = 0;
    second.tcp.ack = false;
    second.tcp.syn = true;
    second.tcp.options = etherparse::TcpOptions::default();
    tap.send(&second)?;
    pause(50);
    kept.close()
}

fn abort_unread_data(stage: &Stage) -> Result<()> {
    let mut connection = Connection::established(stage)?;
    connection.shout(
        Side::Client,
        b"POST /upload HTTP/1.1\r\nHost: server\r\n\r\n",
    )?;
    pause(100);
    drop(connection.server);
    pause(50);
    traffic::hush(connection.client);
    Ok(())
}

fn abort_linger(stage: &Stage, who: Side) -> Result<()> {
    let connection = Connection::established(stage)?;
    // Longer than a delayed ACK.
    pause(150);
    let (aborts, stays) = match who {
        Side::Client => (connection.client, connection.server),
        Side::Server => (connection.server, connection.client),
    };
    traffic::abort_on_close(&aborts)?;
    drop(aborts);
    pause(50);
    traffic::hush(stays);
    Ok(())
}

fn late_segment(stage: &Stage) -> Result<()> {
    let Connection { mut client, server } = Connection::established(stage)?;
    drop(server);
    pause(100);
    std::io::Write::write_all(&mut client, b"GET /late HTTP/1.1\r\nHost: server\r\n\r\n")?;
    pause(50);
    traffic::hush(client);
    Ok(())
}

fn keepalive_timeout(stage: &Stage) -> Result<()> {
    let connection = Connection::established(stage)?;
    let second = Duration::from_secs(1);
    let probes = TcpKeepalive::new()
        .with_time(second)
        .with_interval(second)
        .with_retries(2);
    SockRef::from(&connection.client).set_tcp_keepalive(&probes)?;
    let silence = stage.filter(PortOf::Source, "-j DROP")?;
    pause(3600);
    drop(silence);
    connection.hush();
    Ok(())
}

fn reset_lost(stage: &Stage) -> Result<()> {
    let drops = stage.filter(PortOf::Source, "--tcp-flags RST RST -j DROP")?;
    abort_linger(stage, Side::Server)?;
    drop(drops);
    Ok(())
}

//! Connections made in a standing network, and the truth that grows with them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parallax_core::report::{Cause, Side};
use socket2::{Domain, Protocol, Socket, Type};

use super::standing::Standing;
use super::truth::{self, Name, Reset, Truth};
use crate::traffic::{self, Connection, pause};

/// Longer than "a moment after a payload segment", in milliseconds: what follows has no trigger.
pub const QUIET: u64 = 700;

/// Who calls whom.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub client: &'static str,
    /// The client's port; 0: any.
    pub client_port: u16,
    /// What the client connects to.
    pub to: (Ipv4Addr, u16),
    /// The machine that answers, and the port it listens at.
    pub server: (&'static str, u16),
}

impl Call {
    /// A client's call to an address that a machine answers at the same port.
    pub const fn new(
        client: &'static str,
        address: [u8; 4],
        server: &'static str,
        port: u16,
    ) -> Self {
        let [a, b, c, d] = address;
        Self {
            client,
            client_port: 0,
            to: (Ipv4Addr::new(a, b, c, d), port),
            server: (server, port),
        }
    }

    /// The port that the client calls from.
    #[must_use]
    pub const fn calling_from(mut self, port: u16) -> Self {
        self.client_port = port;
        self
    }

    /// The port at which the machine listens, where it is another one than the client calls.
    #[must_use]
    pub const fn answered_at(mut self, port: u16) -> Self {
        self.server.1 = port;
        self
    }

    fn target(&self) -> SocketAddr {
        SocketAddr::from(self.to)
    }
}

/// An open connection of which the truth knows.
#[derive(Debug)]
pub struct Talk {
    pub connection: Connection,
    /// Its index in the truth.
    pub number: usize,
    /// Client's and server's socket as the client has them.
    pub near: (SocketAddr, SocketAddr),
    /// The same as the server has them.
    pub far: (SocketAddr, SocketAddr),
}

impl Deref for Talk {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Talk {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// A story in progress.
#[derive(Debug)]
pub struct Play<'net> {
    pub net: &'net Standing,
    pub truth: Truth,
}

impl<'net> Play<'net> {
    pub fn begin(net: &'net Standing, network: &str, story: &str) -> Result<Self> {
        let vantages = net.site()?.points.into_iter().map(|point| truth::Vantage {
            name: point.name.to_owned(),
            addresses: point.addresses,
        });
        Ok(Self {
            net,
            truth: Truth {
                network: network.to_owned(),
                story: story.to_owned(),
                vantages: vantages.collect(),
                connections: Vec::new(),
                resets: Vec::new(),
            },
        })
    }

    /// Listens where a call is answered.
    pub fn listen(&self, call: &Call) -> Result<TcpListener> {
        let (machine, port) = call.server;
        self.net
            .machine(machine)?
            .within(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
    }

    /// Opens a connection over which both ends have said something.
    pub fn open(&mut self, call: &Call) -> Result<Talk> {
        let listener = self.listen(call)?;
        self.open_at(call, &listener)
    }

    /// The same, to a listener that stays.
    pub fn open_at(&mut self, call: &Call, listener: &TcpListener) -> Result<Talk> {
        let connection = connect(self.net, call, listener)?;
        let near = (
            connection.client.local_addr()?,
            connection.client.peer_addr()?,
        );
        let far = (
            connection.server.peer_addr()?,
            connection.server.local_addr()?,
        );
        let path = self.net.plan.path(call.client, call.server.0);
        let number = self.declare(&path, near, far);
        Ok(Talk {
            connection,
            number,
            near,
            far,
        })
    }

    /// Makes a connection known: its way, and its sockets as the client and as the server has them.
    pub fn declare(
        &mut self,
        path: &[&'static str],
        near: (SocketAddr, SocketAddr),
        far: (SocketAddr, SocketAddr),
    ) -> usize {
        let plan = &self.net.plan;
        let way = |from: Side| {
            let passes = |name: &str| {
                let watch = plan.watches.iter().find(|watch| watch.name == name);
                watch.is_some_and(|watch| watch.hears.is_none_or(|hears| hears == from))
            };
            let names = path.iter().filter(|name| passes(name));
            names.map(|name| (*name).to_owned()).collect()
        };
        let change = plan
            .names_change
            .and_then(|[_, after]| path.iter().position(|name| *name == after));
        let (before, after) = path.split_at(change.unwrap_or(path.len()));
        let names = [(near, before), (far, after)]
            .into_iter()
            .filter(|(_, at)| !at.is_empty())
            .map(|((client, server), at)| Name {
                client,
                server,
                at: at.iter().map(|name| (*name).to_owned()).collect(),
            });
        let rewrites = plan.numbers_change.map(|ends| ends.map(str::to_owned));
        self.truth.connections.push(truth::Connection {
            path: way(Side::Client),
            way_back: way(Side::Server),
            names: names.collect(),
            rewrites,
        });
        self.truth.connections.len() - 1
    }

    /// Calls from a port that is told to one where nobody listens.
    pub fn call_in_vain(&mut self, call: &Call) -> Result<usize> {
        let machine = self.net.machine(call.client)?;
        let refused = machine.within(|| Ok(dial(call).err().map(|error| error.kind())))?;
        ensure!(
            refused == Some(std::io::ErrorKind::ConnectionRefused),
            "the connection should have been refused, and was: {refused:?}"
        );
        let own = self.net.plan.addresses(call.client);
        let own = own.first().context("a client without address")?;
        let client = SocketAddr::new(IpAddr::V4(*own), call.client_port);
        let (server, port) = call.server;
        let listener = self.net.plan.addresses(server);
        let listener = listener.first().context("a server without address")?;
        let server_socket = SocketAddr::new(IpAddr::V4(*listener), port);
        let path = self.net.plan.path(call.client, server);
        Ok(self.declare(&path, (client, call.target()), (client, server_socket)))
    }

    /// Adds a reset on a connection to the truth; returns its index.
    pub fn reset(&mut self, connection: usize, reset: Reset) -> usize {
        self.truth.resets.push(Reset {
            connection,
            ..reset
        });
        self.truth.resets.len() - 1
    }

    /// A connection that lives and dies in order.
    pub fn ordinary(&self, call: &Call) -> Result<()> {
        connect(self.net, call, &self.listen(call)?)?.end()
    }

    /// Opens a connection and has one end abort it when it is quiet.
    pub fn endpoint_abort(&mut self, call: &Call, who: Side) -> Result<usize> {
        let talk = self.open(call)?;
        let told = Reset::endpoint(who, "RA", &[Cause::AbortLinger]);
        let number = self.reset(talk.number, told);
        abort(talk, who)?;
        Ok(number)
    }
}

/// One end aborts (`SO_LINGER` 0) with everything read and acknowledged; the other is left
/// alone and forgotten.
pub fn abort(talk: Talk, who: Side) -> Result<()> {
    // Longer than a delayed ACK.
    pause(150);
    let (aborts, stays) = match who {
        Side::Client => (talk.connection.client, talk.connection.server),
        Side::Server => (talk.connection.server, talk.connection.client),
    };
    traffic::abort_on_close(&aborts)?;
    drop(aborts);
    pause(50);
    traffic::hush(stays);
    Ok(())
}

/// A connection over which both ends have said something.
fn connect(net: &Standing, call: &Call, listener: &TcpListener) -> Result<Connection> {
    let client = net
        .machine(call.client)?
        .within(|| dial(call))
        .with_context(|| format!("calling {call:?}"))?;
    let mut connection = Connection::accepted(client, listener)?;
    connection.exchange()?;
    Ok(connection)
}

/// Connects from within the client's namespace.
pub fn dial(call: &Call) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    if call.client_port != 0 {
        let own = SocketAddr::from((Ipv4Addr::UNSPECIFIED, call.client_port));
        socket.set_reuse_address(true)?;
        socket.bind(&own.into())?;
    }
    socket.connect_timeout(&call.target().into(), Duration::from_secs(3))?;
    Ok(socket.into())
}

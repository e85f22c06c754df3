//! Connections whose both ends are in the caller's hands.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use parallax_core::report::Side;

use crate::scenario::Stage;

/// No step of a scenario takes longer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Lets time pass on the wire.
pub fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Listens at the stage's port on the server.
pub fn listen(stage: &Stage) -> Result<TcpListener> {
    stage
        .lab
        .server
        .within(|| TcpListener::bind(stage.server_socket()))
}

/// Connects from the client to the stage's port.
pub fn connect(stage: &Stage) -> Result<TcpStream> {
    stage
        .lab
        .client
        .within(|| TcpStream::connect_timeout(&stage.server_socket(), PATIENCE))
}

/// Connects where that must be refused.
pub fn connect_refused(stage: &Stage) -> Result<()> {
    let refused = stage.lab.client.within(|| {
        Ok(TcpStream::connect_timeout(&stage.server_socket(), PATIENCE)
            .err()
            .map(|error| error.kind()))
    })?;
    ensure!(
        refused == Some(std::io::ErrorKind::ConnectionRefused),
        "the connection should have been refused, and was: {refused:?}"
    );
    Ok(())
}

/// One established connection.
#[derive(Debug)]
pub struct Connection {
    pub client: TcpStream,
    pub server: TcpStream,
}

impl Connection {
    pub fn open(stage: &Stage) -> Result<Self> {
        let listener = listen(stage)?;
        Self::open_at(stage, &listener)
    }

    /// Connects to a listener that stays.
    pub fn open_at(stage: &Stage, listener: &TcpListener) -> Result<Self> {
        Self::accepted(connect(stage)?, listener)
    }

    /// The connection whose client's end is this, once the listener has accepted it.
    pub fn accepted(client: TcpStream, listener: &TcpListener) -> Result<Self> {
        let (server, _) = listener.accept().context("accepting a connection")?;
        for end in [&client, &server] {
            end.set_read_timeout(Some(PATIENCE))?;
            end.set_nodelay(true)?;
        }
        Ok(Self { client, server })
    }

    /// Opens a connection over which both ends have said something.
    pub fn established(stage: &Stage) -> Result<Self> {
        let mut connection = Self::open(stage)?;
        connection.exchange()?;
        Ok(connection)
    }

    /// A request and its answer.
    pub fn exchange(&mut self) -> Result<()> {
        self.say(Side::Client, b"GET /first HTTP/1.1\r\nHost: server\r\n\r\n")?;
        self.say(
            Side::Server,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        )
    }

    /// One end writes and the other reads all of it.
    pub fn say(&mut self, from: Side, text: &[u8]) -> Result<()> {
        let (writer, reader) = match from {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        writer.write_all(text).context("writing")?;
        let mut heard = vec![0; text.len()];
        reader.read_exact(&mut heard).context("reading")?;
        ensure!(heard == text, "the wire garbled what was said");
        Ok(())
    }

    /// One end writes what need not arrive.
    pub fn shout(&mut self, from: Side, text: &[u8]) -> Result<()> {
        match from {
            Side::Client => self.client.write_all(text),
            Side::Server => self.server.write_all(text),
        }
        .context("writing")
    }

    /// Closes from both ends in order, the client first.
    pub fn close(self) -> Result<()> {
        self.close_from(Side::Client)
    }

    /// Closes from both ends in order, `first` first.
    pub fn close_from(self, first: Side) -> Result<()> {
        let (mut first, mut last) = match first {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        };
        first.shutdown(Shutdown::Write)?;
        let mut rest = [0; 16];
        ensure!(last.read(&mut rest)? == 0, "unread data at the last end");
        drop(last);
        ensure!(first.read(&mut rest)? == 0, "unread data at the first end");
        Ok(())
    }

    /// One more exchange, and the end in order.
    pub fn end(mut self) -> Result<()> {
        self.say(
            Side::Client,
            b"GET /second HTTP/1.1\r\nHost: server\r\n\r\n",
        )?;
        self.say(Side::Server, b"HTTP/1.1 204 No Content\r\n\r\n")?;
        self.close()
    }

    /// Forgets both ends without a packet.
    pub fn hush(self) {
        hush(self.client);
        hush(self.server);
    }
}

/// Closes a socket without a packet (`TCP_REPAIR`), so that a scenario's end adds no traffic.
pub fn hush(stream: TcpStream) {
    // A socket that is dead already may refuse, and then closes silently anyway.
    let _refusal = setsockopt(&stream, sockopt::TcpRepair, &1);
    drop(stream);
}

/// Makes closing this socket abort the connection (`SO_LINGER` 0).
pub fn abort_on_close(stream: &TcpStream) -> Result<()> {
    socket2::SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .context("setting SO_LINGER")
}

/// One connection that lives and dies in order, at the stage's port.
pub fn ordinary(stage: &Stage) -> Result<()> {
    Connection::established(stage)?.end()
}

//! The load: connections that end well, and such that end with one RST whose 4-tuple nobody else has.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};
use parallax_core::report::Side;
use socket2::{Domain, Socket, Type};

use crate::lab::{Family, Lab, address};
use crate::live::now;

/// Listens.
const OPEN: u16 = 7950;
/// Nobody listens there.
const CLOSED: u16 = 7951;
/// Ports of the client, each used once.
const PORTS: std::ops::Range<u16> = 2000..64_000;
/// Between two RSTs.
const PACE: Duration = Duration::from_millis(25);
/// Connections that end well, for each with a RST.
const GOOD: usize = 2;

/// A RST that went from one end to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub src: SocketAddr,
    pub dst: SocketAddr,
    /// It passed every tap between these times, nanoseconds since the epoch.
    pub between: (i64, i64),
}

/// Running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    client: JoinHandle<io::Result<Vec<Sent>>>,
}

impl Load {
    pub fn start(lab: &Lab) -> Result<Self> {
        let server = SocketAddr::new(address(Side::Server, Family::V4), OPEN);
        let listener = lab.server.within(|| TcpListener::bind(server))?;
        std::thread::spawn(move || serve(&listener));
        let namespace = lab.client.handle().context("the client's namespace")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let client = std::thread::spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
            make(&stopped)
        });
        Ok(Self { stop, client })
    }

    /// Ends it; every RST that was sent.
    pub fn stop(self) -> Result<Vec<Sent>> {
        self.stop.store(true, Ordering::Relaxed);
        let made = self.client.join().map_err(|_| anyhow!("the load failed"))?;
        made.context("making load")
    }
}

/// Echoes on every connection.
fn serve(listener: &TcpListener) {
    while let Ok((mut stream, _)) = listener.accept() {
        std::thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok(count) = stream.read(&mut octets) {
                if count == 0 || stream.write_all(&octets[..count]).is_err() {
                    return;
                }
            }
        });
    }
}

fn make(stop: &AtomicBool) -> io::Result<Vec<Sent>> {
    let mut sent = Vec::new();
    let client = address(Side::Client, Family::V4);
    let server = address(Side::Server, Family::V4);
    let mut ports = PORTS;
    let mut aborts = true;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..GOOD {
            let Some(port) = ports.next() else {
                return Ok(sent);
            };
            converse(open(client, port, server)?)?;
        }
        let Some(port) = ports.next() else {
            return Ok(sent);
        };
        sent.push(if aborts {
            abort(client, port, server)?
        } else {
            knock(client, port, server)?
        });
        aborts = !aborts;
        std::thread::sleep(PACE);
    }
    Ok(sent)
}

fn socket(client: IpAddr, port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(client, port).into())?;
    Ok(socket)
}

fn open(client: IpAddr, port: u16, server: IpAddr) -> io::Result<TcpStream> {
    let socket = socket(client, port)?;
    socket.connect_timeout(
        &SocketAddr::new(server, OPEN).into(),
        Duration::from_secs(5),
    )?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn converse(mut stream: TcpStream) -> io::Result<()> {
    say(&mut stream)
}

fn say(stream: &mut TcpStream) -> io::Result<()> {
    let text = [b'x'; 700];
    stream.write_all(&text)?;
    let mut heard = [0; 700];
    stream.read_exact(&mut heard)
}

/// The client throws a connection away with nothing unread on either side.
fn abort(client: IpAddr, port: u16, server: IpAddr) -> io::Result<Sent> {
    let mut stream = open(client, port, server)?;
    say(&mut stream)?;
    let socket = Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO))?;
    let from = now();
    drop(socket);
    Ok(Sent {
        src: SocketAddr::new(client, port),
        dst: SocketAddr::new(server, OPEN),
        between: (from, settled()),
    })
}

/// The server's host refuses.
fn knock(client: IpAddr, port: u16, server: IpAddr) -> io::Result<Sent> {
    let closed = SocketAddr::new(server, CLOSED);
    let from = now();
    refused(client, port, closed)?;
    Ok(Sent {
        src: closed,
        dst: SocketAddr::new(client, port),
        between: (from, settled()),
    })
}

/// One refused connection from this port of the client: the server's host sends one RST.
pub(crate) fn refused(client: IpAddr, port: u16, closed: SocketAddr) -> io::Result<()> {
    let socket = socket(client, port)?;
    match socket.connect_timeout(&closed.into(), Duration::from_secs(5)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        other => Err(io::Error::other(format!(
            "{closed} did not refuse: {other:?}"
        ))),
    }
}

/// A moment later: what was sent has passed every tap.
fn settled() -> i64 {
    std::thread::sleep(Duration::from_millis(5));
    now()
}

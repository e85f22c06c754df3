//! Takes connections, and finds out whether they speak TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parallax_identity::Bearer;
use parallax_identity::tls::ServerTls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::warn;

use super::{Peer, Transport};
use crate::audit::Audit;

/// Connections that are being looked at or wait to be served.
const OPENING_MAX: usize = 1024;
/// How long a client may take to show what it speaks, and for the handshake.
const PATIENCE: Duration = Duration::from_secs(5);
/// Content type of a TLS handshake record (RFC 8446, 5.1). No HTTP begins so.
const HANDSHAKE: u8 = 0x16;

/// A listener whose connections have shown what they are.
#[derive(Debug)]
pub struct Gate {
    bound: SocketAddr,
    opened: mpsc::Receiver<(Connection, Peer)>,
}

impl Gate {
    /// Listens until it is dropped.
    pub fn new(
        listener: TcpListener,
        bound: SocketAddr,
        tls: Option<Arc<ServerTls>>,
        audit: Audit,
    ) -> Self {
        let (opening, opened) = mpsc::channel(16);
        tokio::spawn(take(listener, tls, audit, opening));
        Self { bound, opened }
    }
}

impl axum::serve::Listener for Gate {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        match self.opened.recv().await {
            Some(opened) => opened,
            // Only when the runtime ends.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer {
            address: self.bound,
            transport: Transport::Plain,
        })
    }
}

async fn take(
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    audit: Audit,
    opening: mpsc::Sender<(Connection, Peer)>,
) {
    let room = Arc::new(Semaphore::new(OPENING_MAX));
    loop {
        let accepted = tokio::select! {
            () = opening.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // No descriptors left, for instance: some are given back by and by.
                if !is_the_clients(&error) {
                    warn!("a connection was not taken: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            warn!("small answers may be slow on one connection: {error}");
        }
        let Some(tls) = &tls else {
            let peer = Peer {
                address,
                transport: Transport::Plain,
            };
            if opening
                .send((Connection::Plain(stream), peer))
                .await
                .is_err()
            {
                return;
            }
            continue;
        };
        // Never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let (tls, audit, opening) = (Arc::clone(tls), audit.clone(), opening.clone());
        tokio::spawn(async move {
            if let Some(opened) = open(stream, address, &tls, &audit).await {
                // Closed when the collector stops.
                let _ = opening.send(opened).await;
            }
            drop(place);
        });
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn open(
    stream: TcpStream,
    address: SocketAddr,
    tls: &ServerTls,
    audit: &Audit,
) -> Option<(Connection, Peer)> {
    let mut first = [0];
    let peeked = tokio::time::timeout(PATIENCE, stream.peek(&mut first)).await;
    if !matches!(peeked, Ok(Ok(1))) {
        return None;
    }
    if first != [HANDSHAKE] {
        let transport = Transport::Plain;
        return Some((Connection::Plain(stream), Peer { address, transport }));
    }
    let accepting = TlsAcceptor::from(tls.config()).accept(stream);
    let accepting = accepting.into_fallible();
    let refuse = |reason: &str| {
        audit.refused(("unknown", Some(address.ip())), "connect", "", reason);
        None
    };
    let stream = match tokio::time::timeout(PATIENCE, accepting).await {
        Err(_) => return None,
        // Who hangs up in the middle was not refused.
        Ok(Err((error, _))) if error.kind() != io::ErrorKind::InvalidData => return None,
        Ok(Err((error, stream))) => {
            let refused = refuse(&error.to_string());
            part(stream).await;
            return refused;
        }
        Ok(Ok(stream)) => stream,
    };
    let certificates = stream.get_ref().1.peer_certificates();
    let bearer = match certificates.and_then(<[_]>::first) {
        None => None,
        Some(certificate) => match Bearer::read(certificate) {
            Ok(bearer) => Some(Arc::new(bearer)),
            Err(error) => return refuse(&error.to_string()),
        },
    };
    let transport = Transport::Tls(bearer);
    Some((
        Connection::Tls(Box::new(stream)),
        Peer { address, transport },
    ))
}

/// Hangs up so that the other side reads the alert with the reason: what it has sent is read, not answered with a reset.
async fn part(mut stream: TcpStream) {
    let reading = async {
        let mut octets = [0; 1024];
        if stream.shutdown().await.is_ok() {
            while matches!(stream.read(&mut octets).await, Ok(1..)) {}
        }
    };
    // A second serves; then it is hung up on anyway.
    let _ = tokio::time::timeout(Duration::from_secs(1), reading).await;
}

/// A connection, wrapped or not.
#[derive(Debug)]
pub enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

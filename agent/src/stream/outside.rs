//! What the stream takes from outside: connections, and chance.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::transport::Uri;

use crate::trust::host;

/// Where a URL without a port leads.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// A connection to a collector.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection that is being made.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send>>;

/// How collectors are reached, and by what chance pauses differ. `default()`: over TCP, by the system's chance.
#[derive(Clone)]
pub struct Outside {
    dial: Arc<dyn Fn(Uri) -> Dialling + Send + Sync>,
    chance: Arc<dyn Fn() -> u32 + Send + Sync>,
}

impl Outside {
    /// Connections by `dial`; every value of `chance` should be as likely as any other.
    pub fn new(
        dial: impl Fn(Uri) -> Dialling + Send + Sync + 'static,
        chance: impl Fn() -> u32 + Send + Sync + 'static,
    ) -> Self {
        Self {
            dial: Arc::new(dial),
            chance: Arc::new(chance),
        }
    }

    pub(super) fn dial(&self, uri: Uri) -> Dialling {
        (self.dial)(uri)
    }

    pub(super) fn chance(&self) -> u32 {
        (self.chance)()
    }
}

impl Default for Outside {
    fn default() -> Self {
        Self::new(
            |uri| Box::pin(tcp(uri)),
            || RandomState::new().build_hasher().finish() as u32,
        )
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Outside")
    }
}

async fn tcp(uri: Uri) -> io::Result<Box<dyn Wire>> {
    let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => HTTPS,
        _ => HTTP,
    });
    let stream = TcpStream::connect((host(&uri), port)).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

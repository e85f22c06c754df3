//! A connection to a collector, in TLS or not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use parallax_core::time::SECOND;
use parallax_identity::Bearer;
use parallax_identity::tls::ClientFiles;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Error, Uri};
use tracing::warn;

use super::counted::Counted;
use super::outside::Outside;
use crate::clock;
use crate::meter::Meter;
use crate::trust::host;

/// A connection that is silent for so long is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// What a connection is wrapped in.
#[derive(Debug, Clone)]
pub enum Link {
    Plain,
    Tls(Box<ClientConfig>),
    /// TLS with what the files have when the connection is made.
    Files(ClientFiles),
}

trait Octets: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Octets for T {}

type Wrapped = Pin<Box<dyn Octets>>;

impl Link {
    /// Connects; the TCP connection is waited for no longer than `patience`.
    pub async fn channel(
        self,
        uri: Uri,
        patience: Duration,
        (outside, meter): (Outside, Arc<Meter>),
    ) -> Result<Channel, Error> {
        let endpoint = Endpoint::from(uri)
            .connect_timeout(patience)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        let connector = tower::service_fn(move |uri| {
            let (link, outside, meter) = (self.clone(), outside.clone(), Arc::clone(&meter));
            async move { link.connect(&outside, uri, meter).await.map(TokioIo::new) }
        });
        endpoint.connect_with_connector(connector).await
    }

    async fn connect(self, outside: &Outside, uri: Uri, meter: Arc<Meter>) -> io::Result<Wrapped> {
        let config = match self {
            Self::Plain => None,
            Self::Tls(config) => Some(*config),
            Self::Files(files) => {
                warn_of_its_end(&files);
                Some(files.config().map_err(io::Error::other)?)
            }
        };
        let stream = Counted::connect(outside, uri.clone(), meter).await?;
        let Some(config) = config else {
            return Ok(Box::pin(stream));
        };
        let name = ServerName::try_from(host(&uri).to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Box::pin(connector.connect(name, stream).await?))
    }
}

/// A collector refuses a certificate whose time is over; an agent that was off for long has one.
fn warn_of_its_end(files: &ClientFiles) {
    let Ok(Some(certificate)) = files.certificate() else {
        return;
    };
    let now = clock::wall().nanos().div_euclid(SECOND);
    if Bearer::read(&certificate).is_ok_and(|bearer| bearer.until < now) {
        warn!("this agent's certificate has expired; enrol it again with `parallax enroll`");
    }
}

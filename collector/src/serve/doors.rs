//! The addresses to listen on, and which of them stand open.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tracing::warn;

use super::{ServeError, Settings};
use crate::audit::Audit;
use crate::gate::{self, Demand, Identities};
use crate::store::{AuditOutcome, Entry, StoreError};

pub(super) async fn listen(
    addresses: &[SocketAddr],
) -> Result<Vec<(TcpListener, SocketAddr)>, ServeError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => ServeError::InUse { address: *address },
            _ => ServeError::Listen {
                address: *address,
                source,
            },
        };
        let listener = TcpListener::bind(*address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        listeners.push((listener, bound));
    }
    Ok(listeners)
}

/// An address that other machines reach must have TLS where identity is demanded.
pub(super) fn refuse_plain(settings: &Settings, identities: &Identities) -> Result<(), ServeError> {
    if settings.gate.demand != Demand::Identity || identities.tls.is_some() {
        return Ok(());
    }
    let mut open = settings.listen.iter().filter(|address| is_open(address));
    match open.next() {
        Some(address) => Err(ServeError::Plain { address: *address }),
        None => Ok(()),
    }
}

/// Whether other machines can reach it.
fn is_open(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Says what is not guarded, to people and in the audit.
pub(super) async fn warn_of_open_doors(
    bound: &[SocketAddr],
    settings: &gate::Settings,
    identities: &Identities,
    audit: &Audit,
) -> Result<(), StoreError> {
    let reason = match (settings.demand, &identities.tls) {
        (Demand::Identity, _) | (Demand::AsSetUp, Some(_)) => return Ok(()),
        (Demand::AsSetUp, None) => {
            "without TLS: whoever reaches this address can write for any vantage, and read everything"
        }
        (Demand::Nothing, _) => "plain connections are let in, as --insecure-plaintext says",
    };
    for address in bound.iter().filter(|address| is_open(address)) {
        warn!(
            "{address} is open to other machines {reason}; `parallax pki init DIR` and `serve --pki DIR` give it TLS, \
             --require-identity refuses to go without"
        );
        let entry = Entry {
            who: "local".to_owned(),
            from: None,
            act: "listen".to_owned(),
            object: address.to_string(),
            outcome: AuditOutcome::Warned,
            reason: reason.to_owned(),
        };
        audit.note(entry).await?;
    }
    Ok(())
}

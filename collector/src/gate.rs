//! Who may come in: TLS by the first octet, certificates of agents, roles of people.
//!
//! Both ports serve everything. Over TLS an agent shows its certificate, a person a token. Without TLS a connection
//! from this machine is let in as before; one from elsewhere only where no TLS is set up, or where it is
//! allowed in so many words.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::IncomingStream;
use ipnet::IpNet;
use parallax_identity::tls::{ServerFiles, ServerTls};
use parallax_identity::{Authority, Bearer, IdentityError};

mod admit;
mod listener;

pub use admit::{Caller, Door, admit};
pub use listener::Gate;

/// How the collector guards itself.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub tls: Option<TlsSettings>,
    pub demand: Demand,
    /// Whose word on roles counts.
    pub proxies: Proxies,
}

/// Where certificates are.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    pub files: ServerFiles,
    /// The authority's key: without it nobody can enrol here.
    pub authority_key: Option<std::path::PathBuf>,
    /// Seconds that an agent's certificate is good for.
    pub life: u64,
}

/// What is demanded of connections from other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Demand {
    /// TLS where it is set up, roles where there are any; otherwise a warning.
    #[default]
    AsSetUp,
    /// TLS and roles always.
    Identity,
    /// Nothing: plain connections beside TLS.
    Nothing,
}

/// Reverse proxies that say who may do what.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    pub addresses: Vec<IpNet>,
    /// The header with a role in it, in lower case.
    pub header: String,
}

/// What signs agents' certificates.
#[derive(Debug)]
pub struct Signing {
    pub authority: Authority,
    pub life: u64,
}

/// Identities, read from their files.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    pub tls: Option<Arc<ServerTls>>,
    pub signing: Option<Arc<Signing>>,
}

impl Settings {
    /// How an address is spoken to, where that is not left open: from this machine without TLS too.
    pub fn scheme(&self, address: &SocketAddr) -> &'static str {
        let tls = self.tls.is_some() && self.demand != Demand::Nothing;
        if tls && !address.ip().to_canonical().is_loopback() {
            "https"
        } else {
            "http"
        }
    }

    /// Reads the files; a collector with files that do not do must not start.
    pub fn identities(&self) -> Result<Identities, IdentityError> {
        let Some(settings) = &self.tls else {
            return Ok(Identities::default());
        };
        let signing = match &settings.authority_key {
            None => None,
            Some(key) => Some(Arc::new(Signing {
                authority: Authority::read(&settings.files.authorities, key)?,
                life: settings.life,
            })),
        };
        Ok(Identities {
            tls: Some(Arc::new(ServerTls::open(settings.files.clone())?)),
            signing,
        })
    }
}

/// Where a connection comes from, and how.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: SocketAddr,
    pub transport: Transport,
}

/// What a connection is wrapped in.
#[derive(Debug, Clone)]
pub enum Transport {
    Plain,
    /// With the client's certificate, if it showed one; it was checked.
    Tls(Option<Arc<Bearer>>),
}

impl axum::extract::connect_info::Connected<IncomingStream<'_, Gate>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Self {
        stream.remote_addr().clone()
    }
}

//! The running collector: listeners, loader, judge, and the private Postgres beneath them.

mod database;
mod doors;
mod keeping;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use parallax_bundle::sealed::Signer;
use parallax_core::Selection;
use parallax_identity::IdentityError;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use url::Url;
use uuid::Uuid;

use crate::audit::Audit;
use crate::clock;
use crate::enrolment::EnrolmentService;
use crate::gate::{self, Door, Gate, Identities, Peer};
use crate::herald;
use crate::http::{self, Api};
use crate::ingest::{Depot, IngestService, Loader, Parts, Registry};
use crate::judging::{Judge, watchers};
use crate::lock::LockError;
use crate::meters;
use crate::postgres::PostgresError;
use crate::query;
use crate::recall::Inquirer;
use crate::signing;
use crate::store::{ConnectError, Store, StoreError, Target};
use crate::traces;
use database::supervise;
pub use database::{Opened, open, open_beside};
use doors::{listen, refuse_plain, warn_of_open_doors};
use keeping::{keep_days, keep_streams};

/// How long connections may take to end when the collector stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Where the digests go.
#[derive(Debug, Clone)]
pub enum Database {
    /// A server that somebody runs.
    Url(Box<Target>),
    /// A server of our own, in this folder.
    Private { data_dir: PathBuf },
}

/// What a collector is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub database: Database,
    /// Addresses to listen on; all serve everything.
    pub listen: Vec<SocketAddr>,
    /// The configured path, client side first.
    pub path: Vec<String>,
    /// What agents are told to ship; `None`: what was set before, or what they were started with.
    pub segments: Option<Selection>,
    /// Days after which segments are dropped; `None`: never.
    pub retention: Option<u16>,
    /// Octets of the database above which the oldest days are dropped; `None`: never.
    pub retention_octets: Option<u64>,
    /// Who may come in.
    pub gate: gate::Settings,
    /// Whom to tell when a place begins to forge resets.
    pub alerts: herald::Settings,
    /// The file of the key that signs bundles; `None`: they cannot be had.
    pub signing_key: Option<PathBuf>,
}

/// Why the collector does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error("cannot make the data directory {dir}: {source}; choose another --data-dir")]
    DataDir {
        dir: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("port {port} of {ip} is in use; stop what listens there, or choose another address with --grpc or --http", ip = address.ip(), port = address.port())]
    InUse { address: SocketAddr },
    #[error("cannot listen on {address}: {source}; choose another address with --grpc or --http")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(
        "{address} can be reached from other machines, and there is no TLS for it; give it certificates with --pki or --tls-cert, or listen on 127.0.0.1"
    )]
    Plain { address: SocketAddr },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("starting PostgreSQL ended unexpectedly: {0}")]
    Task(#[from] JoinError),
}

/// Runs a collector until `shutdown` completes. `ready` gets the addresses it listens on, in the
/// order of the settings.
pub async fn serve(
    settings: Settings,
    ready: impl FnOnce(&[SocketAddr]),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    // Before the database: what fails in a moment must not wait for what takes a second.
    let identities = settings.gate.identities()?;
    refuse_plain(&settings, &identities)?;
    let listeners = listen(&settings.listen).await?;
    let bound: Vec<SocketAddr> = listeners.iter().map(|(_, bound)| *bound).collect();
    let opened = open(&settings.database).await?;
    let Opened { store, private } = opened;
    if let Some(segments) = settings.segments {
        store.set_policy("", Some(segments), None).await?;
    }
    // Before the first digests; where it fails they are stored as other days' until the next turn.
    if let Err(error) = store.open_days_ahead().await {
        warn!("{error}");
    }
    let stop_all = CancellationToken::new();
    let supervisor = private.map(|private| tokio::spawn(supervise(private, stop_all.clone())));
    let streams = CancellationToken::new();
    meters::start(streams.clone());
    tokio::spawn(keep_days(
        store.clone(),
        (settings.retention, settings.retention_octets),
        streams.clone(),
    ));
    let herald = tokio::spawn(herald::run(
        store.clone(),
        settings.alerts,
        pages(&bound, &settings.gate),
        streams.clone(),
    ));
    let signer = settings.signing_key.and_then(|file| signer(&file));
    let audit = Audit::new(store.clone());
    let keeping = tokio::spawn(audit.clone().keep(streams.clone()));
    warn_of_open_doors(&bound, &settings.gate, &identities, &audit).await?;
    let door = Door {
        store: store.clone(),
        audit: audit.clone(),
        demand: settings.gate.demand,
        tls: identities.tls.is_some(),
        proxies: Arc::new(settings.gate.proxies),
    };
    let (router, workers) = assemble(
        &store,
        settings.path,
        signer,
        &streams,
        (&identities, &audit),
    );
    let mut router = router.layer(middleware::from_fn_with_state(door, gate::admit));
    if traces::are_made() {
        router = router.layer(middleware::from_fn(traces::trace_request));
    }
    let servers = start_servers(listeners, &router, &streams, (&identities, &audit));
    drop(router);
    ready(&bound);
    shutdown.await;
    info!("stopping");
    streams.cancel();
    finish(servers, workers).await;
    if timeout(STOP_PATIENCE, keeping).await.is_err() {
        warn!("the last refusals are in the log only");
    }
    if timeout(STOP_PATIENCE, herald).await.is_err() {
        warn!("somebody who is told of injections did not answer in time, and may be told again");
    }
    stop_all.cancel();
    let private = match supervisor {
        Some(supervisor) => Some(supervisor.await?),
        None => None,
    };
    Opened { store, private }.close().await;
    Ok(())
}

/// What works behind the routes, and how to stop it.
struct Workers {
    loaders: JoinSet<()>,
    judge: JoinHandle<()>,
    judge_stop: CancellationToken,
}

/// A collector without a key does everything but sign.
fn signer(file: &Path) -> Option<Arc<Signer>> {
    let signer = signing::read_or_make(file);
    signer.map(Arc::new).map_err(|error| warn!("{error}")).ok()
}

fn assemble(
    store: &Store,
    path: Vec<String>,
    signer: Option<Arc<Signer>>,
    stop: &CancellationToken,
    (identities, audit): (&Identities, &Audit),
) -> (Router, Workers) {
    let registry = Registry::default();
    let watchers = watchers();
    let judge_stop = CancellationToken::new();
    let (inquirer, inquiries, questions) = Inquirer::new(store.clone());
    tokio::spawn(inquirer.run(stop.clone()));
    let (compared, reference) = watch::channel(None);
    tokio::spawn(clock::compare(store.clone(), compared, stop.clone()));
    let collector = Uuid::now_v7();
    tokio::spawn(keep_streams(
        store.clone(),
        registry.clone(),
        collector,
        stop.clone(),
    ));
    let (judge, court) = Judge::new(
        store.clone(),
        path.clone(),
        watchers.clone(),
        inquiries,
        collector,
    );
    let judge = tokio::spawn(judge.run(judge_stop.clone()));
    let depot: Arc<dyn Depot> = Arc::new(store.clone());
    let (entrance, loaders) = Loader::start(&depot, &court);
    let parts = Parts {
        store: depot,
        registry: registry.clone(),
        audit: Some(audit.clone()),
        loader: entrance,
        court,
        questions,
        collector,
        reference,
    };
    let ingest = IngestService::new(parts, stop.clone());
    let api = Api {
        store: store.clone(),
        registry,
        path: Arc::new(path),
        watchers,
        audit: audit.clone(),
        identities: identities.clone(),
        signer,
        stop: stop.clone(),
    };
    let enrolment = EnrolmentService {
        store: store.clone(),
        audit: audit.clone(),
        identities: identities.clone(),
    };
    let router = query::routes(&api)
        .merge(http::routes(api))
        .route_service("/parallax.v1.Ingest/{*method}", ingest.into_server())
        .route_service("/parallax.v1.Enrolment/{*method}", enrolment.into_server());
    let workers = Workers {
        loaders,
        judge,
        judge_stop,
    };
    (router, workers)
}

/// The loaders store what they were given, then the judge stops; its docket is in the database.
async fn finish(mut servers: JoinSet<()>, mut workers: Workers) {
    let ended = async { while servers.join_next().await.is_some() {} };
    if timeout(STOP_PATIENCE, ended).await.is_err() {
        warn!("some connections did not end in time");
        servers.shutdown().await;
    }
    let loaded = async { while workers.loaders.join_next().await.is_some() {} };
    if timeout(STOP_PATIENCE, loaded).await.is_err() {
        warn!("the loaders did not end in time; agents will send again what is not committed");
    }
    workers.judge_stop.cancel();
    if timeout(STOP_PATIENCE, workers.judge).await.is_err() {
        warn!("the judge did not end in time; it goes on at the next start");
    }
}

/// Where people look, unless they are told otherwise: the last address, which is that of `--http`.
fn pages(bound: &[SocketAddr], gate: &gate::Settings) -> Option<Url> {
    let address = bound.last()?;
    let scheme = gate.scheme(address);
    let mut url: Url = format!("{scheme}://{address}").parse().ok()?;
    // Nobody is at 0.0.0.0: this machine's own name is a better guess.
    if address.ip().is_unspecified()
        && let Ok(name) = std::fs::read_to_string("/proc/sys/kernel/hostname")
    {
        // A name that no address can have leaves the address.
        let _ = url.set_host(Some(name.trim()));
    }
    Some(url)
}

fn start_servers(
    listeners: Vec<(TcpListener, SocketAddr)>,
    router: &Router,
    stop: &CancellationToken,
    (identities, audit): (&Identities, &Audit),
) -> JoinSet<()> {
    let mut servers = JoinSet::new();
    for (listener, bound) in listeners {
        let router = router.clone();
        let stop = stop.clone().cancelled_owned();
        let gate = Gate::new(listener, bound, identities.tls.clone(), audit.clone());
        servers.spawn(async move {
            let service = router.into_make_service_with_connect_info::<Peer>();
            let serving = axum::serve(gate, service).with_graceful_shutdown(stop);
            if let Err(error) = serving.await {
                error!(%bound, "listening ended: {error}");
            }
        });
    }
    servers
}

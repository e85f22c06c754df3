//! The running collector: listeners, loader, judge, and the private Postgres beneath them.

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
use crate::gate::{self, Demand, Door, Gate, Identities, Peer};
use crate::herald;
use crate::http::{self, Api};
use crate::ingest::{Depot, IngestService, Loader, Parts, Registry};
use crate::judging::{Judge, watchers};
use crate::lock::{self, DataDirLock, LockError};
use crate::meters;
use crate::postgres::{self, DATABASE, Durability, PostgresError, Server};
use crate::query;
use crate::recall::Inquirer;
use crate::signing;
use crate::store::{AuditOutcome, ConnectError, Entry, Store, StoreError, Target};

/// How long connections may take to end when the collector stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How often other collectors are told that this one lives.
const LIVES_EACH: Duration = Duration::from_secs(2);
/// How long that may take until the database counts as away.
const LIVES_PATIENCE: Duration = Duration::from_secs(5);
/// How often the private Postgres is looked after.
const SUPERVISION: Duration = Duration::from_millis(500);
/// How often days are opened ahead, and old ones dropped.
const DAYS_EACH: Duration = Duration::from_mins(10);

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

/// A private Postgres with the lock that guards it.
struct Private {
    server: Server,
    _lock: DataDirLock,
}

/// A database that is open and migrated.
pub struct Opened {
    pub store: Store,
    private: Option<Private>,
}

impl Opened {
    /// Closes the connections, then stops a private server.
    pub async fn close(self) {
        if timeout(STOP_PATIENCE, self.store.close()).await.is_err() {
            warn!("connections to the database did not end in time");
        }
        if let Some(private) = self.private {
            stop(private).await;
        }
    }
}

async fn stop(private: Private) {
    let stopped = tokio::task::spawn_blocking(move || {
        let Private { server, _lock } = private;
        server.stop();
    });
    if let Err(error) = stopped.await {
        error!("stopping PostgreSQL ended unexpectedly: {error}");
    }
}

/// Opens the database, starting a private server where one is wanted, and migrates it.
pub async fn open(database: &Database) -> Result<Opened, ServeError> {
    match database {
        Database::Url(target) => Ok(Opened {
            store: Store::open(target).await?,
            private: None,
        }),
        Database::Private { data_dir } => {
            let private = start_private(data_dir).await?;
            match open_private(&private.server).await {
                Ok(store) => Ok(Opened {
                    store,
                    private: Some(private),
                }),
                Err(error) => {
                    stop(private).await;
                    Err(error.into())
                }
            }
        }
    }
}

/// Opens the database, of a running collector too: for what is done beside it.
pub async fn open_beside(database: &Database) -> Result<Opened, ServeError> {
    match (open(database).await, database) {
        (Err(ServeError::Lock(LockError::InUse { dir, .. })), Database::Private { .. }) => {
            let store = Store::open(&Target::new(postgres::beside(&dir))).await?;
            Ok(Opened {
                store,
                private: None,
            })
        }
        (opened, _) => opened,
    }
}

async fn start_private(data_dir: &Path) -> Result<Private, ServeError> {
    let failed = |source| ServeError::DataDir {
        dir: data_dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let data_dir = std::fs::canonicalize(data_dir).map_err(failed)?;
    let lock = lock::take(&data_dir)?;
    let settings = postgres::Settings {
        installed: postgres::installed_or_downloaded(&data_dir).await?,
        data_dir,
        durability: Durability::Durable,
    };
    let server = tokio::task::spawn_blocking(move || postgres::start(&settings)).await??;
    Ok(Private {
        server,
        _lock: lock,
    })
}

async fn open_private(server: &Server) -> Result<Store, ConnectError> {
    Target::new(server.options("postgres"))
        .create_database(DATABASE)
        .await?;
    Store::open(&Target::new(server.own_database())).await
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
        store.set_policy("", Some(segments)).await?;
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
        pages(&bound),
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
    let router = router.layer(middleware::from_fn_with_state(door, gate::admit));
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

/// Opens days ahead and drops what is older than it is to be kept.
async fn keep_days(
    store: Store,
    (retention, octets): (Option<u16>, Option<u64>),
    stop: CancellationToken,
) {
    let mut turns = tokio::time::interval(DAYS_EACH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = turns.tick() => {}
        }
        if let Err(error) = store.open_days_ahead().await {
            warn!("{error}");
        }
        if let Err(error) = store.forget_refusals().await {
            warn!("{error}");
        }
        if let Some(octets) = octets {
            match store.drop_days_above(octets).await {
                Ok(dropped) if dropped.is_empty() => {}
                Ok(dropped) => info!(
                    days = dropped.len(),
                    "dropped the oldest days for want of room"
                ),
                Err(error) => warn!("old segments are dropped later: {error}"),
            }
        }
        let Some(keep) = retention else { continue };
        match store.drop_days(keep).await {
            Ok(dropped) if dropped.is_empty() => {}
            Ok(dropped) => info!(
                days = dropped.len(),
                "dropped what is older than {keep} days"
            ),
            Err(error) => warn!("old segments are dropped later: {error}"),
        }
    }
}

/// Says every now and then that this collector lives, and whose agents it holds.
async fn keep_streams(store: Store, registry: Registry, collector: Uuid, stop: CancellationToken) {
    let mut turns = tokio::time::interval(LIVES_EACH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = turns.tick() => {}
        }
        let names = registry.names();
        let kept = timeout(LIVES_PATIENCE, store.keep_streams(collector, &names)).await;
        meters::database(matches!(kept, Ok(Ok(()))));
        match kept {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("other collectors may take this one for dead: {error}"),
            Err(_) => {
                warn!("the database does not answer; other collectors may take this one for dead");
            }
        }
    }
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
fn pages(bound: &[SocketAddr]) -> Option<Url> {
    let address = bound.last()?;
    format!("http://{address}").parse().ok()
}

async fn listen(addresses: &[SocketAddr]) -> Result<Vec<(TcpListener, SocketAddr)>, ServeError> {
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
fn refuse_plain(settings: &Settings, identities: &Identities) -> Result<(), ServeError> {
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
async fn warn_of_open_doors(
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

/// Starts the private Postgres again when it ends by itself; gives it back when `stop` is cancelled.
async fn supervise(mut private: Private, stop: CancellationToken) -> Private {
    loop {
        tokio::select! {
            () = stop.cancelled() => return private,
            () = tokio::time::sleep(SUPERVISION) => {}
        }
        let Some(status) = private.server.ended() else {
            continue;
        };
        warn!(%status, log = %private.server.log().display(), "PostgreSQL ended; starting it again");
        private = match restart(private).await {
            Ok(private) => private,
            Err(error) => {
                // Only a panic within `restart` leads here; the server's lock is gone with it.
                error!("PostgreSQL cannot be looked after any more: {error}");
                std::process::exit(1);
            }
        };
    }
}

async fn restart(mut private: Private) -> Result<Private, JoinError> {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = private.server.restart() {
            error!("{error}");
        }
        private
    })
    .await
}

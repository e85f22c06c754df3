//! The database beneath a collector: somebody's, or a private Postgres that is looked after.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{Database, STOP_PATIENCE, ServeError};
use crate::lock::{self, DataDirLock, LockError};
use crate::postgres::{self, DATABASE, Durability, Server};
use crate::store::{ConnectError, Store, Target};

/// How often the private Postgres is looked after.
const SUPERVISION: Duration = Duration::from_millis(500);

/// A private Postgres with the lock that guards it.
pub(super) struct Private {
    server: Server,
    _lock: DataDirLock,
}

/// A database that is open and migrated.
pub struct Opened {
    pub store: Store,
    pub(super) private: Option<Private>,
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

/// Starts the private Postgres again when it ends by itself; gives it back when `stop` is cancelled.
pub(super) async fn supervise(mut private: Private, stop: CancellationToken) -> Private {
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

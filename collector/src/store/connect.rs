//! Reaching a database and bringing its schema up to date.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};
use thiserror::Error;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::shards::Reach;
use super::{EVERYWHERE_MAX, Store, distribute};
use crate::traces;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// How long a database may take to answer at start.
const CONNECT_PATIENCE: Duration = Duration::from_secs(4);
/// How long a question waits for a connection.
const ACQUIRE_PATIENCE: Duration = Duration::from_secs(5);

/// Questions differ in their arrays only: one plan does for all, and planning over partitions takes longer than the answer.
/// A plan made while a day is still empty must hold when it is full, before statistics tell, so nothing is read whole that
/// has an index, and no index beside another (a bitmap of all RSTs to be laid over a flow's few digests).
const PLANS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off";
/// Citus finds a statement's shard by its values, so it needs a plan for each.
const PLANS_BY_VALUE: &str = "SET plan_cache_mode = force_custom_plan; SET enable_seqscan = off; SET enable_bitmapscan = off";
/// A connection that was used so recently is taken as it is: asking whether the database is still there costs as much as
/// a small question.
const TRUSTED: Duration = Duration::from_millis(100);
/// How long a connection keeps its plans: what was empty then may be large now. They are given up one connection after the
/// other: what all make anew at once holds up the judge.
const PLANS_LIFETIME: Duration = Duration::from_mins(2);
const BETWEEN_CLOSINGS: Duration = Duration::from_secs(10);
const CONNECTIONS: u32 = 12;

/// Why there is no database to work with. The password never shows.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error(
        "the database URL cannot be read ({why}); expected postgres://USER@HOST:PORT/DATABASE or postgres:///DATABASE?host=/SOCKET/FOLDER"
    )]
    Url { why: &'static str },
    #[error(
        "cannot reach the database {target}: {why}; check --database-url and that the server runs"
    )]
    Unreachable { target: String, why: String },
    #[error("cannot create the database {target}: {source}")]
    Create { target: String, source: sqlx::Error },
    #[error(
        "the database {target} was migrated by a newer parallax-collector (it has migration {version}); use that version, or another database"
    )]
    Newer { target: String, version: i64 },
    #[error(
        "cannot migrate the database {target}: {source}; its user needs the right to create tables"
    )]
    Migrate {
        target: String,
        source: MigrateError,
    },
}

/// A database and how to name it to people.
#[derive(Debug, Clone)]
pub struct Target {
    options: PgConnectOptions,
    label: String,
}

impl Target {
    /// Reads a `postgres://` URL.
    pub fn from_url(url: &str) -> Result<Self, ConnectError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(ConnectError::Url {
                why: "it does not begin with postgres://",
            });
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| ConnectError::Url {
            why: "a part of it is malformed or unknown",
        })?;
        Ok(Self::new(options))
    }

    pub fn new(options: PgConnectOptions) -> Self {
        let options = options
            .application_name("parallax-collector")
            .log_statements(tracing::log::LevelFilter::Trace)
            .log_slow_statements(tracing::log::LevelFilter::Debug, Duration::from_secs(1));
        let database = options.get_database().unwrap_or(options.get_username());
        let label = match options.get_socket() {
            Some(socket) => format!("{database} at {}", socket.display()),
            None => format!(
                "{}@{}:{}/{database}",
                options.get_username(),
                options.get_host(),
                options.get_port()
            ),
        };
        Self { options, label }
    }

    /// User, host, port and database, without a password.
    pub fn label(&self) -> &str {
        &self.label
    }

    async fn connect(&self) -> Result<PgConnection, ConnectError> {
        let attempt =
            tokio::time::timeout(CONNECT_PATIENCE, PgConnection::connect_with(&self.options));
        match attempt.await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.unreachable(&one_line(&error))),
            Err(_) => Err(self.unreachable("it does not answer")),
        }
    }

    fn unreachable(&self, why: &str) -> ConnectError {
        ConnectError::Unreachable {
            target: self.label.clone(),
            why: why.to_owned(),
        }
    }

    /// Creates the database `name` on this server unless it is there.
    pub async fn create_database(&self, name: &str) -> Result<(), ConnectError> {
        let mut connection = self.connect().await?;
        let failed = |source| ConnectError::Create {
            target: self.label.clone(),
            source,
        };
        let known: Option<(i32,)> = sqlx::query_as("SELECT 1 FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_optional(&mut connection)
            .await
            .map_err(failed)?;
        if known.is_none() {
            let quoted = name.replace('"', "\"\"");
            let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE \"{quoted}\""));
            connection.execute(create).await.map_err(failed)?;
        }
        // Nothing was left undone on this connection.
        let _ = connection.close().await;
        Ok(())
    }
}

fn one_line(error: &sqlx::Error) -> String {
    let text = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Tls(_) => {
            "it wants TLS, which this build cannot speak; reach it over a unix socket, or a tunnel"
                .to_owned()
        }
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}

impl Store {
    /// Connects and migrates.
    pub async fn open(target: &Target) -> Result<Self, ConnectError> {
        Self::open_reaching(target, None).await
    }

    /// The same, as if the tables were distributed: for tests of what is asked then.
    #[doc(hidden)]
    pub async fn open_by_shard(target: &Target) -> Result<Self, ConnectError> {
        Self::open_reaching(target, Some(Reach::Shard)).await
    }

    async fn open_reaching(target: &Target, reach: Option<Reach>) -> Result<Self, ConnectError> {
        // A pool hides why it cannot connect: try once by hand.
        let mut first = target.connect().await?;
        migrate(&mut first, target).await?;
        let reach = match reach {
            Some(reach) => reach,
            None => distribute::reach(&mut first)
                .await
                .map_err(|error| target.unreachable(&one_line(&error)))?,
        };
        let plans = match reach {
            Reach::Whole => PLANS,
            Reach::Shard => PLANS_BY_VALUE,
        };
        // Nothing was left undone on this connection.
        let _ = first.close().await;
        let closings = Closings::default();
        Ok(Self {
            days: super::days::Asked::default(),
            reach,
            everywhere_max: EVERYWHERE_MAX,
            pool: PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .acquire_timeout(ACQUIRE_PATIENCE)
                .max_lifetime(PLANS_LIFETIME + BETWEEN_CLOSINGS * CONNECTIONS)
                .test_before_acquire(false)
                .before_acquire(|connection, meta| {
                    Box::pin(async move {
                        if meta.idle_for > TRUSTED {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                })
                .after_release(move |_, meta| {
                    let old = meta.age > PLANS_LIFETIME;
                    let keep = !old || !closings.is_next(Instant::now());
                    Box::pin(async move { Ok(keep) })
                })
                .after_connect(move |connection, _| {
                    Box::pin(async move { connection.execute(plans).await.map(|_| ()) })
                })
                .connect_lazy_with(target.options.clone()),
        })
    }
}

/// When a connection was last closed for its age.
#[derive(Debug, Default)]
struct Closings(Mutex<Option<Instant>>);

impl Closings {
    /// Whether the next one may be closed now, which counts as done then.
    fn is_next(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.duration_since(last) < BETWEEN_CLOSINGS) {
            return false;
        }
        *last = Some(now);
        true
    }
}

async fn migrate(connection: &mut PgConnection, target: &Target) -> Result<(), ConnectError> {
    let failed = |source| match source {
        MigrateError::VersionMissing(version) => ConnectError::Newer {
            target: target.label.clone(),
            version,
        },
        source => ConnectError::Migrate {
            target: target.label.clone(),
            source,
        },
    };
    let span = traces::migration();
    if let Some(newest) = MIGRATIONS.iter().last() {
        span.record("parallax.schema", newest.version);
    }
    let migrating = MIGRATIONS.run(connection).instrument(span.clone());
    let migrated = migrating.await.map_err(failed);
    if let Err(error) = &migrated {
        traces::failed(&span, error);
    }
    migrated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_closed_one_after_the_other() {
        let (closings, now) = (Closings::default(), Instant::now());
        assert!(closings.is_next(now));
        assert!(!closings.is_next(now));
        assert!(!closings.is_next(now + BETWEEN_CLOSINGS / 2));
        assert!(closings.is_next(now + BETWEEN_CLOSINGS));
        assert!(!closings.is_next(now + BETWEEN_CLOSINGS));
    }

    #[test]
    fn a_target_never_shows_its_password() {
        let target = Target::from_url("postgres://joe:geheim@192.0.2.1:5433/px").unwrap();
        assert_eq!(target.label(), "joe@192.0.2.1:5433/px");
        for bad in ["", "mysql://x", "postgres://joe:geheim@h:99999999/x"] {
            let refused = Target::from_url(bad).unwrap_err().to_string();
            assert!(!refused.contains("geheim"), "{refused}");
        }
    }
}

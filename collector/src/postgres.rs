//! A private Postgres in the data directory: found, made, started, supervised, stopped.
//!
//! It listens on a unix socket only, in a folder that only its own user (and root) can enter, and
//! runs as an unprivileged user when the collector is root.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use thiserror::Error;

mod binaries;
mod cluster;
mod download;
mod memory;
mod orphan;
mod owner;
mod server;
mod socket;

pub use binaries::{Binaries, find, find_in};
pub use download::installed_or_downloaded;
pub use owner::Owner;
pub use server::Server;

/// The oldest Postgres that the schema and the settings are made for.
pub const OLDEST: u32 = 14;
/// The database, and the role that owns everything in it.
pub const DATABASE: &str = "parallax";

/// Whether a crash of the machine may lose what was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What was acknowledged survives.
    Durable,
    /// For tests: no fsync.
    Throwaway,
}

/// Why there is no private Postgres.
#[derive(Debug, Error)]
pub enum PostgresError {
    #[error(
        "no PostgreSQL {OLDEST} or later found in /usr/lib/postgresql or PATH, and {download}; install one (Debian: `apt install postgresql`), name its binaries with PARALLAX_POSTGRES_BIN, or use a server you have with --database-url"
    )]
    NotFound { download: String },
    #[error(
        "PARALLAX_POSTGRES_BIN={folder} {what}; name the `bin` folder of PostgreSQL {OLDEST} or later (Debian: `apt install postgresql`), or use a server you have with --database-url"
    )]
    Named { folder: PathBuf, what: String },
    #[error("{program} does not say its version: {why}; check PARALLAX_POSTGRES_BIN")]
    Version { program: PathBuf, why: String },
    #[error(
        "data directory {dir} was made by PostgreSQL {theirs}, but only {ours} is installed; install PostgreSQL {theirs} (Debian: `apt install postgresql-{theirs}`), or choose another --data-dir"
    )]
    OtherVersion {
        dir: PathBuf,
        theirs: u32,
        ours: String,
    },
    #[error("{path}: {what}; {advice}")]
    Folder {
        path: PathBuf,
        what: String,
        advice: &'static str,
    },
    #[error(
        "PostgreSQL runs as user \"{user}\", which cannot pass through {path}; `chmod o+x` it, or choose another --data-dir"
    )]
    Untraversable { user: String, path: PathBuf },
    #[error(
        "neither user \"postgres\" nor \"nobody\" exists to run PostgreSQL as; create one, start the collector as an unprivileged user, or use --database-url"
    )]
    NoUser,
    #[error("cannot run {program}: {source}; check that it is executable by the collector's user")]
    Spawn {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("initdb failed in {dir}: {why}; correct that, or choose another --data-dir")]
    Initdb { dir: PathBuf, why: String },
    #[error("the private PostgreSQL did not start: {why}; its log is {log}")]
    Start { why: String, log: PathBuf },
    #[error(
        "a PostgreSQL of an earlier collector (pid {pid}) holds {dir} and does not stop; stop it with `kill -QUIT {pid}`"
    )]
    Orphan { pid: i32, dir: PathBuf },
}

/// Where a private server lives and how it is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The collector's data directory; the cluster is its folder `postgres`.
    pub data_dir: PathBuf,
    pub durability: Durability,
    /// Installed servers to choose from, newest first.
    pub installed: Vec<Binaries>,
}

/// Makes the cluster if there is none, frees it from a server that an earlier collector left behind,
/// and starts it. Blocks for about a second the first time.
pub fn start(settings: &Settings) -> Result<Server, PostgresError> {
    let owner = Owner::choose()?;
    let place = cluster::Place::new(&settings.data_dir);
    owner::prepare(&settings.data_dir, &owner)?;
    let binaries = cluster::choose_binaries(&place, &settings.installed)?;
    let socket = socket::folder(&settings.data_dir, &owner)?;
    orphan::stop(&place, &socket)?;
    cluster::initialise(&place, &binaries, &owner)?;
    let launch = server::Launch {
        binaries,
        owner,
        place,
        socket,
        durability: settings.durability,
    };
    Server::start(launch)
}

/// How long a server may take to stop before it is asked less politely.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How to connect to the database of the collector that runs in this data directory (canonical).
pub fn beside(data_dir: &std::path::Path) -> PgConnectOptions {
    connect_options(&socket::choose(data_dir), DATABASE)
}

/// Connection settings of a private server, for one of its databases.
pub(crate) fn connect_options(socket: &std::path::Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .username(DATABASE)
        .database(database)
}

//! One throwaway Postgres for this process, a database for each test, a collector on it.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use parallax_collector::gate;
use parallax_collector::herald;
use parallax_collector::postgres::{self, Durability, Server};
use parallax_collector::serve::{self, Database, Settings};
use parallax_collector::store::{Store, Target};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::oneshot;

struct Running {
    server: Server,
    /// Stops the server when this process ends, however it ends: its standard input is a pipe from
    /// here.
    _watchdog: Child,
}

static RUNNING: OnceLock<Running> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

fn running() -> &'static Running {
    RUNNING.get_or_init(|| {
        let memory = std::path::Path::new("/dev/shm");
        let builder = tempfile::Builder::new();
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            builder.tempdir()
        };
        let folder = folder.unwrap().keep();
        open_to_all(&folder);
        let server = postgres::start(&postgres::Settings {
            data_dir: folder.clone(),
            durability: Durability::Throwaway,
            installed: postgres::find().unwrap(),
        })
        .unwrap();
        let script = format!(
            "read _; kill -INT {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.05; done; rm -rf '{dir}'",
            pid = server.pid(),
            dir = folder.display()
        );
        let watchdog = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Running {
            server,
            _watchdog: watchdog,
        }
    })
}

/// The server's user must pass.
pub fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A Citus coordinator on which the tests make databases of their own, instead of a plain Postgres.
pub const CITUS_URL: &str = "PARALLAX_CITUS_URL";

/// An empty database of the test's own; where a Citus coordinator is named, on it, with distributed tables.
pub async fn database() -> Target {
    match std::env::var(CITUS_URL) {
        Ok(url) => distributed_database(&url).await,
        Err(_) => plain_database().await,
    }
}

async fn distributed_database(url: &str) -> Target {
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let name = format!("parallax_test_{}_{number}", std::process::id());
    Target::from_url(url)
        .unwrap()
        .create_database(&name)
        .await
        .unwrap();
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let target = Target::new(options.database(&name));
    let store = Store::open(&target).await.unwrap();
    sqlx::query("CREATE EXTENSION IF NOT EXISTS citus")
        .execute(store.pool())
        .await
        .unwrap();
    store.distribute().await.unwrap();
    store.close().await;
    target
}

/// An empty database on a plain Postgres, whatever is named.
pub async fn plain_database() -> Target {
    let running = tokio::task::spawn_blocking(running).await.unwrap();
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    Target::new(running.server.options("postgres"))
        .create_database(&name)
        .await
        .unwrap();
    Target::new(running.server.options(&name))
}

/// From now on nobody can connect to a database of [`plain_database`], and who is connected is cut off.
pub async fn cut_off(name: &str) {
    let running = tokio::task::spawn_blocking(running).await.unwrap();
    let options = running.server.options("postgres");
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    for order in [
        format!("ALTER DATABASE \"{name}\" WITH ALLOW_CONNECTIONS false"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(order))
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

pub async fn store() -> Store {
    Store::open(&database().await).await.unwrap()
}

/// A collector in this process.
pub struct Collector {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Collector {
    pub async fn start(database: Target) -> Self {
        Self::with_path(database, &[]).await
    }

    pub async fn with_path(database: Target, path: &[&str]) -> Self {
        Self::with_alerts(database, path, &herald::Settings::default()).await
    }

    pub async fn with_alerts(database: Target, path: &[&str], alerts: &herald::Settings) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let keys = tempfile::tempdir().unwrap();
        let settings = Settings {
            database: Database::Url(Box::new(database)),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            path: path.iter().map(ToString::to_string).collect(),
            segments: None,
            retention: None,
            retention_octets: None,
            gate: gate::Settings::default(),
            alerts: alerts.clone(),
            signing_key: Some(keys.path().join("signing-key")),
        };
        // A runtime of its own, as the program has.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let ready = |bound: &[SocketAddr]| tell.send(bound[0]).unwrap();
            let shutdown = async {
                let _ = stopped.await;
            };
            runtime
                .block_on(serve::serve(settings, ready, shutdown))
                .unwrap();
            drop(keys);
        });
        Self {
            address: told.await.unwrap(),
            stop,
            thread,
        }
    }

    pub async fn stop(self) {
        let Self { stop, thread, .. } = self;
        stop.send(()).unwrap();
        tokio::task::spawn_blocking(|| thread.join().unwrap())
            .await
            .unwrap();
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Status and body of a PUT of JSON.
    pub async fn put(&self, path: &str, body: &'static str) -> (u16, String) {
        let url = format!("{}{path}", self.url());
        tokio::task::spawn_blocking(move || {
            let mut answer = asking()
                .put(&url)
                .content_type("application/json")
                .send(body)
                .unwrap();
            let said = answer.body_mut().read_to_string().unwrap();
            (answer.status().as_u16(), said)
        })
        .await
        .unwrap()
    }

    /// Status and body of any request of JSON.
    pub async fn ask(&self, method: &str, path: &str, body: &'static str) -> (u16, String) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url()))
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        tokio::task::spawn_blocking(move || {
            let mut answer = asking().run(request).unwrap();
            let said = answer.body_mut().read_to_string().unwrap();
            (answer.status().as_u16(), said)
        })
        .await
        .unwrap()
    }

    /// Status and body of a POST of JSON.
    pub async fn post(&self, path: &str, body: &'static str) -> (u16, String) {
        let url = format!("{}{path}", self.url());
        tokio::task::spawn_blocking(move || {
            let mut answer = asking()
                .post(&url)
                .content_type("application/json")
                .send(body)
                .unwrap();
            let said = answer.body_mut().read_to_string().unwrap();
            (answer.status().as_u16(), said)
        })
        .await
        .unwrap()
    }

    /// Status and body of a GET.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.url());
        tokio::task::spawn_blocking(move || get(&url))
            .await
            .unwrap()
    }
}

fn asking() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .build();
    config.new_agent()
}

pub fn get(url: &str) -> (u16, String) {
    let mut answer = asking().get(url).call().unwrap();
    let body = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), body)
}

//! When a place begins to forge resets others are told: a webhook that fails at first, over two collectors and a restart;
//! and Debian's Alertmanager.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use parallax_collector::clock;
use parallax_collector::herald::Settings;
use parallax_collector::store::{Kin, PortionOfFlow, Settling, Store, Verdicts};
use parallax_core::judge::Judged;
use parallax_core::report::ResetReport;
use parallax_core::time::SECOND;
use parallax_identity::tls::ServerFiles;
use serde_json::{Value, json};

use crate::herald_tls;
use crate::server::{Collector, database};

const QUIET: Duration = Duration::from_secs(4);

/// A verdict that settled: a middlebox between two vantages forged a reset so many seconds ago.
pub async fn forged(store: &Store, number: i64, between: [Option<&str>; 2], ago: i64) {
    let time = clock::wall().plus(-ago * SECOND);
    let report: ResetReport = serde_json::from_value(json!({
        "id": format!("00000000-0000-7000-8000-{number:012}"), "time": time,
        "src": "192.0.2.1", "sport": 443, "dst": "198.51.100.1", "dport": 40000, "seq": number, "ack": null,
        "flags": "R", "count": 1, "origin": "middlebox", "emitter": null, "between": between, "at": null,
        "lost_between": null, "seen_at": ["fw-in"], "absent_at": [], "cause": "firewall_reject_content", "root": null,
        "confidence": 0.99, "effective": null, "trigger": null, "decide": null, "evidence": [], "path": [],
    }))
    .unwrap();
    let verdicts = Verdicts {
        flow: number,
        judged: vec![Judged {
            identity: number.unsigned_abs(),
            report,
        }],
        portion: PortionOfFlow::Whole,
        settling: Settling::Settle,
        docket: None,
        kin: Kin::default(),
        vantages: None,
    };
    let written = store.write_verdicts(&[verdicts]).await.unwrap();
    assert_eq!(written.settled.len(), 1);
}

pub async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    for _ in 0..800 {
        if reached().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within twenty seconds: {what}");
}

/// Bodies that were posted, with what was answered.
type Heard = Arc<Mutex<Vec<(StatusCode, Value)>>>;

/// A server that refuses the first POST.
async fn listener() -> (String, Heard) {
    let heard = Heard::default();
    let noted = Arc::clone(&heard);
    let hook = post(move |body: String| {
        let mut heard = noted.lock().unwrap();
        let status = if heard.is_empty() {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::NO_CONTENT
        };
        heard.push((status, serde_json::from_str(&body).unwrap()));
        std::future::ready(status)
    });
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?token=x", socket.local_addr().unwrap());
    let router = Router::new().route("/hook", hook);
    tokio::spawn(async move { axum::serve(socket, router).await });
    (url, heard)
}

async fn quiet(store: &Store) -> bool {
    let (injecting,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM injection WHERE quiet_at IS NULL")
            .fetch_one(store.pool())
            .await
            .unwrap();
    injecting == 0
}

#[tokio::test]
async fn a_webhook_hears_of_a_place_once_until_it_was_quiet_whoever_tells() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    let (url, heard) = listener().await;
    let alerts = Settings {
        webhooks: vec![url.parse().unwrap()],
        quiet: QUIET,
        pages: "https://parallax.example".parse().ok(),
        ..Settings::default()
    };
    let start = || Collector::with_alerts(database.clone(), &[], &alerts);
    let (first, second) = (start().await, start().await);
    let count = |wanted: StatusCode| {
        let heard = heard.lock().unwrap();
        heard.iter().filter(|(status, _)| *status == wanted).count()
    };
    let taken = || count(StatusCode::NO_CONTENT);

    // A reset of an old file is no news.
    forged(&store, 1, [Some("old"), Some("file")], 7200).await;
    forged(&store, 2, [None, Some("fw-in")], 1).await;
    until("the place is told, after a refusal", async || taken() == 1).await;
    assert_eq!(count(StatusCode::SERVICE_UNAVAILABLE), 1);

    // More of the same, and another collector in place of one that was stopped.
    forged(&store, 3, [None, Some("fw-in")], 0).await;
    first.stop().await;
    let first = start().await;
    until("it is quiet", async || quiet(&store).await).await;
    assert_eq!(taken(), 1, "{:?}", heard.lock().unwrap());

    // It begins again.
    forged(&store, 4, [None, Some("fw-in")], 0).await;
    until("it is told again", async || taken() == 2).await;

    let bodies: Vec<Value> = heard
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| body.clone())
        .collect();
    let one = &bodies[1];
    assert_eq!(one["schema"], 1);
    assert_eq!(one["event"], "injection_began");
    assert_eq!(one["between"], json!([null, "fw-in"]));
    assert_eq!(one["cause"], "firewall_reject_content");
    assert_eq!(one["reset"], "00000000-0000-7000-8000-000000000002");
    assert_eq!(
        one["url"],
        "https://parallax.example/resets/00000000-0000-7000-8000-000000000002"
    );
    assert_eq!(bodies[0]["id"], one["id"], "tried again under the same id");
    assert_ne!(bodies[2]["id"], one["id"], "another episode");
    let (status, page) = first.get("/metrics").await;
    assert_eq!(status, 200);
    for outcome in ["sent", "failed", "lost"] {
        let series = format!("outcome=\"{outcome}\"");
        assert!(page.contains(&series), "{page}");
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn what_finds_no_room_or_no_taker_is_given_up_oldest_first_and_counted() {
    let store = Store::open(&database().await).await.unwrap();
    let day = Duration::from_hours(24);
    for number in 1..=5 {
        let place = format!("v{number}");
        forged(&store, number, [Some(&place), None], 0).await;
        let given_up = store.enter_notices("webhook:x", day, 3).await.unwrap();
        assert_eq!(given_up, u64::from(number == 5), "{number}");
    }
    let lease = Duration::from_secs(9);
    let due = store.take_notices("webhook:x", lease, 10).await.unwrap();
    let places = due.iter().map(|one| one.between[0].as_deref().unwrap());
    assert_eq!(places.collect::<Vec<_>>(), ["v2", "v3", "v4", "v5"]);
    let again = store.take_notices("webhook:x", lease, 10).await.unwrap();
    assert!(again.is_empty(), "one tells while others wait");
    let none = Duration::ZERO;
    let given_up = store.enter_notices("webhook:x", none, 10).await.unwrap();
    assert_eq!(given_up, 4);
}

/// Debian's Alertmanager on loopback; it ends with the test.
pub struct Alertmanager {
    child: Child,
    pub url: String,
    asking: ureq::Agent,
    _folder: tempfile::TempDir,
}

impl Alertmanager {
    fn start() -> Self {
        let asking = ureq::Agent::config_builder().proxy(None).build();
        Self::started("http", None, asking.new_agent())
    }

    /// One that speaks TLS only.
    pub fn over_tls(files: &ServerFiles) -> Self {
        let asking = herald_tls::believing(&files.authorities);
        Self::started("https", Some(&herald_tls::web_config(files)), asking)
    }

    fn started(scheme: &str, web: Option<&str>, asking: ureq::Agent) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(
            &config,
            "route: {receiver: none}\nreceivers: [{name: none}]\n",
        )
        .unwrap();
        let address = {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap()
        };
        let mut command = Command::new("prometheus-alertmanager");
        if let Some(web) = web {
            let file = folder.path().join("web.yml");
            std::fs::write(&file, web).unwrap();
            command.arg("--web.config.file").arg(file);
        }
        let child = command
            .arg("--config.file")
            .arg(config)
            .arg("--storage.path")
            .arg(folder.path().join("data"))
            .args(["--web.listen-address", &address.to_string()])
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the package prometheus-alertmanager (tests/packages)");
        Self {
            child,
            url: format!("{scheme}://{address}"),
            asking,
            _folder: folder,
        }
    }

    /// Its alerts; `None` while it does not answer.
    pub fn alerts(&self) -> Option<Vec<Value>> {
        let url = format!("{}/api/v2/alerts", self.url);
        let body = self
            .asking
            .get(&url)
            .call()
            .ok()?
            .body_mut()
            .read_to_string();
        serde_json::from_str(&body.ok()?).ok()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_knows_what_injects_and_what_is_quiet_again() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    let manager = Alertmanager::start();
    let alerts = Settings {
        alertmanagers: vec![manager.url.parse().unwrap()],
        quiet: QUIET,
        ..Settings::default()
    };
    let collector = Collector::with_alerts(database, &[], &alerts).await;
    until("Alertmanager answers", async || manager.alerts().is_some()).await;
    forged(&store, 1, [Some("fw-out"), Some("fw \"in\"\n")], 0).await;
    let mut told = Vec::new();
    until("it knows the place", async || {
        told = manager.alerts().unwrap_or_default();
        !told.is_empty()
    })
    .await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0]["labels"],
        json!({"alertname": "ParallaxInjection", "severity": "warning", "from": "fw-out", "to": "fw \"in\"\n"})
    );
    let page = told[0]["generatorURL"].as_str().unwrap();
    assert_eq!(
        page,
        format!(
            "{}/resets/00000000-0000-7000-8000-000000000001",
            collector.url()
        )
    );
    until("it is over", async || {
        manager.alerts().is_some_and(|alerts| alerts.is_empty())
    })
    .await;
    assert!(quiet(&store).await);
    collector.stop().await;
}

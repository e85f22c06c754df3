//! Those who are told of places that inject, over real TLS: a webhook and Debian's Alertmanager, whose certificates an
//! authority of our own made.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use nix::sys::signal::Signal;
use parallax_collector::audit::Audit;
use parallax_collector::gate::Gate;
use parallax_collector::postgres;
use parallax_collector::store::{Store, Target};
use parallax_core::time::SECOND;
use parallax_identity::tls::{ServerFiles, ServerTls};
use parallax_identity::{Authority, files};
use serde_json::Value;

use crate::herald::{Alertmanager, forged, until};
use crate::process::{Running, command, folder, started};

/// What an authority in this folder makes for 127.0.0.1.
fn certificates(folder: &Path) -> ServerFiles {
    let now = parallax_collector::clock::wall().nanos() / SECOND;
    let now = now.unsigned_abs();
    let authority = Authority::create(folder, now).unwrap();
    authority
        .write_server(folder, &["127.0.0.1".to_owned()], now)
        .unwrap();
    ServerFiles {
        certificate: folder.join(files::COLLECTOR),
        key: folder.join(files::COLLECTOR_KEY),
        authorities: folder.join(files::CA),
    }
}

/// A webhook over TLS, and what was posted.
async fn listener(files: ServerFiles, store: &Store) -> (String, Arc<Mutex<Vec<Value>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heard);
    let hook = post(move |body: String| {
        let body = serde_json::from_str(&body).unwrap();
        noted.lock().unwrap().push(body);
        std::future::ready(StatusCode::NO_CONTENT)
    });
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bound = socket.local_addr().unwrap();
    let tls = Arc::new(ServerTls::open(files).unwrap());
    let gate = Gate::new(socket, bound, Some(tls), Audit::new(store.clone()));
    let router = Router::new().route("/hook/geheim", hook);
    tokio::spawn(async move { axum::serve(gate, router).await });
    (format!("https://{bound}/hook/geheim"), heard)
}

/// A collector that believes an authority's certificates; its addresses are reached from elsewhere, with TLS.
async fn collector(data: &Path, pki: &Path, hook: &str, manager: &str, more: &[&str]) -> Running {
    let mut command = Command::new(crate::process::PROGRAM);
    command
        .args(["serve", "--grpc", "", "--http", "0.0.0.0:0", "--data-dir"])
        .arg(data)
        .arg("--pki")
        .arg(pki)
        .args(["--webhook", hook, "--alertmanager", manager])
        .args(more)
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    tokio::task::spawn_blocking(|| started(command))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_shows_a_certificate_that_is_believed_and_links_lead_to_tls() {
    let folder = folder();
    let (data, pki, other) = (
        folder.path().join("data"),
        folder.path().join("pki"),
        folder.path().join("other"),
    );
    // A first start makes the database, in which what is to be told is laid.
    let mut first = command(&data);
    first.env("NO_PROXY", "*");
    let first = tokio::task::spawn_blocking(|| started(first))
        .await
        .unwrap();
    let store = Store::open(&Target::new(postgres::beside(&data)))
        .await
        .unwrap();
    let files = certificates(&pki);
    let strange = certificates(&other);
    let (hook, heard) = listener(files.clone(), &store).await;
    let manager = Alertmanager::over_tls(&files);
    let stop = |running: Running| tokio::task::spawn_blocking(move || running.stop(Signal::SIGINT));
    stop(first).await.unwrap();

    // Its authority is not known, or another one is.
    let authority = strange.authorities.to_str().unwrap().to_owned();
    for more in [vec![], vec!["--outbound-ca", authority.as_str()]] {
        let running = collector(&data, &pki, &hook, &manager.url, &more).await;
        let store = Store::open(&Target::new(postgres::beside(&data)))
            .await
            .unwrap();
        forged(
            &store,
            1 + more.len() as i64,
            [Some("fw-out"), Some("fw-in")],
            0,
        )
        .await;
        let origin = hook.trim_end_matches("/hook/geheim");
        let refused = format!(
            "webhook at {origin} was not told: invalid peer certificate: UnknownIssuer; name the authority"
        );
        until("the webhook is refused", async || {
            running.said().contains(&refused)
        })
        .await;
        let refused = "alertmanager at https://127.0.0.1";
        until("so is the Alertmanager", async || {
            let said = running.said();
            let mut lines = said.lines().filter(|line| line.contains(refused));
            lines.any(|line| line.contains("UnknownIssuer"))
        })
        .await;
        assert!(!running.said().contains("geheim"));
        store.close().await;
        stop(running).await.unwrap();
        assert!(heard.lock().unwrap().is_empty());
    }

    let authority = files.authorities.to_str().unwrap().to_owned();
    let running = collector(
        &data,
        &pki,
        &hook,
        &manager.url,
        &["--outbound-ca", &authority],
    )
    .await;
    until("the webhook is told", async || {
        !heard.lock().unwrap().is_empty()
    })
    .await;
    until("so is the Alertmanager", async || {
        manager.alerts().is_some_and(|alerts| !alerts.is_empty())
    })
    .await;
    // No name was given, so links bear the machine's, and lead to where TLS is spoken.
    let url = heard.lock().unwrap()[0]["url"].as_str().unwrap().to_owned();
    assert!(
        url.starts_with("https://") && !url.contains("0.0.0.0"),
        "{url}"
    );
    stop(running).await.unwrap();
}

#[test]
fn authorities_that_cannot_be_read_are_refused_at_the_start() {
    let folder = folder();
    let mut command = command(&folder.path().join("data"));
    command.args(["--outbound-ca", "/nowhere.pem"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("/nowhere.pem") && said.contains("--outbound-ca"),
        "{said}"
    );
}

/// An Alertmanager's own configuration of TLS.
pub fn web_config(files: &ServerFiles) -> String {
    format!(
        "tls_server_config: {{cert_file: {}, key_file: {}}}\n",
        files.certificate.display(),
        files.key.display()
    )
}

/// A client that believes this authority.
pub fn believing(authorities: &Path) -> ureq::Agent {
    let _known = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(authorities).unwrap();
    let certificate = ureq::tls::Certificate::from_pem(&pem).unwrap();
    let roots = ureq::tls::RootCerts::new_with_certs(&[certificate]);
    let tls = ureq::tls::TlsConfig::builder().root_certs(roots).build();
    let config = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(Duration::from_secs(5)))
        .proxy(None)
        .build();
    config.new_agent()
}

//! From digests on the stream to answers over HTTP.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use tokio::time::Instant;

use parallax_collector::store::Store;
use parallax_core::report::{Document, Explanation, ResetReport};

use crate::agent::{Agent, hello};
use crate::digests::{at, refused, tuple};
use crate::server::{Collector, database};

async fn document(collector: &Collector, path: &str) -> Document {
    let (status, body) = collector.get(path).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn until<T, F: Future<Output = Option<T>>>(check: impl Fn() -> F) -> T {
    for _ in 0..400 {
        if let Some(found) = check().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing came within eight seconds");
}

async fn resets(collector: &Collector, count: usize) -> Vec<ResetReport> {
    until(|| async {
        let document = document(collector, "/v1/resets").await;
        (document.resets.len() >= count).then_some(document.resets)
    })
    .await
}

#[tokio::test]
async fn a_reset_is_judged_shown_explained_and_settled() {
    let database = database().await;
    let collector = Collector::with_path(database.clone(), &["client", "server"]).await;
    let store = Store::open(&database).await.unwrap();
    let mut agents = Vec::new();
    for (run, vantage) in [(1, "client"), (2, "server")] {
        let mut hello = hello(vantage, run);
        if vantage == "server" {
            hello.host_addresses = vec![vec![198, 51, 100, 20]];
        }
        let (mut agent, _) = Agent::connect(&collector, hello).await.unwrap();
        agent.send(0, &refused(40000, i64::from(run))).await;
        agent.beat(at(-500).nanos(), at(500).nanos(), 2).await;
        agent.committed(2).await;
        agents.push(agent);
    }
    let reset = until(|| async {
        let resets = resets(&collector, 1).await;
        resets.into_iter().find(|reset| reset.seen_at.len() == 2)
    })
    .await;
    assert_eq!(reset.src, tuple(40000).dst.addr);
    assert_eq!(reset.path, ["client", "server"]);
    let shown = document(&collector, "/v1/vantages").await;
    assert!(shown.resets.is_empty());
    assert_eq!(shown.path, ["client", "server"]);
    let connected: Vec<Option<bool>> = shown.vantages.iter().map(|v| v.connected).collect();
    assert_eq!(connected, [Some(true), Some(true)]);
    let (status, body) = collector.get(&format!("/v1/resets/{}", reset.id)).await;
    assert_eq!(status, 200, "{body}");
    let explanation: Explanation = serde_json::from_str(&body).unwrap();
    assert_eq!(explanation.reset.id, reset.id);
    assert!(!explanation.sentence.is_empty());
    until(|| async {
        let open: (i64,) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM docket) + (SELECT count(*) FROM reset WHERE NOT settled)",
        )
        .fetch_one(store.pool())
        .await
        .unwrap();
        (open.0 == 0).then_some(())
    })
    .await;
    collector.stop().await;
}

#[tokio::test]
async fn late_evidence_of_another_vantage_changes_a_settled_verdict() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let store = Store::open(&database).await.unwrap();
    let (agent, _) = Agent::connect(&collector, hello("client", 1))
        .await
        .unwrap();
    agent.send(0, &refused(40000, 0)).await;
    assert_eq!(agent.goodbye().await, 2);
    let before = resets(&collector, 1).await.remove(0);
    assert_eq!(before.seen_at, ["client"]);
    until(|| async { store.docketed().await.unwrap().is_empty().then_some(()) }).await;
    let (agent, _) = Agent::connect(&collector, hello("server", 2))
        .await
        .unwrap();
    agent.send(0, &refused(40000, 1)).await;
    agent.goodbye().await;
    let after = until(|| async {
        let reset = resets(&collector, 1).await.remove(0);
        (reset.seen_at.len() == 2).then_some(reset)
    })
    .await;
    assert_eq!(after.id, before.id, "the id stays");
    collector.stop().await;
}

#[tokio::test]
async fn what_was_not_judged_before_a_crash_is_judged_after_the_start() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    let run = store
        .register(&crate::load::hop("client", 1))
        .await
        .unwrap();
    let load = crate::load::portion(run, 0, refused(40000, 0));
    store.load(&[&load]).await.unwrap();
    let collector = Collector::start(database).await;
    assert_eq!(resets(&collector, 1).await.len(), 1);
    collector.stop().await;
}

#[tokio::test]
async fn filters_choose_resets() {
    let collector = Collector::start(database().await).await;
    let (agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    let digests: Vec<_> = (0..10_u16)
        .flat_map(|step| refused(40000 + step, i64::from(step) * 1000))
        .collect();
    agent.send(0, &digests).await;
    agent.goodbye().await;
    let all = resets(&collector, 10).await;
    assert!(all.is_sorted_by_key(|reset| reset.time), "oldest first");
    for (query, expected) in [
        ("port=40003", 1),
        ("port=443", 10),
        ("address=192.0.2.10", 10),
        ("address=192.0.2.11", 0),
        ("address=2001:db8::1", 0),
        ("vantage=fw-in", 10),
        ("vantage=fw-out", 0),
        ("cause=firewall_idle_timeout", 0),
        ("between=fw-in,fw-out", 0),
        ("since=2026-01-02T03:04:10.001Z", 5),
        ("until=2026-01-02T03:04:10Z", 5),
        ("since=2026-01-02T03:04:06Z&until=2026-01-02T03:04:08.5Z", 3),
        ("limit=4", 4),
        ("limit=10", 10),
    ] {
        let found = document(&collector, &format!("/v1/resets?{query}")).await;
        assert_eq!(found.resets.len(), expected, "{query}");
        assert_eq!(
            found.warnings.len(),
            usize::from(query == "limit=4"),
            "{query}"
        );
    }
    let newest = document(&collector, "/v1/resets?limit=1").await.resets;
    assert_eq!(newest[0].id, all[9].id);
    let origins: usize = {
        let mut sum = 0;
        for origin in ["endpoint", "middlebox", "undetermined"] {
            sum += document(&collector, &format!("/v1/resets?origin={origin}"))
                .await
                .resets
                .len();
        }
        sum
    };
    assert_eq!(origins, 10);
    collector.stop().await;
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_in_one_line_of_json() {
    let collector = Collector::start(database().await).await;
    for (path, expected) in [
        ("/v1/resets?port=70000", 400),
        ("/v1/resets?origin=nobody", 400),
        ("/v1/resets?colour=red", 400),
        ("/v1/resets?limit=0", 400),
        ("/v1/resets?between=a", 400),
        ("/v1/resets?vantage=%00", 400),
        ("/v1/resets/xyz", 400),
        ("/v1/resets/00000000-0000-7000-8000-000000000000", 404),
        ("/nowhere", 404),
    ] {
        let (status, body) = collector.get(path).await;
        assert_eq!(status, expected, "{path}: {body}");
        let refusal: serde_json::Value = serde_json::from_str(&body).unwrap();
        let line = refusal["error"].as_str().unwrap();
        assert!(!line.is_empty() && !line.contains('\n'), "{line}");
    }
    assert_eq!(collector.get("/healthz").await, (200, "ok".to_owned()));
    collector.stop().await;
}

#[tokio::test]
async fn watchers_see_verdicts_as_they_come() {
    let collector = Collector::start(database().await).await;
    let url = format!("{}/v1/watch", collector.url());
    let (tell, told) = tokio::sync::oneshot::channel();
    let watching = std::thread::spawn(move || {
        let answer = ureq::get(&url).call().unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        tell.send(()).unwrap();
        let lines = BufReader::new(answer.into_body().into_reader()).lines();
        lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("data: ").map(str::to_owned))
            .unwrap()
    });
    told.await.unwrap();
    let (agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    let sent = Instant::now();
    agent.send(0, &refused(40000, 0)).await;
    let data = tokio::task::spawn_blocking(|| watching.join().unwrap())
        .await
        .unwrap();
    println!("digest to watcher: {:?}", sent.elapsed());
    let reset: ResetReport = serde_json::from_str(&data).unwrap();
    assert_eq!(reset.dport, 40000);
    collector.stop().await;
}

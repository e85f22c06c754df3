//! The served `OpenAPI` document against the real answers, paging, and the metrics.

use std::collections::BTreeSet;

use parallax_collector::store::Store;
use parallax_core::report::Document;
use serde_json::Value;

use crate::agent::{Agent, hello};
use crate::digests::{EPOCH, refused};
use crate::many::fill;
use crate::server::{Collector, database};

/// What of a value contradicts a schema; nothing: it fits.
fn wrong(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let known = document.pointer(pointer);
        return known.map_or_else(
            || vec![format!("{at}: {reference} leads nowhere")],
            |schema| wrong(document, schema, value, at),
        );
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        one => vec![one.clone()],
    };
    let fits = allowed
        .iter()
        .any(|allowed| allowed == kind || (allowed == "number" && kind == "integer"));
    if !fits {
        return vec![format!("{at}: {kind} where {allowed:?} is told")];
    }
    let mut found = Vec::new();
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at}: {value} is not among {words:?}"));
    }
    if let Some(number) = value.as_f64() {
        let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            found.push(format!("{at}: {number} is out of its bounds"));
        }
    }
    if let Some(text) = value.as_str() {
        let read = match schema["format"].as_str() {
            Some("date-time") => text.parse::<jiff::Timestamp>().is_ok(),
            Some("uuid") => text.parse::<uuid::Uuid>().is_ok(),
            _ => true,
        };
        if !read {
            found.push(format!("{at}: {text:?} is no {}", schema["format"]));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(wrong(
            document,
            &schema["items"],
            item,
            &format!("{at}[{index}]"),
        ));
    }
    if let Some(fields) = value
        .as_object()
        .filter(|_| schema["properties"].is_object())
    {
        for (name, field) in fields {
            let at = format!("{at}.{name}");
            match (&schema["properties"][name], &schema["additionalProperties"]) {
                (Value::Null, Value::Object(_)) => {
                    found.extend(wrong(document, &schema["additionalProperties"], field, &at));
                }
                (Value::Null, _) => found.push(format!("{at} is not told")),
                (told, _) => found.extend(wrong(document, told, field, &at)),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let absent = required
            .filter_map(Value::as_str)
            .filter(|name| !fields.contains_key(*name));
        found.extend(absent.map(|name| format!("{at}.{name} is absent")));
    }
    found
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let schema = serde_json::json!({ "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": { "a": { "type": ["integer", "null"], "minimum": 0 }, "b": { "type": "string", "enum": ["x"] } } });
    for (value, problems) in [
        (serde_json::json!({ "a": 1 }), 0),
        (serde_json::json!({ "a": null, "b": "x" }), 0),
        (serde_json::json!({ "a": -1, "b": "y" }), 2),
        (serde_json::json!({ "b": 1, "c": 1 }), 3),
        (serde_json::json!([]), 1),
    ] {
        assert_eq!(
            wrong(&Value::Null, &schema, &value, "").len(),
            problems,
            "{value}"
        );
    }
}

#[tokio::test]
async fn every_documented_answer_is_what_the_collector_says() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    fill(&store, 20).await;
    let collector = Collector::start(database).await;
    let mut agents = Vec::new();
    for (run, vantage) in [(1, "client"), (2, "server")] {
        let (agent, _) = Agent::connect(&collector, hello(vantage, run))
            .await
            .unwrap();
        agent.send(0, &refused(40000, i64::from(run))).await;
        agent
            .beat(EPOCH - 1_000_000_000, EPOCH + 1_000_000_000, 2)
            .await;
        agents.push(agent);
    }
    let mut id = String::new();
    for _ in 0..400 {
        let (_, body) = collector.get("/v1/resets?port=40000").await;
        let found: Document = serde_json::from_str(&body).unwrap();
        if let Some(reset) = found.resets.iter().find(|reset| reset.seen_at.len() == 2) {
            id = reset.id.to_string();
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(!id.is_empty(), "the reset was not judged");
    let (_, body) = collector.get("/v1/openapi.json").await;
    let document: Value = serde_json::from_str(&body).unwrap();
    let nobody = "00000000-0000-7000-8000-00000000ffff";
    let mut asked = BTreeSet::from(["/v1/watch".to_owned()]);
    for (route, path, status) in [
        ("/v1/resets", "/v1/resets".to_owned(), 200),
        ("/v1/resets", "/v1/resets?limit=5".to_owned(), 200),
        ("/v1/resets", "/v1/resets?port=x".to_owned(), 400),
        ("/v1/resets", "/v1/resets?after=x".to_owned(), 400),
        ("/v1/resets/{id}", format!("/v1/resets/{id}"), 200),
        ("/v1/resets/{id}", format!("/v1/resets/{nobody}"), 404),
        ("/v1/resets/{id}", "/v1/resets/x".to_owned(), 400),
        (
            "/v1/resets/{id}/export",
            format!("/v1/resets/{id}/export?format=json"),
            200,
        ),
        (
            "/v1/resets/{id}/export",
            format!("/v1/resets/{id}/export?format=doc"),
            400,
        ),
        (
            "/v1/resets/{id}/export",
            format!("/v1/resets/{nobody}/export"),
            404,
        ),
        ("/v1/connections/{id}", format!("/v1/connections/{id}"), 200),
        (
            "/v1/connections/{id}",
            format!("/v1/connections/{nobody}"),
            404,
        ),
        ("/v1/connections/{id}", "/v1/connections/x".to_owned(), 400),
        ("/v1/vantages", "/v1/vantages".to_owned(), 200),
        ("/v1/key", "/v1/key".to_owned(), 200),
        ("/v1/losses", "/v1/losses".to_owned(), 200),
        ("/v1/losses", "/v1/losses?limit=0".to_owned(), 400),
        ("/v1/policy", "/v1/policy".to_owned(), 200),
        ("/v1/openapi.json", "/v1/openapi.json".to_owned(), 200),
        ("/healthz", "/healthz".to_owned(), 200),
        ("/metrics", "/metrics".to_owned(), 200),
    ] {
        let (said, body) = collector.get(&path).await;
        assert_eq!(said, status, "{path}: {body}");
        check(&document, route, "get", said, &body);
        asked.insert(route.to_owned());
    }
    bundles(&collector, &document, &id).await;
    asked.insert("/v1/resets/{id}/bundle".to_owned());
    asked.insert("/v1/bundle".to_owned());
    for (change, status) in [
        (r#"{"segments":"all"}"#, 200),
        (r#"{"vantage":"client","segments":null}"#, 200),
        (r#"{"segments":"x"}"#, 400),
    ] {
        let (said, body) = collector.put("/v1/policy", change).await;
        assert_eq!(said, status, "{body}");
        check(&document, "/v1/policy", "put", said, &body);
    }
    administer(&collector, &document, &mut asked).await;
    let told: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(asked, told, "every route is asked here");
    collector.stop().await;
}

/// What administrators ask and do.
async fn administer(collector: &Collector, document: &Value, asked: &mut BTreeSet<String>) {
    for (method, route, path, body, status) in [
        (
            "POST",
            "/v1/people",
            "/v1/people",
            r#"{"name":"joe","role":"viewer"}"#,
            200,
        ),
        (
            "POST",
            "/v1/people",
            "/v1/people",
            r#"{"name":"","role":"viewer"}"#,
            400,
        ),
        ("GET", "/v1/people", "/v1/people", "", 200),
        ("DELETE", "/v1/people/{name}", "/v1/people/joe", "", 200),
        ("DELETE", "/v1/people/{name}", "/v1/people/joe", "", 404),
        (
            "POST",
            "/v1/tokens",
            "/v1/tokens",
            r#"{"vantages":["a"],"good_for":60}"#,
            409,
        ),
        ("GET", "/v1/audit", "/v1/audit", "", 200),
        ("GET", "/v1/audit", "/v1/audit?limit=0", "", 400),
    ] {
        let (said, answer) = collector.ask(method, path, body).await;
        assert_eq!(said, status, "{method} {path}: {answer}");
        check(document, route, &method.to_lowercase(), said, &answer);
        asked.insert(route.to_owned());
    }
}

/// Bundles: made, refused, and of a reset that is not there.
async fn bundles(collector: &Collector, document: &Value, id: &str) {
    const KEY: &str =
        r#"{"key":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}"#;
    let nobody = "00000000-0000-7000-8000-00000000ffff";
    for (id, order, status) in [
        (id, KEY, 200),
        (nobody, KEY, 404),
        ("x", KEY, 400),
        (id, r#"{"key":"0"}"#, 400),
        (id, "{}", 400),
    ] {
        let path = format!("/v1/resets/{id}/bundle");
        let (said, body) = collector.post(&path, order).await;
        assert_eq!(said, status, "{path}: {body}");
        check(document, "/v1/resets/{id}/bundle", "post", said, &body);
    }
    for (order, status) in [
        // Nobody's connection.
        (
            r#"{"key":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                "ends":["203.0.113.1:1","[2001:db8::1]:2"],"at":"2026-01-02T03:04:05Z"}"#,
            404,
        ),
        (
            r#"{"key":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                "ends":["203.0.113.1:1","203.0.113.1:1"],"at":"2026-01-02T03:04:05Z"}"#,
            400,
        ),
        (
            r#"{"key":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                "ends":["203.0.113.1:1","203.0.113.2:1"],"at":"soon"}"#,
            400,
        ),
        (r#"{"ends":[]}"#, 400),
    ] {
        let (said, body) = collector.post("/v1/bundle", order).await;
        assert_eq!(said, status, "{order}: {body}");
        check(document, "/v1/bundle", "post", said, &body);
    }
}

/// Holds an answer against what the document tells of it: fails where it does not tell of this status, or tells of another
/// body.
pub fn check(document: &Value, route: &str, method: &str, status: u16, body: &str) {
    let told = &document["paths"][route][method]["responses"][status.to_string()];
    assert!(
        told.is_object(),
        "{method} {route} does not tell of {status}"
    );
    let Some(json) = told["content"].get("application/json") else {
        return;
    };
    let value: Value = serde_json::from_str(body).unwrap();
    let problems = wrong(document, &json["schema"], &value, route);
    assert!(problems.is_empty(), "{problems:#?}");
}

#[tokio::test]
async fn cursors_lead_through_all_resets() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    fill(&store, 57).await;
    let collector = Collector::start(database).await;
    let mut path = "/v1/resets?limit=10".to_owned();
    let mut all = Vec::new();
    loop {
        let (status, body) = collector.get(&path).await;
        assert_eq!(status, 200, "{body}");
        let found: Document = serde_json::from_str(&body).unwrap();
        assert!(
            found.resets.is_sorted_by_key(|reset| reset.time),
            "oldest first"
        );
        all.extend(found.resets.iter().rev().map(|reset| reset.id));
        match found.next {
            Some(next) => path = format!("/v1/resets?limit=10&after={next}"),
            None => break,
        }
        assert!(all.len() <= 57);
    }
    assert_eq!(all.len(), 57);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 57);
    collector.stop().await;
}

/// The sum of a metric over all its labels that hold a text.
fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let lines = metrics
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(label));
    let values = lines.filter_map(|line| {
        let (left, value) = line.rsplit_once(' ')?;
        let own = left.split('{').next()? == name;
        own.then(|| value.parse::<f64>().unwrap())
    });
    values.sum()
}

#[tokio::test]
async fn metrics_count_what_came_and_what_was_said() {
    let collector = Collector::start(database().await).await;
    let before = collector.get("/metrics").await.1;
    let (mut agent, _) = Agent::connect(&collector, hello("fw \"in\"", 1))
        .await
        .unwrap();
    agent.send(0, &refused(40000, 0)).await;
    agent.beat(EPOCH, EPOCH + 1_000_000_000, 2).await;
    agent.committed(2).await;
    let mut now = String::new();
    for _ in 0..400 {
        now = collector.get("/metrics").await.1;
        let settled = "parallax_resets_settled_total";
        if sum(&now, settled, "") > sum(&before, settled, "") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Other tests of this process count too.
    let grew = |name: &str, label: &str| sum(&now, name, label) - sum(&before, name, label);
    assert!(grew("parallax_verdicts_total", "origin=") >= 1.0, "{now}");
    assert!(
        grew("parallax_resets_settled_total", "cause=") >= 1.0,
        "{now}"
    );
    assert!(grew("parallax_flows_judged_total", "") >= 1.0, "{now}");
    for step in ["join", "judge", "write_verdicts"] {
        let count = format!("parallax_{step}_seconds_count");
        assert!(sum(&now, &count, "") >= 1.0, "{now}");
    }
    assert!(grew("parallax_digests_stored_total", "") >= 2.0, "{now}");
    assert!(grew("parallax_packets_total", "") >= 1.0, "{now}");
    assert!(
        sum(&now, "parallax_store_seconds_count", "") >= 1.0,
        "{now}"
    );
    assert!(
        now.contains("# TYPE parallax_verdicts_total counter"),
        "{now}"
    );
    // Collectors of other tests set the same gauge.
    let mut connected = false;
    for _ in 0..50 {
        let now = collector.get("/metrics").await.1;
        connected |= (sum(&now, "parallax_vantages_connected", "") - 1.0).abs() < 0.5;
    }
    assert!(connected, "no vantage is connected: {now}");
    for line in now.lines() {
        assert!(
            line.starts_with('#')
                || line.is_empty()
                || line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(),
            "{line}"
        );
    }
    agent.goodbye().await;
    collector.stop().await;
}

//! Requests made of the served `OpenAPI` document, as schemathesis makes them: for each parameter and body what is
//! valid, what is at its bounds, and what is hostile; methods and content types that are not told. Whatever is asked,
//! the answer is none of 5xx, its status is told, and its body is as it is told.

use std::fmt::Write as _;

use parallax_collector::store::Store;
use serde_json::Value;

use crate::many::fill;
use crate::openapi::check;
use crate::server::{Collector, database};

/// What people, programs and attackers put into any field.
fn values() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "",
        " ",
        "0",
        "1",
        "-1",
        "-0",
        "+1",
        "01",
        "65535",
        "65536",
        "100000",
        "100001",
        "4294967295",
        "4294967296",
        "99999999999999999999",
        "1e3",
        "1.5",
        "0x10",
        "NaN",
        "null",
        "true",
        "[]",
        "{}",
        "\0",
        "a\0b",
        "\u{1f}",
        "\u{1f}\0",
        ",",
        "a,b",
        "a,b,c",
        ",b",
        "fw-out,fw-in",
        "\u{202e}",
        "\u{feff}",
        "'",
        "''; DROP TABLE reset; --",
        "\"",
        "\\",
        "<script>alert(1)</script>",
        "%",
        "%00",
        "%s%n",
        "../../etc/passwd",
        "\r\nset-cookie: a=b",
        "😀",
        "ÿ",
        "\u{10ffff}",
        "endpoint",
        "middlebox",
        "Middlebox",
        "closed_port",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.123456789+23:59",
        "2026-01-02",
        "9999-12-31T23:59:59Z",
        "-9999-01-01T00:00:00Z",
        "1677-09-21T00:12:43Z",
        "2262-04-11T23:47:16.854775807Z",
        "10m",
        "10.0.0.1",
        "10.0.0.256",
        "::1",
        "::ffff:1.2.3.4",
        "fe80::1%eth0",
        "00000000-0000-7000-8000-00000000ffff",
        "{00000000-0000-7000-8000-00000000ffff}",
        "9223372036854775807.00000000-0000-7000-8000-00000000ffff",
        "-9223372036854775808.00000000-0000-7000-8000-00000000ffff",
        "1.",
        ".1",
        "pcapng",
        "html",
        "json",
        "PCAPNG",
        "en",
        "zh",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    all.push("x".repeat(5000).into_bytes());
    all.push("界".repeat(1000).into_bytes());
    all.push(vec![0xff, 0xfe]);
    all.push(vec![0xc0, 0x80]);
    all
}

fn bodies() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "0",
        "\"x\"",
        r#"{"segments":"all"}"#,
        r#"{"segments":null}"#,
        r#"{"segments":1}"#,
        r#"{"segments":"sampled:1/0"}"#,
        r#"{"segments":"sampled:1/4294967296"}"#,
        r#"{"segments":"\u0000"}"#,
        r#"{"vantage":"\u0000","segments":"all"}"#,
        r#"{"vantage":7,"segments":"all"}"#,
        r#"{"vantage":"\ud800","segments":"all"}"#,
        r#"{"vantage":"a","segments":"all","more":1}"#,
        r#"{"segments":"all","segments":"context"}"#,
        r#"{"key":""}"#,
        r#"{"key":null}"#,
        r#"{"key":"zz"}"#,
        r#"{"key":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}"#,
        r#"{"key":"００112233445566778899aabbccddeeff00112233445566778899aabbccddee"}"#,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    all.push("[".repeat(1000).into_bytes());
    let long = |length| format!(r#"{{"vantage":"{}","segments":"all"}}"#, scrambled(length));
    all.push(long(129).into_bytes());
    all.push(long(8000).into_bytes());
    all.push(vec![0xff; 100]);
    all
}

/// Letters that do not compress.
fn scrambled(length: usize) -> String {
    let mut state = 7_u32;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 24) as u8 % 26)
    });
    letters.take(length).collect()
}

fn encoded(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "%{octet:02X}").unwrap();
        text
    })
}

/// One answer.
struct Said {
    status: u16,
    kind: String,
    body: String,
}

struct Asker {
    url: String,
    agent: ureq::Agent,
}

impl Asker {
    fn new(url: String) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            // A body that was not read ends its connection.
            .max_idle_connections(0)
            .build();
        Self {
            url,
            agent: config.new_agent(),
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Said {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        let answer = match body {
            Some((kind, octets)) => {
                let request = request.header("content-type", kind).body(octets);
                self.agent.run(request.unwrap())
            }
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let kind = answer.headers().get("content-type");
        let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let body = answer
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_vec();
        Said {
            status: answer.status().as_u16(),
            kind,
            body: String::from_utf8_lossy(&body.unwrap()).into_owned(),
        }
    }
}

/// What is asked of one operation.
struct Operation<'a> {
    document: &'a Value,
    route: &'a str,
    method: &'a str,
}

impl Operation<'_> {
    /// A status of 5xx, one that is not told, or a body that is not as told, fails.
    fn holds(&self, said: &Said, asked: &str) {
        let (route, method) = (self.route, self.method);
        assert!(
            said.status < 500,
            "{method} {asked}: {} {}",
            said.status,
            said.body
        );
        let told = &self.document["paths"][route][method]["responses"][said.status.to_string()];
        assert!(
            told.is_object(),
            "{method} {asked}: {} is not told",
            said.status
        );
        let kinds = told["content"].as_object();
        let kind = said.kind.split(';').next().unwrap_or_default();
        if kind == "application/json" {
            check(self.document, route, method, said.status, &said.body);
        }
        let is_told = kinds.is_none_or(|kinds| kinds.contains_key(kind));
        assert!(is_told, "{method} {asked}: {kind} is not told");
    }

    fn parameters(&self, place: &str) -> Vec<&str> {
        let told = &self.document["paths"][self.route][self.method]["parameters"];
        let told = told.as_array().into_iter().flatten();
        told.filter(|one| one["in"] == place)
            .filter_map(|one| one["name"].as_str())
            .collect()
    }
}

#[tokio::test]
async fn whatever_is_asked_the_answer_is_as_the_document_tells() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    fill(&store, 20).await;
    let collector = Collector::start(database).await;
    let (_, body) = collector.get("/v1/openapi.json").await;
    let (_, listed) = collector.get("/v1/resets?limit=1").await;
    let url = collector.url();
    let count = tokio::task::spawn_blocking(move || {
        let document: Value = serde_json::from_str(&body).unwrap();
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let id = listed["resets"][0]["id"].as_str().unwrap().to_owned();
        all(&Asker::new(url), &document, &id)
    })
    .await
    .unwrap();
    // Not: nothing was asked.
    assert!(count > 1500, "{count}");
    collector.stop().await;
}

fn all(asker: &Asker, document: &Value, id: &str) -> usize {
    let mut count = 0;
    for (route, told) in document["paths"].as_object().unwrap() {
        for method in [
            "get", "put", "post", "delete", "patch", "options", "trace", "made-up",
        ] {
            let path = route.replace("{id}", id);
            if told.get(method).is_none() {
                let said = asker.ask(&method.to_uppercase(), &path, None);
                assert_eq!(said.status, 405, "{method} {path}: {}", said.body);
                count += 1;
                continue;
            }
            let operation = Operation {
                document,
                route,
                method,
            };
            count += parameters(asker, &operation, id);
            if told[method]["requestBody"].is_object() {
                count += sent(asker, &operation, &path);
            }
        }
    }
    count
}

fn parameters(asker: &Asker, operation: &Operation<'_>, id: &str) -> usize {
    let (route, method) = (operation.route, operation.method.to_uppercase());
    // A stream without end.
    if route == "/v1/watch" {
        return 0;
    }
    let values = values();
    let mut paths: Vec<String> = Vec::new();
    let path = route.replace("{id}", id);
    paths.push(path.clone());
    for value in &values {
        if !operation.parameters("path").is_empty() && !value.is_empty() {
            paths.push(route.replace("{id}", &encoded(value)));
        }
    }
    let names = operation.parameters("query");
    for name in &names {
        paths.extend(
            values
                .iter()
                .map(|value| format!("{path}?{name}={}", encoded(value))),
        );
        paths.push(format!("{path}?{name}=1&{name}=2"));
    }
    if !names.is_empty() {
        paths.push(format!("{path}?no_such_parameter=1"));
        paths.push(format!("{path}?&&=&"));
    }
    // Several at once, each of them drawn.
    let mut state = 1_usize;
    let mut drawn = |most: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    for _ in 0..if names.is_empty() { 0 } else { 200 } {
        let query: Vec<String> = (0..=drawn(4))
            .map(|_| {
                let (name, value) = (names[drawn(names.len())], &values[drawn(values.len())]);
                format!("{name}={}", encoded(value))
            })
            .collect();
        paths.push(format!("{path}?{}", query.join("&")));
    }
    for path in &paths {
        let body = (method != "GET").then_some(("application/json", &b"{}"[..]));
        let said = asker.ask(&method, path, body);
        operation.holds(&said, path);
    }
    paths.len()
}

fn sent(asker: &Asker, operation: &Operation<'_>, path: &str) -> usize {
    let method = operation.method.to_uppercase();
    let kinds = [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "a/b; charset=\"",
        "multipart/form-data",
    ];
    let bodies = bodies();
    for body in &bodies {
        for kind in kinds {
            let said = asker.ask(&method, path, Some((kind, body)));
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            operation.holds(&said, &format!("{path} {kind} {shown}"));
        }
    }
    let said = asker.ask(&method, path, None);
    operation.holds(&said, path);
    bodies.len() * kinds.len()
}

//! The pages, as they come over HTTP: without any script.

use parallax_collector::store::Store;
use parallax_core::report::{Document, ResetReport};

use crate::agent::{Agent, hello};
use crate::digests::refused;
use crate::many::fill;
use crate::server::{Collector, database};

struct Page {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: String,
}

/// A page as a browser asks for it.
async fn page(collector: &Collector, path: &str, headers: &[(&'static str, &str)]) -> Page {
    let url = format!("{}{path}", collector.url());
    let headers: Vec<(&str, String)> = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let mut request = config.new_agent().get(&url).header("accept", "text/html");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut answer = request.call().unwrap();
        Page {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.body_mut().read_to_string().unwrap(),
        }
    })
    .await
    .unwrap()
}

/// How many resets a page lists.
fn listed(page: &Page) -> Vec<String> {
    let rows = page.body.split("<tr data-id=\"").skip(1);
    rows.map(|row| row.split('"').next().unwrap().to_owned())
        .collect()
}

/// Whether each opened element is closed again, in order; text and attributes hold no markup.
fn well_formed(html: &str) -> Result<(), String> {
    const VOID: [&str; 4] = ["meta", "link", "input", "br"];
    let mut open: Vec<String> = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, text) = part
            .split_once('>')
            .ok_or_else(|| format!("no end of tag: {part:.80}"))?;
        if text.contains('>') {
            return Err(format!("a bare > in {text:.80}"));
        }
        if tag.starts_with('!') || tag.ends_with('/') {
            continue;
        }
        let name = tag.split([' ', '\n']).next().unwrap().to_owned();
        if let Some(closed) = name.strip_prefix('/') {
            let last = open
                .pop()
                .ok_or_else(|| format!("</{closed}> closes nothing"))?;
            if last != closed {
                return Err(format!("</{closed}> closes <{last}>"));
            }
        } else if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(format!("open at the end: {open:?}"))
    }
}

/// A collector with a few refused connections, seen at one vantage.
async fn with_resets(vantage: &str, count: u16) -> (Collector, Vec<ResetReport>) {
    let collector = Collector::start(database().await).await;
    let (agent, _) = Agent::connect(&collector, hello(vantage, 1)).await.unwrap();
    let digests: Vec<_> = (0..count)
        .flat_map(|step| refused(40000 + step, i64::from(step) * 1000))
        .collect();
    agent.send(0, &digests).await;
    agent.goodbye().await;
    for _ in 0..400 {
        let (_, body) = collector.get("/v1/resets").await;
        let found: Document = serde_json::from_str(&body).unwrap();
        if found.resets.len() == usize::from(count) {
            return (collector, found.resets);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the resets were not judged");
}

#[tokio::test]
async fn every_page_is_complete_without_a_script_and_guarded() {
    let (collector, resets) = with_resets("fw-in", 3).await;
    let id = resets[0].id;
    for (path, expected) in [
        ("/".to_owned(), "id=\"list-head\""),
        (format!("/resets/{id}"), "class=\"ladder\""),
        (format!("/connections/{id}"), "SYN"),
        ("/path".to_owned(), "fw-in"),
        ("/vantages".to_owned(), "fw-in"),
    ] {
        let page = page(&collector, &path, &[]).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains(expected), "{path}: {}", page.body);
        well_formed(&page.body).unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        // What the policy would block must not be there; nothing comes from elsewhere.
        for outside in ["style=\"", "onclick", "http://", "https://", "<style"] {
            assert!(!page.body.contains(outside), "{path}: {outside}");
        }
    }
    for (file, kind) in [
        ("style.css", "text/css"),
        ("live.js", "text/javascript"),
        ("icon.svg", "image/svg"),
    ] {
        let asset = page(&collector, &format!("/assets/{file}"), &[]).await;
        assert!(
            asset.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with(kind)
        );
    }
    collector.stop().await;
}

#[tokio::test]
async fn filters_are_links_and_forms() {
    let (collector, _) = with_resets("fw-in", 10).await;
    for (query, expected) in [
        ("", 10),
        (
            "since=&until=&address=&port=&vantage=&origin=&cause=&between=",
            10,
        ),
        ("port=40003&origin=", 1),
        ("address=192.0.2.11", 0),
        ("vantage=fw-in", 10),
        ("vantage=nowhere", 0),
        ("since=2026-01-02+03%3A04%3A10.001", 5),
        ("until=2026-01-02T03:04:10Z", 5),
        ("since=1h", 0),
        ("colour=red", 10),
    ] {
        let found = page(&collector, &format!("/?{query}"), &[]).await;
        assert_eq!(
            (found.status, listed(&found).len()),
            (200, expected),
            "{query}"
        );
    }
    let typed = page(&collector, "/?vantage=%22%3E%3Cscript%3E", &[]).await;
    assert!(
        typed.body.contains("value=\"&#34;&#62;&#60;script&#62;\""),
        "{}",
        typed.body
    );
    for (query, part) in [
        ("port=70000", "port=&#34;70000&#34;"),
        ("since=soon", "since"),
        ("between=one", "between"),
        ("vantage=%00", "vantage"),
    ] {
        let refused = page(&collector, &format!("/?{query}"), &[]).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(
            refused.body.contains("role=\"alert\"") && refused.body.contains(part),
            "{}",
            refused.body
        );
        well_formed(&refused.body).unwrap();
    }
    for (path, status) in [
        ("/?after=x", 400),
        ("/resets/x", 400),
        ("/resets/00000000-0000-7000-8000-000000000000", 404),
        ("/connections/00000000-0000-7000-8000-000000000000", 404),
        ("/path?since=soon", 400),
        ("/nowhere", 404),
        ("/assets/nothing", 404),
    ] {
        assert_eq!(page(&collector, path, &[]).await.status, status, "{path}");
    }
    collector.stop().await;
}

#[tokio::test]
async fn the_language_is_the_browsers_until_it_is_chosen() {
    let (collector, resets) = with_resets("fw-in", 1).await;
    let path = format!("/resets/{}", resets[0].id);
    let zh = ("accept-language", "zh-CN,zh;q=0.9,en;q=0.5");
    for (path, headers, lang) in [
        (path.clone(), vec![], "en"),
        (path.clone(), vec![zh], "zh-Hans"),
        (path.clone(), vec![zh, ("cookie", "a=b; lang=en")], "en"),
        (
            format!("{path}?lang=zh"),
            vec![("cookie", "lang=en")],
            "zh-Hans",
        ),
        (path.clone(), vec![("cookie", "lang=xx")], "en"),
    ] {
        let page = page(&collector, &path, &headers).await;
        assert!(
            page.body.contains(&format!("<html lang=\"{lang}\">")),
            "{path} {headers:?}"
        );
        assert_eq!(page.headers["content-language"], lang);
        let chinese = page.body.contains("置信度") && page.body.contains("证据");
        assert_eq!(chinese, lang != "en", "{}", page.body);
        let kept = page
            .headers
            .get("set-cookie")
            .map(|cookie| cookie.to_str().unwrap());
        assert_eq!(
            kept.is_some_and(|kept| kept.starts_with("lang=zh;")),
            path.contains("lang=zh")
        );
    }
    collector.stop().await;
}

const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{1b}[31m\u{202e}\"'&fw";

#[tokio::test]
async fn hostile_names_are_shown_as_text() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    fill(&store, 10).await;
    let long = "x".repeat(10_000);
    for (name, like) in [(HOSTILE, "fw-in"), (&long, "fw-out")] {
        let report = serde_json::to_string(name).unwrap();
        // As if agents of these names had seen it.
        sqlx::query(
            "UPDATE reset SET report = replace(report::text, to_json($2::text)::text, $3)::jsonb, \
             seen_at = array_replace(seen_at, $2, $1), between_a = CASE between_a WHEN $2 THEN $1 ELSE between_a END, \
             between_b = CASE between_b WHEN $2 THEN $1 ELSE between_b END",
        )
        .bind(name)
        .bind(like)
        .bind(report)
        .execute(store.pool())
        .await
        .unwrap();
        sqlx::query("INSERT INTO vantage (name, kind, addresses) VALUES ($1, 'hop', '{}')")
            .bind(name)
            .execute(store.pool())
            .await
            .unwrap();
    }
    let collector = Collector::start(database).await;
    for path in ["/", "/?group=place&lang=zh", "/path", "/vantages"] {
        let page = page(&collector, path, &[]).await;
        assert_eq!(page.status, 200, "{path}");
        well_formed(&page.body).unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
        assert!(!page.body.contains("<img"), "{path}");
        assert!(
            page.body.contains("&#60;img src=x onerror=alert(1)&#62;"),
            "{path}: {}",
            page.body
        );
        let text = page
            .body
            .split('>')
            .filter_map(|part| part.split('<').next());
        let shown: String = text.collect();
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{path}");
        assert!(
            !shown.contains(&"x".repeat(1000)),
            "{path}: cut, not spilled"
        );
    }
    // The filter of a hostile place finds what its group counted.
    let list = page(&collector, "/?group=place", &[]).await;
    let link = list
        .body
        .split("<th scope=\"row\" data-label=\"Between\"><a href=\"")
        .nth(1)
        .unwrap();
    let link = link.split('"').next().unwrap().replace("&#38;", "&");
    let narrowed = page(&collector, &link, &[]).await;
    assert_eq!(listed(&narrowed).len(), 2, "{link}");
    let other = format!("/resets/{}", "x".repeat(10_000));
    assert_eq!(page(&collector, &other, &[]).await.status, 400);
    collector.stop().await;
}

#[tokio::test]
async fn pages_of_a_list_hold_every_reset_once() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    fill(&store, 230).await;
    // Several at one moment: their ids decide.
    sqlx::query("UPDATE reset SET time_ns = time_ns - time_ns % 30000000000000")
        .execute(store.pool())
        .await
        .unwrap();
    let collector = Collector::start(database).await;
    let mut path = "/?group=none".to_owned();
    let mut all = Vec::new();
    for turn in 0.. {
        assert!(turn < 10, "without end");
        let page = page(&collector, &path, &[]).await;
        all.extend(listed(&page));
        match page
            .body
            .split("<a href=\"")
            .find(|part| part.contains("rel=\"next\"") && part.contains("after="))
        {
            Some(link) => path = link.split('"').next().unwrap().replace("&#38;", "&"),
            None => break,
        }
    }
    assert_eq!(all.len(), 230);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 230);
    for (by, groups) in [("place", 3), ("cause", 5)] {
        let page = page(&collector, &format!("/?group={by}"), &[]).await;
        let body = page.body.split("class=\"groups\"").nth(1).unwrap();
        let rows = body
            .split("</table>")
            .next()
            .unwrap()
            .matches("scope=\"row\"")
            .count();
        assert_eq!(rows, groups, "{by}");
    }
    collector.stop().await;
}

#[tokio::test]
async fn a_vantage_whose_agent_left_is_told_to_be_blind() {
    let collector = Collector::start(database().await).await;
    let (agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    agent
        .beat(crate::digests::EPOCH, crate::digests::EPOCH + 1, 0)
        .await;
    let before = page(&collector, "/vantages", &[]).await.body;
    assert!(
        before.contains("card watching") && !before.contains("card blind"),
        "{before}"
    );
    agent.goodbye().await;
    let mut after = String::new();
    for _ in 0..100 {
        after = page(&collector, "/vantages", &[]).await.body;
        if after.contains("card blind") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(after.contains("Its agent was stopped"), "{after}");
    // Who looks at the list must not take its silence for a good sign.
    let list = page(&collector, "/", &[]).await.body;
    assert!(list.contains("Blind now: fw-in."), "{list}");
    let list = page(&collector, "/?lang=zh", &[]).await.body;
    assert!(list.contains("目前失明： fw-in"), "{list}");
    collector.stop().await;
}

//! The path map, and every link as a table.

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use parallax_core::CaptureTime;
use parallax_core::report::{Document, ResetReport};

use super::map::{self, Map, Stop};
use super::query::{Asked, pairs};
use super::words;
use super::{Shell, Trouble, render};
use crate::clock;
use crate::http::{self, Api};
use crate::store::{Filters, Link, WatchState};

/// Of how many of the newest resets the paths are taken.
const NEWEST: u32 = 500;
/// Paths drawn at most.
const PATHS: usize = 6;

struct Row {
    place: String,
    what: &'static str,
    class: &'static str,
    resets: i64,
    last: String,
    link: String,
}

#[derive(Template)]
#[template(path = "path.html")]
struct PathPage<'a> {
    shell: &'a Shell,
    ranges: Vec<(String, String, bool)>,
    maps: Vec<Map>,
    rows: Vec<Row>,
}

pub async fn show(State(api): State<Api>, shell: Shell, uri: Uri) -> Result<Response, Trouble> {
    let t = shell.lang;
    let asked = Asked::new(pairs(uri.query().unwrap_or_default()));
    let since = asked.get("since").unwrap_or_default().to_owned();
    let asked = Asked::default();
    let asked = if since.is_empty() {
        asked
    } else {
        asked.with("since", since)
    };
    let filters = asked.filters(clock::wall()).map_err(|error| {
        let words = words::brief(&error.to_string(), 300);
        Trouble::new(&shell, StatusCode::BAD_REQUEST, words)
    })?;
    let failed = Trouble::of_store(&shell);
    let newest = Filters {
        limit: NEWEST,
        since: filters.since,
        ..Filters::default()
    };
    let (links, known, states, newest) = tokio::join!(
        api.store.links(filters.since, filters.until),
        http::answer(&api, None),
        api.store.watch_states(),
        api.store.page(&newest)
    );
    let links = links.map_err(&failed)?;
    let mut known = known.map_err(&failed)?;
    let files = states
        .map_err(&failed)?
        .into_iter()
        .filter(WatchState::is_file);
    let files: Vec<String> = files.map(|state| state.vantage).collect();
    for vantage in &mut known.vantages {
        // Nobody waits for a file that was read.
        if files.contains(&vantage.name) {
            vantage.connected = vantage.connected.filter(|connected| *connected);
        }
    }
    let newest = newest.map_err(&failed)?.resets;
    let maps = paths(&api.path, &newest)
        .iter()
        .map(|path| map::draw(t, &asked, &stops(path, &known), &links))
        .collect();
    let ranges = [
        ("15m", t.say("15 min", "15 分钟")),
        ("1h", t.say("1 hour", "1 小时")),
        ("24h", t.say("24 hours", "24 小时")),
        ("7d", t.say("7 days", "7 天")),
        ("", t.say("all", "全部")),
    ];
    let ranges = ranges.map(|(since, words)| {
        let link = match since {
            "" => "/path".to_owned(),
            since => Asked::default().with("since", since).link("/path"),
        };
        (link, words.to_owned(), asked.value("since") == since)
    });
    let page = PathPage {
        shell: &shell,
        ranges: ranges.into(),
        maps,
        rows: links.iter().map(|link| row(t, &asked, link)).collect(),
    };
    Ok(render(&shell, &page))
}

fn row(t: super::Lang, asked: &Asked, link: &Link) -> Row {
    Row {
        place: match link.what.as_str() {
            "emitted" => words::brief(link.a.as_deref().unwrap_or("…"), words::NAME),
            _ => match (&link.a, &link.b) {
                (None, None) => t.say("unknown place", "位置未知").to_owned(),
                (a, b) => words::place(a.as_deref(), b.as_deref()),
            },
        },
        what: map::what(t, &link.what),
        class: match link.what.as_str() {
            "injected" => "middlebox",
            "emitted" => "endpoint",
            "lost" => "lost",
            _ => "undetermined",
        },
        resets: link.resets,
        last: words::second(CaptureTime::from_nanos(link.last_ns)),
        link: match (link.what.as_str(), &link.a, &link.b) {
            ("open", None, None) => asked.clone().with("origin", "undetermined").link("/"),
            ("injected", None, None) => asked.clone().with("origin", "middlebox").link("/"),
            _ => map::list(asked, link),
        },
    }
}

/// The configured path, then those that most of the newest resets took; none that is part of another.
fn paths<'a>(configured: &'a [String], newest: &'a [ResetReport]) -> Vec<&'a [String]> {
    let mut taken: Vec<(&[String], usize)> = Vec::new();
    for reset in newest.iter().filter(|reset| !reset.path.is_empty()) {
        match taken.iter_mut().find(|(path, _)| *path == reset.path) {
            Some((_, count)) => *count += 1,
            None => taken.push((&reset.path, 1)),
        }
    }
    taken.sort_by_key(|(path, count)| std::cmp::Reverse((*count, path.len())));
    let configured = (!configured.is_empty()).then_some(configured);
    let mut drawn: Vec<&[String]> = Vec::new();
    for path in configured
        .into_iter()
        .chain(taken.into_iter().map(|(path, _)| path))
    {
        let within = |whole: &[String]| {
            let mut rest = whole.iter();
            path.iter().all(|name| rest.any(|other| other == name))
        };
        if drawn.len() < PATHS && !drawn.iter().any(|whole| within(whole)) {
            drawn.push(path);
        }
    }
    drawn
}

fn stops<'a>(path: &'a [String], known: &Document) -> Vec<Stop<'a>> {
    path.iter()
        .map(|name| {
            let vantage = known.vantages.iter().find(|vantage| vantage.name == *name);
            Stop {
                name,
                kind: vantage.map(|vantage| vantage.kind),
                connected: vantage.and_then(|vantage| vantage.connected),
            }
        })
        .collect()
}

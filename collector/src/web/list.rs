//! The list of resets, with filters, counts over time and groups.

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use parallax_core::CaptureTime;
use parallax_core::report::{Cause, Origin, ResetReport};
use parallax_core::time::SECOND;

use super::chart::{self, Chart};
use super::groups::{self, Row};
use super::query::{Asked, FILTERS, pairs};
use super::words;
use super::{Lang, Shell, Trouble, render};
use crate::clock;
use crate::http::Api;
use crate::store::{Grouping, RunState, Steps, StoreError, WatchState};

/// A vantage that has been away for longer was taken away, nanoseconds.
const BLIND_FOR: i64 = 86_400 * SECOND;
/// Blind vantages that the list names.
const BLIND_NAMED: usize = 3;

/// One reset in the list.
struct Line {
    id: String,
    time: String,
    stamp: String,
    src: String,
    dst: String,
    flags: String,
    origin: &'static str,
    origin_words: &'static str,
    whence: String,
    cause: &'static str,
    confidence: String,
}

struct Choice {
    value: &'static str,
    words: &'static str,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage<'a> {
    shell: &'a Shell,
    asked: &'a Asked,
    /// What cannot be read in the form.
    refusal: String,
    origins: Vec<Choice>,
    causes: Vec<Choice>,
    ranges: Vec<(String, String, bool)>,
    groupings: Vec<(String, &'static str, bool)>,
    vantages: Vec<String>,
    /// Names of vantages that went blind within a day, and of how many more.
    blind: Option<(String, usize)>,
    /// When the page was made.
    as_of: String,
    /// What narrows the list: name, value, and the list without it.
    narrowed: Vec<(&'static str, String, String)>,
    chart: Option<Chart>,
    group_head: &'static str,
    groups: Vec<Row>,
    lines: Vec<Line>,
    /// The first page is the one that new resets come to.
    live: bool,
    newest: String,
    older: Option<String>,
}

/// Live vantages whose agents are not connected, but were within a day: what they would have seen is missing here.
async fn blind(api: &Api) -> Result<Option<(String, usize)>, StoreError> {
    let (states, anywhere) = tokio::join!(api.store.watch_states(), api.store.connected());
    let (states, anywhere) = (states?, anywhere?);
    let now = clock::wall();
    let is_away = |state: &&WatchState| {
        let recent = |run: &RunState| {
            let watched = run.watched.map_or(run.connected, |(_, until)| until);
            now.since(watched.max(run.connected)) < BLIND_FOR
        };
        !state.is_file()
            && state.run.as_ref().is_some_and(recent)
            && !api.registry.is_connected(&state.vantage)
            && !anywhere.contains(&state.vantage)
    };
    let away: Vec<&WatchState> = states.iter().filter(is_away).collect();
    let told = away.iter().take(BLIND_NAMED);
    let names: Vec<String> = told.map(|state| words::brief(&state.vantage, 40)).collect();
    let more = away.len() - names.len();
    Ok((!names.is_empty()).then(|| (names.join(", "), more)))
}

pub async fn show(State(api): State<Api>, shell: Shell, uri: Uri) -> Result<Response, Trouble> {
    let t = shell.lang;
    let asked = Asked::new(pairs(uri.query().unwrap_or_default())).without("lang");
    let mut page = ListPage {
        shell: &shell,
        asked: &asked,
        refusal: String::new(),
        origins: origins(t, &asked),
        causes: causes(t, &asked),
        ranges: ranges(t, &asked),
        groupings: groupings(t, &asked),
        vantages: Vec::new(),
        blind: None,
        as_of: words::second(clock::wall()),
        narrowed: narrowed(t, &asked),
        chart: None,
        group_head: "",
        groups: Vec::new(),
        lines: Vec::new(),
        live: asked.get("after").is_none(),
        newest: asked.clone().without("after").link("/"),
        older: None,
    };
    let failed = Trouble::of_store(&shell);
    page.vantages = api.store.vantage_names().await.map_err(&failed)?;
    let filters = match asked.filters(clock::wall()) {
        Ok(filters) => filters,
        Err(error) => {
            page.refusal = words::brief(&error.to_string(), 300);
            let mut response = render(&shell, &page);
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(response);
        }
    };
    let by = asked
        .get("group")
        .map_or(Some(Grouping::Place), groups::grouping);
    let steps = span(&api, filters.since, filters.until)
        .await
        .map_err(&failed)?;
    let counts = async {
        match steps {
            Some(steps) => api.store.counts(&filters, steps).await,
            None => Ok(Vec::new()),
        }
    };
    let grouped = async {
        match by {
            Some(by) => api.store.groups(&filters, by).await,
            None => Ok(Vec::new()),
        }
    };
    let (found, counts, grouped, blind) =
        tokio::join!(api.store.page(&filters), counts, grouped, blind(&api));
    page.blind = blind.map_err(&failed)?;
    let found = found.map_err(&failed)?;
    page.chart = match (steps, counts.map_err(&failed)?) {
        (Some(steps), counts) if !counts.is_empty() => Some(Chart::draw(t, &asked, steps, &counts)),
        _ => None,
    };
    if let Some(by) = by {
        page.group_head = head(t, by);
        page.groups = groups::rows(t, &asked, by, &grouped.map_err(&failed)?);
    }
    page.lines = found.resets.iter().map(|reset| line(t, reset)).collect();
    page.older = found
        .next
        .map(|next| asked.clone().with("after", next.to_string()).link("/"));
    Ok(render(&shell, &page))
}

/// The steps of the chart: what is asked for, else all there is.
async fn span(
    api: &Api,
    since: Option<CaptureTime>,
    until: Option<CaptureTime>,
) -> Result<Option<Steps>, crate::store::StoreError> {
    let ends = match (since, until) {
        (Some(since), Some(until)) => Some((since, until)),
        _ => api.store.reset_span().await?.map(|(first, last)| {
            let first = since.unwrap_or(first);
            (first, until.unwrap_or(last).max(first))
        }),
    };
    Ok(ends.map(|(first, last)| chart::steps(first, last)))
}

fn line(t: Lang, reset: &ResetReport) -> Line {
    Line {
        id: reset.id.to_string(),
        time: words::moment(reset.time),
        stamp: reset.time.to_string(),
        src: words::end(reset.src, reset.sport),
        dst: words::end(reset.dst, reset.dport),
        flags: match reset.count {
            0 | 1 => words::brief(&reset.flags, 8),
            count => format!("{} ×{count}", words::brief(&reset.flags, 8)),
        },
        origin: reset.origin.as_str(),
        origin_words: words::origin(t, reset.origin),
        whence: words::whence(t, reset),
        cause: words::cause(t, reset.cause),
        confidence: words::confidence(reset.confidence),
    }
}

fn origins(t: Lang, asked: &Asked) -> Vec<Choice> {
    let all = [Origin::Middlebox, Origin::Endpoint, Origin::Undetermined];
    all.map(|origin| Choice {
        value: origin.as_str(),
        words: words::origin(t, origin),
        chosen: asked.get("origin") == Some(origin.as_str()),
    })
    .into()
}

fn causes(t: Lang, asked: &Asked) -> Vec<Choice> {
    Cause::ALL
        .map(|cause| Choice {
            value: cause.as_str(),
            words: words::cause(t, cause),
            chosen: asked.get("cause") == Some(cause.as_str()),
        })
        .into()
}

fn ranges(t: Lang, asked: &Asked) -> Vec<(String, String, bool)> {
    let all = [
        ("15m", t.say("15 min", "15 分钟")),
        ("1h", t.say("1 hour", "1 小时")),
        ("24h", t.say("24 hours", "24 小时")),
        ("7d", t.say("7 days", "7 天")),
        ("", t.say("all", "全部")),
    ];
    let base = asked
        .clone()
        .without("after")
        .without("until")
        .without("since");
    all.map(|(since, words)| {
        let asked_for = match since {
            "" => base.clone(),
            since => base.clone().with("since", since),
        };
        let chosen = asked.value("since") == since && asked.get("until").is_none();
        (asked_for.link("/"), words.to_owned(), chosen)
    })
    .into()
}

fn groupings(t: Lang, asked: &Asked) -> Vec<(String, &'static str, bool)> {
    let all = [
        ("place", t.say("place", "位置")),
        ("cause", t.say("cause", "原因")),
        ("peer", t.say("peer", "对端")),
        ("none", t.say("nothing", "不分组")),
    ];
    let now = asked.get("group").unwrap_or("place");
    all.map(|(word, words)| {
        let link = asked.clone().without("after").with("group", word).link("/");
        (link, words, now == word)
    })
    .into()
}

fn head(t: Lang, by: Grouping) -> &'static str {
    match by {
        Grouping::Place => t.say("Between", "位于两观测点之间"),
        Grouping::Cause => t.say("Cause", "原因"),
        Grouping::Peer => t.say("Peer (end with the lower port)", "对端（端口较小的一端）"),
    }
}

fn narrowed(t: Lang, asked: &Asked) -> Vec<(&'static str, String, String)> {
    let name = |filter: &str| match filter {
        "since" => t.say("since", "自"),
        "until" => t.say("until", "至"),
        "address" => t.say("address", "地址"),
        "port" => t.say("port", "端口"),
        "vantage" => t.say("seen at", "见于"),
        "origin" => t.say("origin", "来源"),
        "cause" => t.say("cause", "原因"),
        "between" => t.say("between", "位于"),
        "at" => t.say("emitted at", "发出于"),
        _ => t.say("lost between", "丢失于"),
    };
    let set = FILTERS
        .iter()
        .filter_map(|filter| Some((*filter, asked.get(filter)?)));
    set.map(|(filter, value)| {
        let shown = words::brief(value, 60).replace("\\u{1f}", ",");
        (
            name(filter),
            shown,
            asked.clone().without(filter).without("after").link("/"),
        )
    })
    .collect()
}

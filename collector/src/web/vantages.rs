//! Who watches, how well, and what is wrong.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use parallax_core::decode::Unread;
use parallax_core::plain::plain;
use parallax_core::report::{Count, VantageSummary};
use parallax_core::time::{MILLISECOND, SECOND};
use parallax_core::vantage::KindName;
use parallax_core::{CaptureTime, Strength};

use super::words;
use super::{Lang, Shell, Trouble, render};
use crate::clock;
use crate::http::{self, Api};
use crate::store::{RunState, WatchState};

/// Clocks known no better than this are worth a word.
const VAGUE: i64 = 50 * MILLISECOND;

struct Card {
    name: String,
    kind: &'static str,
    addresses: String,
    state: &'static str,
    state_words: &'static str,
    facts: Vec<(&'static str, String)>,
    wrong: Vec<Wrong>,
}

/// Something that makes a vantage's silence worth less.
struct Wrong {
    certain: bool,
    words: String,
    /// The words are the agent's own.
    english: bool,
}

#[derive(Template)]
#[template(path = "vantages.html")]
struct VantagesPage<'a> {
    shell: &'a Shell,
    cards: Vec<Card>,
    blind: usize,
}

pub async fn show(State(api): State<Api>, shell: Shell) -> Result<Response, Trouble> {
    let failed = Trouble::of_store(&shell);
    let (known, states) = tokio::join!(http::answer(&api, None), api.store.watch_states());
    let (known, states) = (known.map_err(&failed)?, states.map_err(&failed)?);
    let now = clock::wall();
    let cards: Vec<Card> = known
        .vantages
        .iter()
        .map(|vantage| {
            let state = states.iter().find(|state| state.vantage == vantage.name);
            card(shell.lang, vantage, state, now)
        })
        .collect();
    let page = VantagesPage {
        shell: &shell,
        blind: cards.iter().filter(|card| card.state == "blind").count(),
        cards,
    };
    Ok(render(&shell, &page))
}

fn card(t: Lang, vantage: &VantageSummary, state: Option<&WatchState>, now: CaptureTime) -> Card {
    let run = state.and_then(|state| state.run.as_ref());
    let is_file = state.is_some_and(WatchState::is_file);
    let connected = vantage.connected == Some(true);
    let (word, words) = match (connected, is_file) {
        (true, _) => ("watching", t.say("watching", "采集中")),
        (false, true) => ("file", t.say("read from a file", "来自文件")),
        (false, false) => ("blind", t.say("blind", "失明")),
    };
    let addresses: Vec<String> = vantage.addresses.iter().map(ToString::to_string).collect();
    Card {
        name: words::brief(&vantage.name, 60),
        kind: match vantage.kind {
            KindName::Host => t.say("host", "主机"),
            KindName::Hop => t.say("hop", "途经点"),
        },
        addresses: addresses.join(", "),
        state: word,
        state_words: words,
        facts: facts(t, vantage, state, run),
        wrong: wrong(t, vantage, state, word, now),
    }
}

fn facts(
    t: Lang,
    vantage: &VantageSummary,
    state: Option<&WatchState>,
    run: Option<&RunState>,
) -> Vec<(&'static str, String)> {
    let none = || t.say("not known", "未知").to_owned();
    let clock = state.and_then(|state| state.clock);
    let sent = vantage.observed_octets.map(|observed| {
        let sent = vantage.sent_octets.unwrap_or(0);
        format!("{:.2} %", sent as f64 * 100.0 / observed.max(1) as f64)
    });
    let facts = [
        (
            t.say("Capturing since (UTC)", "开始采集（UTC）"),
            Some(vantage.first.map_or_else(none, words::second)),
        ),
        (
            t.say("Last word (UTC)", "最近报告（UTC）"),
            Some(vantage.last.map_or_else(none, words::second)),
        ),
        (t.say("Packets", "报文"), Some(vantage.packets.to_string())),
        (t.say("Other than TCP", "非 TCP 报文"), others(vantage)),
        (
            t.say("Rate, mean of this run", "速率（本次运行平均）"),
            run.and_then(rate),
        ),
        (t.say("Dropped", "丢失"), Some(vantage.dropped.to_string())),
        (
            t.say("Clock against the collector's", "相对采集器的时钟"),
            Some(clock.map_or_else(none, |(offset, error)| {
                format!("{} ± {}", words::span(offset), words::span(error))
            })),
        ),
        (
            t.say("Memory reaches back", "内存可回溯"),
            state.and_then(|state| state.horizon).map(words::span),
        ),
        (
            t.say("Ships", "上报"),
            run.map(|run| run.selection.to_string()),
        ),
        (t.say("Sent of observed octets", "上报占所见字节"), sent),
        (
            t.say("Agent", "代理版本"),
            run.filter(|run| !run.version.is_empty())
                .map(|run| words::brief(&run.version, 40)),
        ),
        (
            t.say("Interfaces", "接口"),
            run.filter(|run| !run.interfaces.is_empty())
                .map(|run| words::brief(&run.interfaces.join(", "), 80)),
        ),
        (
            t.say("Filter", "过滤器"),
            run.filter(|run| !run.filter.is_empty())
                .map(|run| words::brief(&run.filter, 120)),
        ),
    ];
    facts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// What was not read because it is something else is no fault.
fn is_odd(unread: &Count) -> bool {
    ![Unread::NotTcp.as_str(), Unread::NotIp.as_str()].contains(&unread.what.as_str())
}

/// Packets that are no TCP.
fn others(vantage: &VantageSummary) -> Option<String> {
    let others = vantage.unreadable.iter().filter(|unread| !is_odd(unread));
    let count: u64 = others.map(|unread| unread.count).sum();
    (count > 0).then(|| count.to_string())
}

fn rate(run: &RunState) -> Option<String> {
    let (from, until) = run.watched?;
    let nanos = until.since(from);
    let rate = run.received as f64 * SECOND as f64 / nanos as f64;
    (nanos >= SECOND).then(|| format!("{rate:.1}/s"))
}

fn wrong(
    t: Lang,
    vantage: &VantageSummary,
    state: Option<&WatchState>,
    word: &str,
    now: CaptureTime,
) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut say = |certain: bool, words: String| {
        wrong.push(Wrong {
            certain,
            words,
            english: false,
        });
    };
    let run = state.and_then(|state| state.run.as_ref());
    if word == "blind" {
        let left = run.and_then(|run| run.finished).is_some();
        let since = run.and_then(|run| run.watched).map(|(_, until)| until);
        let ago = since.map_or_else(String::new, |since| match t {
            Lang::English => format!(
                " Its last word was {} ago.",
                words::span(now.since(since).max(0))
            ),
            Lang::Chinese => format!(
                "最近一次报告在 {} 之前。",
                words::span(now.since(since).max(0))
            ),
        });
        let words = match (t, left) {
            (Lang::English, true) => {
                "Its agent was stopped: what passes now is not seen, and its silence says nothing."
            }
            (Lang::English, false) => {
                "Its agent is not connected: unless it keeps what it sees, its silence says nothing."
            }
            (Lang::Chinese, true) => "其代理已停止：现在经过的报文不会被看到，它的沉默不说明什么。",
            (Lang::Chinese, false) => "其代理未连接：除非它保存所见，否则它的沉默不说明什么。",
        };
        say(true, format!("{words}{ago}"));
    }
    if let Some((_, error)) = state.and_then(|state| state.clock)
        && error > VAGUE
    {
        say(
            false,
            match t {
                Lang::English => {
                    format!("Its clock is known to within {} only.", words::span(error))
                }
                Lang::Chinese => format!("其时钟误差可达 {}。", words::span(error)),
            },
        );
    }
    for unread in vantage.unreadable.iter().filter(|unread| is_odd(unread)) {
        let what = plain(&unread.what);
        say(
            false,
            match t {
                Lang::English => {
                    format!("Packets that could not be read: {} ({what}).", unread.count)
                }
                Lang::Chinese => format!("无法解读的报文：{}（{what}）。", unread.count),
            },
        );
    }
    for loss in &vantage.losses {
        let when = match loss.last {
            Some(last) => format!("{} – {}", words::second(loss.first), words::second(last)),
            None => format!("{} –", words::second(loss.first)),
        };
        let (text, lang) = words::judges(t, &loss.text);
        wrong.push(Wrong {
            certain: loss.strength == Strength::Certain,
            words: format!("{text} ({when} UTC)"),
            english: lang == Lang::English.tag(),
        });
    }
    wrong
}

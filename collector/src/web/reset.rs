//! One reset: its verdict, ladder, evidence and chain.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use parallax_core::judge::{self, judge_flow};
use parallax_core::plain::plain;
use parallax_core::report::{Explanation, LadderRow, ResetReport};
use uuid::Uuid;

use super::ladder::{self, Drawing};
use super::words;
use super::{Lang, Shell, Trouble, render};
use crate::http::Api;
use crate::http::told::{Untold, told};

/// One reason, and where in the ladder it points.
pub struct Reason {
    pub kind: String,
    pub text: String,
    /// BCP 47.
    pub lang: &'static str,
    pub vantage: Option<String>,
    pub link: String,
}

/// Another reset of the same flow.
struct Sibling {
    id: String,
    time: String,
    words: String,
    origin: &'static str,
    origin_words: &'static str,
    is_this: bool,
    is_root: bool,
}

#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage<'a> {
    shell: &'a Shell,
    id: String,
    title: String,
    sentence: String,
    origin: &'static str,
    origin_words: &'static str,
    confidence: String,
    facts: Vec<(&'static str, String)>,
    drawing: Option<Drawing>,
    evidence: Vec<Reason>,
    siblings: Vec<Sibling>,
    /// A root that is in another connection.
    root_elsewhere: Option<String>,
    root_sentence: Option<String>,
    decide: Option<(String, &'static str)>,
}

/// An explanation with all resets of its flow.
struct Told {
    explanation: Explanation,
    all: Vec<ResetReport>,
}

pub async fn show(
    State(api): State<Api>,
    shell: Shell,
    Path(id): Path<String>,
) -> Result<Response, Trouble> {
    let id = reset_id(&shell, &id)?;
    let found = told(&api, id, move |evidence| {
        let explanation = judge::explain(evidence, id)?;
        let all = judge_flow(evidence)
            .into_iter()
            .map(|judged| judged.report)
            .collect();
        Some(Told { explanation, all })
    });
    let found = found.await.map_err(|untold| trouble(&shell, untold))?;
    let page = page(&shell, &found);
    Ok(render(&shell, &page))
}

/// The id of an address, or what is wrong with it.
pub fn reset_id(shell: &Shell, id: &str) -> Result<Uuid, Trouble> {
    id.parse().map_err(|_| {
        let words = shell
            .lang
            .say("This is no id of a reset.", "这不是重置的编号。");
        Trouble::new(shell, StatusCode::BAD_REQUEST, words)
    })
}

pub fn trouble(shell: &Shell, untold: Untold) -> Trouble {
    match untold {
        Untold::Unknown => {
            let words = shell
                .lang
                .say("No reset has this id.", "没有此编号的重置。");
            Trouble::new(shell, StatusCode::NOT_FOUND, words)
        }
        Untold::Store(error) => Trouble::of_store(shell)(error),
        Untold::Judge => {
            let words = shell.lang.say(
                "The judge failed on this reset; the collector's log says why.",
                "判定这个重置时出错，原因见采集器日志。",
            );
            Trouble::new(shell, StatusCode::INTERNAL_SERVER_ERROR, words)
        }
    }
}

fn page<'a>(shell: &'a Shell, told: &Told) -> ResetPage<'a> {
    let t = shell.lang;
    let explanation = &told.explanation;
    let reset = &explanation.reset;
    let drawing = ladder::draw(t, explanation);
    let in_flow = |id: Uuid| told.all.iter().any(|other| other.id == id);
    let root_report = told.all.iter().find(|other| Some(other.id) == reset.root);
    ResetPage {
        shell,
        id: reset.id.to_string(),
        title: format!(
            "{} → {}",
            words::end(reset.src, reset.sport),
            words::end(reset.dst, reset.dport)
        ),
        sentence: sentence(t, explanation),
        origin: reset.origin.as_str(),
        origin_words: words::origin(t, reset.origin),
        confidence: words::confidence(reset.confidence),
        facts: facts(t, reset),
        evidence: evidence(t, explanation, drawing.is_some()),
        drawing,
        siblings: siblings(t, told),
        root_elsewhere: reset
            .root
            .filter(|root| !in_flow(*root))
            .map(|root| root.to_string()),
        root_sentence: match (t, root_report) {
            (Lang::Chinese, Some(root)) => Some(words::sentence(root)),
            _ => explanation.root_sentence.as_deref().map(plain),
        },
        decide: decide(t, reset),
    }
}

pub fn sentence(t: Lang, explanation: &Explanation) -> String {
    match t {
        Lang::English => plain(&explanation.sentence),
        Lang::Chinese => words::sentence(&explanation.reset),
    }
}

/// What would make the verdict surer, and in which language that is told.
pub fn decide(t: Lang, reset: &ResetReport) -> Option<(String, &'static str)> {
    let text = reset.decide.as_deref()?;
    Some(words::judges(t, text))
}

pub fn facts(t: Lang, reset: &ResetReport) -> Vec<(&'static str, String)> {
    let list = |names: &[String]| {
        let names: Vec<String> = names
            .iter()
            .map(|name| words::brief(name, words::NAME))
            .collect();
        (!names.is_empty()).then(|| names.join(" → "))
    };
    let effective = reset.effective.map(|effective| {
        let words = if effective {
            t.say("yes: its receiver accepted it", "是：接收方接受了它")
        } else {
            t.say("no: the connection lived on", "否：连接继续存在")
        };
        words.to_owned()
    });
    let absent: Vec<String> = reset
        .absent_at
        .iter()
        .map(|absence| {
            let name = words::brief(&absence.vantage, words::NAME);
            match (absence.attested, &absence.why) {
                (true, _) => format!("{name} ({})", t.say("it would have been", "本应见到")),
                (false, Some(why)) => format!(
                    "{name} ({}: {})",
                    t.say("says nothing", "不说明什么"),
                    words::judges(t, why).0
                ),
                (false, None) => format!("{name} ({})", t.say("says nothing", "不说明什么")),
            }
        })
        .collect();
    let ack = reset
        .ack
        .map_or_else(String::new, |ack| format!(", ack {ack}"));
    let facts = [
        (
            t.say("Time (UTC)", "时间（UTC）"),
            Some(words::moment(reset.time)),
        ),
        (t.say("Where", "位置"), Some(words::whence(t, reset))),
        (
            t.say("Cause", "原因"),
            Some(words::cause(t, reset.cause).to_owned()),
        ),
        (
            t.say("Trigger", "触发报文"),
            reset.trigger.as_deref().map(plain),
        ),
        (
            t.say("Silence before", "此前静默"),
            reset.idle_ns.map(words::span),
        ),
        (t.say("Effective", "是否生效"), effective),
        (t.say("Seen at", "见于"), list(&reset.seen_at)),
        (
            t.say("Not seen at", "未见于"),
            (!absent.is_empty()).then(|| absent.join("; ")),
        ),
        (t.say("Path", "路径"), list(&reset.path)),
        (
            t.say("Packet", "报文"),
            Some(format!(
                "{} seq {}{ack}, ×{}",
                plain(&reset.flags),
                reset.seq,
                reset.count
            )),
        ),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    known.collect()
}

pub fn evidence(t: Lang, explanation: &Explanation, drawn: bool) -> Vec<Reason> {
    let columns = &explanation.ladder.columns;
    let has_row = drawn
        && explanation
            .ladder
            .rows
            .iter()
            .any(|row: &LadderRow| row.is_this);
    let told = explanation.reset.evidence.iter().map(|reason| {
        let column = reason
            .vantage
            .as_ref()
            .and_then(|vantage| columns.iter().position(|column| column.vantage == *vantage));
        let link = match (has_row, column) {
            (true, Some(column)) => format!("#at-{column}"),
            (true, None) => "#this".to_owned(),
            (false, _) => String::new(),
        };
        let (text, lang) = words::judges(t, &reason.text);
        Reason {
            kind: words::evidence(t, &reason.kind),
            text,
            lang,
            vantage: reason
                .vantage
                .as_ref()
                .map(|name| words::brief(name, words::NAME)),
            link,
        }
    });
    told.collect()
}

fn siblings(t: Lang, told: &Told) -> Vec<Sibling> {
    let this = &told.explanation.reset;
    if told.all.len() < 2 {
        return Vec::new();
    }
    let shown = told.all.iter().take(50).map(|other| Sibling {
        id: other.id.to_string(),
        time: words::moment(other.time),
        words: format!(
            "{} → {}: {}, {}",
            words::end(other.src, other.sport),
            words::end(other.dst, other.dport),
            words::whence(t, other),
            words::cause(t, other.cause)
        ),
        origin: other.origin.as_str(),
        origin_words: words::origin(t, other.origin),
        is_this: other.id == this.id,
        is_root: Some(other.id) == this.root,
    });
    shown.collect()
}

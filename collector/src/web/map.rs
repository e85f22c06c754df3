//! The map: vantages in the order of a path, and what happened on the way between them.

use parallax_core::vantage::KindName;

use super::Lang;
use super::groups::both;
use super::query::Asked;
use super::words::brief;
use crate::store::Link;

const LEFT: f64 = 110.0;
const SPACING: f64 = 200.0;
/// Height of the line of vantages.
const LINE: f64 = 80.0;
/// Between brackets of links that are wider than one hop.
const BRACKET: f64 = 34.0;

pub struct Map {
    pub width: f64,
    pub height: f64,
    pub line: f64,
    pub from: f64,
    pub until: f64,
    pub nodes: Vec<Node>,
    pub links: Vec<Label>,
    pub brackets: Vec<Bracket>,
}

pub struct Node {
    pub x: f64,
    pub name: String,
    pub full: String,
    pub kind: &'static str,
    pub connected: Option<bool>,
    pub emitted: Option<(i64, String)>,
}

/// Counts on a link, one below the other.
pub struct Label {
    pub x: f64,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub y: f64,
    pub class: &'static str,
    pub words: String,
    pub link: String,
}

pub struct Bracket {
    pub from: f64,
    pub until: f64,
    pub y: f64,
    pub line: Line,
}

/// A vantage of the map.
pub struct Stop<'a> {
    pub name: &'a str,
    pub kind: Option<KindName>,
    pub connected: Option<bool>,
}

/// The list of resets of a link.
pub fn list(asked: &Asked, link: &Link) -> String {
    let ends = both(link.a.as_deref(), link.b.as_deref());
    let asked = asked.clone();
    match link.what.as_str() {
        "injected" => asked.with("origin", "middlebox").with("between", ends),
        "open" => asked.with("origin", "undetermined").with("between", ends),
        "lost" => asked.with("lost", ends),
        _ => asked.with("at", link.a.clone().unwrap_or_default()),
    }
    .link("/")
}

/// What a link's count counts.
pub fn what(t: Lang, what: &str) -> &'static str {
    match what {
        "injected" => t.say("injected", "注入"),
        "emitted" => t.say("emitted", "发出"),
        "lost" => t.say("lost", "丢失"),
        _ => t.say("undetermined", "未定"),
    }
}

fn class(what: &str) -> &'static str {
    match what {
        "injected" => "middlebox",
        "emitted" => "endpoint",
        "lost" => "lost",
        _ => "undetermined",
    }
}

pub fn draw(t: Lang, asked: &Asked, stops: &[Stop<'_>], links: &[Link]) -> Map {
    let x = |place: usize| LEFT + place as f64 * SPACING;
    let place = |name: &str| stops.iter().position(|stop| stop.name == name);
    let last = x(stops.len().saturating_sub(1));
    let mut labels: Vec<Label> = Vec::new();
    let mut brackets: Vec<Bracket> = Vec::new();
    for link in links.iter().filter(|link| link.what != "emitted") {
        let (Some(one), Some(other)) = (
            link.a.as_deref().and_then(place),
            link.b.as_deref().and_then(place),
        ) else {
            continue;
        };
        let (before, after) = (one.min(other), one.max(other));
        let line = |y: f64| Line {
            y,
            class: class(&link.what),
            words: format!("{} {}", link.resets, what(t, &link.what)),
            link: list(asked, link),
        };
        if after == before + 1 {
            let middle = f64::midpoint(x(before), x(after));
            let known = labels
                .iter()
                .position(|label| (label.x - middle).abs() < 1.0);
            let index = known.unwrap_or_else(|| {
                labels.push(Label {
                    x: middle,
                    lines: Vec::new(),
                });
                labels.len() - 1
            });
            let above = labels[index].lines.len() as f64;
            labels[index].lines.push(line(LINE - 12.0 - above * 17.0));
        } else if before < after {
            let y = LINE + 64.0 + brackets.len() as f64 * BRACKET;
            brackets.push(Bracket {
                from: x(before),
                until: x(after),
                y,
                line: line(y - 6.0),
            });
        }
    }
    let nodes = stops.iter().enumerate().map(|(place, stop)| {
        let emitted = links
            .iter()
            .find(|link| link.what == "emitted" && link.a.as_deref() == Some(stop.name));
        Node {
            x: x(place),
            name: brief(stop.name, 22),
            full: brief(stop.name, 400),
            kind: match stop.kind {
                Some(KindName::Host) => t.say("host", "主机"),
                Some(KindName::Hop) => t.say("hop", "途经点"),
                None => "",
            },
            connected: stop.connected,
            emitted: emitted.map(|link| (link.resets, list(asked, link))),
        }
    });
    Map {
        width: last + LEFT,
        height: LINE + 64.0 + brackets.len() as f64 * BRACKET,
        line: LINE,
        from: x(0),
        until: last,
        nodes: nodes.collect(),
        links: labels,
        brackets,
    }
}

//! Resets in groups: by place, cause or peer.

use parallax_core::CaptureTime;
use parallax_core::report::Cause;

use super::Lang;
use super::query::Asked;
use super::words;
use crate::store::{Group, Grouping};

/// What the parameter `group` may say.
pub fn grouping(word: &str) -> Option<Grouping> {
    match word {
        "place" => Some(Grouping::Place),
        "cause" => Some(Grouping::Cause),
        "peer" => Some(Grouping::Peer),
        _ => None,
    }
}

/// A group as the page shows it.
pub struct Row {
    pub name: String,
    /// The list of its resets.
    pub link: String,
    pub resets: i64,
    pub connections: i64,
    /// The port of most of them, and how many others there are.
    pub port: i32,
    pub other_ports: i64,
    pub first: String,
    pub last: String,
    /// Of the largest group, in percent.
    pub share: i64,
}

pub fn rows(t: Lang, asked: &Asked, by: Grouping, groups: &[Group]) -> Vec<Row> {
    let most = groups
        .iter()
        .map(|group| group.resets)
        .max()
        .unwrap_or(1)
        .max(1);
    let row = |group: &Group| {
        let (a, b) = (group.a.as_deref(), group.b.as_deref());
        let asked = asked.clone().without("after").without("group");
        let (name, asked) = match by {
            Grouping::Place => (words::place(a, b), asked.with("between", both(a, b))),
            Grouping::Cause => {
                let word = a.unwrap_or_default();
                let known = Cause::ALL.into_iter().find(|cause| cause.as_str() == word);
                let name = known.map_or_else(
                    || words::brief(word, 40),
                    |cause| words::cause(t, cause).to_owned(),
                );
                (name, asked.with("cause", word))
            }
            Grouping::Peer => {
                let address = a.unwrap_or_default();
                (address.to_owned(), asked.with("address", address))
            }
        };
        Row {
            name,
            link: asked.link("/"),
            resets: group.resets,
            connections: group.connections,
            port: group.port,
            other_ports: group.ports - 1,
            first: words::second(CaptureTime::from_nanos(group.first_ns)),
            last: words::second(CaptureTime::from_nanos(group.last_ns)),
            share: group.resets * 100 / most,
        }
    };
    groups.iter().map(row).collect()
}

/// Two vantages as a filter takes them.
pub fn both(a: Option<&str>, b: Option<&str>) -> String {
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    let mark = if a.contains(',') || b.contains(',') {
        '\u{1f}'
    } else {
        ','
    };
    format!("{a}{mark}{b}")
}

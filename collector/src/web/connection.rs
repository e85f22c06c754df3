//! One connection: its handshake, what each vantage saw of it, and what lies between neighbours.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use parallax_core::judge;
use parallax_core::plain::plain;
use parallax_core::report::{Connection, Delay, DirectionAt, Side, VantageAt};

use super::reset::{reset_id, trouble};
use super::words;
use super::{Lang, Shell, Trouble, render};
use crate::http::Api;
use crate::http::told::told;

struct Step {
    segment: String,
    from: &'static str,
    options: String,
    times: Vec<String>,
}

/// One direction of a connection at one vantage, as a bar of what was seen.
struct Seen {
    vantage: String,
    segments: u64,
    octets: u64,
    repeated: u64,
    first: String,
    last: String,
    /// Start and length, in thousandths.
    ranges: Vec<(f64, f64)>,
    told: String,
}

struct Direction {
    from: &'static str,
    seen: Vec<Seen>,
}

struct Between {
    place: String,
    client: String,
    server: String,
    missing: String,
    changes: Vec<String>,
}

#[derive(Template)]
#[template(path = "connection.html")]
struct ConnectionPage<'a> {
    shell: &'a Shell,
    id: String,
    vantages: Vec<(String, String)>,
    steps: Vec<Step>,
    directions: Vec<Direction>,
    between: Vec<Between>,
    resets: Vec<(String, bool)>,
}

pub async fn show(
    State(api): State<Api>,
    shell: Shell,
    Path(id): Path<String>,
) -> Result<Response, Trouble> {
    let id = reset_id(&shell, &id)?;
    let found = told(&api, id, move |evidence| judge::connection(evidence, id)).await;
    let connection = found.map_err(|untold| trouble(&shell, untold))?;
    Ok(render(&shell, &page(&shell, &connection)))
}

fn page<'a>(shell: &'a Shell, connection: &Connection) -> ConnectionPage<'a> {
    let t = shell.lang;
    let steps = connection.handshake.iter().map(|step| Step {
        segment: plain(&step.segment),
        from: words::side(t, step.from),
        options: step.options.join(", "),
        times: step
            .times
            .iter()
            .map(|time| time.map_or_else(|| "–".to_owned(), words::span))
            .collect(),
    });
    ConnectionPage {
        shell,
        id: connection.id.to_string(),
        vantages: connection
            .vantages
            .iter()
            .map(|at| (words::brief(&at.vantage, words::NAME), called(at)))
            .collect(),
        steps: steps.collect(),
        directions: vec![
            direction(t, connection, Side::Client),
            direction(t, connection, Side::Server),
        ],
        between: connection
            .stretches
            .iter()
            .map(|stretch| Between {
                place: words::place(Some(&stretch.between[0]), Some(&stretch.between[1])),
                client: delay(stretch.from_client),
                server: delay(stretch.from_server),
                missing: missing(
                    t,
                    stretch.client_octets_missing,
                    stretch.server_octets_missing,
                ),
                changes: stretch.changes.iter().map(|text| plain(text)).collect(),
            })
            .collect(),
        resets: connection
            .resets
            .iter()
            .map(|id| (id.to_string(), *id == connection.id))
            .collect(),
    }
}

fn called(at: &VantageAt) -> String {
    match (at.client, at.server) {
        (Some(client), Some(server)) => format!("{client} → {server}"),
        _ => "–".to_owned(),
    }
}

fn delay(delay: Option<Delay>) -> String {
    delay.map_or_else(
        || "–".to_owned(),
        |delay| {
            let (least, median, most) = (
                words::span(delay.min_ns),
                words::span(delay.median_ns),
                words::span(delay.max_ns),
            );
            format!("{median} ({least} … {most}, n={})", delay.segments)
        },
    )
}

fn missing(t: Lang, client: Option<u64>, server: Option<u64>) -> String {
    match (client, server) {
        (Some(client), Some(server)) => match t {
            Lang::English => format!("client's {client}, server's {server} octets"),
            Lang::Chinese => format!("客户端 {client}，服务器 {server} 字节"),
        },
        _ => t
            .say(
                "not told: not every segment is shipped",
                "无从得知：并非上报所有报文段",
            )
            .to_owned(),
    }
}

fn direction(t: Lang, connection: &Connection, from: Side) -> Direction {
    let at = |vantage: &VantageAt| -> DirectionAt {
        match from {
            Side::Client => vantage.from_client.clone(),
            Side::Server => vantage.from_server.clone(),
        }
    };
    let all: Vec<(&VantageAt, DirectionAt)> = connection
        .vantages
        .iter()
        .map(|vantage| (vantage, at(vantage)))
        .collect();
    let ranges = || all.iter().flat_map(|(_, at)| &at.ranges);
    let low = ranges().map(|range| range[0]).min().unwrap_or(0);
    let high = ranges().map(|range| range[1]).max().unwrap_or(0);
    let scale = 1000.0 / high.saturating_sub(low).max(1) as f64;
    let seen = all.iter().map(|(vantage, at)| {
        let spans: Vec<String> = at
            .ranges
            .iter()
            .map(|range| format!("{}–{}", range[0], range[1]))
            .collect();
        Seen {
            vantage: words::brief(&vantage.vantage, words::NAME),
            segments: at.segments,
            octets: at.octets,
            repeated: at.repeated,
            first: at.first_ns.map_or_else(|| "–".to_owned(), words::span),
            last: at.last_ns.map_or_else(|| "–".to_owned(), words::span),
            ranges: at
                .ranges
                .iter()
                .map(|range| {
                    (
                        range[0].saturating_sub(low) as f64 * scale,
                        (range[1].saturating_sub(range[0]) as f64 * scale).max(2.0),
                    )
                })
                .collect(),
            told: spans.join(", "),
        }
    });
    Direction {
        from: words::side(t, from),
        seen: seen.collect(),
    }
}

//! `parallax vantages`, and the table that others share with it.

use std::fmt::Write as _;

use parallax_core::Strength;
use parallax_core::report::{Document, LossTotal, VantageSummary};
use parallax_core::time::MILLISECOND;
use parallax_core::vantage::KindName;

use anstyle::{AnsiColor, Style};

use crate::args::VantagesArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Finding, Format, Output};
use crate::plain::plain;
use crate::resets;
use crate::table::{Align, Cell, Table};
use crate::verdict;

pub fn run(args: &VantagesArgs, output: &mut Output) -> Result<Finding, Failure> {
    let client = Client::new(&args.collector)?;
    let document = client.vantages()?;
    match args.format {
        Format::Json => output.json(&document)?,
        Format::Text => {
            resets::warn(&document);
            output.text(&text(&document))?;
        }
    }
    Ok(Finding::Quiet)
}

/// What `parallax vantages` prints.
pub fn text(document: &Document) -> String {
    if document.vantages.is_empty() {
        return "No vantages: no agent has reported yet.\n".to_owned();
    }
    format!("{}{}", table(&document.vantages), wrong(&document.vantages))
}

/// What each vantage lost or may have lost, a line each.
fn wrong(vantages: &[VantageSummary]) -> String {
    let mut text = String::new();
    for vantage in vantages {
        for loss in &vantage.losses {
            let style = match loss.strength {
                Strength::Certain => WARNING,
                Strength::Possible => Style::new(),
            };
            let words = plain(&format!("{}: {}, {}", vantage.name, loss.text, when(loss)));
            let _ = writeln!(
                text,
                "{style}{} loss{style:#} at {words}",
                loss.strength.as_str()
            );
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

fn when(loss: &LossTotal) -> String {
    match loss.last {
        Some(last) => format!(
            "{} to {}",
            verdict::moment(loss.first),
            verdict::moment(last)
        ),
        None => format!("since {}", verdict::moment(loss.first)),
    }
}

/// What is wrong with a vantage, in the few words of a list; `None`: nothing is known to be. Names and words
/// are as they came.
pub fn wrong_in_short(vantage: &VantageSummary) -> Option<String> {
    if vantage.connected == Some(false) {
        return Some("no agent is connected".to_owned());
    }
    let certain = |loss: &&LossTotal| loss.strength == Strength::Certain;
    let losses = &vantage.losses;
    let worst = losses.iter().find(certain).or(losses.first());
    match worst {
        Some(loss) => Some(format!("{} loss: {}", loss.strength.as_str(), loss.text)),
        None if vantage.dropped > 0 => Some(format!("{} packets dropped", vantage.dropped)),
        None => None,
    }
}

/// All that a document tells of a vantage, in lines. Names and words are as they came.
pub fn told(vantage: &VantageSummary) -> Vec<String> {
    let addresses: Vec<String> = vantage.addresses.iter().map(ToString::to_string).collect();
    let agent = match vantage.connected {
        Some(true) => "connected",
        Some(false) => "not connected",
        None => "-",
    };
    let mut lines = vec![
        format!("Name          {}", vantage.name),
        format!("Kind          {}", kind(vantage)),
        format!("Addresses     {}", or_dash(addresses.join(", "))),
        format!("Agent         {agent}"),
        format!("Packets       {}", vantage.packets),
        format!(
            "First         {}",
            vantage.first.map_or_else(dash, verdict::moment)
        ),
        format!(
            "Last          {}",
            vantage.last.map_or_else(dash, verdict::moment)
        ),
        format!("Dropped       {}", vantage.dropped),
        format!(
            "Clock offset  {}",
            vantage.clock_offset_ns.map_or_else(dash, offset)
        ),
        format!("Unreadable    {}", or_dash(unreadable(vantage))),
        format!("Sent          {}", share(vantage).unwrap_or_else(dash)),
    ];
    for loss in &vantage.losses {
        let strength = loss.strength.as_str();
        lines.push(format!("{strength} loss: {}, {}", loss.text, when(loss)));
    }
    lines
}

/// `host` or `hop`.
pub const fn kind(vantage: &VantageSummary) -> &'static str {
    match vantage.kind {
        KindName::Host => "host",
        KindName::Hop => "hop",
    }
}

const WARNING: Style = AnsiColor::Yellow.on_default();

/// A line per vantage; whether an agent is connected only where the document knows it.
pub fn table(vantages: &[VantageSummary]) -> Table {
    let live = vantages.iter().any(|vantage| vantage.connected.is_some());
    let mut columns = vec![
        ("VANTAGE", Align::Left),
        ("KIND", Align::Left),
        ("ADDRESSES", Align::Left),
    ];
    if live {
        columns.push(("CONNECTED", Align::Left));
    }
    columns.extend([
        ("PACKETS", Align::Right),
        ("FIRST", Align::Left),
        ("LAST", Align::Left),
        ("DROPPED", Align::Right),
        ("CLOCK OFFSET", Align::Right),
        ("UNREADABLE", Align::Left),
    ]);
    // What the agent sent, of what it observed.
    let measured = vantages
        .iter()
        .any(|vantage| vantage.observed_octets.is_some());
    if measured {
        columns.push(("SENT", Align::Right));
    }
    let mut table = Table::new(&columns);
    for vantage in vantages {
        table.push(row(vantage, live, measured));
    }
    table
}

fn row(vantage: &VantageSummary, live: bool, measured: bool) -> Vec<Cell> {
    let addresses: Vec<String> = vantage.addresses.iter().map(ToString::to_string).collect();
    let mut row = vec![
        Cell::new(&vantage.name),
        Cell::new(kind(vantage)),
        Cell::new(or_dash(addresses.join(","))),
    ];
    if live {
        row.push(match vantage.connected {
            Some(true) => Cell::new("yes"),
            Some(false) => Cell::styled("no", WARNING),
            None => Cell::new("-"),
        });
    }
    let dropped = if vantage.dropped == 0 {
        Style::new()
    } else {
        WARNING
    };
    row.extend([
        Cell::new(vantage.packets.to_string()),
        Cell::new(vantage.first.map_or_else(dash, verdict::moment)),
        Cell::new(vantage.last.map_or_else(dash, verdict::moment)),
        Cell::styled(vantage.dropped.to_string(), dropped),
        Cell::new(vantage.clock_offset_ns.map_or_else(dash, offset)),
        Cell::new(or_dash(unreadable(vantage))),
    ]);
    if measured {
        row.push(Cell::new(share(vantage).unwrap_or_else(dash)));
    }
    row
}

fn unreadable(vantage: &VantageSummary) -> String {
    let counts: Vec<String> = vantage
        .unreadable
        .iter()
        .map(|unread| format!("{} {}", unread.count, unread.what))
        .collect();
    counts.join(", ")
}

/// Octets sent in percent of the octets observed.
fn share(vantage: &VantageSummary) -> Option<String> {
    let observed = vantage.observed_octets.filter(|octets| *octets > 0)?;
    let sent = vantage.sent_octets.unwrap_or(0);
    Some(format!("{:.2} %", sent as f64 * 100.0 / observed as f64))
}

/// Milliseconds against the path's first vantage.
fn offset(nanos: i64) -> String {
    format!("{:+.3} ms", nanos as f64 / MILLISECOND as f64)
}

fn dash() -> String {
    "-".to_owned()
}

fn or_dash(text: String) -> String {
    if text.is_empty() { dash() } else { text }
}

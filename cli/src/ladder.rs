//! The ladder of packets, drawn with characters: a column per vantage, client side left, time
//! downwards.

mod layout;
mod row;

use std::fmt::Write;

use anstyle::Style;
use parallax_core::report::{Ladder, LadderColumn, LadderRow, Mark, Side};
use parallax_core::time::{MILLISECOND, SECOND};
use parallax_core::vantage::KindName;

use self::layout::{Heads, Labels, Layout};
use crate::output::Glyphs;
use crate::plain::{columns, plain, wrapped};

/// The characters of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ink {
    lifeline: char,
    line: char,
    right: char,
    left: char,
    seen: char,
    absent: char,
    blind: char,
    birth: char,
    shade: char,
    this: &'static str,
}

impl Ink {
    const fn of(glyphs: Glyphs) -> Self {
        match glyphs {
            Glyphs::Unicode => Self {
                lifeline: '│',
                line: '─',
                right: '▶',
                left: '◀',
                seen: '●',
                absent: '✗',
                blind: '?',
                birth: '✶',
                shade: '░',
                this: "  ← this reset",
            },
            Glyphs::Ascii => Self {
                lifeline: '|',
                line: '-',
                right: '>',
                left: '<',
                seen: 'o',
                absent: 'x',
                blind: '?',
                birth: '*',
                shade: '.',
                this: "  <- this reset",
            },
        }
    }
}

/// Draws a ladder at most `width` columns wide, as far as its labels allow.
pub fn draw(ladder: &Ladder, glyphs: Glyphs, width: usize) -> String {
    let ink = Ink::of(glyphs);
    let texts: Vec<RowText> = ladder
        .rows
        .iter()
        .map(|row| RowText::of(row, ink))
        .collect();
    let layout = Layout::plan(ladder, &texts, width);
    let mut drawing = String::new();
    headings(&mut drawing, &ladder.columns, &layout);
    for (row, text) in ladder.rows.iter().zip(&texts) {
        let lanes = row::lanes(row, ladder.gap, &layout, ink);
        let style = row::style(row);
        match layout.labels {
            Labels::Beside => {
                let _ = writeln!(
                    drawing,
                    "{:>2$}  {lanes}  {style}{}{style:#}",
                    text.time, text.label, layout.time_width
                );
            }
            Labels::Above => {
                let _ = writeln!(drawing, "{}  {style}{}{style:#}", text.time, text.label);
                let _ = writeln!(drawing, "{:1$}{lanes}", "", layout.indent);
            }
        }
    }
    for line in wrapped_items(&legend(ladder, ink), width) {
        let _ = writeln!(drawing, "{line}");
    }
    trimmed(&drawing)
}

/// What stands beside or above a row's arrow.
struct RowText {
    time: String,
    label: String,
}

impl RowText {
    fn of(row: &LadderRow, ink: Ink) -> Self {
        let this = if row.is_this { ink.this } else { "" };
        Self {
            time: relative(row.at_ns),
            label: format!("{}{this}", plain(&row.label)),
        }
    }
}

/// Milliseconds down to the microsecond; seconds where those grow unreadable.
fn relative(nanos: i64) -> String {
    if nanos.unsigned_abs() < 10 * SECOND.unsigned_abs() {
        format!("{:+.3} ms", nanos as f64 / MILLISECOND as f64)
    } else {
        format!("{:+.3} s", nanos as f64 / SECOND as f64)
    }
}

fn kind(column: &LadderColumn) -> &'static str {
    match (column.kind, column.host_of) {
        (KindName::Hop, _) => "hop",
        (KindName::Host, None) => "host",
        (KindName::Host, Some(Side::Client)) => "client host",
        (KindName::Host, Some(Side::Server)) => "server host",
    }
}

const HEADING: Style = Style::new().bold();

fn headings(drawing: &mut String, heads: &[LadderColumn], layout: &Layout) {
    let names: Vec<String> = heads.iter().map(|column| plain(&column.vantage)).collect();
    let (first, second): (Vec<String>, Vec<&str>) = match layout.heads {
        Heads::Names => (names, heads.iter().map(kind).collect()),
        Heads::Numbers => {
            for (index, (name, column)) in names.iter().zip(heads).enumerate() {
                let _ = writeln!(drawing, "{}  {name} ({})", index + 1, kind(column));
            }
            let numbers = (1..=heads.len()).map(|number| number.to_string());
            (numbers.collect(), Vec::new())
        }
    };
    let first = layout.centered(&first);
    let _ = writeln!(drawing, "{HEADING}{first}{HEADING:#}");
    if !second.is_empty() {
        let _ = writeln!(drawing, "{}", layout.centered(&second));
    }
}

/// The marks in use, explained.
fn legend(ladder: &Ladder, ink: Ink) -> Vec<String> {
    let marked = |mark| ladder.rows.iter().any(|row| row.marks.contains(&mark));
    let born = ladder.gap.is_some() && ladder.rows.iter().any(|row| row.is_this);
    let entries = [
        (
            marked(Mark::Seen),
            format!("{} {} {} seen", ink.seen, ink.left, ink.right),
        ),
        (
            marked(Mark::Absent),
            format!("{} not seen, though it would have been", ink.absent),
        ),
        (
            marked(Mark::Blind),
            format!("{} not seen, which says nothing", ink.blind),
        ),
        (
            born,
            format!("{0}{1}{0} the reset was born here", ink.shade, ink.birth),
        ),
    ];
    entries
        .into_iter()
        .filter_map(|(used, text)| used.then_some(text))
        .collect()
}

/// Items beside each other, three spaces between, in lines of at most `width` columns.
fn wrapped_items(items: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if columns(line) + 3 + columns(item) <= width => {
                line.push_str("   ");
                line.push_str(item);
            }
            _ if columns(item) <= width => lines.push(item.clone()),
            _ => lines.extend(wrapped(item, width)),
        }
    }
    lines
}

fn trimmed(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        all.push_str(line.trim_end());
        all.push('\n');
        all
    })
}

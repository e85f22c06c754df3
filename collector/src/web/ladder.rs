//! The ladder as a drawing: a column per vantage, time downwards, a line per packet.

use parallax_core::plain::plain;
use parallax_core::report::{Explanation, Ladder, LadderGap, LadderRow, Mark, ResetReport, Side};
use parallax_core::time::SECOND;
use parallax_core::vantage::KindName;

use super::Lang;
use super::words::{brief, span};

/// Left of the first column: times, and the label of a packet that comes from beyond.
const LEFT: f64 = 200.0;
const RIGHT: f64 = 176.0;
const SPACING: f64 = 176.0;
const ROW: f64 = 38.0;
/// How far a line falls on its way, for the longest of a row.
const SLOPE: f64 = 10.0;
/// A packet from or to a place where nobody watches.
const STUB: f64 = 64.0;
/// A pause that is worth a line of its own.
const PAUSE: i64 = SECOND;

pub struct Drawing {
    pub width: f64,
    pub height: f64,
    /// Where the lifelines begin.
    pub top: f64,
    pub columns: Vec<Column>,
    pub shade: Option<Shade>,
    pub rows: Vec<Row>,
    pub pauses: Vec<(f64, String)>,
    pub changes: Vec<(f64, String)>,
}

pub struct Column {
    pub x: f64,
    pub name: String,
    pub full: String,
    pub role: String,
    /// What the connection is called here, where that is news.
    pub names: Vec<String>,
}

pub struct Shade {
    pub x: f64,
    pub width: f64,
    pub middle: f64,
}

pub struct Row {
    pub y: f64,
    pub time: String,
    pub label: String,
    pub label_x: f64,
    pub label_anchor: &'static str,
    pub class: &'static str,
    /// Points of the line, empty where nobody saw it.
    pub line: String,
    pub head: String,
    /// From the place of birth to the first sighting.
    pub birth: Option<Birth>,
    pub marks: Vec<Point>,
    pub is_this: bool,
    /// The row in words, for those who do not see it.
    pub told: String,
}

pub struct Birth {
    pub from: f64,
    pub to: f64,
    pub y: f64,
}

pub struct Point {
    pub id: String,
    pub x: f64,
    pub y: f64,
    pub class: &'static str,
    pub title: String,
}

/// Draws an explanation's ladder; nothing where no vantage is in it.
pub fn draw(t: Lang, explanation: &Explanation) -> Option<Drawing> {
    let ladder = &explanation.ladder;
    if ladder.columns.is_empty() {
        return None;
    }
    let named = !explanation.reset.names.is_empty();
    let top = if named { 112.0 } else { 64.0 };
    let x: Vec<f64> = (0..ladder.columns.len())
        .map(|index| LEFT + index as f64 * SPACING)
        .collect();
    let width = x.last().copied().unwrap_or(LEFT) + RIGHT;
    let mut y = top + 8.0;
    let mut rows = Vec::with_capacity(ladder.rows.len());
    let mut pauses = Vec::new();
    let mut before: Option<i64> = None;
    for (index, row) in ladder.rows.iter().enumerate() {
        let pause = before.map_or(0, |before| row.at_ns.saturating_sub(before));
        if pause >= PAUSE {
            y += ROW * 0.6;
            pauses.push((y, span(pause)));
        }
        before = Some(row.at_ns);
        y += ROW;
        rows.push(draw_row(t, ladder, row, index, &x, y));
    }
    Some(Drawing {
        width,
        height: y + ROW,
        top,
        columns: columns(t, ladder, &explanation.reset, &x),
        shade: ladder.gap.and_then(|gap| shade(gap, &x, width)),
        rows,
        pauses,
        changes: changes(t, ladder, &explanation.reset, &x),
    })
}

fn columns(t: Lang, ladder: &Ladder, reset: &ResetReport, x: &[f64]) -> Vec<Column> {
    let called = |vantage: &str| -> Vec<String> {
        let here = reset.names.iter().filter(|name| name.vantage == vantage);
        here.map(|name| format!("{} → {}", name.client, name.server))
            .collect()
    };
    let mut last: Vec<String> = Vec::new();
    let mut drawn = Vec::with_capacity(x.len());
    for (column, x) in ladder.columns.iter().zip(x) {
        let names = called(&column.vantage);
        let news = names != last;
        let role = match (column.kind, column.host_of) {
            (KindName::Hop, _) => t.say("hop", "途经点").to_owned(),
            (KindName::Host, Some(Side::Client)) => t.say("client host", "客户端主机").to_owned(),
            (KindName::Host, Some(Side::Server)) => t.say("server host", "服务器主机").to_owned(),
            (KindName::Host, None) => t.say("another host", "其他主机").to_owned(),
        };
        drawn.push(Column {
            x: *x,
            name: brief(&column.vantage, 20),
            full: plain(&column.vantage),
            role,
            names: if news {
                names
                    .iter()
                    .flat_map(|name| name.split(" → ").map(str::to_owned))
                    .take(4)
                    .collect()
            } else {
                Vec::new()
            },
        });
        if !names.is_empty() {
            last = names;
        }
    }
    drawn
}

/// Where addresses or numbers change, above the lines.
fn changes(t: Lang, ladder: &Ladder, reset: &ResetReport, x: &[f64]) -> Vec<(f64, String)> {
    let place = |name: &str| {
        let column = ladder
            .columns
            .iter()
            .position(|column| column.vantage == name)?;
        x.get(column).copied()
    };
    let drawn = reset.changes.iter().filter_map(|change| {
        let (a, b) = (place(&change.between[0])?, place(&change.between[1])?);
        Some((f64::midpoint(a, b), super::words::judges(t, &change.text).0))
    });
    drawn.collect()
}

fn shade(gap: LadderGap, x: &[f64], width: f64) -> Option<Shade> {
    let left = match gap.left {
        Some(column) => *x.get(column)?,
        None => x.first()? - STUB - 16.0,
    };
    let right = match gap.right {
        Some(column) => *x.get(column)?,
        None => (x.last()? + STUB + 16.0).min(width),
    };
    (left < right).then(|| Shade {
        x: left,
        width: right - left,
        middle: f64::midpoint(left, right),
    })
}

/// Where a sighting stands in its row: later ones lower.
fn height(row: &LadderRow, column: usize, y: f64) -> f64 {
    let known = || row.times.iter().flatten().copied();
    let (Some(first), Some(last)) = (known().min(), known().max()) else {
        return y;
    };
    let at = row.times.get(column).copied().flatten().unwrap_or(first);
    let whole = last.saturating_sub(first);
    if whole == 0 {
        return y;
    }
    y + SLOPE * at.saturating_sub(first) as f64 / whole as f64
}

fn draw_row(t: Lang, ladder: &Ladder, row: &LadderRow, index: usize, x: &[f64], y: f64) -> Row {
    let mark = |column: usize| row.marks.get(column).copied().unwrap_or(Mark::Blind);
    let mut seen: Vec<(f64, f64)> = (0..x.len())
        .filter(|column| mark(*column) == Mark::Seen)
        .map(|column| (x[column], height(row, column, y)))
        .collect();
    if row.from == Side::Server {
        seen.reverse();
    }
    let ahead = if row.from == Side::Client { 1.0 } else { -1.0 };
    if let [only] = seen[..] {
        seen.insert(0, (only.0 - ahead * STUB, only.1));
    }
    let line: Vec<String> = seen.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let head = seen.last().map(|(x, y)| {
        let back = x - ahead * 11.0;
        format!(
            "{:.1},{y:.1} {back:.1},{:.1} {back:.1},{:.1}",
            x - ahead * 3.0,
            y - 5.0,
            y + 5.0
        )
    });
    let birth = ladder.gap.filter(|_| row.is_this).and_then(|gap| {
        let shade = shade(gap, x, f64::INFINITY)?;
        let first = seen.first()?;
        Some(Birth {
            from: shade.middle,
            to: first.0,
            y: first.1,
        })
    });
    let start = seen.first().map_or(LEFT, |first| first.0);
    let class = match (row.is_this, row.is_reset) {
        (true, _) => "this",
        (false, true) => "other",
        (false, false) => "segment",
    };
    Row {
        y,
        time: time(row.at_ns),
        label: brief(&row.label, 60),
        label_x: start + ahead * 9.0,
        label_anchor: if row.from == Side::Client {
            "start"
        } else {
            "end"
        },
        class,
        line: line.join(" "),
        head: head.unwrap_or_default(),
        birth,
        marks: points(t, ladder, row, index, x, y),
        is_this: row.is_this,
        told: told(t, ladder, row),
    }
}

fn points(
    t: Lang,
    ladder: &Ladder,
    row: &LadderRow,
    index: usize,
    x: &[f64],
    y: f64,
) -> Vec<Point> {
    let columns = ladder.columns.iter().zip(x).enumerate();
    let drawn = columns.map(|(place, (column, x))| {
        let mark = row.marks.get(place).copied().unwrap_or(Mark::Blind);
        let at = row.times.get(place).copied().flatten();
        let words = match mark {
            Mark::Seen => at.map_or_else(
                || t.say("seen", "见到").to_owned(),
                |at| format!("{} {}", t.say("seen at", "见于"), time(at)),
            ),
            Mark::Absent => t
                .say("not seen, and it would have been", "未见，而本应见到")
                .to_owned(),
            Mark::Blind => t
                .say("not seen, which says nothing", "未见，但不说明什么")
                .to_owned(),
        };
        Point {
            id: if row.is_this {
                format!("at-{place}")
            } else {
                format!("p-{index}-{place}")
            },
            x: *x,
            y: height(row, place, y),
            class: match mark {
                Mark::Seen => "seen",
                Mark::Absent => "absent",
                Mark::Blind => "blind",
            },
            title: format!("{}: {words}", brief(&column.vantage, 60)),
        }
    });
    drawn.collect()
}

/// A row for those who read it.
fn told(t: Lang, ladder: &Ladder, row: &LadderRow) -> String {
    let at = |wanted: Mark| -> String {
        let names = ladder
            .columns
            .iter()
            .zip(&row.marks)
            .filter(|(_, mark)| **mark == wanted);
        names
            .map(|(column, _)| brief(&column.vantage, 40))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let parts = [
        (t.say("seen at", "见于"), at(Mark::Seen)),
        (t.say("absent at", "确证未见于"), at(Mark::Absent)),
        (t.say("blind:", "失明："), at(Mark::Blind)),
    ];
    let parts = parts.iter().filter(|(_, names)| !names.is_empty());
    parts
        .map(|(words, names)| format!("{words} {names}"))
        .collect::<Vec<_>>()
        .join("; ")
}

fn time(nanos: i64) -> String {
    match nanos {
        0 => "0".to_owned(),
        1.. => format!("+{}", span(nanos)),
        _ => span(nanos),
    }
}

//! One packet's line across the lifelines.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use parallax_core::report::{LadderGap, LadderRow, Mark, Side};

use super::Ink;
use super::layout::Layout;

const LIFELINE: Style = Style::new().dimmed();
const MISSING: Style = AnsiColor::Yellow.on_default();
const BIRTH: Style = AnsiColor::Magenta.on_default().bold();

/// How a packet's arrow and label look.
pub(super) fn style(row: &LadderRow) -> Style {
    match (row.is_this, row.is_reset) {
        (true, _) => AnsiColor::Red.on_default().bold(),
        (false, true) => AnsiColor::Red.on_default(),
        (false, false) => Style::new(),
    }
}

/// The line under construction: a character and its style per terminal column.
struct Lane {
    cells: Vec<(char, Style)>,
}

impl Lane {
    fn put(&mut self, at: usize, character: char, style: Style) {
        if let Some(cell) = self.cells.get_mut(at) {
            *cell = (character, style);
        }
    }

    /// Fills the columns between two places, both left out.
    fn fill(&mut self, from: usize, to: usize, character: char, style: Style) {
        for at in from.min(to) + 1..from.max(to) {
            self.put(at, character, style);
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for run in self.cells.chunk_by(|a, b| a.1 == b.1) {
            let style = run[0].1;
            let characters: String = run.iter().map(|cell| cell.0).collect();
            // Writing to a String cannot fail.
            let _ = write!(text, "{style}{characters}{style:#}");
        }
        text
    }
}

/// Draws one packet: an arrow from the first to the last vantage that saw it, what the others say,
/// and the gap of birth when it is the reset in question.
pub(super) fn lanes(row: &LadderRow, gap: Option<LadderGap>, layout: &Layout, ink: Ink) -> String {
    let mut lane = Lane {
        cells: vec![(' ', Style::new()); layout.width],
    };
    for at in &layout.at {
        lane.put(*at, ink.lifeline, LIFELINE);
    }
    arrow(&mut lane, row, layout, ink);
    if let Some(gap) = gap.filter(|_| row.is_this) {
        birth(&mut lane, gap, layout, ink);
    }
    marks(&mut lane, row, layout, ink);
    lane.text()
}

/// Tail and head of the arrow; a packet that one vantage saw has its tail beside the lifeline.
fn ends(row: &LadderRow, layout: &Layout) -> Option<(usize, usize)> {
    let seen = || {
        let marked = row.marks.iter().zip(&layout.at);
        marked
            .filter(|(mark, _)| **mark == Mark::Seen)
            .map(|(_, at)| *at)
    };
    let (low, high) = (seen().min()?, seen().max()?);
    Some(match row.from {
        Side::Client if low == high => (low.saturating_sub(3), high),
        Side::Server if low == high => (high + 3, low),
        Side::Client => (low, high),
        Side::Server => (high, low),
    })
}

fn arrow(lane: &mut Lane, row: &LadderRow, layout: &Layout, ink: Ink) {
    if let Some((tail, head)) = ends(row, layout) {
        lane.fill(tail, head, ink.line, style(row));
    }
}

fn birth(lane: &mut Lane, gap: LadderGap, layout: &Layout, ink: Ink) {
    let place = |index: Option<usize>| index.and_then(|index| layout.at.get(index)).copied();
    let (left, right) = match (place(gap.left), place(gap.right)) {
        (Some(left), Some(right)) => (left, right),
        (None, Some(right)) => (right.saturating_sub(7), right),
        (Some(left), None) => (left, left + 7),
        (None, None) => return,
    };
    lane.fill(left, right, ink.shade, BIRTH);
    let middle = left.midpoint(right);
    let taken = usize::from(layout.at.contains(&middle));
    lane.put(middle + taken, ink.birth, BIRTH);
}

fn marks(lane: &mut Lane, row: &LadderRow, layout: &Layout, ink: Ink) {
    let head = ends(row, layout).map(|(_, head)| head);
    for (index, at) in layout.at.iter().enumerate() {
        // A row with too few marks says nothing about the other vantages.
        let mark = row.marks.get(index).copied().unwrap_or(Mark::Blind);
        let (character, style) = match mark {
            Mark::Seen if head == Some(*at) => match row.from {
                Side::Client => (ink.right, style(row)),
                Side::Server => (ink.left, style(row)),
            },
            Mark::Seen => (ink.seen, style(row)),
            Mark::Absent => (ink.absent, MISSING),
            Mark::Blind => (ink.blind, MISSING),
        };
        lane.put(*at, character, style);
    }
}

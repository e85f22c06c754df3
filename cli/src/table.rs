//! Aligned columns of text.
//!
//! Own code rather than a crate: cells carry styles that must not count as width, and a line must
//! stay one line, whatever the terminal's width, so that it can be copied and filtered.

use std::fmt;

use anstyle::Style;

use crate::plain::{columns, plain};

/// On which side a column is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// One cell: text without control characters, and its style.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell whose text may come from outside.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::styled(text, Style::new())
    }

    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self {
            text: plain(text.as_ref()),
            style,
        }
    }
}

/// A table with a heading, two spaces between columns.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

const HEADING: Style = Style::new().bold();

impl Table {
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(head, _)| head.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(columns(&cell.text));
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let heading: Vec<Cell> = self
            .columns
            .iter()
            .map(|(head, _)| Cell::styled(head, HEADING))
            .collect();
        for row in std::iter::once(&heading).chain(&self.rows) {
            write_row(f, row, &self.columns, &widths)?;
        }
        Ok(())
    }
}

fn write_row(
    f: &mut fmt::Formatter<'_>,
    row: &[Cell],
    heads: &[(&'static str, Align)],
    widths: &[usize],
) -> fmt::Result {
    let last = row.len().saturating_sub(1);
    for (index, ((cell, (_, align)), width)) in row.iter().zip(heads).zip(widths).enumerate() {
        let padding = width.saturating_sub(columns(&cell.text));
        let (before, after) = match align {
            Align::Left if index == last => (0, 0),
            Align::Left => (0, padding),
            Align::Right => (padding, 0),
        };
        let gap = if index == 0 { 0 } else { 2 };
        let style = cell.style;
        write!(f, "{:1$}", "", gap + before)?;
        write!(f, "{style}{}{style:#}{:2$}", cell.text, "", after)?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_what_is_visible() {
        let mut table = Table::new(&[("NAME", Align::Left), ("COUNT", Align::Right)]);
        table.push(vec![
            Cell::styled("é", Style::new().bold()),
            Cell::new("1000000"),
        ]);
        table.push(vec![Cell::new("宽宽宽"), Cell::new("7")]);
        let text = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(text, "NAME      COUNT\né       1000000\n宽宽宽        7\n");
    }
}

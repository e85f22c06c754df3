//! What was measured, as Markdown: on the terminal, and in the README in place of what stood there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Options that every benchmark has.
#[derive(Debug, Clone, clap::Args)]
pub struct Show {
    /// Put the result into this file too, between its markers.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "README.md")]
    readme: Option<PathBuf>,
}

/// What a value should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Below(bound) => value < bound,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtMost(bound) => format!("at most {}", short(bound)),
            Self::AtLeast(bound) => format!("at least {}", short(bound)),
            Self::Below(bound) => format!("below {}", short(bound)),
        }
    }
}

/// A benchmark's result in the making.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    text: String,
    goals: Vec<[String; 4]>,
}

impl Report {
    /// The report of a benchmark, whose name is its markers' too.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            text: String::new(),
            goals: Vec::new(),
        }
    }

    /// Adds a paragraph.
    pub fn say(&mut self, words: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(words);
        self.text.push('\n');
    }

    /// Adds a table.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&table(head, rows));
    }

    /// Adds a goal; one that was not measured is missed.
    pub fn goal(&mut self, what: &str, value: f64, bound: Bound) {
        let verdict = if bound.holds(value) { "met" } else { "missed" };
        self.goals.push([
            what.to_owned(),
            bound.words(),
            short(value),
            verdict.to_owned(),
        ]);
    }

    /// Prints it, and puts it where else it is wanted.
    pub fn show(mut self, show: &Show) -> Result<()> {
        if !self.goals.is_empty() {
            let goals: Vec<Vec<String>> = self.goals.drain(..).map(Vec::from).collect();
            self.table(&["goal", "wanted", "measured", ""], &goals);
        }
        print!("\n{}", self.text);
        match &show.readme {
            Some(file) => put(file, self.name, &self.text),
            None => Ok(()),
        }
    }
}

fn put(file: &Path, name: &str, text: &str) -> Result<()> {
    let name_of = file.display();
    let before = std::fs::read_to_string(file).with_context(|| format!("reading {name_of}"))?;
    let after = replaced(&before, name, text)
        .with_context(|| format!("{name_of} has no markers {} … {}", begin(name), end(name)))?;
    std::fs::write(file, after).with_context(|| format!("writing {name_of}"))
}

fn begin(name: &str) -> String {
    format!("<!-- bench:{name} -->")
}

fn end(name: &str) -> String {
    format!("<!-- /bench:{name} -->")
}

/// The text with another block between the markers of this name; none without markers.
fn replaced(text: &str, name: &str, block: &str) -> Option<String> {
    let (head, rest) = text.split_once(&begin(name))?;
    let (_, tail) = rest.split_once(&end(name))?;
    let block = block.trim();
    Some(format!(
        "{head}{}\n{block}\n{}{tail}",
        begin(name),
        end(name)
    ))
}

/// A Markdown table whose columns are aligned for who reads it as text.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &[&str]| {
        text.push('|');
        for (cell, width) in cells.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(text, " {cell:<width$} |");
        }
        text.push('\n');
    };
    line(head);
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// Three digits that count.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size.is_nan() => "not measured".to_owned(),
        size if size.is_infinite() => "never".to_owned(),
        size if size >= 100.0 => grouped(value.round() as i64),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// With a comma at every third digit.
pub fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    if value < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# P\n\n<!-- bench:digest -->\nold\n<!-- /bench:digest -->\n\n\
                          <!-- bench:ingest -->\n<!-- /bench:ingest -->\nend\n";

    #[test]
    fn replacing_twice_gives_the_same_text() {
        let once = replaced(README, "digest", "\n| a |\n").unwrap();
        assert_eq!(replaced(&once, "digest", "\n| a |\n").unwrap(), once);
        assert!(once.contains("<!-- bench:digest -->\n| a |\n<!-- /bench:digest -->"));
    }

    #[test]
    fn only_the_named_block_is_replaced() {
        let after = replaced(README, "ingest", "new").unwrap();
        assert!(after.contains("\nold\n"));
        assert!(after.contains("<!-- bench:ingest -->\nnew\n<!-- /bench:ingest -->\nend\n"));
        assert_eq!(replaced(README, "fleet", "new"), None);
    }

    #[test]
    fn the_readme_has_markers_for_every_benchmark() {
        let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
        let text = std::fs::read_to_string(readme).unwrap();
        for name in crate::BENCHMARKS {
            assert!(replaced(&text, name, "").is_some(), "{name}");
        }
    }

    #[test]
    fn a_goal_that_was_not_measured_is_missed() {
        assert!(!Bound::AtMost(2.0).holds(f64::NAN));
        assert!(!Bound::AtLeast(2.0).holds(f64::NAN));
        assert!(Bound::AtMost(2.0).holds(2.0));
        assert!(!Bound::Below(2.0).holds(2.0));
        assert!(Bound::AtLeast(0.7).holds(0.71));
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        assert_eq!(short(1234.4), "1,234");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(short(0.756), "0.76");
        assert_eq!(short(0.0042), "0.0042");
        assert_eq!(grouped(-1_234_567), "-1,234,567");
    }

    #[test]
    fn a_table_is_markdown_with_aligned_columns() {
        let rows = [vec!["a".to_owned(), "1".to_owned()]];
        let expected = "| who | n |\n| --- | - |\n| a   | 1 |\n";
        assert_eq!(table(&["who", "n"], &rows), expected);
    }
}

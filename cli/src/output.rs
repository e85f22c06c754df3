//! Standard output and standard error.

use std::io::{self, BufWriter, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use parallax_core::report::{Origin, ResetReport};
use serde::Serialize;

use crate::plain::plain;

/// Whom the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned text for people
    Text,
    /// JSON for programs
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the user's environment says no.
    Auto,
    Always,
    Never,
}

/// What a command found, as far as the exit status tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing that was asked to be told.
    Quiet,
    /// A middlebox's reset, and `--exit-code` was given.
    Injected,
}

/// What `--exit-code` says of these resets.
pub fn finding<'a>(exit_code: bool, resets: impl IntoIterator<Item = &'a ResetReport>) -> Finding {
    let injected = |reset: &ResetReport| reset.origin == Origin::Middlebox;
    if exit_code && resets.into_iter().any(injected) {
        Finding::Injected
    } else {
        Finding::Quiet
    }
}

/// Standard output: styles in the text are dropped where they are not wanted.
pub struct Output {
    stream: BufWriter<AutoStream<io::StdoutLock<'static>>>,
}

impl Output {
    pub fn new(color: Color) -> Self {
        let choice = Self::choice(color);
        Self {
            stream: BufWriter::new(AutoStream::new(io::stdout().lock(), choice)),
        }
    }

    fn choice(color: Color) -> ColorChoice {
        match color {
            Color::Auto => AutoStream::choice(&io::stdout()),
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
    }

    /// Whether standard output is to be coloured.
    pub fn colours(color: Color) -> bool {
        Self::choice(color) != ColorChoice::Never
    }

    /// Writes octets as they are.
    pub fn octets(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.flush()?;
        let mut plain = io::stdout().lock();
        plain.write_all(octets)?;
        plain.flush()
    }

    /// Writes text that may carry styles.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    /// Writes one JSON document. There are no styles in it to look for: what would be one is escaped.
    pub fn json(&mut self, document: &impl Serialize) -> io::Result<()> {
        self.stream.flush()?;
        let mut plain = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        serde_json::to_writer_pretty(&mut plain, document)?;
        plain.write_all(b"\n")?;
        plain.flush()
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Writes one line for the user to standard error.
pub fn note(line: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr(), "parallax: {}", plain(line));
}

/// Columns that text may take: the terminal's, else `COLUMNS`, else 100.
pub fn width() -> usize {
    let terminal = io::stdout()
        .is_terminal()
        .then(terminal_size::terminal_size)
        .flatten()
        .map(|(width, _)| usize::from(width.0));
    terminal
        .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
        .unwrap_or(100)
        .clamp(40, 200)
}

/// Which characters drawings are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyphs {
    Unicode,
    Ascii,
}

impl Glyphs {
    /// ASCII when asked for, or when the locale (`LC_ALL`, `LC_CTYPE`, `LANG`) is not UTF-8.
    pub fn choose(ascii: bool) -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty())
            .unwrap_or_default()
            .to_ascii_lowercase();
        if ascii || !(locale.contains("utf-8") || locale.contains("utf8")) {
            Self::Ascii
        } else {
            Self::Unicode
        }
    }
}

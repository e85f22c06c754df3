//! `parallax explain`, and the text that `analyze --explain` shares with it.

use std::fmt::Write;

use anstyle::Style;
use parallax_core::report::{AbsenceReport, Explanation, ResetReport};
use uuid::Uuid;

use crate::args::ExplainArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::ids::{self, TypedId};
use crate::ladder;
use crate::output::{self, Finding, Format, Glyphs, Output};
use crate::plain::{plain, wrapped};
use crate::verdict;

pub fn run(args: &ExplainArgs, output: &mut Output) -> Result<Finding, Failure> {
    let client = Client::new(&args.collector)?;
    let explanation = client.explanation(find(&client, &args.id)?)?;
    match args.show.format {
        Format::Json => output.json(&explanation)?,
        Format::Text => {
            let glyphs = Glyphs::choose(args.show.ascii);
            output.text(&text(&explanation, glyphs, output::width()))?;
        }
    }
    Ok(output::finding(args.status.exit_code, [&explanation.reset]))
}

/// Among how many of the newest resets a part of an id is looked up.
const LOOKED_AT: u32 = 10_000;

/// The reset that is meant.
pub(crate) fn find(client: &Client, typed: &TypedId) -> Result<Uuid, Failure> {
    if let Some(id) = typed.complete() {
        return Ok(id);
    }
    let newest = client.resets(&[("limit", LOOKED_AT.to_string())])?;
    Ok(typed.resolve(newest.resets.iter().map(|reset| reset.id))?)
}

const HEADING: Style = Style::new().bold();

/// The explanation as text of at most `width` columns, as far as words and labels allow.
pub fn text(explanation: &Explanation, glyphs: Glyphs, width: usize) -> String {
    let reset = &explanation.reset;
    let mut text = String::new();
    let title = format!(
        "Reset {}: {}  {}  {}",
        ids::short_alone(reset.id),
        verdict::tuple(reset),
        verdict::flags(reset),
        verdict::time(reset)
    );
    let title = paragraph(&title, 0, width);
    let _ = writeln!(text, "{HEADING}{title}{HEADING:#}");
    let style = verdict::style(reset.origin);
    let sentence = paragraph(&explanation.sentence, 0, width);
    let _ = writeln!(text, "\n{style}{sentence}{style:#}\n");
    facts(&mut text, reset, width);
    if !explanation.ladder.columns.is_empty() {
        heading(
            &mut text,
            "Packets, times relative to the first sighting of this reset",
        );
        text.push_str(&ladder::draw(&explanation.ladder, glyphs, width));
    }
    evidence(&mut text, reset, width);
    if let Some(root) = &explanation.root_sentence {
        heading(&mut text, "Root");
        let id = reset.root.map_or_else(String::new, |id| {
            format!(" See `parallax explain {}`.", ids::short_alone(id))
        });
        let _ = writeln!(text, "{}", paragraph(&format!("{root}{id}"), 2, width));
    }
    if let Some(decide) = &reset.decide {
        heading(&mut text, "What would decide it");
        let _ = writeln!(text, "{}", paragraph(decide, 2, width));
    }
    text
}

fn heading(text: &mut String, words: &str) {
    let _ = writeln!(text, "\n{HEADING}{words}{HEADING:#}");
}

/// The words in lines, each but the first indented; the first too when `indent` is not 0.
fn paragraph(words: &str, indent: usize, width: usize) -> String {
    let lines = wrapped(&plain(words), width.saturating_sub(indent));
    let lines: Vec<String> = lines
        .iter()
        .map(|line| format!("{:indent$}{line}", ""))
        .collect();
    lines.join("\n")
}

/// The verdict's parts, a line each.
fn facts(text: &mut String, reset: &ResetReport, width: usize) {
    let effective = reset.effective.map(|effective| {
        let words = if effective {
            "yes: its receiver accepted it"
        } else {
            "no: the connection lived on"
        };
        words.to_owned()
    });
    let facts = [
        ("Verdict", Some(verdict::words(reset))),
        ("Cause", Some(reset.cause.as_str().to_owned())),
        ("Confidence", Some(verdict::confidence(reset.confidence))),
        ("Trigger", reset.trigger.clone()),
        ("Effective", effective),
        ("Seen at", listed(&reset.seen_at)),
        ("Not seen at", absences(&reset.absent_at)),
        ("Path", listed(&reset.path)),
        ("Id", Some(reset.id.to_string())),
    ];
    for (name, value) in facts {
        let Some(value) = value else { continue };
        let value = paragraph(&value, FACT_INDENT, width);
        let _ = writeln!(text, "{name:<FACT_INDENT$}{}", value.trim_start());
    }
}

const FACT_INDENT: usize = 13;

fn listed(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(", "))
}

fn absences(absences: &[AbsenceReport]) -> Option<String> {
    let told: Vec<String> = absences
        .iter()
        .map(|absence| match (&absence.why, absence.attested) {
            (_, true) => format!("{} (it would have been)", absence.vantage),
            (Some(why), false) => format!("{} (says nothing: {why})", absence.vantage),
            (None, false) => format!("{} (says nothing)", absence.vantage),
        })
        .collect();
    listed(&told)
}

/// The reasons, numbered.
fn evidence(text: &mut String, reset: &ResetReport, width: usize) {
    if reset.evidence.is_empty() {
        return;
    }
    heading(text, "Evidence");
    let digits = reset.evidence.len().to_string().len();
    for (index, reason) in reset.evidence.iter().enumerate() {
        let words = match &reason.vantage {
            Some(vantage) if !reason.text.contains(vantage.as_str()) => {
                format!("{} (at {vantage})", reason.text)
            }
            _ => reason.text.clone(),
        };
        let indent = digits + 4;
        let words = paragraph(&words, indent, width);
        let _ = writeln!(text, "  {:>digits$}. {}", index + 1, words.trim_start());
    }
}

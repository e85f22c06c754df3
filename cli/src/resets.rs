//! `parallax resets`, and the table that `analyze` shares with it.

use std::collections::BTreeMap;
use std::fmt::Write;

use parallax_core::report::{Document, Origin, ResetReport};

use crate::args::ResetsArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::ids;
use crate::output::{self, Finding, Format, Output};
use crate::plain::plain;
use crate::table::{Align, Cell, Table};
use crate::vantages;
use crate::verdict;

pub fn run(args: &ResetsArgs, output: &mut Output) -> Result<Finding, Failure> {
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since > until
    {
        return Err(Failure::Usage(format!(
            "--since {since} is after --until {until}"
        )));
    }
    let client = Client::new(&args.collector)?;
    let document = client.resets(&filters(args))?;
    match args.show.format {
        Format::Json => output.json(&document)?,
        Format::Text => {
            warn(&document);
            output.text(&text(&document))?;
        }
    }
    Ok(output::finding(args.status.exit_code, &document.resets))
}

/// The document's warnings, a line each, on standard error.
pub fn warn(document: &Document) {
    for warning in &document.warnings {
        output::note(&format!("warning: {warning}"));
    }
}

fn filters(args: &ResetsArgs) -> Vec<(&'static str, String)> {
    let between = args
        .between
        .as_ref()
        .map(|two| format!("{},{}", two.0, two.1));
    [
        ("since", args.since.map(|at| at.to_string())),
        ("until", args.until.map(|at| at.to_string())),
        ("address", args.address.map(|addr| addr.to_string())),
        ("port", args.port.map(|port| port.to_string())),
        ("vantage", args.vantage.clone()),
        ("origin", args.origin.clone()),
        ("cause", args.cause.clone()),
        ("between", between),
        ("limit", args.limit.map(|limit| limit.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// The table of verdicts, what they come to, and who watched.
pub fn text(document: &Document) -> String {
    let mut text = String::new();
    if document.resets.is_empty() {
        text.push_str("No resets.\n");
    } else {
        let _ = write!(
            text,
            "{}\n{}",
            table(&document.resets),
            summary(&document.resets)
        );
    }
    if !document.vantages.is_empty() {
        let _ = write!(text, "\n{}", vantages::table(&document.vantages));
    }
    if !document.path.is_empty() {
        let path: Vec<String> = document.path.iter().map(|name| plain(name)).collect();
        let _ = writeln!(text, "\nPath, client side first: {}", path.join(", "));
    }
    text
}

fn table(resets: &[ResetReport]) -> Table {
    let digits = ids::digits_needed(resets);
    let mut table = Table::new(&[
        ("TIME", Align::Left),
        ("RESET", Align::Left),
        ("FLAGS", Align::Left),
        ("VERDICT", Align::Left),
        ("CAUSE", Align::Left),
        ("CONFIDENCE", Align::Right),
        ("ID", Align::Left),
    ]);
    for reset in resets {
        table.push(vec![
            Cell::new(verdict::time(reset)),
            Cell::new(verdict::tuple(reset)),
            Cell::new(verdict::flags(reset)),
            Cell::styled(verdict::words(reset), verdict::style(reset.origin)),
            Cell::new(reset.cause.as_str()),
            Cell::new(verdict::confidence(reset.confidence)),
            Cell::new(ids::short(reset.id, digits)),
        ]);
    }
    table
}

/// How many resets there are of each origin, and of each verdict and cause where several are
/// alike.
fn summary(resets: &[ResetReport]) -> String {
    let noun = if resets.len() == 1 { "reset" } else { "resets" };
    let origins = [Origin::Middlebox, Origin::Endpoint, Origin::Undetermined]
        .map(|origin| {
            (
                origin,
                resets.iter().filter(|reset| reset.origin == origin).count(),
            )
        })
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(origin, count)| format!("{count} {}", origin.as_str()))
        .collect::<Vec<_>>()
        .join(", ");
    let mut summary = format!("{} {noun}: {origins}\n", resets.len());
    let kinds = kinds(resets);
    if kinds.len() < resets.len() {
        let _ = write!(summary, "\n{}", kinds_table(&kinds));
    }
    summary
}

/// Resets that share verdict and cause.
struct Kind {
    words: String,
    cause: &'static str,
    origin: Origin,
    count: usize,
}

/// The kinds, most frequent first.
fn kinds(resets: &[ResetReport]) -> Vec<Kind> {
    let mut kinds: BTreeMap<(String, &'static str), Kind> = BTreeMap::new();
    for reset in resets {
        let (words, cause) = (verdict::words(reset), reset.cause.as_str());
        let kind = kinds.entry((words.clone(), cause)).or_insert(Kind {
            words,
            cause,
            origin: reset.origin,
            count: 0,
        });
        kind.count += 1;
    }
    let mut kinds: Vec<Kind> = kinds.into_values().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    kinds
}

fn kinds_table(kinds: &[Kind]) -> Table {
    let mut table = Table::new(&[
        ("COUNT", Align::Right),
        ("VERDICT", Align::Left),
        ("CAUSE", Align::Left),
    ]);
    for kind in kinds {
        table.push(vec![
            Cell::new(kind.count.to_string()),
            Cell::styled(&kind.words, verdict::style(kind.origin)),
            Cell::new(kind.cause),
        ]);
    }
    table
}

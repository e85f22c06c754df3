//! What administrators do: `parallax token`, `parallax user`, `parallax audit`.

use std::fmt::Write as _;

use parallax_core::report::admin::{AuditDocument, PeopleDocument};

use crate::args::{AuditArgs, TokenAct, UserAct};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Finding, Format, Output};
use crate::plain::plain;
use crate::table::{Align, Cell, Table};

pub fn token(act: &TokenAct, output: &mut Output) -> Result<Finding, Failure> {
    let TokenAct::Create(args) = act;
    let made = Client::new(&args.collector)?.make_token(&args.vantage, args.good_for)?;
    output.text(&format!("{}\n", plain(&made.secret)))?;
    Ok(Finding::Quiet)
}

pub fn user(act: &UserAct, output: &mut Output) -> Result<Finding, Failure> {
    let text = match act {
        UserAct::Add(args) => {
            let client = Client::new(&args.collector)?;
            let made = client.add_person(&args.name, &args.role)?;
            format!("{}\n", plain(&made.secret))
        }
        UserAct::List { collector } => people(&Client::new(collector)?.people()?),
        UserAct::Remove { name, collector } => {
            people(&Client::new(collector)?.remove_person(name)?)
        }
    };
    output.text(&text)?;
    Ok(Finding::Quiet)
}

fn people(document: &PeopleDocument) -> String {
    if document.people.is_empty() {
        return "nobody has a role\n".to_owned();
    }
    let mut table = Table::new(&[("name", Align::Left), ("role", Align::Left)]);
    for person in &document.people {
        table.push(vec![Cell::new(&person.name), Cell::new(&person.role)]);
    }
    table.to_string()
}

pub fn audit(args: &AuditArgs, output: &mut Output) -> Result<Finding, Failure> {
    let document = Client::new(&args.collector)?.audit(args.before, args.limit)?;
    match args.format {
        Format::Json => output.json(&document)?,
        Format::Text => output.text(&audited(&document))?,
    }
    Ok(Finding::Quiet)
}

/// What `parallax audit` prints: newest first, a line each.
pub fn audited(document: &AuditDocument) -> String {
    let mut text = String::new();
    for entry in &document.entries {
        let from = entry
            .from
            .map_or_else(String::new, |from| format!(" from {from}"));
        let object = match entry.object.as_str() {
            "" => String::new(),
            object => format!(" {}", plain(object)),
        };
        let reason = match entry.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", plain(reason)),
        };
        let times = match entry.count {
            1 => String::new(),
            count => format!(" ({count} times until {})", plain(&entry.last)),
        };
        let _ = writeln!(
            text,
            "{} {} {}{from} {}{object}{reason}{times}",
            plain(&entry.time),
            plain(&entry.outcome),
            plain(&entry.who),
            plain(&entry.act),
        );
    }
    if text.is_empty() {
        text.push_str("nothing was refused, and nothing done\n");
    }
    text
}

//! `parallax doctor`: what is wrong on this machine, and how to mend it.

use std::fmt::Write as _;
use std::process::Command;

use serde::Serialize;

use crate::args::{Collector, DoctorArgs};
use crate::failure::Failure;
use crate::output::{Finding, Format, Output};
use crate::plain::plain;
use crate::when;
use parallax_identity::files;

mod adjtimex;
mod certificate;
mod disk;
mod machine;
mod network;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Fine,
    /// Parallax works, but says less than it could.
    Warning,
    /// Parallax does not work.
    Wrong,
}

/// What was looked at and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub what: String,
    pub state: State,
    pub found: String,
    /// How to mend it; none where all is fine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Check {
    fn fine(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            state: State::Fine,
            found: found.into(),
            mend: None,
        }
    }

    fn warning(what: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Warning,
            mend: Some(mend.into()),
            ..Self::fine(what, found)
        }
    }

    fn wrong(what: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Wrong,
            ..Self::warning(what, found, mend)
        }
    }
}

/// What `parallax doctor --format json` prints.
#[derive(Debug, Serialize)]
struct Diagnosis<'a> {
    schema: u32,
    /// The worst of them.
    state: State,
    checks: &'a [Check],
}

pub fn run(args: &DoctorArgs, output: &mut Output) -> Result<Finding, Failure> {
    let checks = examine(args);
    let worst = checks.iter().map(|check| check.state).max();
    let state = worst.unwrap_or(State::Fine);
    match args.format {
        Format::Json => output.json(&Diagnosis {
            schema: 1,
            state,
            checks: &checks,
        })?,
        Format::Text => output.text(&text(&checks))?,
    }
    let wrong = checks.iter().filter(|check| check.state == State::Wrong);
    match wrong.count() {
        0 => Ok(Finding::Quiet),
        count => Err(Failure::Unwell(count)),
    }
}

fn examine(args: &DoctorArgs) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(file) = &args.agent_config {
        checks.push(configuration("parallax-agent", "run", file));
    }
    if let Some(file) = &args.collector_config {
        checks.push(configuration("parallax-collector", "serve", file));
    }
    if !args.interface.is_empty() {
        checks.push(machine::rights());
        checks.push(machine::library());
    }
    for interface in &args.interface {
        checks.extend(machine::interface(interface));
    }
    checks.push(adjtimex::clock());
    checks.extend(args.collector.iter().map(|url| {
        network::collector(&Collector {
            url: url.clone(),
            ca: args.ca.clone(),
            token: args.token.clone(),
        })
    }));
    checks.extend(args.database_url.as_deref().map(network::database));
    for (what, folder) in [
        ("state directory", &args.state_dir),
        ("data directory", &args.data_dir),
    ] {
        if let Some(folder) = folder {
            checks.extend(disk::folder(what, folder));
        }
    }
    if args.data_dir.is_some() {
        checks.push(machine::postgres());
    }
    if let Some(file) = &args.certificate {
        checks.push(certificate::days(file, when::now()));
    }
    // Where an agent looks for one unasked.
    let enrolled = args.state_dir.as_ref();
    let enrolled = enrolled.map(|folder| folder.join("identity").join(files::AGENT));
    if let Some(file) = enrolled.filter(|file| file.exists()) {
        checks.push(certificate::days(&file, when::now()));
    }
    if let Some(file) = &args.key {
        checks.push(disk::key(file));
    }
    checks
}

/// What the program itself says of its file.
fn configuration(program: &str, command: &str, file: &std::path::Path) -> Check {
    let what = format!("configuration {}", file.display());
    let asked = Command::new(program)
        .args([command, "--check-config", "--config"])
        .arg(file)
        .output();
    match asked {
        Ok(answer) if answer.status.success() => Check::fine(what, format!("{program} takes it")),
        Ok(answer) => {
            let said = String::from_utf8_lossy(&answer.stderr);
            let first = said.lines().next().unwrap_or("it says nothing").to_owned();
            Check::wrong(what, first, "correct it there")
        }
        Err(error) => Check::wrong(
            what,
            format!("cannot ask {program}: {error}"),
            format!("install {program}, or put it where PATH leads"),
        ),
    }
}

/// What `parallax doctor` prints: a line for each, and how to mend what is not fine.
fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let word = match check.state {
            State::Fine => "fine",
            State::Warning => "warning",
            State::Wrong => "WRONG",
        };
        let (what, found) = (plain(&check.what), plain(&check.found));
        let _ = writeln!(text, "{word:<8}{what}: {found}");
        if let Some(mend) = &check.mend {
            let _ = writeln!(text, "        → {}", plain(mend));
        }
    }
    text
}

//! `parallax policy`: which segments running agents ship.

use std::fmt::Write as _;

use parallax_core::report::PolicyDocument;

use crate::args::{Ordered, PolicyArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Finding, Format, Output};
use crate::plain::plain;

pub fn run(args: &PolicyArgs, output: &mut Output) -> Result<Finding, Failure> {
    let client = Client::new(&args.collector)?;
    let policy = match args.segments {
        None => client.policy()?,
        Some(Ordered::Own) => client.set_policy(args.vantage.as_deref(), None)?,
        Some(Ordered::Segments(selection)) => {
            client.set_policy(args.vantage.as_deref(), Some(&selection.to_string()))?
        }
    };
    match args.format {
        Format::Json => output.json(&policy)?,
        Format::Text => output.text(&text(&policy))?,
    }
    Ok(Finding::Quiet)
}

/// What `parallax policy` prints.
pub fn text(policy: &PolicyDocument) -> String {
    let mut text = String::new();
    for (vantage, segments) in &policy.vantages {
        let _ = writeln!(text, "{}: {}", plain(vantage), plain(segments));
    }
    let others = if policy.vantages.is_empty() {
        "all vantages"
    } else {
        "all others"
    };
    let segments = policy
        .segments
        .as_deref()
        .map_or_else(|| "what each agent was started with".to_owned(), plain);
    let _ = writeln!(text, "{others}: {segments}");
    text
}

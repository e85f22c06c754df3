//! The program `parallax`: asks a collector, or capture files, where resets come from.
//!
//! Each command gathers a [`Document`](parallax_core::report::Document) or an
//! [`Explanation`](parallax_core::report::Explanation) and prints it as JSON or as text; the text is
//! drawn from the same values.

pub mod admin;
pub mod analyze;
pub mod args;
pub mod client;
mod compare;
pub mod doctor;
pub mod explain;
mod export;
pub mod failure;
pub mod ids;
pub mod ladder;
pub mod output;
mod pki;
pub mod plain;
pub mod policy;
pub mod resets;
pub mod table;
pub mod top;
pub mod vantages;
pub mod verdict;
pub mod watch;
pub mod when;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::output::{Finding, Output};

/// Exit status with `--exit-code` when a middlebox's reset was found.
const INJECTED_FOUND: u8 = 10;

/// Runs the program with the process's arguments; failures become one line on standard error.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut output = Output::new(cli.color);
    let outcome = run(&cli, &mut output).and_then(|finding| {
        output.flush()?;
        Ok(finding)
    });
    match outcome {
        Ok(Finding::Quiet) => ExitCode::SUCCESS,
        Ok(Finding::Injected) => ExitCode::from(INJECTED_FOUND),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output::note(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn run(cli: &Cli, output: &mut Output) -> Result<Finding, Failure> {
    match &cli.command {
        Command::Analyze(args) => analyze::run(args, output),
        Command::Resets(args) => resets::run(args, output),
        Command::Explain(args) => explain::run(args, output),
        Command::Compare(args) => compare::run(args, output),
        Command::Export(args) => export::run(args, output),
        Command::Bundle(args) => export::bundle(args, output),
        Command::Vantages(args) => vantages::run(args, output),
        Command::Policy(args) => policy::run(args, output),
        Command::Pki { act } => pki::run(act, output),
        Command::Enroll(args) => pki::enroll(args, output),
        Command::Token { act } => admin::token(act, output),
        Command::User { act } => admin::user(act, output),
        Command::Audit(args) => admin::audit(args, output),
        Command::Watch(args) => watch::run(args, output),
        Command::Doctor(args) => doctor::run(args, output),
        Command::Top(args) => top::run(args, cli.color),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "parallax", &mut script);
            output.text(&String::from_utf8_lossy(&script))?;
            Ok(Finding::Quiet)
        }
    }
}

//! The command line.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

pub mod digest;
pub(crate) mod log;
pub mod probe;
pub mod replay;
pub mod run;

/// Captures TCP at a vantage and streams digests to a Parallax collector
#[derive(Debug, Parser)]
#[command(name = "parallax-agent", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say more on standard error
    #[arg(short, long, global = true)]
    verbose: bool,
    /// How standard error is written
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        env = "PARALLAX_LOG_FORMAT",
        default_value = "text"
    )]
    log_format: log::LogFormat,
}

const EXAMPLES: &str = "\
Examples:
  parallax-agent run --vantage fw-in --interface eth0 --collector http://192.0.2.10:7600
  parallax-agent replay --vantage client --host 192.0.2.1 --file client.pcap
  parallax-agent digest --file client.pcap | head";

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::RunArgs>),
    Replay(replay::ReplayArgs),
    Digest(digest::DigestArgs),
    Probe(probe::ProbeArgs),
    Completion(CompletionArgs),
}

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  parallax-agent completion bash > /etc/bash_completion.d/parallax-agent")]
struct CompletionArgs {
    shell: Shell,
}

/// Runs the command line of this process; what fails is one line on standard error.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    log::start(cli.verbose, log_format(&cli, &matches));
    let result = match cli.command {
        Command::Run(args) if run::only_checks(&args) => {
            let matches = matches.subcommand_matches("run").unwrap_or(&matches);
            run::check_config(*args, matches);
            Ok(())
        }
        Command::Run(args) => run::run(*args),
        Command::Replay(args) => replay::run(&args),
        Command::Digest(args) => digest::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Completion(args) => {
            let mut command = Cli::command();
            let name = command.get_name().to_owned();
            clap_complete::generate(args.shell, &mut command, name, &mut std::io::stdout());
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::give_up(&one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// As the command line says, or the environment, or else the file of a run. What is wrong with a file is told later.
fn log_format(cli: &Cli, matches: &ArgMatches) -> log::LogFormat {
    let said = matches.value_source("log_format") != Some(ValueSource::DefaultValue);
    match &cli.command {
        Command::Run(args) if !said => run::log_format(args).unwrap_or(cli.log_format),
        _ => cli.log_format,
    }
}

/// An error with its causes, as far as its text does not name them already.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line.lines().collect::<Vec<_>>().join(" ")
}

/// Ends the process as wrong usage, as if the command line had been refused.
fn refuse_usage(kind: ErrorKind, message: &str) -> ! {
    Cli::command().error(kind, message).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_error_and_its_causes_make_one_line_that_repeats_nothing() {
        let error = anyhow::anyhow!("no such\nfile").context("cannot read x: no such\nfile");
        assert_eq!(one_line(&error), "cannot read x: no such file");
        let error = anyhow::anyhow!("why").context("what");
        assert_eq!(one_line(&error), "what: why");
    }
}

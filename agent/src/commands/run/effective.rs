//! `--check-config`: the settings in effect and where each comes from, as a configuration file that says the same.

use std::fmt::Write as _;

use clap::ArgMatches;
use clap::parser::ValueSource;
use toml::{Table, Value};

use super::Settings;

/// A setting by its name; `None`: it is not set.
type Line = (&'static str, Option<Value>);

/// The settings as TOML, each line with its source.
pub(super) fn tell(settings: &Settings, matches: &ArgMatches, file: &Table) -> String {
    let mut text = String::new();
    for (name, value) in lines(settings) {
        let source = source(name, matches, file);
        // Writing to a string does not fail.
        let _ = match value {
            Some(value) => writeln!(text, "{name} = {value}  # {source}"),
            None => writeln!(text, "# {name} is not set"),
        };
    }
    text
}

fn source(name: &str, matches: &ArgMatches, file: &Table) -> &'static str {
    let id = name.replace('-', "_");
    // How standard error is written is said to the program, not to the run.
    let known = matches.try_contains_id(&id).is_ok();
    match known.then(|| matches.value_source(&id)).flatten() {
        Some(ValueSource::CommandLine) => "command line",
        Some(ValueSource::EnvVariable) => "environment",
        _ if file.contains_key(name) => "file",
        _ => "default",
    }
}

fn lines(settings: &Settings) -> Vec<Line> {
    let number = |number: u32| Some(Value::from(i64::from(number)));
    let texts = |texts: Vec<String>| Some(Value::from(texts));
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref()
            .map(|path| Value::from(path.display().to_string()))
    };
    vec![
        ("vantage", Some(Value::from(settings.vantage.as_str()))),
        (
            "host",
            texts(settings.host.iter().map(ToString::to_string).collect()),
        ),
        ("interface", texts(settings.interfaces.clone())),
        ("collector", texts(settings.collectors.clone())),
        ("filter", settings.filter.clone().map(Value::from)),
        ("no-tunnels", Some(Value::from(settings.no_tunnels))),
        ("snaplen", number(settings.snaplen)),
        ("threads", number(settings.threads)),
        ("buffer", number(settings.buffer)),
        ("promiscuous", Some(Value::from(settings.promiscuous))),
        ("segments", Some(Value::from(settings.segments.to_string()))),
        ("memory", number(settings.memory)),
        ("recall-memory", number(settings.recall_memory)),
        ("outbox", number(settings.outbox)),
        ("state-dir", path(&settings.state_dir)),
        ("spool-memory", settings.spool_memory.and_then(number)),
        ("spool-disk", number(settings.spool_disk)),
        ("grace", Some(Value::from(settings.grace))),
        ("write", path(&settings.write)),
        ("witness", Some(Value::from(settings.witness.to_string()))),
        ("witness-rate", number(settings.witness_rate)),
        ("pseudonym-key", path(&settings.pseudonym_key)),
        ("user", settings.user.clone().map(Value::from)),
        ("identity", path(&settings.said.identity)),
        ("tls-cert", path(&settings.said.tls_cert)),
        ("tls-key", path(&settings.said.tls_key)),
        ("tls-ca", path(&settings.said.tls_ca)),
        (
            "require-identity",
            settings.said.require_identity.map(Value::from),
        ),
        (
            "insecure-plaintext",
            settings.said.insecure_plaintext.map(Value::from),
        ),
        (
            "metrics",
            settings
                .metrics
                .map(|address| Value::from(address.to_string())),
        ),
        (
            "log-format",
            Some(Value::from(settings.log_format.as_str())),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::super::RunArgs;
    use super::*;
    use crate::config::ConfigFile;

    /// The settings of a command line and a file, and what is told of them.
    fn told(line: &[&str], file: &str) -> (Settings, String) {
        let matches = RunArgs::augment_args(Command::new("run")).get_matches_from(line);
        let args = RunArgs::from_arg_matches(&matches).unwrap();
        let read: ConfigFile = toml::from_str(file).unwrap();
        let settings = Settings::over(args, read).unwrap();
        let text = tell(&settings, &matches, &toml::from_str(file).unwrap());
        (settings, text)
    }

    const LINE: [&str; 5] = ["run", "--vantage", "fw-in", "--interface", "eth0"];

    #[test]
    fn each_setting_is_told_with_its_source_and_what_is_told_is_a_file_that_says_the_same() {
        let (settings, text) = told(
            &[&LINE[..], &["--snaplen", "128"]].concat(),
            "snaplen = 96\nmemory = 64\n",
        );
        for line in [
            "snaplen = 128  # command line",
            "memory = 64  # file",
            "threads = 1  # default",
            "# state-dir is not set",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
        let (again, _) = told(&["run"], &text);
        assert_eq!(again, settings);
    }

    #[test]
    fn every_option_is_told() {
        let (_, text) = told(&LINE, "");
        let command = RunArgs::augment_args(Command::new("run"));
        let names = command.get_arguments().filter_map(clap::Arg::get_long);
        let settings = names.filter(|name| !["config", "check-config"].contains(name));
        for name in settings {
            let tells = |line: &str| {
                line.starts_with(&format!("{name} = ")) || line == format!("# {name} is not set")
            };
            assert!(text.lines().any(tells), "{name}: {text}");
        }
    }

    #[test]
    fn the_sample_file_names_every_option_and_equals_the_defaults() {
        let sample = include_str!("../../../../deploy/agent.toml");
        let (by_file, text) = told(&["run"], sample);
        let (by_default, _) = told(
            &["run", "--vantage", "CHANGE-ME", "--interface", "eth0"],
            "",
        );
        assert_eq!(by_file, by_default);
        for name in text.lines().filter_map(|line| {
            line.split_whitespace()
                .nth(usize::from(line.starts_with('#')))
        }) {
            let named = |line: &str| {
                line.trim_start_matches("# ")
                    .starts_with(&format!("{name} = "))
            };
            assert!(sample.lines().any(named), "{name} is not in the sample");
        }
    }
}

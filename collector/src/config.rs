//! Settings of `serve`: command line over environment over file over default, and what is in effect.
//!
//! What the file says is put behind the command line as options, where nobody said otherwise: it may say whatever the
//! command line may, and is judged by the same parsers.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use thiserror::Error;
use toml::{Table, Value};

/// The command whose options a file may name.
const SERVE: &str = "serve";
/// Options of it that set nothing.
const NOT_SETTINGS: [&str; 4] = ["config", "check-config", "help", "version"];
/// One of the two says where the database is, wherever it is said.
const DATABASE: [&str; 2] = ["database-url", "data-dir"];

/// Why a configuration is of no use.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}: {source}; name another with --config", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("configuration file {}, line {line}: {reason}; correct it there", path.display())]
    Wrong {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("configuration file {}: {name} = {value}: {reason}; correct it there", path.display())]
    Value {
        path: PathBuf,
        name: String,
        value: Value,
        reason: String,
    },
    /// Each option is right, but not with the others.
    #[error("with the configuration file {}: {reason}", path.display())]
    Together { path: PathBuf, reason: String },
}

/// A command line with what its file says.
pub struct Configured {
    /// Of the whole command.
    pub matches: ArgMatches,
    /// Names of options that the file set.
    from_file: BTreeSet<String>,
}

impl Configured {
    fn serve(&self) -> &ArgMatches {
        self.matches
            .subcommand_matches(SERVE)
            .unwrap_or(&self.matches)
    }

    fn source(&self, option: &Arg, name: &str) -> &'static str {
        if self.from_file.contains(name) {
            return "file";
        }
        match self.serve().value_source(option.get_id().as_str()) {
            Some(ValueSource::CommandLine) => "command line",
            Some(ValueSource::EnvVariable) => "environment",
            _ => "default",
        }
    }
}

/// The options of `serve` that are settings, by name.
fn settings(command: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let serve = command.find_subcommand(SERVE).into_iter();
    let options = serve.flat_map(Command::get_arguments);
    options
        .filter_map(|option| Some((option.get_long()?, option)))
        .filter(|(name, _)| !NOT_SETTINGS.contains(name))
}

/// Takes a command line, its first element the program, together with the file that it names. `command` is built.
///
/// # Errors
/// A file that cannot be read, or says what makes no sense.
pub fn with_file(
    command: &Command,
    mut line: Vec<OsString>,
    matches: ArgMatches,
) -> Result<Configured, ConfigError> {
    let serve = matches.subcommand_matches(SERVE);
    let path = serve.and_then(|serve| serve.get_one::<PathBuf>("config"));
    let Some((serve, path)) = serve.zip(path.cloned()) else {
        return Ok(Configured {
            matches,
            from_file: BTreeSet::new(),
        });
    };
    let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Read {
        path: path.clone(),
        source,
    })?;
    let file: Table = parse(&path, &text)?;
    let said = |option: &Arg| {
        let source = serve.value_source(option.get_id().as_str());
        matches!(
            source,
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    };
    let database_said =
        settings(command).any(|(name, option)| DATABASE.contains(&name) && said(option));
    let mut from_file = BTreeSet::new();
    for (name, value) in file {
        let Some((_, option)) = settings(command).find(|(known, _)| *known == name) else {
            return Err(ConfigError::Wrong {
                line: line_of(&text, &name),
                path,
                reason: format!("unknown field `{name}`; `serve --help` tells the options"),
            });
        };
        let refuse = |reason: String| ConfigError::Value {
            path: path.clone(),
            name: name.clone(),
            value: value.clone(),
            reason,
        };
        let words = words(option, &name, &value).map_err(refuse)?;
        judge(command, &words).map_err(refuse)?;
        if said(option) || database_said && DATABASE.contains(&name.as_str()) {
            continue;
        }
        line.extend(words);
        from_file.insert(name);
    }
    let matches = command
        .clone()
        .try_get_matches_from(line)
        .map_err(|error| ConfigError::Together {
            path,
            reason: reason(&error),
        })?;
    Ok(Configured { matches, from_file })
}

/// A value of the file as options.
fn words(option: &Arg, name: &str, value: &Value) -> Result<Vec<OsString>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(yes) => Ok(yes.to_string()),
        _ => Err("expected a text or a number".to_owned()),
    };
    let word = |text: String| OsString::from(format!("--{name}={text}"));
    match (option.get_action(), value) {
        (ArgAction::SetTrue, Value::Boolean(true)) => Ok(vec![format!("--{name}").into()]),
        (ArgAction::SetTrue, Value::Boolean(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => Err("expected true or false".to_owned()),
        (ArgAction::Append, Value::Array(values)) => {
            values.iter().map(|value| one(value).map(word)).collect()
        }
        _ => Ok(vec![word(one(value)?)]),
    }
}

/// Whether an option's parser takes its value; what it needs beside it is seen when all are there.
fn judge(command: &Command, words: &[OsString]) -> Result<(), String> {
    let line = ["", SERVE].map(OsString::from).into_iter();
    let line = line.chain(words.iter().cloned());
    match command.clone().try_get_matches_from(line) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidValue | ErrorKind::ValueValidation
            ) =>
        {
            Err(reason(&error))
        }
        _ => Ok(()),
    }
}

/// What the parser says, without its advice on the command line.
fn reason(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    first
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The settings in effect, each with its source, as a configuration file that says the same. What may be a secret is not
/// told.
pub fn tell(command: &Command, configured: &Configured, data_dir: Option<&Path>) -> String {
    let mut text = String::new();
    let has_server = configured
        .serve()
        .get_one::<String>("database_url")
        .is_some();
    for (name, option) in settings(command) {
        let unset = || {
            let private = name == "data-dir" && !has_server;
            let dir = data_dir.filter(|_| private)?;
            Some(Value::from(dir.display().to_string()))
        };
        // Writing to a string does not fail.
        let _ = match value(option, configured.serve()).or_else(unset) {
            Some(value) => writeln!(
                text,
                "{name} = {value}  # {}",
                configured.source(option, name)
            ),
            None => writeln!(text, "# {name} is not set"),
        };
    }
    text
}

fn value(option: &Arg, serve: &ArgMatches) -> Option<Value> {
    let id = option.get_id().as_str();
    if matches!(option.get_action(), ArgAction::SetTrue) {
        return Some(Value::Boolean(serve.get_flag(id)));
    }
    let raw = serve.get_raw(id).into_iter().flatten();
    let texts = raw.map(|text| {
        let text = text.to_string_lossy();
        if option.is_hide_env_values_set() {
            without_secrets(&text)
        } else {
            text.into_owned()
        }
    });
    let mut texts: Vec<String> = texts.collect();
    if matches!(option.get_action(), ArgAction::Append) {
        return Some(Value::from(texts));
    }
    let text = texts.pop()?;
    Some(
        text.parse::<i64>()
            .map_or_else(|_| Value::from(text), Value::from),
    )
}

/// An address with dots for its password, and for what follows the host of a web page: a webhook's path is its secret.
fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, end) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user
                .split_once(':')
                .map_or_else(|| user.to_owned(), |(name, _)| format!("{name}:…"));
            format!("{user}@{host}")
        }
        None => authority.to_owned(),
    };
    let end = match end {
        "" | "/" => end,
        _ if scheme.starts_with("http") => "/…",
        _ => end,
    };
    format!("{scheme}://{authority}{end}")
}

/// Where a file names an option, from 1.
fn line_of(text: &str, name: &str) -> usize {
    let names = |line: &str| {
        let line = line.trim_start().trim_start_matches(['"', '\'', '[']);
        line.starts_with(name)
    };
    text.lines().position(names).map_or(0, |line| line + 1)
}

fn parse(path: &Path, text: &str) -> Result<Table, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        ConfigError::Wrong {
            path: path.to_owned(),
            line: text.as_bytes()[..at].split(|octet| *octet == b'\n').count(),
            reason: error.message().lines().collect::<Vec<_>>().join(" "),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/collector.toml");

    /// What is told of a command line.
    fn told(options: &[&str]) -> Result<String, ConfigError> {
        let mut command = Cli::command();
        command.build();
        let line = [&["parallax-collector", "serve"], options].concat();
        let line: Vec<OsString> = line.into_iter().map(OsString::from).collect();
        let matches = command.clone().get_matches_from(&line);
        let configured = with_file(&command, line, matches)?;
        Ok(tell(&command, &configured, Some(Path::new("/data"))))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_command_line_goes_before_the_file_and_the_file_before_the_default() {
        let file = file(
            "http = '127.0.0.1:80'\ngrpc = ''\npath = ['a', 'b']\nretention = 9\n\
             require-identity = true\ntrusted-proxy = ['192.0.2.8/32']\nlog-format = 'json'\n",
        );
        let path = file.path().to_str().unwrap();
        let text = told(&["--config", path, "--http", "127.0.0.1:81"]).unwrap();
        for line in [
            "http = \"127.0.0.1:81\"  # command line",
            "grpc = \"\"  # file",
            "path = [\"a\", \"b\"]  # file",
            "retention = 9  # file",
            "data-dir = \"/data\"  # default",
            "# segments is not set",
            "require-identity = true  # file",
            "trusted-proxy = [\"192.0.2.8/32\"]  # file",
            "log-format = \"json\"  # file",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
    }

    #[test]
    fn nonsense_in_a_file_is_refused_with_its_line_or_name() {
        for (text, told_of) in [
            ("\nhttps = 1", "line 2: unknown field"),
            ("grpc = 'nowhere'", "grpc = \"nowhere\""),
            ("segments = 'most'", "segments = \"most\""),
            ("retention = 0", "retention"),
            ("database-url = 'a'\ndata-dir = 'b'", "data-dir"),
            ("require-identity = 1", "require-identity = 1"),
            ("webhook = [['a']]", "webhook"),
            ("tls-cert = 'a.pem'", "--tls-key"),
        ] {
            let file = file(text);
            let error = told(&["--config", file.path().to_str().unwrap()]).unwrap_err();
            assert!(error.to_string().contains(told_of), "{error}");
        }
    }

    #[test]
    fn the_sample_file_names_every_option_and_equals_the_defaults() {
        let (sample, default) = (told(&["--config", SAMPLE]).unwrap(), told(&[]).unwrap());
        let values = |text: &str| -> Vec<String> {
            let lines = text.lines();
            lines
                .map(|line| line.split("  # ").next().unwrap_or_default().to_owned())
                .collect()
        };
        assert_eq!(values(&sample), values(&default));
        let text = std::fs::read_to_string(SAMPLE).unwrap();
        for line in default.lines() {
            let name = line.trim_start_matches("# ").split(' ').next().unwrap();
            let named = |line: &str| {
                line.trim_start_matches("# ")
                    .starts_with(&format!("{name} = "))
            };
            assert!(text.lines().any(named), "{name} is not in the sample");
        }
    }

    #[test]
    fn passwords_and_the_paths_of_webhooks_are_not_told() {
        for (url, told) in [
            (
                "postgres://parallax:secret@192.0.2.9/parallax",
                "postgres://parallax:…@192.0.2.9/parallax",
            ),
            ("postgres:///parallax", "postgres:///parallax"),
            ("https://192.0.2.9/hooks/secret", "https://192.0.2.9/…"),
            ("http://192.0.2.9:9093/", "http://192.0.2.9:9093/"),
        ] {
            assert_eq!(without_secrets(url), told);
        }
        let text = told(&["--webhook", "https://192.0.2.9/hooks/secret"]).unwrap();
        assert!(
            text.contains("webhook = [\"https://192.0.2.9/…\"]  # command line"),
            "{text}"
        );
    }

    #[test]
    fn the_database_is_said_in_one_place() {
        let file = file("database-url = 'postgres://192.0.2.9/parallax'\n");
        let path = file.path().to_str().unwrap();
        let text = told(&["--config", path, "--data-dir", "/elsewhere"]).unwrap();
        for line in [
            "# database-url is not set",
            "data-dir = \"/elsewhere\"  # command line",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
    }
}

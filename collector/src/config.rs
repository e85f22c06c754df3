//! Settings of `serve`: command line over environment over file over default, and what is in effect.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde::Deserialize;
use thiserror::Error;
use toml::{Table, Value};

use crate::args::{Listen, ServeArgs};

/// What a configuration file may say; the names are those of the flags.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ConfigFile {
    database_url: Option<String>,
    data_dir: Option<PathBuf>,
    grpc: Option<String>,
    http: Option<String>,
    path: Option<Vec<String>>,
    segments: Option<String>,
    retention: Option<u16>,
    signing_key: Option<PathBuf>,
}

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
    #[error("configuration file {}: {name} = {value:?}: {reason}; correct it there", path.display())]
    Value {
        path: PathBuf,
        name: &'static str,
        value: String,
        reason: String,
    },
}

/// Where a setting comes from, by the command line's word for it.
#[derive(Debug)]
pub struct Sources<'a> {
    matches: &'a ArgMatches,
    file: Table,
}

impl Sources<'_> {
    fn of(&self, name: &str) -> &'static str {
        match self.matches.value_source(&name.replace('-', "_")) {
            Some(ValueSource::CommandLine) => "command line",
            Some(ValueSource::EnvVariable) => "environment",
            _ if self.file.contains_key(name) => "file",
            _ => "default",
        }
    }

    /// Whether the file's word counts.
    fn leaves(&self, name: &str) -> bool {
        matches!(self.of(name), "file" | "default")
    }
}

/// Fills in what the file says and nobody said otherwise.
///
/// # Errors
/// A file that cannot be read, or says what makes no sense.
pub fn with_file<'a>(
    args: &mut ServeArgs,
    matches: &'a ArgMatches,
) -> Result<Sources<'a>, ConfigError> {
    let Some(path) = args.config.clone() else {
        let file = Table::new();
        return Ok(Sources { matches, file });
    };
    let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Read {
        path: path.clone(),
        source,
    })?;
    let sources = Sources {
        matches,
        file: parse(&path, &text)?,
    };
    let file: ConfigFile = parse(&path, &text)?;
    let listen = |name: &'static str, value: String| -> Result<Listen, ConfigError> {
        value.parse().map_err(|reason| ConfigError::Value {
            path: path.clone(),
            name,
            value,
            reason,
        })
    };
    // One of the two places says where the database is, wherever it is said.
    let database = ["database-url", "data-dir"];
    if database.iter().all(|name| sources.leaves(name)) {
        args.database.database_url = file.database_url;
        args.database.data_dir = file.data_dir;
    }
    if args.database.database_url.is_some() && args.database.data_dir.is_some() {
        return Err(ConfigError::Value {
            path: path.clone(),
            name: "data-dir",
            value: "with database-url".to_owned(),
            reason: "a database of yours needs no data directory here".to_owned(),
        });
    }
    if let Some(value) = file.grpc.filter(|_| sources.leaves("grpc")) {
        args.grpc = listen("grpc", value)?;
    }
    if let Some(value) = file.http.filter(|_| sources.leaves("http")) {
        args.http = listen("http", value)?;
    }
    if let Some(names) = file.path.filter(|_| sources.leaves("path")) {
        args.path = names;
    }
    if let Some(value) = file.segments.filter(|_| sources.leaves("segments")) {
        let selection = value.parse();
        args.segments = Some(selection.map_err(
            |error: parallax_core::sampling::SelectionError| ConfigError::Value {
                path: path.clone(),
                name: "segments",
                value,
                reason: error.to_string(),
            },
        )?);
    }
    if let Some(days) = file.retention.filter(|_| sources.leaves("retention")) {
        if days == 0 {
            return Err(ConfigError::Value {
                path: path.clone(),
                name: "retention",
                value: "0".to_owned(),
                reason: "what is kept for no day is not kept; leave it out to keep everything"
                    .to_owned(),
            });
        }
        args.retention = Some(days);
    }
    if sources.leaves("signing-key") {
        args.signing.signing_key = args.signing.signing_key.take().or(file.signing_key);
    }
    Ok(sources)
}

/// The settings in effect, each with its source, as a configuration file that says the same. A password is not told.
pub fn tell(args: &ServeArgs, sources: &Sources<'_>, data_dir: Option<&Path>) -> String {
    let listen = |listen: Listen| Some(Value::from(listen.to_string()));
    let path = |path: &Path| Value::from(path.display().to_string());
    let lines = [
        (
            "database-url",
            args.database
                .database_url
                .as_deref()
                .map(|url| Value::from(without_password(url))),
        ),
        (
            "data-dir",
            match &args.database.database_url {
                Some(_) => None,
                None => args.database.data_dir.as_deref().or(data_dir).map(path),
            },
        ),
        ("grpc", listen(args.grpc)),
        ("http", listen(args.http)),
        ("path", Some(Value::from(args.path.clone()))),
        (
            "segments",
            args.segments
                .map(|segments| Value::from(segments.to_string())),
        ),
        (
            "retention",
            args.retention.map(|days| Value::from(i64::from(days))),
        ),
        ("signing-key", args.signing.signing_key.as_deref().map(path)),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a string does not fail.
        let _ = match value {
            Some(value) => writeln!(text, "{name} = {value}  # {}", sources.of(name)),
            None => writeln!(text, "# {name} is not set"),
        };
    }
    text
}

/// `postgres://USER:…@HOST` with dots for the password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, end) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user
                .split_once(':')
                .map_or_else(|| user.to_owned(), |(name, _)| format!("{name}:…"));
            format!("{scheme}://{user}@{host}{end}")
        }
        None => url.to_owned(),
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
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
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/collector.toml");

    /// What is told of a command line.
    fn told(line: &[&str]) -> Result<String, ConfigError> {
        let command = ServeArgs::augment_args(Command::new("serve"));
        let matches = command.get_matches_from([&["serve"], line].concat());
        let mut args = ServeArgs::from_arg_matches(&matches).unwrap();
        let sources = with_file(&mut args, &matches)?;
        Ok(tell(&args, &sources, Some(Path::new("/data"))))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_command_line_goes_before_the_file_and_the_file_before_the_default() {
        let file = file("http = '127.0.0.1:80'\ngrpc = ''\npath = ['a', 'b']\nretention = 9\n");
        let path = file.path().to_str().unwrap();
        let text = told(&["--config", path, "--http", "127.0.0.1:81"]).unwrap();
        for line in [
            "http = \"127.0.0.1:81\"  # command line",
            "grpc = \"\"  # file",
            "path = [\"a\", \"b\"]  # file",
            "retention = 9  # file",
            "data-dir = \"/data\"  # default",
            "# segments is not set",
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
    fn a_password_is_not_told() {
        assert_eq!(
            without_password("postgres://parallax:secret@192.0.2.9/parallax"),
            "postgres://parallax:…@192.0.2.9/parallax"
        );
        assert_eq!(
            without_password("postgres:///parallax"),
            "postgres:///parallax"
        );
    }
}

//! The commands of README.md and docs/*.md, as a reader would type them.
//!
//! Fenced blocks of `sh` are run against a live collector, line by line, in a folder of their own; what runs without
//! end (`serve`, agents, `watch`, `top`) and indented commands are read by the program's own parser (`--help` at their end
//! is answered only if everything before it is right). A block below `<!-- not run: reason -->` is only read.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{Stage, forged};

const PROGRAMS: [&str; 3] = ["parallax", "parallax-agent", "parallax-collector"];
/// A public key that nobody has.
const SOME_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A command of a document.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    run: bool,
}

pub fn every_command(stage: &mut Stage) -> Result<()> {
    let id = forged(&stage.collector.url)?.context("no reset")?;
    let folder = tempfile::tempdir()?;
    let reader = Reader {
        bin: stage
            .programs
            .cli()
            .parent()
            .context("a program lies in a folder")?
            .to_owned(),
        folder: folder.path().to_owned(),
        url: stage.collector.url.clone(),
        id,
    };
    ensure!(
        reader.parse("parallax resets --sinse 1h").is_err()
            && reader
                .parse("parallax-agent run --vantage a --interfaces eth0")
                .is_err()
            && reader
                .parse("parallax-collector serve --grpc nonsense")
                .is_err()
            && reader.run("parallax resets --port 70000").is_err(),
        "a wrong command is not noticed"
    );
    let mut failed = Vec::new();
    let (mut run, mut read) = (0, 0);
    for document in documents()? {
        let text = std::fs::read_to_string(&document)?;
        for line in commands(&text) {
            let outcome = if line.run && !is_endless(&line.text) {
                run += 1;
                reader.run(&line.text)
            } else {
                read += 1;
                reader.parse(&line.text)
            };
            if let Err(error) = outcome {
                failed.push(format!("{}: {error:#}", document.display()));
            }
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    // Not: none was found.
    ensure!(run >= 10 && read >= 20, "{run} run, {read} read");
    Ok(())
}

fn documents() -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the repository")?;
    let mut all = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "md") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// All lines of fenced `sh` blocks, and the programs' commands in indented ones.
fn commands(text: &str) -> Vec<Line> {
    let mut found = Vec::new();
    let mut fence: Option<bool> = None;
    let mut not_run = false;
    let mut begun = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fence = match fence {
                None if line.trim_end() == "```sh" => Some(!not_run),
                _ => None,
            };
            not_run = false;
            continue;
        }
        if line.starts_with("<!-- not run: ") {
            not_run = true;
        }
        let (body, run) = match (fence, line.strip_prefix("    ")) {
            (Some(run), _) => (line, run),
            (None, Some(body)) => (body, false),
            (None, None) => continue,
        };
        begun.push_str(body.trim());
        if begun.ends_with('\\') {
            begun.pop();
            continue;
        }
        let text = std::mem::take(&mut begun);
        let text = text.trim_start_matches("$ ").trim();
        let ours = text
            .split_whitespace()
            .next()
            .is_some_and(|word| PROGRAMS.contains(&word));
        if !text.is_empty() && (ours || run) {
            found.push(Line {
                text: text.to_owned(),
                run,
            });
        }
    }
    found
}

fn is_endless(command: &str) -> bool {
    [
        "parallax-agent run",
        "parallax-collector serve",
        "parallax watch",
        "parallax top",
    ]
    .iter()
    .any(|endless| command.starts_with(endless))
}

struct Reader {
    bin: PathBuf,
    folder: PathBuf,
    url: String,
    id: String,
}

impl Reader {
    fn shell(&self, script: &str) -> Result<()> {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("timeout")
            .args(["20", "sh", "-c", script])
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", self.bin.display()))
            .env("PARALLAX_COLLECTOR", &self.url)
            .env("PARALLAX_DATA_DIR", self.folder.join("data"))
            .output()
            .context("starting a shell")?;
        ensure!(
            output.status.success(),
            "{script}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// With what stands for something in place of it.
    fn filled(&self, command: &str) -> String {
        let words = command.split(' ').filter(|word| *word != "…");
        let words = words.map(|word| match word {
            "ID" => self.id.clone(),
            "plxe_…" => format!("plxe_{}_{}", "1f".repeat(24), "2e".repeat(32)),
            word => word.replace("OUR_KEY,THEIR_KEY", SOME_KEY),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn run(&self, command: &str) -> Result<()> {
        self.shell(&self.filled(command))
    }

    /// Only whether the program takes it.
    fn parse(&self, command: &str) -> Result<()> {
        let command = self.filled(command);
        let first = command.split_whitespace().next().unwrap_or_default();
        if !PROGRAMS.contains(&first) {
            return Ok(());
        }
        let ends = [" #", " | ", " > ", " || ", " && "];
        let end = ends.iter().filter_map(|end| command.find(end)).min();
        let command = command[..end.unwrap_or(command.len())].trim();
        self.shell(&format!("{command} --help > /dev/null"))
    }
}

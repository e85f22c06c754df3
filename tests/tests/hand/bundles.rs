//! Two companies compare what they saw, without exchanging captures.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parallax_core::report::{Document, Explanation, Origin, ResetReport};
use parallax_tests::analysis::Order;
use parallax_tests::programs::{Programs, wait_for};
use parallax_tests::replay::{Collector, feed_of};

use crate::Stage;

/// Those on the server's side of the firewall.
const THEIRS: [&str; 2] = ["fw-out", "server"];

/// One company: its collector, and the reset that it exports.
struct Company {
    collector: Collector,
    reset: ResetReport,
    public_key: String,
}

impl Company {
    /// With those vantages only, and the reset that goes from the server, or to it.
    fn new(
        stage: &Stage,
        captures: &Path,
        which: impl Fn(&str) -> bool,
        from_server: bool,
    ) -> Result<Self> {
        let collector = Collector::start(&stage.programs, Order::Inferred)?;
        feed_of(&stage.programs, captures, &collector.url, which)?;
        let reset = wait_for(Duration::from_secs(20), || {
            let found: Document = ureq::get(format!("{}/v1/resets", collector.url))
                .call()?
                .body_mut()
                .read_json()?;
            let mut resets = found.resets.into_iter();
            Ok(resets.find(|reset| (reset.dport > reset.sport) == from_server))
        })?;
        let key: serde_json::Value = ureq::get(format!("{}/v1/key", collector.url))
            .call()?
            .body_mut()
            .read_json()?;
        let public_key = key["public_key"].as_str().context("no public key")?;
        let printed = Command::new(stage.programs.collector())
            .arg("key")
            .arg("--data-dir")
            .arg(collector.data())
            .output()?;
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        ensure!(printed.trim() == public_key, "{printed} and {public_key}");
        Ok(Self {
            reset: reset.context("no reset was judged")?,
            public_key: public_key.to_owned(),
            collector,
        })
    }

    fn export(&self, programs: &Programs, key: &Path, to: &Path) -> Result<()> {
        let output = Command::new(programs.cli())
            .args(["export", &self.reset.id.to_string()])
            .args(["--format", "bundle", "--collector", &self.collector.url])
            .arg("--key-file")
            .arg(key)
            .arg("-o")
            .arg(to)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "export: {said}");
        Ok(())
    }
}

/// Alone the client's company cannot tell whether the firewall or somebody behind it did it; with what the
/// server's recorded it can.
pub fn two_companies(stage: &mut Stage) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("shared.key"), "a key that two companies share")?;
    std::fs::write(file("other.key"), "a key that nobody else knows of")?;
    let us = Company::new(
        stage,
        &stage.talking(),
        |name| !THEIRS.contains(&name),
        true,
    )?;
    let them = Company::new(
        stage,
        &stage.talking(),
        |name| THEIRS.contains(&name),
        false,
    )?;
    let between = us.reset.between.as_ref();
    ensure!(
        between.is_none_or(|[from, _]| from.is_none()),
        "we alone tell where: {:?}",
        us.reset
    );
    ensure!(them.reset.origin != Origin::Middlebox, "{:?}", them.reset);
    let (ours, theirs) = (file("ours"), file("theirs"));
    us.export(&stage.programs, &file("shared.key"), &ours)?;
    them.export(&stage.programs, &file("shared.key"), &theirs)?;
    let compare = Compare {
        programs: &stage.programs,
        ours: ours.clone(),
        theirs: theirs.clone(),
    };
    told(&compare, &us, &them, &file("shared.key"))?;
    disclosed(&us, &ours)?;
    refused(&compare, &us, &them, folder.path())?;
    silent(stage, &file("shared.key"))?;
    them.export(&stage.programs, &file("other.key"), &theirs)?;
    compare.refused(&[], "different keys")
}

/// Whose vantages saw no reset of the connection hands over what they saw of it; its silence tells where the reset was
/// born.
fn silent(stage: &Stage, key: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let captures = stage.captures();
    let us = Company::new(stage, &captures, |name| !THEIRS.contains(&name), true)?;
    us.export(&stage.programs, key, &ours)?;
    let collector = Collector::start(&stage.programs, Order::Inferred)?;
    feed_of(&stage.programs, &captures, &collector.url, |name| {
        THEIRS.contains(&name)
    })?;
    let bundle = |ends: [String; 2]| {
        let mut command = Command::new(stage.programs.cli());
        command
            .arg("bundle")
            .args(ends)
            .args(["--at", &us.reset.time.to_string(), "--key-file"])
            .arg(key)
            .arg("-o")
            .arg(&theirs)
            .args(["--collector", &collector.url]);
        command.output().context("starting parallax bundle")
    };
    let output = bundle([
        format!("{}:{}", us.reset.src, us.reset.sport),
        format!("{}:{}", us.reset.dst, us.reset.dport),
    ])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "bundle: {said}");
    let opened = parallax_bundle::sealed::open(&std::fs::read(&theirs)?)?;
    ensure!(
        opened.body.reset.is_none() && opened.body.connection.is_some(),
        "it saw a reset"
    );
    let compare = |ours: &Path, theirs: &Path| Compare {
        programs: &stage.programs,
        ours: ours.to_owned(),
        theirs: theirs.to_owned(),
    };
    // Whoever is named first.
    for (both, between) in [
        (compare(&ours, &theirs), ["theirs:fw-out", "ours:fw-in"]),
        (compare(&theirs, &ours), ["ours:fw-out", "theirs:fw-in"]),
    ] {
        let output = both.run(&["--format", "json"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "compare: {said}");
        let told: Explanation = serde_json::from_slice(&output.stdout)?;
        let found = told.reset.between.clone().unwrap_or_default();
        ensure!(
            found.map(Option::unwrap_or_default) == between,
            "{}",
            told.sentence
        );
    }
    let text = compare(&ours, &theirs).run(&[])?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    ensure!(text.contains("theirs alone: saw no reset of it"), "{text}");
    let none = compare(&theirs, &theirs).run(&[])?;
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    ensure!(
        !none.status.success() && said.contains("neither bundle tells of a reset"),
        "{said}"
    );
    let output = bundle(["192.0.2.1:1", "192.0.2.2:2"].map(ToOwned::to_owned))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        !output.status.success() && said.contains("recorded anything"),
        "{said}"
    );
    Ok(())
}

struct Compare<'a> {
    programs: &'a Programs,
    ours: PathBuf,
    theirs: PathBuf,
}

impl Compare<'_> {
    fn run(&self, more: &[&str]) -> Result<Output> {
        Command::new(self.programs.cli())
            .arg("compare")
            .args([&self.ours, &self.theirs])
            .args(more)
            .output()
            .context("starting parallax compare")
    }

    /// Exit status 3, and one line that says why.
    fn refused(&self, more: &[&str], why: &str) -> Result<()> {
        let output = self.run(more)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(3) && said.contains(why) && said.lines().count() == 1,
            "{why}: {} {said}",
            output.status
        );
        Ok(())
    }
}

fn told(compare: &Compare<'_>, us: &Company, them: &Company, key: &Path) -> Result<()> {
    let trust = format!("{},{}", us.public_key, them.public_key);
    let key = key.to_str().context("a path of text")?;
    let output = compare.run(&["--format", "json", "--trust", &trust, "--key-file", key])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    let both: Explanation = serde_json::from_slice(&output.stdout)?;
    let between = both.reset.between.clone().unwrap_or_default();
    let between = between.map(Option::unwrap_or_default);
    ensure!(
        both.reset.origin == Origin::Middlebox
            && between == ["theirs:fw-out", "ours:fw-in"]
            && both.reset.confidence > 0.95,
        "{}",
        both.sentence
    );
    let output = compare.run(&["--exit-code"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.code() == Some(10), "{}", output.status);
    let signed = format!("signed by {}", them.public_key);
    for words in [
        "theirs:fw-out",
        "ours alone:",
        "theirs alone:",
        &signed,
        "--trust",
    ] {
        ensure!(text.contains(words), "{words} is not in {text}");
    }
    Ok(())
}

/// No address and no port but as pseudonyms.
fn disclosed(us: &Company, ours: &Path) -> Result<()> {
    let text = std::fs::read_to_string(ours)?;
    for hidden in [us.reset.src.to_string(), us.reset.dst.to_string()] {
        ensure!(!text.contains(&hidden), "{hidden} is told");
    }
    for port in [us.reset.sport, us.reset.dport] {
        let told = format!("\"port\":{port}");
        ensure!(!text.contains(&told), "port {port} is told");
    }
    Ok(())
}

fn refused(compare: &Compare<'_>, us: &Company, them: &Company, folder: &Path) -> Result<()> {
    let whole = std::fs::read_to_string(&compare.theirs)?;
    let with = |text: &str| {
        let theirs = folder.join("damaged");
        std::fs::write(&theirs, text)?;
        anyhow::Ok(Compare {
            programs: compare.programs,
            ours: compare.ours.clone(),
            theirs,
        })
    };
    with(&whole.replacen("\"ttl\":6", "\"ttl\":5", 1))?.refused(&[], "altered")?;
    with(&whole.replace(&them.public_key, &us.public_key))?.refused(&[], "altered")?;
    with(&whole[..whole.len() - 9])?.refused(&[], "cut")?;
    with(&whole[..whole.len() / 2])?.refused(&[], "cut")?;
    with("")?.refused(&[], "cut")?;
    compare.refused(&["--trust", &us.public_key], &them.public_key)?;
    let other = folder.join("other.key");
    let other = other.to_str().context("a path of text")?;
    compare.refused(&["--key-file", other], "another key")
}

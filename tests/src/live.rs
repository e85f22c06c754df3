//! A whole run: every act before live agents, with the verdicts and the captures kept.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use parallax_core::report::Document;
use serde::{Deserialize, Serialize};

use crate::lab::Lab;
use crate::programs::{Programs, wait_for};
use crate::scenario::{Act, acts};
use crate::service::Service;
use crate::truth::compare;

/// What a run leaves behind beside the captures, as `run.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    pub acts: Vec<Played>,
    /// Everything the collector said at the end.
    pub document: Document,
    /// What a second agent said that was started under a vantage's name, and its exit status.
    pub twin: (String, Option<i32>),
}

/// When an act was played, and what was wrong with the verdicts on it at its deadline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Played {
    pub name: String,
    /// Nanoseconds since the Unix epoch.
    pub from: i64,
    pub to: i64,
    pub wrong: Vec<String>,
}

/// The file with a [`Run`] in a run's folder.
pub const RUN_FILE: &str = "run.json";

/// How long verdicts may take to come right after an act has ended.
const DEADLINE: Duration = Duration::from_secs(8);

/// Plays every act whose name contains `only` and keeps everything in `folder`.
pub fn run(folder: &Path, only: &str) -> Result<Run> {
    prepare(folder)?;
    let lab = Lab::raise().context("raising the lab")?;
    let mut service = Service::start(lab.site(), Programs::beside_this_one()?, folder)?;
    let mut played = Vec::new();
    for act in acts().iter().filter(|act| act.name().contains(only)) {
        let outcome = play(&lab, &mut service, act)?;
        println!("{}", line(&outcome));
        played.push(outcome);
    }
    let twin = service.twin(folder)?;
    service.stop_agents()?;
    let document = service.resets()?;
    service.stop()?;
    let run = Run {
        acts: played,
        document,
        twin,
    };
    let file = folder.join(RUN_FILE);
    std::fs::write(&file, serde_json::to_vec_pretty(&run)?)
        .with_context(|| format!("writing {}", file.display()))?;
    Ok(run)
}

fn prepare(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("clearing {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
}

fn play(lab: &Lab, service: &mut Service, act: &Act) -> Result<Played> {
    let from = now();
    act.play(lab)?;
    let to = now();
    let mut wrong = Vec::new();
    wait_for(DEADLINE, || {
        service.check()?;
        wrong = compare(act, &service.resets_at(act.port)?.resets);
        Ok(wrong.is_empty().then_some(()))
    })?;
    Ok(Played {
        name: act.name(),
        from,
        to,
        wrong,
    })
}

fn line(played: &Played) -> String {
    if played.wrong.is_empty() {
        format!("right  {}", played.name)
    } else {
        format!(
            "WRONG  {}\n       {}",
            played.name,
            played.wrong.join("\n       ")
        )
    }
}

/// Now, in nanoseconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the lab notes when it played what"
)]
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64)
}

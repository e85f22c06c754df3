//! Networks raised and played, each in an enclosure of its own.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use parallax_core::report::Document;
use serde::{Deserialize, Serialize};

use super::compare::{Hosts, compare};
use super::play::Play;
use super::standing::Standing;
use super::truth::Truth;
use super::{Network, all, witness};
use crate::enclosure::Enclosed;
use crate::programs::{Programs, wait_for};
use crate::recorder::Recording;
use crate::service::Service;
use crate::traffic::pause;

/// The file in a network's folder that says what was done.
pub const TRUTH_FILE: &str = "truth.json";
/// The file in a network's folder with the live verdicts.
pub const LIVE_FILE: &str = "live.json";

/// How many networks stand at the same time.
const AT_ONCE: usize = 3;
/// How long live verdicts may take to come right after a story has ended.
const DEADLINE: Duration = Duration::from_secs(6);

/// Who watches beside the recorders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watchers {
    RecordersOnly,
    /// Agents and a collector too.
    Live,
}

/// What live agents and a collector made of a network.
#[derive(Debug, Serialize, Deserialize)]
pub struct Live {
    pub document: Document,
    /// What was wrong with it at the deadline.
    pub wrong: Vec<String>,
}

/// The networks whose name contains a word; the whole name names one alone. Those that only a kernel witness can
/// judge are never among them unless they are named.
pub fn named(only: &str) -> Vec<Network> {
    if only.is_empty() {
        return all();
    }
    let every = [all(), witness::ALL.to_vec()].concat();
    let exactly = every.iter().filter(|network| network.name == only);
    let exactly: Vec<_> = exactly.copied().collect();
    if !exactly.is_empty() {
        return exactly;
    }
    let contains = |network: &Network| network.name.contains(only);
    every.into_iter().filter(contains).collect()
}

/// Plays networks, some at the same time, each in this program started again in an enclosure.
pub fn play_all(networks: &[Network], out: &Path, watchers: Watchers) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(network) = networks.get(next.fetch_add(1, Ordering::Relaxed)) {
            play_enclosed(network, out, watchers)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_panic| anyhow!("a worker failed"))?)
    })
}

fn play_enclosed(network: &Network, out: &Path, watchers: Watchers) -> Result<()> {
    let folder = out.join(network.name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("clearing {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let log = folder.join("play.log");
    let mut arguments: Vec<OsString> = ["play-network", network.name, "--out"]
        .map(OsString::from)
        .to_vec();
    arguments.push(folder.into());
    if watchers == Watchers::Live {
        arguments.push("--live".into());
    }
    let output = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
    let status = Enclosed::start(&arguments, Stdio::from(output))?.wait()?;
    ensure!(
        status.success(),
        "playing {} ended with {status}",
        network.name
    );
    Ok(())
}

/// Raises one network, plays it, and keeps what was seen and what was done in a folder. The caller
/// must be inside an enclosure.
pub fn play(network: &Network, folder: &Path, watchers: Watchers) -> Result<()> {
    let net = Standing::raise((network.plan)()?).context("raising the network")?;
    let mut service = match watchers {
        Watchers::RecordersOnly => None,
        Watchers::Live => {
            let logs = folder.join("live");
            std::fs::create_dir_all(&logs).context("making a folder")?;
            let programs = Programs::beside_this_one()?;
            Some(Service::start(net.site()?, programs, &logs)?)
        }
    };
    let recording = Recording::start(&net.site()?, folder)?;
    let truth = tell(network, &net).with_context(|| format!("playing {}", network.name))?;
    pause(100);
    recording.finish()?;
    write(&folder.join(TRUTH_FILE), &truth)?;
    if let Some(service) = &mut service {
        write(&folder.join(LIVE_FILE), &await_verdicts(service, &truth)?)?;
    }
    service.map_or(Ok(()), Service::stop)
}

fn tell(network: &Network, net: &Standing) -> Result<Truth> {
    let mut play = Play::begin(net, network.name, network.story)?;
    let frame = |play: &Play| {
        network
            .frame
            .iter()
            .try_for_each(|call| play.ordinary(call))
    };
    frame(&play).context("the connections before")?;
    (network.play)(&mut play)?;
    pause(100);
    frame(&play).context("the connections after")?;
    Ok(play.truth)
}

fn await_verdicts(service: &mut Service, truth: &Truth) -> Result<Live> {
    let mut last = None;
    wait_for(DEADLINE, || {
        service.check()?;
        let document = service.resets()?;
        let wrong = compare(truth, &document.resets, Hosts::Told);
        let right = wrong.is_empty();
        last = Some(Live { document, wrong });
        Ok(right.then_some(()))
    })?;
    last.context("the collector was never asked")
}

fn write(file: &Path, value: &impl Serialize) -> Result<()> {
    std::fs::write(file, serde_json::to_vec_pretty(value)?)
        .with_context(|| format!("writing {}", file.display()))
}

//! Disks that are full: nothing that was acknowledged is lost, and what finds no room is counted.

use std::collections::HashSet;
use std::io::Write as _;

use anyhow::{Context, Result, ensure};
use parallax_core::report::Side;
use parallax_core::{LossCause, LossOf};

use super::{PATIENCE, Stage, data_dir, disk, seen, state_dir};
use crate::lab::{Family, address};
use crate::programs::wait_for;
use crate::service;
use crate::traffic::pause;

const SERVER: &str = "server";

/// The collector is away, and the disk under the agent's state directory is smaller than its spool may be.
pub fn spool(stage: &mut Stage<'_>) -> Result<()> {
    disk(&state_dir(SERVER), "size=256k")?;
    let lab = stage.lab;
    let host = address(Side::Server, Family::V4).to_string();
    let little = ["--outbox=1024", "--spool-disk=64", "--host", &host];
    stage.start_agent(SERVER, (&lab.server, "eth0"), &little)?;
    stage.kill_collector()?;
    let ports = 4000..8000;
    stage.knock(ports.clone())?;
    stage.hear(SERVER, "cannot write to")?;
    stage.start_collector()?;
    stage.await_connected(SERVER)?;
    // The client's agent has room: every reset has a verdict, and is missing at the server only where that is counted.
    stage.await_resets(&ports, |reset| seen(reset, "client"))?;
    let mut told = (0, 0);
    let whole = wait_for(PATIENCE, || {
        let resets = stage.resets(&ports)?;
        let seen: HashSet<u16> = resets
            .iter()
            .filter(|reset| seen(reset, SERVER))
            .map(|reset| reset.dport)
            .collect();
        let losses = stage.losses(SERVER)?.into_iter().map(|at| at.loss);
        let spool = losses.filter(|loss| loss.cause == LossCause::Spool);
        let resets = spool.filter(|loss| loss.of == LossOf::Resets);
        let lost: u64 = resets.filter_map(|loss| loss.count).sum();
        told = (seen.len() as u64, lost);
        Ok((told.0 + told.1 == ports.len() as u64).then_some(()))
    })?;
    whole.with_context(|| format!("{} resets came, {} are counted as lost", told.0, told.1))?;
    ensure!(told.1 > 0, "the disk was not full");
    println!(
        "       {} resets came, {} are counted as lost",
        told.0, told.1
    );
    Ok(())
}

/// The database's disk is full while agents send, then has room again.
pub fn database(stage: &mut Stage<'_>) -> Result<()> {
    let filler = data_dir().join("filler");
    fill(&filler)?;
    let ports = 10_000..11_000;
    stage.knock(ports.clone())?;
    let refused = wait_for(PATIENCE, || {
        let metrics = service::get(&stage.lab.management, "/metrics").unwrap_or_default();
        let down = metrics.lines().any(|line| line == "parallax_database_up 0");
        let failures = metrics.lines().find_map(|line| {
            line.strip_prefix("parallax_store_failures_total ")?
                .parse::<f64>()
                .ok()
        });
        // Until then room that tables have already may do.
        let more = failures.unwrap_or(0.0) > 0.0 || down;
        if !more {
            fill(&filler)?;
        }
        Ok(more.then_some(()))
    })?;
    refused.context("a full disk is not to be seen in the metrics")?;
    pause(3000);
    for vantage in ["client", SERVER, "tap"] {
        stage.agent(vantage)?.check()?;
    }
    std::fs::remove_file(&filler).context("making room")?;
    // The spool of `server` is small.
    stage.await_resets(&ports, |reset| seen(reset, "client") && seen(reset, "tap"))?;
    let said = stage.collector.as_ref().map(super::Running::said);
    let said = said.unwrap_or_default();
    ensure!(
        said.contains("No space left on device") || said.contains("PostgreSQL ended"),
        "the collector's log does not say why: {said}"
    );
    Ok(())
}

/// Takes all that is left.
fn fill(filler: &std::path::Path) -> Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(filler)
        .context("filling the disk")?;
    for size in [1 << 20, 4096] {
        let octets = vec![0; size];
        while file.write_all(&octets).is_ok() {}
    }
    Ok(())
}

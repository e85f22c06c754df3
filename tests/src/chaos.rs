//! Faults at random under load: whatever is killed, stopped or cut, every RST that crossed a live agent's tap
//! ends as one reset with one verdict, and each such agent saw it or has counted its loss.
//!
//! The truth is known by construction: every connection has ports of its own, so its 4-tuple names its RST,
//! and the lab knows which agents were alive when it was sent.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::programs::Programs;

mod check;
mod faults;
pub(crate) mod load;
mod world;

use check::Tally;
use faults::Plan;
use load::Load;
use world::World;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub rounds: u32,
    /// The same seed gives the same faults.
    pub seed: u64,
    /// The longest outage of the database.
    pub database: Duration,
    /// The longest cut of a link.
    pub link: Duration,
}

/// How long what was kept back may take to arrive in the end.
const PATIENCE: Duration = Duration::from_mins(2);

/// Wrongs that are printed.
const SHOWN: usize = 40;

/// Plays faults under load and holds the outcome against what was sent.
pub fn run(folder: &Path, extent: Extent) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    println!("seed {}", extent.seed);
    let lab = Lab::raise().context("raising the lab")?;
    let mut world = World::start(&lab, Programs::beside_this_one()?, folder)?;
    let load = Load::start(&lab)?;
    for (round, fault) in Plan::new(extent).enumerate() {
        println!("round {}: {fault}", round + 1);
        world.suffer(fault)?;
        world.revive(&fault)?;
        world.check()?;
    }
    let sent = load.stop()?;
    ensure!(!sent.is_empty(), "no RST was sent");
    let tally = await_all(&mut world, &sent)?;
    println!("{tally}");
    for wrong in tally.wrong.iter().take(SHOWN) {
        println!("  {wrong}");
    }
    world.stop()?;
    ensure!(
        tally.wrong.is_empty(),
        "{} of {} RSTs went wrong",
        tally.wrong.len(),
        tally.sent
    );
    Ok(())
}

/// Looks until nothing is wrong any more, or patience ends.
fn await_all(world: &mut World<'_>, sent: &[load::Sent]) -> Result<Tally> {
    const STEP: Duration = Duration::from_secs(2);
    let mut waited = Duration::ZERO;
    loop {
        world.check()?;
        let tally = check::hold(sent, world)?;
        if tally.wrong.is_empty() || waited >= PATIENCE {
            println!("looked for {} s after the last fault", waited.as_secs());
            return Ok(tally);
        }
        std::thread::sleep(STEP);
        waited += STEP;
    }
}

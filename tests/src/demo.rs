//! The demo: live traffic, a table of verdicts, and one of them explained.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parallax_core::report::{Origin, ResetReport};

use crate::enclosure::SCRATCH;
use crate::lab::{Family, Lab, VANTAGES};
use crate::programs::{Programs, wait_for};
use crate::scenario::{Act, acts};
use crate::service::Service;
use crate::truth::{compare, of_act};

/// What the demo plays, in this order.
const PROGRAMME: [(&str, Family); 7] = [
    ("ordinary", Family::V4),
    ("closed_port", Family::V4),
    ("abort_unread_data", Family::V6),
    ("abort_linger", Family::V4),
    ("reject_syn", Family::V6),
    ("reject_content_server_talks", Family::V4),
    ("inject_both_ways", Family::V4),
];

/// The act whose first reset is explained.
const EXPLAINED: &str = "inject_both_ways-v4";

/// How long verdicts may take to come right after the last act.
const DEADLINE: Duration = Duration::from_secs(10);

/// Raises lab and service, plays, prints; an error when a verdict is wrong.
pub fn run() -> Result<()> {
    let folder = Path::new(SCRATCH).join("demo");
    std::fs::create_dir_all(&folder).context("making the demo's folder")?;
    println!("client ── gateway ── firewall ── server: raising the network");
    let lab = Lab::raise().context("raising the lab")?;
    println!(
        "starting a collector with its own Postgres, and {} agents",
        VANTAGES.len()
    );
    let mut service = Service::start(lab.site(), Programs::beside_this_one()?, &folder)?;
    let programme = programme();
    for act in &programme {
        println!("  {:<3} {}", act.family.as_str(), act.scenario.story);
        act.play(&lab)?;
        service.check()?;
    }
    println!("waiting for the verdicts");
    let (resets, wrong) = verdicts(&mut service, &programme)?;
    println!();
    show(&service, &["resets"])?;
    if let Some(id) = explained(&programme, &resets) {
        println!("\nOne of the injected resets, explained:\n");
        show(&service, &["explain", &id])?;
    }
    service.stop()?;
    ensure!(
        wrong.is_empty(),
        "verdicts that differ from what was done:\n  {}",
        wrong.join("\n  ")
    );
    println!("\nAll {} verdicts are what was done.", resets.len());
    Ok(())
}

fn programme() -> Vec<Act> {
    let all = acts();
    PROGRAMME
        .iter()
        .filter_map(|(name, family)| {
            all.iter()
                .find(|act| act.scenario.name == *name && act.family == *family)
                .copied()
        })
        .collect()
}

/// Waits until all verdicts are right; returns the last ones and what is still wrong with them.
fn verdicts(service: &mut Service, programme: &[Act]) -> Result<(Vec<ResetReport>, Vec<String>)> {
    let (mut resets, mut wrong) = (Vec::new(), Vec::new());
    wait_for(DEADLINE, || {
        service.check()?;
        resets = service.resets()?.resets;
        wrong = programme
            .iter()
            .flat_map(|act| {
                let name = act.name();
                compare(act, &resets)
                    .into_iter()
                    .map(move |difference| format!("{name}: {difference}"))
            })
            .collect();
        Ok(wrong.is_empty().then_some(()))
    })?;
    Ok((resets, wrong))
}

fn explained(programme: &[Act], resets: &[ResetReport]) -> Option<String> {
    let act = programme.iter().find(|act| act.name() == EXPLAINED)?;
    of_act(act, resets)
        .into_iter()
        .find(|reset| reset.origin == Origin::Middlebox)
        .map(|reset| reset.id.to_string())
}

/// Prints what the command line program says.
fn show(service: &Service, arguments: &[&str]) -> Result<()> {
    let status = service
        .cli(arguments)
        .status()
        .context("starting parallax")?;
    ensure!(
        status.success(),
        "parallax {} failed ({status})",
        arguments.join(" ")
    );
    Ok(())
}

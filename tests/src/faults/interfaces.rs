//! An interface that is down, gets another name, and goes away. It is a mirror port's: what passes goes on passing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parallax_core::report::ResetReport;
use parallax_core::{LossCause, Strength};

use super::{PATIENCE, Stage, seen};
use crate::lab::{Family, address};
use crate::namespace::{Namespace, run};
use crate::programs::wait_for;
use crate::traffic::pause;
use parallax_core::report::Side;

const TAP: &str = "tap";

pub fn play(stage: &mut Stage<'_>) -> Result<()> {
    let tap = Namespace::create(TAP)?;
    manage(stage, &tap)?;
    mirror(stage)?;
    let lab = stage.lab;
    let client = address(Side::Client, Family::V4).to_string();
    stage.start_agent("client", (&lab.client, "eth0"), &["--host", &client])?;
    stage.start_agent(TAP, (&tap, "tap0"), &["--promiscuous"])?;
    stage.knock(2000..2005)?;
    stage.await_resets(&(2000..2005), |reset| seen(reset, TAP))?;
    down(stage, &tap)?;
    renamed(stage, &tap)?;
    gone(stage, &tap)
}

/// A way to the collector.
fn manage(stage: &Stage<'_>, tap: &Namespace) -> Result<()> {
    let link = [
        "link",
        "add",
        "mgmt0",
        "netns",
        TAP,
        "type",
        "veth",
        "peer",
        "name",
        "to-tap",
        "netns",
        "management",
    ];
    run("ip", &link)?;
    let hub = &stage.lab.management;
    hub.ip(&["link", "set", "to-tap", "master", "hub", "up"])?;
    tap.ip(&["addr", "add", "10.255.0.99/24", "dev", "mgmt0"])?;
    tap.ip(&["link", "set", "mgmt0", "up"])
}

/// A bridge that forgets every address at once sends everything to every port.
fn mirror(stage: &Stage<'_>) -> Result<()> {
    let switch = &stage.lab.switch;
    switch.ip(&["link", "set", "near", "type", "bridge", "ageing_time", "0"])?;
    plug(stage)
}

fn plug(stage: &Stage<'_>) -> Result<()> {
    let link = [
        "link", "add", "tap0", "netns", TAP, "type", "veth", "peer", "name", "mirror", "netns",
        "switch",
    ];
    run("ip", &link)?;
    let switch = &stage.lab.switch;
    switch.ip(&["link", "set", "mirror", "master", "near", "up"])?;
    run("ip", &["-n", TAP, "link", "set", "tap0", "up"])
}

/// Whether silence of the tap is held to mean that nothing passed.
fn attested(reset: &ResetReport) -> bool {
    let mut absent = reset.absent_at.iter();
    absent.any(|absence| absence.vantage == TAP && absence.attested)
}

fn down(stage: &mut Stage<'_>, tap: &Namespace) -> Result<()> {
    tap.ip(&["link", "set", "tap0", "down"])?;
    stage.hear(TAP, "tap0 is down: what passes there is not seen")?;
    stage.knock(2010..2015)?;
    pause(500);
    tap.ip(&["link", "set", "tap0", "up"])?;
    stage.hear(TAP, "tap0 was down for")?;
    stage.knock(2020..2025)?;
    stage.await_resets(&(2020..2025), |reset| seen(reset, TAP))?;
    stage.await_resets(&(2010..2015), |reset| {
        !seen(reset, TAP) && !attested(reset) && seen(reset, "client")
    })?;
    let told = wait_for(PATIENCE, || {
        let losses = stage.losses(TAP)?;
        let outage = losses
            .into_iter()
            .map(|at| at.loss)
            .find(|loss| loss.cause == LossCause::Interface && loss.strength == Strength::Certain);
        Ok(outage)
    })?;
    let told = told.context("the outage is no loss")?;
    ensure!(told.detail.as_deref() == Some("tap0 was down"), "{told:?}");
    let vantages = stage.cli(&["vantages"])?;
    ensure!(
        vantages.contains("certain loss at tap: its interface dropped packets or was down"),
        "{vantages}"
    );
    flap(stage, tap)
}

/// Down and up between two beats: the moment counts as an outage too.
fn flap(stage: &mut Stage<'_>, tap: &Namespace) -> Result<()> {
    let outages = |stage: &Stage<'_>| -> Result<usize> {
        let losses = stage.losses(TAP)?;
        let interface = |at: &&parallax_core::report::LossAt| at.loss.cause == LossCause::Interface;
        Ok(losses.iter().filter(interface).count())
    };
    let before = outages(stage)?;
    run("ip", &["-n", TAP, "link", "set", "tap0", "down"])?;
    tap.ip(&["link", "set", "tap0", "up"])?;
    let more = wait_for(PATIENCE, || Ok((outages(stage)? > before).then_some(())))?;
    more.context("an interface that was down for a moment was not noticed")
}

/// Under way (Linux 6.2 and later); to libpcap an interface that is renamed while it is down is gone.
fn renamed(stage: &mut Stage<'_>, tap: &Namespace) -> Result<()> {
    tap.ip(&["link", "set", "tap0", "name", "lan0"])?;
    stage.hear(TAP, "interface tap0 is called lan0 from now on")?;
    pause(500);
    stage.knock(2030..2035)?;
    stage.await_resets(&(2030..2035), |reset| seen(reset, TAP))?;
    Ok(())
}

fn gone(stage: &mut Stage<'_>, tap: &Namespace) -> Result<()> {
    tap.ip(&["link", "del", "lan0"])?;
    let agent = stage.agent(TAP)?;
    let ended = wait_for(Duration::from_secs(20), || agent.ended())?;
    let status = ended.context("the agent goes on without its interface")?;
    ensure!(status.code() == Some(1), "it ended with {status}");
    ensure!(
        agent.said().contains("is gone: when it is back"),
        "{}",
        agent.said()
    );
    stage.knock(2040..2045)?;
    // As systemd does it.
    plug(stage)?;
    stage.start_agent(TAP, (tap, "tap0"), &["--promiscuous"])?;
    stage.knock(2050..2055)?;
    stage.await_resets(&(2050..2055), |reset| seen(reset, TAP))?;
    stage.await_resets(&(2040..2045), |reset| !seen(reset, TAP) && !attested(reset))?;
    Ok(())
}

//! Agents that put pseudonyms in place of addresses, on both sides of an address translation: connections join as before,
//! verdicts are the same, and no address of the lab is told.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parallax_core::report::{Origin, ResetReport};

use crate::lab::Lab;
use crate::programs::{Programs, wait_for};
use crate::scenario::{Act, acts};
use crate::service::Service;

/// Every agent reads it.
const KEY: &str = "PARALLAX_PSEUDONYM_KEY";

/// The way of a reset that the firewall forges in the server's name.
const SEEN: [&str; 4] = ["fw-in", "gw-out", "gw-in", "client"];

/// Plays it; logs go to `folder`. The environment names the key.
pub fn run(folder: &Path) -> Result<()> {
    ensure!(
        std::env::var_os(KEY).is_some(),
        "{KEY} names no file with a key"
    );
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let lab = Lab::raise().context("raising the lab")?;
    // Everybody behind the gateway sees its address in place of the client's.
    let masquerade = "-t nat -A POSTROUTING -o out0 -j MASQUERADE";
    let status = lab
        .gateway
        .command("iptables")
        .args(masquerade.split(' '))
        .status()
        .context("starting iptables")?;
    ensure!(status.success(), "iptables {masquerade}: {status}");
    let service = Service::start_unrecorded(lab.site(), Programs::beside_this_one()?, folder)?;
    let found = acts()
        .into_iter()
        .find(|act| act.name() == "reject_content-v4");
    let act = Act {
        port: 9200,
        ..found.context("no such act")?
    };
    act.play(&lab)?;
    let mut last = Vec::new();
    let joined = wait_for(Duration::from_secs(20), || {
        last = service.resets_at(act.port)?.resets;
        Ok((last.len() == 1 && last.iter().all(right)).then_some(()))
    })?;
    joined.with_context(|| format!("not one reset across the translation: {last:#?}"))?;
    let told = serde_json::to_string(&last)?;
    for net in ["\"10.1.0.", "\"10.2.0.", "\"10.3.0."] {
        ensure!(!told.contains(net), "an address is told: {told}");
    }
    println!("one reset, seen at {SEEN:?} under two names, in pseudonyms");
    service.stop()
}

/// Forged between the firewall's two sides, and sighted on both sides of the gateway.
fn right(reset: &ResetReport) -> bool {
    let place = ["fw-out", "fw-in"].map(|name| Some(name.to_owned()));
    reset.origin == Origin::Middlebox && reset.between == Some(place) && reset.seen_at == SEEN
}

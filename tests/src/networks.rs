//! Networks of their own, each with its truth by construction.

mod attacks;
pub mod check;
pub mod compare;
mod crowd;
mod forger;
mod nat;
mod nat_injected;
mod offload;
mod overlay;
mod plan;
mod play;
mod ports;
mod proxy;
mod randomised;
mod randomiser;
pub mod run;
pub mod sightings;
mod silence;
mod standing;
mod straight;
pub mod truth;
mod ways;
pub mod witness;

use anyhow::Result;

use plan::Plan;
use play::{Call, Play};

/// A network, and what happens in it.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    pub name: &'static str,
    /// What happens, in a sentence.
    pub story: &'static str,
    plan: fn() -> Result<Plan>,
    /// Ordinary calls before and after the story, so that every vantage's record begins before it
    /// and ends after it.
    frame: &'static [Call],
    play: fn(&mut Play) -> Result<()>,
}

/// All networks.
pub fn all() -> Vec<Network> {
    [
        nat::ALL,
        nat_injected::ALL,
        randomised::ALL,
        proxy::ALL,
        overlay::ALL,
        offload::ALL,
        ways::ALL,
        ports::ALL,
        attacks::ALL,
        silence::ALL,
        crowd::ALL,
    ]
    .concat()
}

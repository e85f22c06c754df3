//! Everything the lab can play.

mod endpoint;
mod forged;
pub mod rejected;

use crate::scenario::Scenario;

/// All scenarios: honest hosts first, then firewalls, then injectors.
pub fn all() -> Vec<Scenario> {
    [endpoint::ALL, rejected::ALL, forged::ALL].concat()
}

//! What all stories in the straight network share.

use super::forger::Place;
use super::play::Call;

/// Ordinary calls around a story.
pub const FRAME: &[Call] = &[Call::new("client", [10, 3, 0, 2], "server", 7070)];

/// The story's call.
pub const CALL: Call = Call::new("client", [10, 3, 0, 2], "server", 8001);
/// Another one, to a port of its own.
pub const OTHER_CALL: Call = Call::new("client", [10, 3, 0, 2], "server", 8002);

/// The three wires.
pub const NEAR: Place = Place::new("near", ["client", "gateway"], ["client", "gw-in"]);
pub const MIDDLE: Place = Place::new("middle", ["gateway", "firewall"], ["gw-out", "fw-in"]);
pub const FAR: Place = Place::new("far", ["firewall", "server"], ["fw-out", "server"]);

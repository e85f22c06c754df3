//! The reason that a RST itself carries.

use super::wording::name;
use crate::case::Case;
use crate::report::{Evidence, Origin};
use crate::scene::Scene;

/// What the RST says of its reason: whoever made it wrote it, so it proves nothing of who that was.
pub(super) fn evidence(scene: &Scene<'_>, case: &Case<'_>, origin: Origin) -> Option<Evidence> {
    let reason = case.first_seen().carried.rst_reason?;
    let worth = match origin {
        Origin::Endpoint => "its sender's claim",
        Origin::Middlebox => "the forger's claim",
        Origin::Undetermined => "a claim of whoever made it, which can be forged with it",
    };
    Some(Evidence {
        kind: "claimed_reason".to_owned(),
        vantage: Some(name(scene, case.views[case.first].vantage)),
        text: format!("the RST carries a reason, {reason}: {worth}"),
    })
}

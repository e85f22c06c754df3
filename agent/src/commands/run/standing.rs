//! What a run leaves out all along, by how it captures.

use parallax_core::{CaptureTime, LossCause, LossOf, LossRecord, Selection, Strength};

use super::Settings;
use crate::config::Segments;

/// As losses without an end.
pub(super) fn losses(settings: &Settings, since: CaptureTime) -> Vec<LossRecord> {
    let standing = |cause, of, detail| LossRecord {
        strength: Strength::Possible,
        cause,
        of,
        from: since,
        until: None,
        count: None,
        detail,
    };
    let filter = settings.filter.as_ref();
    let filter = filter.map(|filter| {
        let shown: String = filter
            .chars()
            .filter(|char| *char != '\0')
            .take(200)
            .collect();
        // It may name addresses.
        let shown = settings.pseudonym_key.is_none().then_some(shown);
        standing(LossCause::Filter, LossOf::Packets, shown)
    });
    let sampling = (settings.segments != Segments(Selection::All))
        .then(|| standing(LossCause::Sampling, LossOf::Segments, None));
    // A packet socket taps between the interface and netfilter, whichever way a packet goes.
    let firewall = (!settings.host.is_empty())
        .then(|| standing(LossCause::HostFirewall, LossOf::Packets, None));
    [filter, sampling, firewall].into_iter().flatten().collect()
}

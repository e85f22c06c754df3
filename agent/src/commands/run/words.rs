//! What a run says on standard error.

use parallax_core::decode::LinkType;
use tracing::{info, warn};

use super::watch::Captured;
use crate::capture::live::LiveCapture;
use crate::stream::Progress;

/// For instance `eth0 (Ethernet), wg0 (raw IP)`.
pub(super) fn links(live: &LiveCapture) -> String {
    let links: Vec<String> = live
        .links()
        .map(|(name, link)| {
            let link = match link {
                LinkType::Ethernet => "Ethernet",
                LinkType::LinuxSll | LinkType::LinuxSll2 => "Linux cooked",
                LinkType::Raw => "raw IP",
                LinkType::Null | LinkType::Loop => "loopback",
            };
            format!("{name} ({link})")
        })
        .collect();
    links.join(", ")
}

/// Sums up a run.
pub(super) fn report(captured: &Captured, delivered: Progress) {
    let tally = captured.tally;
    info!(
        "captured {} packets, {} dropped by the kernel, {} unread; \
         {} digests numbered, {} committed, {} lost on the way",
        tally.packets,
        captured.dropped,
        tally.unread.total(),
        delivered.numbered,
        delivered.committed,
        tally.lost + delivered.lost
    );
    if delivered.committed < delivered.numbered {
        warn!(
            "{} digests were not confirmed by the collector in time",
            delivered.numbered - delivered.committed
        );
    }
}

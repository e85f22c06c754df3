//! libpcap's counters, which are 32 bits wide and wrap.

use pcap::Stat;

/// Packets received and lost in a span.
///
/// On the loopback interface `received` counts each packet twice: going out and coming in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveCounters {
    /// That passed the filter, those dropped included.
    pub received: u64,
    /// Lost for want of room in the kernel's ring.
    pub dropped: u64,
    /// Lost by interface or driver; libpcap reads this for promiscuous captures only.
    pub if_dropped: u64,
}

impl LiveCounters {
    pub(super) fn add(&mut self, other: Self) {
        self.received += other.received;
        self.dropped += other.dropped;
        self.if_dropped += other.if_dropped;
    }
}

/// The counters at the last look.
#[derive(Debug)]
pub(super) struct Last(Stat);

impl Last {
    pub fn new() -> Self {
        Self(Stat {
            received: 0,
            dropped: 0,
            if_dropped: 0,
        })
    }

    /// What was added since; right while less than 2^32 packets come between two looks.
    pub fn since(&mut self, now: Stat) -> LiveCounters {
        let last = std::mem::replace(&mut self.0, now);
        LiveCounters {
            received: u64::from(now.received.wrapping_sub(last.received)),
            dropped: u64::from(now.dropped.wrapping_sub(last.dropped)),
            if_dropped: u64::from(now.if_dropped.wrapping_sub(last.if_dropped)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on_across_the_wrap() {
        let stat = |received, dropped| Stat {
            received,
            dropped,
            if_dropped: 0,
        };
        let mut last = Last::new();
        assert_eq!(last.since(stat(u32::MAX, 1)).received, u64::from(u32::MAX));
        let more = last.since(stat(4, 3));
        assert_eq!((more.received, more.dropped), (5, 2));
    }
}
